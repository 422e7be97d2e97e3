import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  exists,
  identifyProcess,
  isRunning,
  type ProcessIdentity,
  processesMarked,
  signalGroup,
} from './process-identity.ts';
import { FOLDER_VARIABLE, type ReplicaLaunch } from './replica-launch.ts';

export interface ProcessExit {
  /** Unknown for a process that another supervisor started. */
  readonly exitCode?: number;
  readonly signal?: string;
}

/** The leader of a replica's process group, started here or by an earlier supervisor. */
export interface ReplicaProcess {
  readonly identity: ProcessIdentity;
  readonly exited: Promise<ProcessExit>;
}

const ADOPTED_POLL_MS = 200;

/**
 * Starts the leader in a session of its own, writing straight to the log files, so that it outlives this process.
 * @throws the system's error when the program cannot be started
 */
export async function startProcess(
  launch: ReplicaLaunch,
  logs: { readonly stdout: string; readonly stderr: string },
): Promise<ReplicaProcess> {
  const stdout = await open(logs.stdout, 'a', 0o600);
  const stderr = await open(logs.stderr, 'a', 0o600);
  try {
    const [program, ...args] = launch.command;
    const child = spawn(program, args, {
      cwd: launch.cwd,
      env: { ...launch.environment },
      detached: true,
      stdio: ['ignore', stdout.fd, stderr.fd],
      windowsHide: true,
    });
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve({ ...(code === null ? {} : { exitCode: code }), ...(signal === null ? {} : { signal }) }),
      );
    });
    await once(child, 'spawn');
    child.unref();
    const pid = child.pid ?? 0;
    return { identity: (await identifyProcess(pid)) ?? { pid, startTime: 'gone' }, exited };
  } finally {
    await stdout.close();
    await stderr.close();
  }
}

/** Watches a replica of an earlier supervisor; undefined when it is gone. */
export async function adoptProcess(identity: ProcessIdentity): Promise<ReplicaProcess | undefined> {
  if (!(await isRunning(identity))) return undefined;
  return { identity, exited: pollUntilGone(identity) };
}

async function pollUntilGone(identity: ProcessIdentity): Promise<ProcessExit> {
  const perProcess = process.platform !== 'linux';
  // Asking for the start time is a look into /proc on Linux, and a program to start elsewhere.
  while (perProcess ? exists(identity.pid) : await isRunning(identity)) {
    await sleep(ADOPTED_POLL_MS, undefined, { ref: false });
  }
  return {};
}

/**
 * Ends a replica and everything it has started: politely, by force after `graceMs`, and at last what has left its group.
 * Returns once nothing of it runs.
 */
export async function endProcess(process: ReplicaProcess, folder: string, graceMs: number): Promise<ProcessExit> {
  const gone = process.exited;
  if (graceMs > 0 && (await isRunning(process.identity))) {
    await signalGroup(process.identity.pid, 'SIGTERM');
    await Promise.race([gone, sleep(graceMs, undefined, { ref: false })]);
  }
  // The leader's number stays reserved while its group has members, so the group is still ours.
  await signalGroup(process.identity.pid, 'SIGKILL');
  const exit = await gone;
  await endStrays(folder);
  return exit;
}

/** Ends processes that a replica left behind. They are known by the run folder in their environment. */
export async function endStrays(folder: string): Promise<void> {
  for (const pid of await processesMarked(FOLDER_VARIABLE, folder)) {
    try {
      globalThis.process.kill(pid, 'SIGKILL');
    } catch {
      // Gone meanwhile.
    }
  }
}
