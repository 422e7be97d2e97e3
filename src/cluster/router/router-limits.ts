import { readFile, statfs } from 'node:fs/promises';

/** Each has one descriptor for the client and one for the replica, and every fourth a pipe, which has two, to move bodies through. */
const DESCRIPTORS_PER_CONNECTION = 2.5;
/** For listeners, logs, health checks, and what HAProxy keeps open beside. */
const OTHER_DESCRIPTORS = 500;
const MOST_CONNECTIONS = 20_000;
const FEWEST_CONNECTIONS = 100;

/** How many connections HAProxy may promise: it does not start where it could not keep that. `limits`: what the kernel says of a process. */
export function connectionsWithin(limits: string): number {
  const [, hard = ''] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  const descriptors = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  const most = Math.floor((descriptors - OTHER_DESCRIPTORS) / DESCRIPTORS_PER_CONNECTION);
  return Math.max(FEWEST_CONNECTIONS, Math.min(MOST_CONNECTIONS, Number.isNaN(most) ? 0 : most));
}

export async function connectionsHere(): Promise<number> {
  return connectionsWithin(await readFile('/proc/self/limits', 'utf8').catch(() => ''));
}

/** Bodies leave a part of the disk to others. */
const SHARE_OF_DISK = 0.8;

/** How many bytes of bodies a folder may hold. */
export async function spoolRoom(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.floor(bavail * bsize * SHARE_OF_DISK);
}
