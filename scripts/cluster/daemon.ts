import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './place.ts';

/** A program that goes on running when its starter has ended. */
export interface Daemon {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface MarkedProcess {
  readonly pid: number;
  /** Of the daemon that it is, or that it descends from. */
  readonly daemon: string;
  /** Name of the program. */
  readonly program: string;
}

/**
 * Every process of the cluster carries this in its environment, from the moment it exists: the kernel's process table is the record
 * of what was started, so that a kill at any moment loses none and a number that was used again is never taken for ours.
 */
const MARK = 'AKSML_CLUSTER_DAEMON';

/** Starts the daemon unless it runs; true when it did not. Its output goes to `logs/NAME.log`. */
export async function startDaemon(place: Place, daemon: Daemon): Promise<boolean> {
  if ((await findDaemon(place, daemon)) !== undefined) return false;
  await mkdir(place.path('logs'), { recursive: true, mode: 0o700 });
  const log = openSync(logOf(place, daemon.name), 'a', 0o600);
  try {
    const child = spawn(daemon.command, daemon.args, {
      cwd: place.root,
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: place.root,
        [MARK]: mark(place, daemon.name),
      },
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
  } finally {
    closeSync(log);
  }
  return true;
}

export function logOf(place: Place, name: string): string {
  return place.path('logs', `${name}.log`);
}

export async function findDaemon(
  place: Place,
  { name, command }: Pick<Daemon, 'name' | 'command'>,
): Promise<number | undefined> {
  // What a daemon starts, such as a container's shim, inherits the mark.
  const found = (await markedProcesses(place)).find(
    (entry) => entry.daemon === name && entry.program === basename(command),
  );
  return found?.pid;
}

export async function markedProcesses(place: Place): Promise<MarkedProcess[]> {
  const found: MarkedProcess[] = [];
  const prefix = mark(place, '');
  for (const pid of await processIds()) {
    const variables = (await readProcess(pid, 'environ')).split('\0');
    const marked = variables.find((variable) => variable.startsWith(`${MARK}=`))?.slice(MARK.length + 1);
    if (marked === undefined || !marked.startsWith(prefix)) continue;
    const [program = ''] = (await readProcess(pid, 'cmdline')).split('\0');
    if (program !== '') found.push({ pid, daemon: marked.slice(prefix.length), program: basename(program) });
  }
  return found;
}

/** The processes below these, at any depth, without these. */
export async function descendants(parents: readonly number[]): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const pid of await processIds()) {
    const parent = /^PPid:\s*(\d+)$/m.exec(await readProcess(pid, 'status'))?.[1];
    if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), pid]);
  }
  const found: number[] = [];
  const queue = [...parents];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const below = children.get(next) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}

/** Ends the processes and waits until they are gone. */
export async function killProcesses(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGKILL');
  for (const pid of pids) {
    while (await isAlive(pid)) await sleep(10);
  }
}

async function isAlive(pid: number): Promise<boolean> {
  const state = /^State:\s*(\S)/m.exec(await readProcess(pid, 'status'))?.[1];
  return state !== undefined && state !== 'Z';
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function mark(place: Place, name: string): string {
  return `${place.root}#${name}`;
}

async function processIds(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Empty for a process that has ended meanwhile. */
function readProcess(pid: number, file: 'environ' | 'cmdline' | 'status'): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
}
