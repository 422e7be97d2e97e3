import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** A process for good: its number alone may be given to another one after its end. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; includes the boot, so that nothing from before a restart of the machine is taken for alive. */
  readonly startTime: string;
}

const run = promisify(execFile);
const isWindows = process.platform === 'win32';
const isLinux = process.platform === 'linux';

/** Undefined when there is no such process, or only its unreaped remains. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  try {
    const startTime = isLinux
      ? await startTimeOnLinux(pid)
      : isWindows
        ? await startTimeOnWindows(pid)
        : await startTimeByPs(pid);
    return startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  if (!exists(identity.pid)) return false;
  return (await identifyProcess(identity.pid))?.startTime === identity.startTime;
}

/** Cheap: says only that the number is in use. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Asks (`SIGTERM`) or forces (`SIGKILL`) a process that leads its own group, and everything in that group, to end. The caller has verified whose it is. */
export async function signalGroup(leader: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (isWindows) {
    // Windows has neither groups nor a polite signal for a process without a window.
    await run('taskkill', ['/PID', String(leader), '/T', '/F'], { windowsHide: true }).catch(() => undefined);
    return;
  }
  try {
    process.kill(-leader, signal);
  } catch {
    // The group is gone already.
  }
}

/**
 * Processes whose environment carries `NAME=VALUE`: descendants of what we started with it, also those that left its group.
 * Linux only; elsewhere the group is all that can be known.
 */
export async function processesMarked(name: string, value: string): Promise<number[]> {
  if (!isLinux) return [];
  const marker = `${name}=${value}`;
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = await readFile(`/proc/${entry}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(marker)) found.push(Number(entry));
  }
  return found;
}

async function startTimeOnLinux(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The command name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  bootId ??= (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
  return `${bootId}/${fields[19]}`;
}
let bootId: string | undefined;

async function startTimeByPs(pid: number): Promise<string | undefined> {
  const { stdout } = await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  const [state, ...started] = stdout.trim().split(/\s+/);
  return state === undefined || state.startsWith('Z') ? undefined : started.join(' ');
}

async function startTimeOnWindows(pid: number): Promise<string | undefined> {
  const script = `(Get-Process -Id ${pid} -ErrorAction Stop).StartTime.ToUniversalTime().Ticks`;
  const { stdout } = await run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', script], {
    windowsHide: true,
  });
  return stdout.trim() || undefined;
}
