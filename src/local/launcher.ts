import { existsSync } from 'node:fs';
import { access, constants, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bundle } from '../contract/bundle.ts';
import type { Cause } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import type { Home } from '../home/home.ts';
import { bindOnce } from '../http/loopback-port.ts';
import { CauseError } from './replica.ts';
import { fixedPort, type ReplicaLaunch, replicaLaunch } from './replica-launch.ts';
import type { ReplicaRecord } from './replica-record.ts';
import type { SecretStore } from './secret-store.ts';

/** Prepares the start of replicas from what the engine has laid down for them. */
export class Launcher {
  readonly #home: Home;
  readonly #secrets: SecretStore;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #script: string;

  /** `environment`: of this process. @throws AksmlError `installation.incomplete` */
  constructor(home: Home, secrets: SecretStore, environment: Readonly<Record<string, string | undefined>>) {
    this.#home = home;
    this.#secrets = secrets;
    this.#environment = environment;
    this.#script = findLauncherScript();
  }

  /** @throws CauseError when the image cannot be started */
  async launch({ endpoint, version, image }: ReplicaRecord, folder: string): Promise<ReplicaLaunch> {
    const bundle = await this.#readBundle(image);
    await refuseUnstartable(bundle);
    return replicaLaunch({
      bundle,
      endpoint,
      version,
      folder,
      launcher: this.#script,
      secrets: await this.#secrets.environmentVariables(endpoint, version),
      environment: this.#environment,
      port: bundle.container ? await portFor(bundle) : 0,
    });
  }

  async #readBundle(image: string): Promise<Bundle> {
    const path = join(this.#home.bundles, image.slice('sha256:'.length), 'bundle.json');
    try {
      return JSON.parse(await readFile(path, 'utf8')) as Bundle;
    } catch {
      throw new CauseError(missing(`what the version runs from is not on this machine (${path})`));
    }
  }
}

async function refuseUnstartable({ container, python, appRoot }: Bundle): Promise<void> {
  if (container && !container.command) {
    throw new CauseError({
      code: 'InvalidDeploymentSpec',
      message: 'The compute target local runs commands, not images, and this container has no command.',
      remedy: 'Give the container a command, or deploy it to a cluster.',
    });
  }
  if (!existsSync(appRoot)) throw new CauseError(missing(`the folder ${appRoot} is gone`));
  if (container) return;
  const usable = python !== undefined && (await canExecute(python));
  if (!usable) throw new CauseError(missing(`there is no Python interpreter at ${python ?? 'any place'}`));
}

function missing(what: string): Cause {
  return {
    code: 'EnvironmentMissing',
    message: `The replica cannot be started: ${what}.`,
    remedy: 'Deploy again, so that it is made anew.',
  };
}

async function canExecute(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function portFor({ container }: Bundle): Promise<number> {
  const fixed = fixedPort(container);
  try {
    return await bindOnce(fixed ?? 0);
  } catch (error) {
    throw new CauseError({
      code: 'PortInUse',
      message: `The command of the container listens on port ${fixed}, which cannot be taken: ${String(error)}`,
      remedy: 'End the other program, or write {port} into the arguments of the command.',
    });
  }
}

/** `runtime/` lies beside `dist/` when bundled and beside `src/` when not. */
function findLauncherScript(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const script = join(folder, 'runtime', 'python', 'replica.py');
    if (existsSync(script)) return script;
    if (dirname(folder) === folder) {
      throw new AksmlError('installation.incomplete', 'The file runtime/python/replica.py of aksml is missing.', {
        remedy: 'Install aksml again.',
      });
    }
  }
}
