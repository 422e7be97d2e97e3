import type { Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { unfinishedName } from '../registry/leftover.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { SNAPSHOTS } from '../snapshot/snapshot.ts';
import { hasCode } from '../snapshot/tree.ts';
import { type CodeEntry, type CodeSource, readCodeLayer } from './code-layer.ts';
import type { RevisionStore } from './revisions.ts';

/**
 * Puts code into an existing app root: the source directory, or the single script, appears there complete or not at all, and replaces
 * what had its name.
 * @param from the repository that has the layer, if not that of fresh snapshots
 * @throws AksmlError `revision.badLayer` | `registry.*` | `disk.full`
 */
export async function materializeCode(
  store: RevisionStore,
  code: CodeReference,
  targetAppRoot: string,
  from: { readonly repository?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const source = { registry: store.registry, repository: from.repository ?? SNAPSHOTS, ...withSignal(from.signal) };
  await unpackBeside(source, code, targetAppRoot, async (unpacked) => {
    for (const name of await readdir(unpacked)) {
      await rm(join(targetAppRoot, name), { recursive: true, force: true });
      await rename(join(unpacked, name), join(targetAppRoot, name));
    }
  });
}

function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Unpacks into a folder of its own inside `folder`, so that what is complete can be moved to its place by renaming. */
export async function unpackBeside(
  source: CodeSource,
  code: CodeReference,
  folder: string,
  place: (unpacked: string) => Promise<void>,
): Promise<void> {
  const unpacked = join(folder, unfinishedName());
  try {
    await mkdir(unpacked);
    for await (const entry of readCodeLayer(source, code)) await writeEntry(unpacked, entry);
    await place(unpacked);
  } catch (error) {
    throw asStorageError(error, 'Unpacking the code', folder);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** The folder is new and holds no links, so that checked names stay in it. */
async function writeEntry(folder: string, entry: CodeEntry): Promise<void> {
  const path = join(folder, ...entry.parts);
  if (entry.kind === 'folder') {
    await mkdir(path, { recursive: true });
    return;
  }
  await mkdir(join(folder, ...entry.parts.slice(0, -1)), { recursive: true });
  const file = await open(path, 'wx', entry.executable ? 0o755 : 0o644).catch((error: unknown) => {
    throw hasCode(error, 'EEXIST') ? collision(entry) : error;
  });
  try {
    for await (const part of entry.content) await file.writeFile(part);
  } finally {
    await file.close();
  }
}

function collision({ parts }: CodeEntry): AksmlError {
  const name = parts.join('/');
  const message = `${JSON.stringify(name)} and another file of the code have the same name to this file system.`;
  return new AksmlError('revision.nameCollision', message, {
    subject: name,
    remedy: 'Rename one of them in the source directory; names should differ in more than case or accents.',
  });
}

/** Moves everything in `from` into `to`, over files that are there; a link that is in the way is replaced, never followed. */
export async function moveInto(from: string, to: string): Promise<void> {
  for (const item of await readdir(from, { withFileTypes: true })) {
    const source = join(from, item.name);
    const target = join(to, item.name);
    const present = await lstatIfThere(target);
    if (present?.isDirectory()) {
      if (!item.isDirectory()) throw inTheWay(target);
      await moveInto(source, target);
      continue;
    }
    if (present && item.isDirectory()) await rm(target);
    await rename(source, target);
  }
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function inTheWay(folder: string): AksmlError {
  return new AksmlError('checkout.inTheWay', `The folder ${folder} is where a file of the code belongs.`, {
    fault: 'input',
    subject: folder,
    remedy: 'Move the folder away, or name another directory.',
  });
}
