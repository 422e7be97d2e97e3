import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EndpointSecrets, Keys, SecretVariables, StoredVariables } from '../contract/compute-target.ts';
import { AksmlError } from '../contract/error.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';

interface StoredSecrets {
  readonly keys: Keys;
  readonly environmentVariables: StoredVariables;
}

/** `local/secrets/NAME.json`, readable by the user alone: keys and the secret environment variables' values. */
export class SecretStore {
  readonly #home: Home;
  readonly #cache = new Map<string, StoredSecrets>();

  constructor(home: Home) {
    this.#home = home;
  }

  /** Keys are made once and kept; given ones replace them. Variables of versions that are gone are forgotten. */
  async merge(name: string, given: EndpointSecrets, versions: readonly string[]): Promise<void> {
    const present = await this.#read(name);
    const variables = { ...present?.environmentVariables };
    for (const [version, values] of Object.entries(given.environmentVariables ?? {})) {
      variables[version] = merged(values, variables[version]);
    }
    await this.#write(name, {
      keys: {
        primaryKey: given.keys?.primaryKey ?? present?.keys.primaryKey ?? newKey(),
        secondaryKey: given.keys?.secondaryKey ?? present?.keys.secondaryKey ?? newKey(),
      },
      environmentVariables: Object.fromEntries(
        Object.entries(variables).filter(([version]) => versions.includes(version)),
      ),
    });
  }

  async keys(name: string): Promise<Keys> {
    const secrets = await this.#read(name);
    if (secrets) return secrets.keys;
    await this.merge(name, {}, []);
    return this.keys(name);
  }

  async regenerate(name: string, which: 'primary' | 'secondary', value?: string): Promise<Keys> {
    const keys = { ...(await this.keys(name)), [`${which}Key`]: value ?? newKey() };
    const secrets = await this.#read(name);
    await this.#write(name, { environmentVariables: secrets?.environmentVariables ?? {}, keys });
    return keys;
  }

  async environmentVariables(name: string, version: string): Promise<Readonly<Record<string, string>>> {
    return (await this.#read(name))?.environmentVariables[version] ?? {};
  }

  async remove(name: string): Promise<void> {
    this.#cache.delete(name);
    await rm(this.#path(name), { force: true });
  }

  async #read(name: string): Promise<StoredSecrets | undefined> {
    const cached = this.#cache.get(name);
    if (cached) return cached;
    const text = await readFile(this.#path(name), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const secrets = parseSecrets(text);
    if (!secrets) {
      throw new AksmlError('secrets.damaged', `The keys of "${name}" cannot be read: ${this.#path(name)} is damaged.`, {
        subject: name,
        remedy:
          'Delete that file and deploy again: new keys are made, and secret environment variables are stored anew.',
      });
    }
    this.#cache.set(name, secrets);
    return secrets;
  }

  async #write(name: string, secrets: StoredSecrets): Promise<void> {
    await writeFileAtomic(this.#path(name), JSON.stringify(secrets));
    this.#cache.set(name, secrets);
  }

  #path(name: string): string {
    return join(this.#home.local, 'secrets', `${name}.json`);
  }
}

/** A parser's message would quote the content. */
function parseSecrets(text: string): StoredSecrets | undefined {
  try {
    const secrets = JSON.parse(text) as Partial<StoredSecrets> | null;
    const { primaryKey, secondaryKey } = secrets?.keys ?? {};
    if (typeof primaryKey !== 'string' || typeof secondaryKey !== 'string') return undefined;
    return { keys: { primaryKey, secondaryKey }, environmentVariables: secrets?.environmentVariables ?? {} };
  } catch {
    return undefined;
  }
}

/** What the gateway gets to know of a key. */
export function keyHash(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function newKey(): string {
  return randomBytes(32).toString('base64url');
}

/** What is given, and of the others what is stored. */
function merged(given: SecretVariables, stored: Readonly<Record<string, string>> = {}): Record<string, string> {
  const values = Object.entries(given).map(([name, value]): [string, string | undefined] => [
    name,
    value ?? stored[name],
  ]);
  return Object.fromEntries(values.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
