import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import { withLock } from '../../home/lock.ts';
import { withoutCredentials } from './credentials.ts';
import type { Preparation } from './environment.ts';
import type { Interpreter } from './python.ts';
import { checkServer } from './server-check.ts';
import { environmentFolder, type InstalledEnvironment, removeAttempts, useInstalled, writeInstalled } from './store.ts';
import {
  classifyFailure,
  compileCommand,
  explainFailure,
  installCommand,
  lockedPackage,
  parseLock,
  type UvFailure,
  venvCommand,
} from './uv.ts';
import type { UvSession } from './uv-session.ts';

/** Exact versions for a Python, from the package indexes. @throws AksmlError `environment.unresolvable` */
export async function resolveRequirements(
  { options, plan }: Preparation,
  session: UvSession,
  interpreter: Interpreter,
): Promise<readonly string[]> {
  const file = join(session.folder, 'requirements.in');
  await writeFile(file, `${session.requirements.join('\n')}\n`, { mode: 0o600 });
  options.onProgress?.({ type: 'progress', stage: 'environment', done: 0, unit: 'packages', detail: 'resolving' });
  const result = await session.run(
    compileCommand(session.uv, file, {
      python: interpreter.path,
      preReleases: plan.indexes.preReleases,
      noIndex: session.noIndex,
    }),
  );
  if (result.exitCode === 0) return parseLock(withoutCredentials(result.stdout));
  throw uvFailed(
    'environment.unresolvable',
    `The packages cannot be resolved for Python ${interpreter.version}`,
    result.stderr,
  );
}

export interface LockedEnvironment {
  readonly hash: string;
  readonly interpreter: Interpreter;
  readonly lock: readonly string[];
}

/**
 * Installs a lock into `environments/HASH`, unless it is there. Each attempt has a folder of its own, because a venv cannot be moved and
 * an installer may outlive its killed parent; the marker that is written last says which attempt counts.
 * @throws AksmlError `environment.installFailed` | `environment.serverBroken`
 */
