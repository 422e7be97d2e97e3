import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from './storage-error.ts';

/** `.aksml-<pid>-<uuid>`: unfinished files and folders say whose they are. */
const UNFINISHED = /^\.aksml-(\d+)-[0-9a-f-]{36}$/;

/** A name for something that gets its real one by a rename, once it is complete. */
export function unfinishedName(): string {
  return `.aksml-${process.pid}-${randomUUID()}`;
}

/** Removes what was made under such a name, if anything was: its folder may never have been. */
export async function removeUnfinished(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
    if (!isAbsent(error)) throw error;
  });
}

/** What a process that has ended left behind. */
export function isLeftover(name: string): boolean {
  const pid = UNFINISHED.exec(name)?.[1];
  return pid !== undefined && !isRunning(Number(pid));
}

/** Whether a process of this machine is at work on it. */
export function isInWork(name: string): boolean {
  const pid = UNFINISHED.exec(name)?.[1];
  return pid !== undefined && isRunning(Number(pid));
}

export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (isLeftover(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
