import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';

/** A request body that has arrived whole, so that a slow client never holds a replica, and that can be sent again. */
export type ReceivedBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'memory'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly file: FileHandle; readonly path: string; readonly size: number };

export type Reception =
  | { readonly kind: 'received'; readonly body: ReceivedBody }
  | { readonly kind: 'tooLarge' }
  /** The client has gone. */
  | { readonly kind: 'aborted' }
  /** The disk could not take it, or has as much as it may. */
  | { readonly kind: 'noRoom' };

const NONE: Reception = { kind: 'received', body: { kind: 'none' } };
const TOO_LARGE: Reception = { kind: 'tooLarge' };
const ABORTED: Reception = { kind: 'aborted' };
const NO_ROOM: Reception = { kind: 'noRoom' };

/** Larger bodies wait on disk. */
const MEMORY_PER_BODY = 1024 * 1024;
/** Of all waiting bodies together. */
const MEMORY_IN_ALL = 64 * 1024 * 1024;

/** Keeps request bodies until their replica has answered: small ones in memory, others in files of a private folder. */
export class BodyStore {
  readonly #folder: string;
  readonly #mostOnDisk: number;
  #inMemory = 0;
  #onDisk = 0;

  /** `mostOnDisk`: bytes of all files together. */
  constructor(folder: string, mostOnDisk = Number.POSITIVE_INFINITY) {
    this.#folder = folder;
    this.#mostOnDisk = mostOnDisk;
  }

  /** Of all bodies. */
  get bytesHeld(): number {
    return this.#inMemory + this.#onDisk;
  }

  /** Forgets what an earlier process left behind. */
  async open(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Takes the body in. `ready` is called when the client may begin to send. */
  async receive(request: IncomingMessage, limit: number, ready?: () => void): Promise<Reception> {
    const length = request.headers['content-length'];
    const declared = length === undefined ? undefined : Number(length);
    if (declared === undefined && request.headers['transfer-encoding'] === undefined) return NONE;
    if (declared !== undefined && declared > limit) return TOO_LARGE;
    ready?.();
    if (declared === 0) return NONE;

    if (request.destroyed) return ABORTED;
    const start = await this.#begin(request, declared, limit);
    switch (start.kind) {
      case 'aborted':
        return ABORTED;
      case 'whole':
        return { kind: 'received', body: { kind: 'memory', bytes: start.bytes } };
      case 'part':
        return this.#spill(request, start.chunks, limit);
    }
  }

  /** Takes what may stay in memory, where there is room for it. */
  async #begin(request: IncomingMessage, declared: number | undefined, limit: number): Promise<Collected> {
    const room = Math.min(MEMORY_PER_BODY, MEMORY_IN_ALL - this.#inMemory, limit);
    if ((declared ?? 0) > room) return { kind: 'part', chunks: [] };
    const reserved = declared ?? room;
    this.#inMemory += reserved;
    const start = await collect(request, room);
    this.#inMemory += (start.kind === 'whole' ? start.bytes.length : 0) - reserved;
    return start;
  }

  async release(body: ReceivedBody): Promise<void> {
    if (body.kind === 'memory') this.#inMemory -= body.bytes.length;
    else if (body.kind === 'file') {
      this.#onDisk -= body.size;
      await discard(body.file, body.path);
    }
  }

  async #spill(request: IncomingMessage, begun: readonly Buffer[], limit: number): Promise<Reception> {
    const path = join(this.#folder, randomUUID());
    const file = await open(path, 'wx+', 0o600).catch(() => undefined);
    if (!file) return NO_ROOM;
    // Without a name it is gone with this process, however that ends; where the system does not allow that, it goes with its release.
    await rm(path, { force: true }).catch(() => undefined);
    let size = 0;
    const take = async (chunk: Buffer): Promise<Reception | undefined> => {
      size += chunk.length;
      this.#onDisk += chunk.length;
      if (size > limit) return TOO_LARGE;
      if (this.#onDisk > this.#mostOnDisk) return NO_ROOM;
      await file.appendFile(chunk);
      return undefined;
    };
    const failed = await takeAll(request, begun, take);
    if (!failed) return { kind: 'received', body: { kind: 'file', file, path, size } };
    this.#onDisk -= size;
    await discard(file, path);
    return failed;
  }
}

async function takeAll(
  request: IncomingMessage,
  begun: readonly Buffer[],
  take: (chunk: Buffer) => Promise<Reception | undefined>,
): Promise<Reception | undefined> {
  try {
    for (const chunk of begun) {
      const failed = await take(chunk);
      if (failed) return failed;
    }
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const failed = await take(chunk);
      if (failed) return failed;
    }
    return undefined;
  } catch {
    return request.errored || request.destroyed ? ABORTED : NO_ROOM;
  }
}

async function discard(file: FileHandle, path: string): Promise<void> {
  await file.close().catch(() => undefined);
  await rm(path, { force: true }).catch(() => undefined);
}

/** May be asked for several times. */
export function bodyContent(body: ReceivedBody): Buffer | Readable | null {
  switch (body.kind) {
    case 'none':
      return null;
    case 'memory':
      return body.bytes;
    case 'file':
      return Readable.from(contentOf(body.file), { objectMode: false });
  }
}

const PIECE = 256 * 1024;

/** Not the file's own stream, which would close it at its end. */
async function* contentOf(file: FileHandle): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

export function bodySize(body: ReceivedBody): number {
  return body.kind === 'memory' ? body.bytes.length : body.kind === 'file' ? body.size : 0;
}

type Collected =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** Larger than `room`; the rest is still to be read. */
  | { readonly kind: 'part'; readonly chunks: readonly Buffer[] }
  | { readonly kind: 'aborted' };

function collect(request: IncomingMessage, room: number): Promise<Collected> {
  const { promise, resolve } = Promise.withResolvers<Collected>();
  const chunks: Buffer[] = [];
  let size = 0;
  const settle = (result: Collected) => {
    request.off('data', onData).off('end', onEnd).off('close', onClose);
    resolve(result);
  };
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size <= room) return;
    request.pause();
    settle({ kind: 'part', chunks });
  };
  const onEnd = () =>
    settle({ kind: 'whole', bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) });
  const onClose = () => settle({ kind: 'aborted' });
  request.on('data', onData).on('end', onEnd).on('close', onClose);
  return promise;
}
