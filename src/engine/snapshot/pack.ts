import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import { isPast } from './known-layers.ts';
import { TAR_END, type TarEntry, tarHeaderBound, tarPadding, writeTarHeader } from './tar-header.ts';
import { hasCode, type ReadFile, type Stamp, sameStamp, stampOf, TreeChanged, type TreeEntry } from './tree.ts';

export interface PackRequest {
  /** The folder that the entries' paths are below. */
  readonly root: string;
  /** Where the entries lie in the archive; ends in `/`. */
  readonly prefix: string;
  /** Of the folders above them, which the archive begins with. */
  readonly above: readonly TarEntry[];
  readonly entries: readonly TreeEntry[];
  /** The time before the first look at the tree, in milliseconds since 1970. */
  readonly startedMs: number;
  /** Called in order. */
  readonly onFile: (file: ReadFile) => void;
  /** A file that may not be read is left out, as v1 did. */
  readonly onUnreadable: (path: string) => void;
  readonly signal?: AbortSignal;
}

const PIECE_BYTES = 2 * 1024 * 1024;

/**
 * The layer: a tar archive that is a pure function of paths, contents and executable bits. A piece of it is valid until the next is
 * asked for: memory that is touched for the first time costs more than reading the files.
 * @throws TreeChanged when a file changes while it is read
 */
export async function* packLayer(request: PackRequest): AsyncGenerator<Uint8Array> {
  const pieces = pack(request);
  let next = nextPiece(pieces);
  try {
    for (;;) {
      const { value, done } = await next;
      if (done) return;
      request.signal?.throwIfAborted();
      // Packed while the piece before it is being written.
      next = nextPiece(pieces);
      yield value;
    }
  } finally {
    await next.catch(() => {});
    pieces.return();
  }
}

/** In a later turn of the event loop, so that whoever took the piece before can set out to write it. */
function nextPiece(pieces: Generator<Uint8Array, void>): Promise<IteratorResult<Uint8Array, void>> {
  const next = nextTurn().then(() => pieces.next());
  // It may fail before anyone waits for it.
  next.catch(() => {});
  return next;
}

/** System calls are synchronous, because for many small files that is several times faster; for the same reason they are few. */
function* pack(request: PackRequest): Generator<Uint8Array, void> {
  const piece = new Piece();
  for (const folder of request.above) piece.addHeader(folder);
  for (const { kind, path } of request.entries) {
    const archived = request.prefix + path;
    if (kind === 'folder') {
      const header = { path: archived, kind, executable: false, size: 0 };
      if (!piece.fits(tarHeaderBound(header))) yield piece.take();
      piece.addHeader(header);
      continue;
    }
    const descriptor = openFile(request.root, path);
    if (descriptor === undefined) {
      request.onUnreadable(path);
      continue;
    }
    try {
      const stamp = stampOfOpen(descriptor, path);
      const { size, executable } = stamp;
      const header = { path: archived, kind, executable, size };
      const padding = tarPadding(size);
      if (!piece.fits(tarHeaderBound(header) + size + padding)) yield piece.take();
      piece.addHeader(header);
      let left = size - read(descriptor, path, piece, size);
      // What one call reads, of a file that nobody is writing, is all of a piece.
      const isWhole = left === 0 && isPast(stamp, request.startedMs);
      while (left > 0) {
        if (!piece.fits(1)) yield piece.take();
        const count = read(descriptor, path, piece, left);
        if (count === 0) throw new TreeChanged(path);
        left -= count;
      }
      if (!isWhole && !sameStamp(stampOfOpen(descriptor, path), stamp)) throw new TreeChanged(path);
      if (!piece.fits(padding)) yield piece.take();
      piece.pad(padding);
      request.onFile({ path, stamp });
    } finally {
      closeSync(descriptor);
    }
  }
  if (!piece.fits(TAR_END.length)) yield piece.take();
  piece.pad(TAR_END.length);
  yield piece.take();
}

/** Collects small parts, so that they are handed on together. Two pieces of memory take turns. */
class Piece {
  #bytes = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #other = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #used = 0;

  fits(count: number): boolean {
    return this.#used + count <= PIECE_BYTES;
  }

  /** Adds zeros. */
  pad(count: number): void {
    this.#bytes.fill(0, this.#used, this.#used + count);
    this.#used += count;
  }

  addHeader(entry: TarEntry): void {
    this.#used += writeTarHeader(entry, this.#bytes, this.#used);
  }

  /** Reads at most `length` bytes, as many as there is room for. */
  read(descriptor: number, length: number): number {
    const count = readSync(descriptor, this.#bytes, this.#used, Math.min(length, PIECE_BYTES - this.#used), null);
    this.#used += count;
    return count;
  }

  /** What was collected; after this it is empty. */
  take(): Uint8Array {
    const full = this.#bytes.subarray(0, this.#used);
    [this.#bytes, this.#other] = [this.#other, this.#bytes];
    this.#used = 0;
    return full;
  }
}

function stampOfOpen(descriptor: number, path: string): Stamp {
  const stats = fstatSync(descriptor);
  if (!stats.isFile()) throw new TreeChanged(path);
  return stampOf(stats);
}

function read(descriptor: number, path: string, piece: Piece, length: number): number {
  try {
    return piece.read(descriptor, length);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** A pipe that took the file's place must not block us. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Undefined when the file may not be read. */
function openFile(root: string, path: string): number | undefined {
  try {
    return openSync(`${root}/${path}`, READ);
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) return undefined;
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) throw new TreeChanged(path);
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): AksmlError {
  return new AksmlError(
    'snapshot.unreadable',
    `${path} could not be read: ${cause instanceof Error ? cause.message : cause}.`,
    {
      subject: path,
      remedy: 'Close whatever has the file open, or check the disk, then run the command again.',
      cause,
    },
  );
}
