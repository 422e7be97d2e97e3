import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** A request body that has arrived whole, so that a slow client never holds a replica, and that can be sent again. */
export type ReceivedBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'memory'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly path: string; readonly size: number };

export type Reception =
  | { readonly kind: 'received'; readonly body: ReceivedBody }
  | { readonly kind: 'tooLarge' }
  /** The client has gone. */
  | { readonly kind: 'aborted' }
  /** The disk could not take it. */
  | { readonly kind: 'noRoom' };

const NONE: Reception = { kind: 'received', body: { kind: 'none' } };
const TOO_LARGE: Reception = { kind: 'tooLarge' };
const ABORTED: Reception = { kind: 'aborted' };

/** Larger bodies wait on disk. */
const MEMORY_PER_BODY = 1024 * 1024;
/** Of all waiting bodies together. */
const MEMORY_IN_ALL = 64 * 1024 * 1024;

/** Keeps request bodies until their replica has answered: small ones in memory, others in files of a private folder. */
export class BodyStore {
  readonly #folder: string;
  #inMemory = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Forgets what an earlier gateway left behind. */
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

    const room = Math.min(MEMORY_PER_BODY, MEMORY_IN_ALL - this.#inMemory);
    const start =
      (declared ?? 0) <= room ? await collect(request, Math.min(room, limit)) : ({ kind: 'part', chunks: [] } as const);
    if (start.kind === 'aborted') return ABORTED;
    if (start.kind === 'whole') {
      this.#inMemory += start.bytes.length;
      return { kind: 'received', body: { kind: 'memory', bytes: start.bytes } };
    }
    return this.#spill(request, start.chunks, limit);
  }

  async release(body: ReceivedBody): Promise<void> {
    if (body.kind === 'memory') this.#inMemory -= body.bytes.length;
    else if (body.kind === 'file') await rm(body.path, { force: true });
  }

  async #spill(request: IncomingMessage, begun: readonly Buffer[], limit: number): Promise<Reception> {
    const path = join(this.#folder, randomUUID());
    let failed: Reception | undefined;
    let size = 0;
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        const take = async (chunk: Buffer) => {
          size += chunk.length;
          if (size > limit) failed = TOO_LARGE;
          else await file.appendFile(chunk);
        };
        for (const chunk of begun) await take(chunk);
        for await (const chunk of failed ? [] : request.iterator({ destroyOnReturn: false })) {
          await take(chunk);
          if (failed) break;
        }
      } finally {
        await file.close();
      }
    } catch {
      failed = request.errored || request.destroyed ? ABORTED : { kind: 'noRoom' };
    }
    if (!failed) return { kind: 'received', body: { kind: 'file', path, size } };
    await rm(path, { force: true });
    return failed;
  }
}

export function bodyContent(body: ReceivedBody): Buffer | Readable | null {
  switch (body.kind) {
    case 'none':
      return null;
    case 'memory':
      return body.bytes;
    case 'file':
      return createReadStream(body.path, { highWaterMark: 256 * 1024 });
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