export async function installLocked(
  preparation: Preparation,
  session: UvSession,
  locked: LockedEnvironment,
): Promise<{ readonly installed: InstalledEnvironment; readonly reused: boolean }> {
  const { tools, options } = preparation;
  const { home } = tools;
  return withLock(
    home,
    `environment-${locked.hash}`,
    async () => {
      const present = await useInstalled(home, locked.hash);
      if (present) return { installed: present, reused: true };
      await removeAttempts(home, locked.hash);
      const venv = join(environmentFolder(home, locked.hash), `venv-${randomUUID().slice(0, 8)}`);
      const python = await createVenv(preparation, session, locked.interpreter, venv);
      await installPackages(preparation, session, python, locked.lock);
      await checkServer(tools, python, options.signal);
      const installed: InstalledEnvironment = {
        hash: locked.hash,
        python,
        pythonVersion: locked.interpreter.version,
        lock: locked.lock,
        createdTime: tools.clock().toISOString(),
      };
      await writeInstalled(home, installed);
      return { installed, reused: false };
    },
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

async function createVenv(
  { tools }: Preparation,
  session: UvSession,
  interpreter: Interpreter,
  venv: string,
): Promise<string> {
  await mkdir(join(venv, '..'), { recursive: true, mode: 0o700 });
  const result = await session.run(venvCommand(session.uv, venv, interpreter.path));
  if (result.exitCode !== 0) {
    throw uvFailed(
      'environment.installFailed',
      `A virtual environment of ${interpreter.path} could not be made`,
      result.stderr,
    );
  }
  return venvPython(venv, tools.platform);
}

export function venvPython(venv: string, platform: NodeJS.Platform): string {
  return platform === 'win32' ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python');
}

/** @throws AksmlError `environment.installFailed` */
export async function installPackages(
  { options, plan }: Preparation,
  session: UvSession,
  python: string,
  lock: readonly string[],
): Promise<void> {
  const file = join(session.folder, 'requirements.lock');
  await writeFile(file, `${lock.join('\n')}\n`, { mode: 0o600 });
  const command = installCommand(session.uv, file, {
    python,
    preReleases: plan.indexes.preReleases,
    noIndex: session.noIndex,
    dependencies: false,
  });
  const result = await session.run(command, installProgress(options.onProgress, lock));
  if (result.exitCode !== 0)
    throw uvFailed('environment.installFailed', 'The packages could not be installed', result.stderr);
}

/** Installs the plan's requirements beside what is there already. @throws AksmlError `environment.unresolvable` */
export async function installRequirements({ plan }: Preparation, session: UvSession, python: string): Promise<void> {
  const file = join(session.folder, 'requirements.in');
  await writeFile(file, `${session.requirements.join('\n')}\n`, { mode: 0o600 });
  const options = { python, preReleases: plan.indexes.preReleases, noIndex: session.noIndex };
  const result = await session.run(installCommand(session.uv, file, { ...options, dependencies: true }));
  if (result.exitCode !== 0) {
    throw uvFailed('environment.unresolvable', 'The pip section could not be installed', result.stderr);
  }
}

/** uv names the large packages that it downloads; the others are done before one could read their names. */
function installProgress(onProgress: OnProgress | undefined, lock: readonly string[]): (line: string) => void {
  const total = lock.length;
  let done = 0;
  const tell = (detail: string): void =>
    onProgress?.({ type: 'progress', stage: 'environment', done, total, unit: 'packages', detail });
  tell(`installing ${lock.map(lockedPackage).slice(0, 3).join(', ')} …`);
  return (line) => {
    const downloading = /^\s*Downloading (\S+)/.exec(line)?.[1];
    const downloaded = /^\s*Downloaded (\S+)/.exec(line)?.[1];
    if (downloading) tell(`downloading ${downloading}`);
    if (downloaded) {
      done += 1;
      tell(`downloaded ${downloaded}`);
    }
    if (/^\s*Installed /.test(line)) {
      done = total;
      tell('installed');
    }
  };
}

const REMEDIES: Readonly<Record<UvFailure, string>> = {
  network: 'Check the network and the package index, then run the command again.',
  authentication: 'Check the credentials of the package index.',
  notFound: 'Check the name; if it exists only in conda channels, put micromamba, mamba or conda on PATH.',
  noWheel: 'Choose a version of it that supports this Python, or another Python with --python.',
  conflict:
    'Loosen the versions that conflict; the scoring server needs recent versions of Flask, Werkzeug and pydantic.',
  build: 'Choose a version that has a wheel for this Python, or install what its build needs.',
  disk: 'Free some space on the disk of AKSML_HOME, then run the command again.',
  other: 'See the log, change the environment, and run the command again.',
};

/** @param stderr redacted */
function uvFailed(code: string, what: string, stderr: string): AksmlError {
  const failure = classifyFailure(stderr);
  const explanation = explainFailure(stderr);
  const isInput = ['notFound', 'noWheel', 'conflict', 'build'].includes(failure);
  return new AksmlError(code, `${what}: ${mainReason(failure, explanation)}`, {
    fault: isInput ? 'input' : 'failed',
    remedy: REMEDIES[failure],
    logTail: explanation,
  });
}

const LONGEST_REASON = 300;

/** Of a conflict, what the user asked for; else the first cause, which says more than the error above it. */
function mainReason(failure: UvFailure, explanation: readonly string[]): string {
  const required = /because (you require .*?), we can conclude/.exec(explanation.join(' '))?.[1];
  if (failure === 'conflict' && required !== undefined) return `${required}, which exclude each other`;
  const cause = explanation.find((line) => /^\s*cause:/.test(line)) ?? explanation[0] ?? 'uv failed';
  return cause.replace(/^\s*(cause:|error:|\u00d7)\s*/, '').slice(0, LONGEST_REASON);
}
