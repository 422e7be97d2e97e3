import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { inParallel } from '../../parallel/parallel.ts';
import { sha256 } from '../registry/reference.ts';
import { isAbsent } from '../registry/storage-error.ts';

/** One file of a model, as its listing names it. */
export interface ListedFile {
  /** `/`-separated, beginning with the basename of what was registered. */
  readonly path: string;
  readonly executable: boolean;
  readonly size: number;
  /** `sha256:…` of the content. */
  readonly digest: string;
}

/** Files on disk with their contents' digests, ready to be packed. */
export interface Tree {
  readonly basename: string;
  readonly isFolder: boolean;
  readonly isMlflow: boolean;
  /** Sorted by path. */
  readonly files: readonly (ListedFile & { readonly source: string })[];
  readonly size: number;
  /** What {@link treeDigest} is the digest of. */
  readonly listing: Uint8Array;
  readonly treeDigest: string;
}

const READ_CHUNK = 512 << 10;
const FILES_AT_ONCE = 4;
const EXECUTABLE = 0o111;

/**
 * Lists and hashes a file or a folder. Links are read through, as v1's upload did; empty folders do not count.
 * @throws AksmlError `model.pathMissing` | `model.badFile` | `model.emptyFolder`
 */
export async function readTree(
  path: string,
  options: { readonly onBytes?: (done: number, total: number) => void; readonly signal?: AbortSignal } = {},
): Promise<Tree> {
  const root = resolve(path);
  const name = basename(root);
  const status = await statOrRefuse(root, path);
  if (name === '') throw badFile(path, 'the root of a file system has no name to register it under');
  const found = status.isDirectory()
    ? await Array.fromAsync(walk(root, name, []))
    : [toFound(root, name, status.size, status.mode, status.isFile())];
  if (found.length === 0) {
    throw new AksmlError('model.emptyFolder', `The folder ${path} holds no files to register.`, {
      fault: 'input',
      subject: path,
      remedy: 'Name the folder that the training wrote the model to, or the model file itself.',
    });
  }
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  const total = found.reduce((sum, file) => sum + file.size, 0);
  let done = 0;
  const idle: Buffer[] = [];
  const files = await inParallel(found, FILES_AT_ONCE, async (file) => {
    const hash = createHash('sha256');
    const buffer = idle.pop() ?? Buffer.allocUnsafe(READ_CHUNK);
    for await (const chunk of readUnchanged(file, options.signal, buffer)) {
      hash.update(chunk);
      done += chunk.byteLength;
      options.onBytes?.(done, total);
    }
    idle.push(buffer);
    return { ...file, digest: `sha256:${hash.digest('hex')}` };
  });
  const listing = writeListing(files);
  return {
    basename: name,
    isFolder: status.isDirectory(),
    isMlflow: status.isDirectory() && files.some((file) => file.path === `${name}/MLmodel`),
    files,
    size: total,
    listing,
    treeDigest: sha256(listing),
  };
}

/** One line of JSON a file, in the order of the paths: equal trees give equal bytes on every system. */
function writeListing(files: readonly ListedFile[]): Uint8Array {
  const lines = files.map(({ path, executable, size, digest }) => JSON.stringify({ path, executable, size, digest }));
  return Buffer.from(`${lines.join('\n')}\n`);
}

export function parseListing(listing: Uint8Array): ListedFile[] {
  return Buffer.from(listing)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ListedFile);
}

interface FoundFile {
  readonly source: string;
  readonly path: string;
  readonly size: number;
  readonly executable: boolean;
}

async function* walk(folder: string, path: string, above: readonly string[]): AsyncGenerator<FoundFile> {
  const { real, names } = await lookInto(folder);
  if (above.includes(real)) throw badFile(folder, 'a link leads back to a folder above it');
  for (const name of names) {
    const source = join(folder, name);
    // Node replaces what is not UTF-8, after which the file cannot be opened by that name.
    if (name.includes('\uFFFD')) throw badFile(source, 'its name is not UTF-8 text');
    const status = await statOrRefuse(source, source);
    const below = `${path}/${name}`;
    if (status.isDirectory()) yield* walk(source, below, [...above, real]);
    else yield toFound(source, below, status.size, status.mode, status.isFile());
  }
}

/** It was there a moment ago. */
async function lookInto(folder: string): Promise<{ readonly real: string; readonly names: readonly string[] }> {
  try {
    return { real: await realpath(folder), names: await readdir(folder) };
  } catch (error) {
    throw isAbsent(error) ? changed(folder) : badFile(folder, reasonOf(error), error);
  }
}

function toFound(source: string, path: string, size: number, mode: number, isFile: boolean): FoundFile {
  if (!isFile) throw badFile(source, 'it is neither a file nor a folder');
  return { source, path, size, executable: (mode & EXECUTABLE) !== 0 };
}

async function statOrRefuse(path: string, shown: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    if (isAbsent(error)) {
      throw new AksmlError('model.pathMissing', `${shown} does not exist, or is a link to something that does not.`, {
        fault: 'input',
        subject: shown,
        remedy: 'Check the path; it is taken relative to the current folder.',
      });
    }
    throw badFile(shown, reasonOf(error), error);
  }
}

/**
 * The content of a file, exactly as long as it was when it was listed.
 * Every chunk is in `buffer`, and gone when the next is asked for.
 * @throws AksmlError `model.changed` when it has become longer or shorter, or has gone
 */
export async function* readUnchanged(
  file: { readonly source: string; readonly size: number },
  signal: AbortSignal | undefined,
  buffer: Buffer,
): AsyncGenerator<Uint8Array> {
  let left = file.size;
  const handle = await open(file.source, 'r').catch((error: unknown) => {
    throw isAbsent(error) ? changed(file.source) : badFile(file.source, reasonOf(error), error);
  });
  try {
    while (true) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read({ buffer });
      if (bytesRead === 0) break;
      left -= bytesRead;
      if (left < 0) throw changed(file.source);
      yield buffer.subarray(0, bytesRead);
    }
    if (left > 0) throw changed(file.source);
  } finally {
    await handle.close();
  }
}

export function changed(path: string): AksmlError {
  return new AksmlError('model.changed', `${path} changed or vanished while it was being registered.`, {
    subject: path,
    remedy: 'Nothing was registered. Wait until whatever writes the file has finished, then run the command again.',
  });
}

function badFile(path: string, why: string, cause?: unknown): AksmlError {
  return new AksmlError('model.badFile', `${path} cannot be registered: ${why}.`, {
    fault: 'input',
    subject: path,
    remedy: 'Move it out of the model folder, or mend it, then run the command again.',
    cause,
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
