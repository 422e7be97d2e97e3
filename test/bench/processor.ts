import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { succeeds } from '../../scripts/cluster/command.ts';

/** Of what is measured. */
export const MEASURED_CORE = 0;
/** Of all else: what asks, and what answers behind what is measured. */
export const OTHER_CORE = 1;
/** What a program is started by that is to stay on {@link OTHER_CORE}. */
export const ON_OTHER_CORE = ['taskset', '-c', String(OTHER_CORE)];
/** What a program is started by that is to come before all other work of its core. @see canComeFirst */
export const FIRST = ['chrt', '--fifo', '50'];
/** Of /proc. */
const TICK_MS = 10;

/** Milliseconds of processor time that processes have had in all. */
export async function cpuOf(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(
    pids.map(async (pid) => {
      const [, after = ''] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ');
      const [user, system] = after.split(' ').slice(11, 13);
      return (Number(user) + Number(system)) * TICK_MS;
    }),
  );
  return each.reduce((sum, milliseconds) => sum + milliseconds, 0);
}

/** Leaves these processes, with all their threads, one core. */
export async function bindTo(core: number, pids: readonly number[]): Promise<void> {
  for (const pid of pids) await promisify(execFile)('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
}

/** Whether programs may be given real-time scheduling: in general to root alone. */
export function canComeFirst(): Promise<boolean> {
  return succeeds('chrt', [...FIRST.slice(1), 'true']);
}

/** Lets these processes come before all other work of their core, or as all others do. */
export async function comesFirst(pids: readonly number[], isFirst: boolean): Promise<void> {
  const policy = isFirst ? ['--fifo', '--pid', '50'] : ['--other', '--pid', '0'];
  for (const pid of pids) await promisify(execFile)('chrt', ['--all-tasks', ...policy, String(pid)]);
}
