import { mkdir, rm } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { type RunCommand, runCommand } from './command.ts';
import { installWithConda, withoutChannelTokens } from './conda.ts';
import { withoutCredentials } from './credentials.ts';
import { installLocked, resolveRequirements } from './install.ts';
import { type EnvironmentPlan, planEnvironment } from './plan.ts';
import type { PythonSearch } from './python.ts';
import { choosePython, type PythonChoice } from './python-choice.ts';
import { type PythonRequest, parsePythonRequest } from './python-version.ts';
import {
  environmentFolder,
  type InstalledEnvironment,
  readLockRecord,
  shortHash,
  useInstalled,
  writeLockRecord,
} from './store.ts';
import { prepareUserManaged } from './user-managed.ts';
import { obtainPython, openUv, type UvSession } from './uv-session.ts';

/** What preparing an environment needs from its host. */
export interface EnvironmentTools {
  readonly home: Home;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: () => Date;
  readonly platform?: NodeJS.Platform;
  readonly fetch?: typeof fetch;
  readonly run?: RunCommand;
}

export interface PrepareOptions {
  /** `--python`: a version, the path of an interpreter, or `nearest`. */
  readonly pythonOverride?: string;
  /** Resolve anew, whatever was locked before. */
  readonly refresh?: boolean;
  /** What an earlier deploy installed: exactly that is installed again, whatever the definition resolves to today. */
  readonly recorded?: { readonly hash: string; readonly pythonVersion: string; readonly lock: readonly string[] };
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** An environment that a replica can be started in. */
export interface PreparedEnvironment {
  /** Over everything that is installed: Python, platform and packages; not over credentials, the environment's name or its version. */
  readonly hash: string;
  readonly folder: string;
  /** Absolute path of the interpreter. */
  readonly python: string;
  readonly pythonVersion: string;
  /** Exact requirements, with hashes where the package index gives them. */
  readonly lock: readonly string[];
  /** The definition's, those of the conda file included. Values `${secret:NAME}` are not resolved. */
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Notices and warnings; errors are thrown. */
  readonly problems: readonly Problem[];
  /** It was installed already. */
  readonly reused: boolean;
}

/** Everything of one preparation. */
export interface Preparation {
  readonly tools: Required<EnvironmentTools>;
  readonly options: PrepareOptions;
  readonly plan: EnvironmentPlan;
  readonly search: PythonSearch;
}

/**
 * Installs an environment, or finds it installed. Safe against concurrent calls and kills: an environment is there whole or not at all.
 * @throws AksmlError `environment.invalid` | `environment.unresolvable` | `environment.installFailed` | `environment.serverBroken` |
 *   `environment.needsConda` | `environment.variableMissing` | `python.*` | `uv.unobtainable`
 */
export async function prepareEnvironment(
  tools: EnvironmentTools,
  definition: EnvironmentDefinition,
  options: PrepareOptions = {},
): Promise<PreparedEnvironment> {
  const plan = planEnvironment(definition);
  refuseErrors(plan);
  const preparation = prepare(tools, options, plan);
  if (plan.installer === 'none') return prepareUserManaged(preparation);
  const { home } = preparation.tools;
  const key = planKey(preparation);
  const found = await findInstalled(preparation, key);
  if (found) return found;
  const lockOptions = options.signal === undefined ? {} : { signal: options.signal };
  return withLock(
    home,
    `environment-${key}`,
    async () => (await findInstalled(preparation, key)) ?? install(preparation, key),
    lockOptions,
  );
}

function prepare(tools: EnvironmentTools, options: PrepareOptions, plan: EnvironmentPlan): Preparation {
  const complete = {
    ...tools,
    platform: tools.platform ?? platform(),
    fetch: tools.fetch ?? fetch,
    run: tools.run ?? runCommand,
  };
  return { tools: complete, options, plan, search: pythonSearch(complete, options.signal) };
}

/** Where the Pythons of this machine are looked for. */
export function pythonSearch(tools: EnvironmentTools, signal?: AbortSignal): PythonSearch {
  return {
    environment: tools.environment,
    platform: tools.platform ?? platform(),
    run: tools.run ?? runCommand,
    managedFolders: [join(tools.home.tools, 'python')],
    signal,
  };
}

function refuseErrors(plan: EnvironmentPlan): void {
  const errors = plan.problems.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  throw new AksmlError(
    'environment.invalid',
    `The environment cannot be installed: ${errors.map(({ message }) => message).join(' ')}`,
    {
      fault: 'input',
      problems: plan.problems,
    },
  );
}

/** What decides which packages are installed. The user's own index settings do not: they are no part of the environment. */
function planKey({ tools, options, plan }: Preparation): string {
  return shortHash({
    format: 1,
    installer: plan.installer,
    python: plan.python.text,
    override: options.pythonOverride ?? '',
    requirements: plan.requirements.map(withoutCredentials),
    indexes: JSON.parse(withoutCredentials(JSON.stringify(plan.indexes))) as unknown,
    conda: plan.installer === 'conda' ? withoutChannelTokens(withoutCredentials(JSON.stringify(plan.conda))) : '',
    platform: tools.platform,
  });
}

async function findInstalled(preparation: Preparation, key: string): Promise<PreparedEnvironment | undefined> {
  const { tools, options, plan } = preparation;
  if (options.recorded) {
    const installed = await useInstalled(tools.home, options.recorded.hash);
    return installed && asPrepared(preparation, installed, plan.problems, true);
  }
  if (options.refresh) return undefined;
  const record = await readLockRecord(tools.home, key);
  const installed = record && (await useInstalled(tools.home, record.hash));
  return installed && asPrepared(preparation, installed, [...plan.problems, ...record.problems], true);
}

async function install(preparation: Preparation, key: string): Promise<PreparedEnvironment> {
  const { tools, options, plan } = preparation;
  const { home } = tools;
  const work = join(home.cache, `environment-${key}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true, mode: 0o700 });
  try {
    const uv = await openUv(preparation, work);
    if (plan.installer === 'conda') {
      const { installed, reused } = await installWithConda(preparation, uv, key);
      await writeLockRecord(home, key, { ...installed, problems: [] });
      return asPrepared(preparation, installed, plan.problems, reused);
    }
    const record = options.refresh ? undefined : (options.recorded ?? (await readLockRecord(home, key)));
    const choice = await choosePythonFor(preparation, uv, options.recorded?.pythonVersion);
    const { interpreter } = choice;
    const usable = record && sameMinor(record.pythonVersion, interpreter.version) ? record : undefined;
    const lock = usable?.lock ?? (await resolveRequirements(preparation, uv, interpreter));
    const hash = shortHash({ python: interpreter.version, platform: interpreter.platform, lock });
    const { installed, reused } = await installLocked(preparation, uv, { hash, interpreter, lock });
    if (!options.recorded) {
      await writeLockRecord(home, key, { hash, pythonVersion: interpreter.version, lock, problems: choice.problems });
    }
    return asPrepared(preparation, installed, [...plan.problems, ...choice.problems], reused);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** An earlier environment keeps its Python: bug-fix releases aside, its packages run on no other. */
function choosePythonFor(
  { search, plan, options }: Preparation,
  uv: UvSession,
  recordedVersion?: string,
): Promise<PythonChoice> {
  const recorded: PythonRequest | undefined =
    recordedVersion === undefined ? undefined : parsePythonRequest(`=${recordedVersion}`);
  const override = recorded ? undefined : options.pythonOverride;
  return choosePython(search, recorded ?? plan.python, override, (minor) => obtainPython(uv, search, minor));
}

function sameMinor(a: string, b: string): boolean {
  return a.split('.').slice(0, 2).join('.') === b.split('.').slice(0, 2).join('.');
}

function asPrepared(
  { tools, plan }: Preparation,
  installed: InstalledEnvironment,
  problems: readonly Problem[],
  reused: boolean,
): PreparedEnvironment {
  return {
    hash: installed.hash,
    folder: environmentFolder(tools.home, installed.hash),
    python: installed.python,
    pythonVersion: installed.pythonVersion,
    lock: installed.lock,
    environmentVariables: plan.environmentVariables,
    problems,
    reused,
  };
}
