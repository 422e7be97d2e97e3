import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { EnvironmentDefinition, RegisteredEnvironment } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { putEmpty } from '../registry/empty.ts';
import { encodeName, sha256 } from '../registry/reference.ts';
import { MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { joinSecrets, type Secrets, separateSecrets } from './secrets-of-definition.ts';

/** Where registered environments are kept. */
export interface EnvironmentStore {
  readonly home: Home;
  readonly registry: Registry;
  readonly clock: () => Date;
}

const ARTIFACT = 'application/vnd.aksml.environment.v1';
const CONFIG = 'application/vnd.aksml.environment.config.v1+json';
const REPOSITORIES = 'environments/';
const CONTENT = 'dev.aksml.environment.content';

interface StoredEnvironment {
  readonly environment: RegisteredEnvironment;
  /** Digest of the definition without name, version and secrets. */
  readonly content: string;
}

/**
 * Stores a definition as the next version under its name, or finds the version that has the same content, as v1 did. Passwords, credentials
 * in URLs and values of secret variables never enter the registry: they are kept for this user in a file of the home folder.
 * @throws AksmlError `environment.nameMissing` | `disk.full`
 */
export async function registerEnvironment(
  store: EnvironmentStore,
  definition: EnvironmentDefinition,
  signal?: AbortSignal,
): Promise<{ readonly environment: RegisteredEnvironment; readonly reused: boolean }> {
  const { name, version: _assigned, ...rest } = definition;
  if (!name) {
    throw new AksmlError('environment.nameMissing', 'The environment has no name to register it under.', {
      fault: 'input',
      remedy: 'Give it a "name" in azureml_environment.json.',
    });
  }
  const { open, secrets } = separateSecrets(rest);
  const content = sha256(canonicalJson(open));
  await keepSecrets(store, name, content, secrets);
  const repository = repositoryOf(name);
  for (let tried = 0; ; ) {
    const known = await allVersions(store, repository, signal);
    const same = known.find((stored) => stored.content === content);
    if (same) return { environment: same.environment, reused: true };
    // A number that somebody began to take and did not finish is left out.
    tried = Math.max(tried, ...known.map(({ environment }) => Number(environment.version))) + 1;
    const version = String(tried);
    const environment: RegisteredEnvironment = {
      name,
      version,
      definition: { ...open, name, version },
      createdTime: store.clock().toISOString(),
    };
    if (await claim(store, repository, environment, content, signal)) return { environment, reused: false };
  }
}

async function claim(
  { registry }: EnvironmentStore,
  repository: string,
  environment: RegisteredEnvironment,
  content: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const record = Buffer.from(JSON.stringify(environment));
  const config = await registry.putBlob(repository, record, { mediaType: CONFIG, signal });
  const empty = await putEmpty(registry, repository, signal);
  const { written } = await registry.putManifest(
    repository,
    {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.manifest,
      artifactType: ARTIFACT,
      config,
      layers: [empty],
      annotations: { 'org.opencontainers.image.title': environment.name, [CONTENT]: content },
    },
    { tag: environment.version, ifAbsent: true, signal },
  );
  return written;
}

/** By name, then the newest version first; without secrets. */
export async function listEnvironments(
  store: EnvironmentStore,
  filter: { readonly latest?: boolean } = {},
  signal?: AbortSignal,
): Promise<RegisteredEnvironment[]> {
  const found: RegisteredEnvironment[] = [];
  for (const repository of await store.registry.listRepositories(REPOSITORIES, signal)) {
    const versions = (await allVersions(store, repository, signal)).map(({ environment }) => environment);
    found.push(...(filter.latest ? versions.slice(0, 1) : versions));
  }
  return found.sort((a, b) => (a.name === b.name ? Number(b.version) - Number(a.version) : a.name < b.name ? -1 : 1));
}

/**
 * One version, or the latest. `withSecrets` adds what this user registered of it and no registry holds: for installing, never for showing.
 * @throws AksmlError `environment.notFound`
 */
export async function getEnvironment(
  store: EnvironmentStore,
  name: string,
  version?: string,
  options: { readonly withSecrets?: boolean; readonly signal?: AbortSignal } = {},
): Promise<RegisteredEnvironment> {
  const versions = name === '' ? [] : await allVersions(store, repositoryOf(name), options.signal);
  const found = versions.find(({ environment }) => version === undefined || environment.version === version);
  if (!found) throw await notFound(store, name, version, versions);
  if (!options.withSecrets) return found.environment;
  const secrets = (await readSecrets(store, name))[found.content] ?? {};
  return { ...found.environment, definition: joinSecrets(found.environment.definition, secrets) };
}

async function notFound(
  store: EnvironmentStore,
  name: string,
  version: string | undefined,
  versions: readonly StoredEnvironment[],
): Promise<AksmlError> {
  const id = version === undefined ? name : `${name}:${version}`;
  const others = (await listEnvironments(store, { latest: true })).map((environment) => environment.name);
  const remedy =
    versions.length > 0
      ? `${name} has the versions ${versions.map(({ environment }) => environment.version).join(', ')}.`
      : name.startsWith('AzureML-')
        ? 'Curated environments are kept by Azure: register one of your own under that name (aksml environment register).'
        : others.length > 0
          ? `There is ${others.slice(0, 10).join(', ')}.`
          : 'Register it first (aksml environment register).';
  return new AksmlError(
    'environment.notFound',
    `There is no environment ${JSON.stringify(id)} in ${store.registry.location}.`,
    {
      fault: 'input',
      subject: `environment/${id}`,
      remedy,
    },
  );
}

function repositoryOf(name: string): string {
  return `${REPOSITORIES}${encodeName(name)}`;
}

/** Newest first. */
async function allVersions(
  { registry }: EnvironmentStore,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<StoredEnvironment[]> {
  const tags = (await registry.listTags(repository, signal)).filter((tag) => /^[1-9]\d*$/.test(tag));
  const found: StoredEnvironment[] = [];
  for (const tag of tags.sort((a, b) => Number(b) - Number(a))) {
    const { manifest } = await registry.getManifest(repository, tag, signal);
    if (manifest.artifactType !== ARTIFACT) continue;
    const record = await buffer(await registry.getBlob(repository, manifest.config.digest, signal));
    const environment = JSON.parse(record.toString('utf8')) as RegisteredEnvironment;
    found.push({ environment, content: manifest.annotations?.[CONTENT] ?? '' });
  }
  return found;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** By the content that they belong to, so that registering the same environment with a new password replaces the old one. */
async function keepSecrets(store: EnvironmentStore, name: string, content: string, secrets: Secrets): Promise<void> {
  if (Object.keys(secrets).length === 0) return;
  await withLock(store.home, 'environment-secrets', async () => {
    const all = { ...(await readSecrets(store, name)), [content]: secrets };
    await writeFileAtomic(secretsFile(store, name), JSON.stringify(all)).catch((error: unknown) => {
      throw asStorageError(error, 'Keeping the credentials of the environment', store.home.root);
    });
  });
}

async function readSecrets(store: EnvironmentStore, name: string): Promise<Readonly<Record<string, Secrets>>> {
  try {
    return JSON.parse(await readFile(secretsFile(store, name), 'utf8'));
  } catch {
    return {};
  }
}

function secretsFile({ home, registry }: EnvironmentStore, name: string): string {
  const key = createHash('sha256').update(`${registry.location}\n${name}`).digest('hex');
  return join(home.root, 'secrets', 'environments', `${key}.json`);
}
