import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import { isRepeatable } from '../registry/blob-upload.ts';
import { type Descriptor, MEDIA_TYPE, type OnBytes, type Registry } from '../registry/registry.ts';
import { TAR_END, type TarEntry, tarHeader, tarPadding } from '../snapshot/tar-header.ts';

/** One entry of a layer. Paths are relative to `/`, `/`-separated, without a trailing slash. */
export type LayerEntry =
  | { readonly kind: 'folder'; readonly path: string; readonly mode?: number; readonly owner?: number }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly executable: boolean;
      readonly content: Uint8Array | StoredFile;
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

/** A file on this machine that nobody changes meanwhile. */
export interface StoredFile {
  readonly source: string;
  /** Bytes. */
  readonly size: number;
}

/** A layer and the digest of its tar, which the image's configuration names. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** A layer that is added to a base image, and where its bytes are. */
export interface PlacedLayer extends Layer {
  /** What it holds, for `docker history`. */
  readonly title: string;
  readonly registry: Registry;
  readonly repository: string;
  /** Its bytes, where it is in no repository yet. */
  readonly held?: Uint8Array;
  /** It was made a moment ago: no other repository is expected to have it. */
  readonly isNew?: boolean;
}

export type Compression = 'none' | 'gzip' | 'zstd';

const PIECE = 1 << 20;

/**
 * A tar that is a pure function of its entries: sorted by path, with the folders above them, without times and, unless asked for, owners.
 */
export function packEntries(entries: readonly LayerEntry[], signal?: AbortSignal): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => inPieces(entries, signal) };
}

async function* inPieces(entries: readonly LayerEntry[], signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of tarOf(withFolders(entries), signal)) {
    pieces.push(piece);
    size += piece.length;
    if (size < PIECE) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(pieces);
}

/** Of folders that every Linux has: a layer that only goes through one must not take its permissions away. */
const FOLDER_MODES: Readonly<Record<string, number>> = { root: 0o700, tmp: 0o1777, 'var/tmp': 0o1777 };

/** Sorted, so that folders come before what is in them. Of an entry given twice the last counts. */
function withFolders(entries: readonly LayerEntry[]): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) {
    for (let slash = entry.path.indexOf('/'); slash > 0; slash = entry.path.indexOf('/', slash + 1)) {
      const path = entry.path.slice(0, slash);
      const mode = FOLDER_MODES[path];
      if (!byPath.has(path)) byPath.set(path, { kind: 'folder', path, ...(mode === undefined ? {} : { mode }) });
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function* tarOf(entries: readonly LayerEntry[], signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    signal?.throwIfAborted();
    yield tarHeader(headerOf(entry));
    if (entry.kind !== 'file') continue;
    yield* contentOf(entry.content);
    yield Buffer.alloc(tarPadding(sizeOf(entry.content)));
  }
  yield TAR_END;
}

function headerOf(entry: LayerEntry): TarEntry {
  return entry.kind === 'file'
    ? { kind: 'file', path: entry.path, executable: entry.executable, size: sizeOf(entry.content) }
    : { executable: false, size: 0, ...entry };
}

function sizeOf(content: Uint8Array | StoredFile): number {
  return content instanceof Uint8Array ? content.length : content.size;
}

async function* contentOf(content: Uint8Array | StoredFile): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    yield content;
    return;
  }
  let read = 0;
  const pieces =
    content.size <= PIECE
      ? [await readFile(content.source)]
      : createReadStream(content.source, { highWaterMark: PIECE });
  for await (const piece of pieces as AsyncIterable<Buffer> | Buffer[]) {
    read += piece.length;
    yield piece;
  }
  if (read !== content.size) throw new Error(`${content.source} changed while it was packed`);
}

/**
 * Stores a tar as a layer, compressed as asked. The bytes of a compressed layer depend on the version of the compressor, the diff id
 * does not. Content that can be iterated again survives the loss of an upload.
 */
export async function storeLayer(
  registry: Registry,
  repository: string,
  content: AsyncIterable<Uint8Array>,
  options: { readonly compression: Compression; readonly onBytes?: OnBytes; readonly signal?: AbortSignal },
): Promise<Layer> {
  const { compression, onBytes, signal } = options;
  let hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Uint8Array> {
    hash = createHash('sha256');
    let bytes = 0;
    for await (const part of content) {
      hash.update(part);
      bytes += part.length;
      onBytes?.(bytes);
      yield part;
    }
  }
  const compressed = (): AsyncIterable<Uint8Array> => compress(hashed(), compression);
  const stored = isRepeatable(content)
    ? { [Symbol.asyncIterator]: () => compressed()[Symbol.asyncIterator]() }
    : compressed();
  const descriptor = await registry.putBlob(repository, stored, {
    mediaType: MEDIA_TYPE_OF[compression],
    ...(signal === undefined ? {} : { signal }),
  });
  return { descriptor, diffId: `sha256:${hash.digest('hex')}` };
}

/** Stores a layer that fits into memory, uncompressed: one that is there already is not sent again. */
export async function storeSmallLayer(
  registry: Registry,
  repository: string,
  entries: readonly LayerEntry[],
  signal?: AbortSignal,
): Promise<Layer> {
  const tar = await buffer(packEntries(entries, signal));
  const descriptor = await registry.putBlob(repository, tar, { mediaType: MEDIA_TYPE.layer, signal });
  return { descriptor, diffId: descriptor.digest };
}

const MEDIA_TYPE_OF = { none: MEDIA_TYPE.layer, gzip: MEDIA_TYPE.layerGzip, zstd: MEDIA_TYPE.layerZstd } as const;

function compress(content: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  if (compression === 'none') return content;
  const compressor =
    compression === 'gzip'
      ? createGzip({ level: 1, chunkSize: PIECE })
      : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: PIECE });
  pipeline(Readable.from(content, { objectMode: false }), compressor, () => {});
  return compressor;
}
