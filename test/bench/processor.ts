import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Of what is measured. */
export const MEASURED_CORE = 0;
/** Of all else: what asks, and what answers behind what is measured. */
export const OTHER_CORE = 1;
/** What a program is started by that is to stay on {@link OTHER_CORE}. */
export const ON_OTHER_CORE = ['taskset', '-c', String(OTHER_CORE)];
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
