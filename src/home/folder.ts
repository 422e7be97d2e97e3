import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a folder and its parents. Not `mkdir` with `recursive`: where a file system refuses with "not found", such as below /proc, Node never returns from it. */
export async function ensureFolder(folder: string, mode = 0o777): Promise<void> {
  if (await isFolder(folder)) return;
  if (dirname(folder) !== folder) await ensureFolder(dirname(folder), mode);
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    // Another process was faster.
    if (!(await isFolder(folder))) throw error;
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}
