import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ensureFolder } from '../../home/folder.ts';
import { removeLeftovers, removeUnfinished, unfinishedName } from '../registry/leftover.ts';
import { asStorageError, isAbsent } from '../registry/storage-error.ts';

/**
 * Lets `write` make a file or folder beside `path` and puts it there when it is complete; what was at `path` goes. Also removes what a
 * killed process left there unfinished.
 * @param what begins the message of a failed write: "Writing the image"
 */
export async function writeAside<T>(path: string, what: string, write: (temporary: string) => Promise<T>): Promise<T> {
  const parent = dirname(path);
  const temporary = join(parent, unfinishedName());
  try {
    await ensureFolder(parent);
    await removeLeftovers(parent);
    const result = await write(temporary);
    await replace(path, temporary);
    return result;
  } catch (error) {
    throw asStorageError(error, what, path);
  } finally {
    await removeUnfinished(temporary);
  }
}

/** A folder cannot be renamed onto a full one, so what was there steps aside first. */
async function replace(path: string, temporary: string): Promise<void> {
  const aside = join(dirname(path), unfinishedName());
  await rename(path, aside).catch((error: unknown) => {
    if (!isAbsent(error)) throw error;
  });
  await rename(temporary, path);
  await rm(aside, { recursive: true, force: true });
}
