import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import type { HashProgress } from './hash-worker.ts';
import type { OnBytes } from './registry.ts';

/** From here on a thread of its own pays: starting one takes as long as hashing some 50 MB, but on another core. */
const LARGE = 4 << 20;
/** How much is written before the thread hears of it: waking a thread costs more than a message. */
const TELL_EVERY = 8 << 20;
/** How much is written before the disk is asked to take it, so that it is not idle until the end. */
const SYNC_EVERY = 32 << 20;

/**
 * Writes a new file, through to the disk, and says what it holds. The source makes the next chunk while this one is being written and the
 * one before is hashed.
 */
export async function writeHashed(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onBytes: OnBytes | undefined,
  signal: AbortSignal | undefined,
): Promise<{ digest: string; size: number }> {
  const file = await open(path, 'wx', 0o600);
  const hash = new GrowingHash(path);
  const disk = new EarlySync(file);
  let size = 0;
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      await writeAll(file, chunk);
      size += chunk.byteLength;
      hash.add(chunk, size);
      disk.written(size);
      onBytes?.(size);
    }
    const [digest] = await Promise.all([hash.digest(size), disk.finish()]);
    return { digest: `sha256:${digest}`, size };
  } finally {
    await hash.close();
    await disk.settled();
    await file.close();
  }
}

/** One call where possible: `FileHandle.writeFile` makes one for each 512 KiB, and the event loop is busy between them. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) at += (await file.write(chunk, at)).bytesWritten;
}

/** The hash of a file that grows: of little content here, of much in another thread, which reads what was written. */
class GrowingHash {
  readonly #path: string;
  readonly #hash = createHash('sha256');
  #thread: { readonly worker: Worker; readonly digest: Promise<string> } | undefined;
  #told = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** `written`: bytes in the file, this chunk included. */
  add(chunk: Uint8Array, written: number): void {
    if (written <= LARGE) this.#hash.update(chunk);
    else if (this.#thread === undefined || written - this.#told >= TELL_EVERY) this.#tell({ written, complete: false });
  }

  async digest(size: number): Promise<string> {
    if (!this.#thread) return this.#hash.digest('hex');
    this.#tell({ written: size, complete: true });
    return await this.#thread.digest;
  }

  async close(): Promise<void> {
    await this.#thread?.worker.terminate();
  }

  #tell(progress: HashProgress): void {
    this.#told = progress.written;
    this.#thread ??= startThread(this.#path);
    this.#thread.worker.postMessage(progress);
  }
}

function startThread(path: string): { readonly worker: Worker; readonly digest: Promise<string> } {
  const here = import.meta.url;
  const script = new URL(here.endsWith('.ts') ? 'hash-worker.ts' : 'hash-worker.js', here);
  const worker = new Worker(script, { workerData: path, execArgv: [] });
  const digest = once(worker, 'message').then(([hex]) => String(hex));
  // It may fail before anyone waits for it.
  digest.catch(() => {});
  return { worker, digest };
}

/** Has the disk take what was written while more is being made. */
class EarlySync {
  readonly #file: FileHandle;
  #syncing: Promise<void> = Promise.resolve();
  #asked = 0;
  #idle = true;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  written(size: number): void {
    if (!this.#idle || size - this.#asked < SYNC_EVERY) return;
    this.#asked = size;
    this.#idle = false;
    this.#syncing = this.#file.datasync().then(() => {
      this.#idle = true;
    });
    // A failure is reported by `finish`.
    this.#syncing.catch(() => {});
  }

  async finish(): Promise<void> {
    await this.#syncing;
    await this.#file.sync();
  }

  async settled(): Promise<void> {
    await this.#syncing.catch(() => {});
  }
}
