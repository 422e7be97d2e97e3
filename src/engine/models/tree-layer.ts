import { createHash } from 'node:crypto';
import { chmod, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { AksmlError } from '../../contract/error.ts';
import { TAR_END, tarHeader, tarPadding } from '../snapshot/tar-header.ts';
import { changed, type ListedFile, readUnchanged, type Tree } from './tree.ts';

/** Below `/` of an image. Models are linked to from `azureml-models/<name>/<version>/`, so that equal trees share one layer. */
const TREES = 'var/azureml-app/.aksml/models';
const CHUNK = 512 << 10;

/** Where a model's tree is in its layer, and so in an image, without a leading `/`. */
export function treeFolder(treeDigest: string): string {
  return `${TREES}/${treeDigest.slice('sha256:'.length)}`;
}

/**
 * The layer of a tree: an uncompressed tar, sorted, without times and owners, so that equal trees give equal bytes. Model files rarely
 * compress. The contents are compared with the digests of the listing on the way. With `reuse`, every chunk is in one buffer, and gone
 * when the next is asked for: memory does not grow until the next garbage collection.
 * @throws AksmlError `model.changed`
 */
export async function* packTree(
  tree: Tree,
  options: { readonly reuse?: boolean; readonly signal?: AbortSignal } = {},
): AsyncGenerator<Uint8Array> {
  let chunk = Buffer.allocUnsafe(CHUNK);
  let used = 0;
  for await (const piece of tarOf(tree, options.signal)) {
    for (let at = 0; at < piece.byteLength; ) {
      const part = piece.subarray(at, at + CHUNK - used);
      chunk.set(part, used);
      at += part.byteLength;
      used += part.byteLength;
      if (used < CHUNK) continue;
      yield chunk;
      if (!options.reuse) chunk = Buffer.allocUnsafe(CHUNK);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}

/** Each piece is gone when the next is asked for. */
async function* tarOf(tree: Tree, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const root = treeFolder(tree.treeDigest);
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (const path of foldersOf([`${root}/`, ...tree.files.map((file) => `${root}/${file.path}`)])) {
    yield tarHeader({ path, kind: 'folder', executable: false, size: 0 });
  }
  for (const file of tree.files) {
    yield tarHeader({ ...file, path: `${root}/${file.path}`, kind: 'file' });
    const hash = createHash('sha256');
    for await (const chunk of readUnchanged(file, signal, buffer)) {
      hash.update(chunk);
      yield chunk;
    }
    if (`sha256:${hash.digest('hex')}` !== file.digest) throw changed(file.source);
    yield new Uint8Array(tarPadding(file.size));
  }
  yield TAR_END;
}

/** Parents before their children, each once. */
function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      folders.add(path.slice(0, slash));
    }
  }
  return [...folders].sort();
}

/**
 * Unpacks a model's layer into an existing empty folder and compares every file with the listing.
 * @throws AksmlError `registry.corrupt` when layer and listing differ, or whatever `layer` or the disk fails with
 */
export async function unpackTree(
  layer: Readable,
  model: { readonly id: string; readonly treeDigest: string },
  listing: readonly ListedFile[],
  target: string,
  options: { readonly readOnly: boolean; readonly onBytes?: (done: number) => void; readonly signal?: AbortSignal },
): Promise<void> {
  const prefix = `${treeFolder(model.treeDigest)}/`;
  const expected = new Map(listing.map((file) => [`${prefix}${file.path}`, file]));
  const folders = new Set<string>();
  const extract = tar.extract();
  let done = 0;
  // tar-stream's streams behave as Node's, only their types differ.
  const reading = pipeline(layer, extract as unknown as NodeJS.WritableStream);
  reading.catch(() => {});
  for await (const entry of extract) {
    options.signal?.throwIfAborted();
    const { name, type } = entry.header;
    const file = expected.get(name);
    if (type === 'directory') {
      entry.resume();
      continue;
    }
    if (type !== 'file' || !file || !isSafe(file.path)) throw unlike(model.id, name);
    expected.delete(name);
    const path = join(target, ...file.path.split('/'));
    if (!folders.has(dirname(path))) await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    folders.add(dirname(path));
    const digest = await writeEntry(path, entry as AsyncIterable<Uint8Array>, (bytes) => {
      done += bytes;
      options.onBytes?.(done);
    });
    if (digest !== file.digest) throw unlike(model.id, name);
    await chmod(path, modeOf(file, options.readOnly));
  }
  await reading;
  const [missing] = expected.keys();
  if (missing !== undefined) throw unlike(model.id, missing);
}

function modeOf(file: ListedFile, readOnly: boolean): number {
  const mode = file.executable ? 0o755 : 0o644;
  return readOnly ? mode & 0o555 : mode;
}

async function writeEntry(
  path: string,
  content: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of content) {
      hash.update(chunk);
      await file.writeFile(chunk);
      onBytes(chunk.byteLength);
    }
  } finally {
    await file.close();
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Names from a registry are not trusted: none may leave the folder that is unpacked into. */
function isSafe(path: string): boolean {
  const odd = process.platform === 'win32' ? /[\\:\0]/ : /\0/;
  return !odd.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function unlike(id: string, name: string): AksmlError {
  return new AksmlError(
    'registry.corrupt',
    `The stored files of the model ${id} are not those of its listing: ${name}.`,
    {
      subject: `model/${id}`,
      remedy: 'Register the model again from its source.',
    },
  );
}
