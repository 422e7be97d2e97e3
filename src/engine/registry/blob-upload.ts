import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AksmlError } from '../../contract/error.ts';
import type { Answer } from '../../http/fetch.ts';
import { backOff, type HttpPorts, type HttpRequest, isRetried, send } from './http.ts';
import type { OnBytes } from './registry.ts';

/** What an upload needs of the registry client. */
export interface UploadPorts {
  readonly http: HttpPorts;
  /** With authentication. */
  readonly send: (request: HttpRequest) => Promise<Answer>;
  readonly exists: (digest: string, signal?: AbortSignal) => Promise<boolean>;
  readonly failure: (response: Answer, doing: string) => Promise<AksmlError>;
  readonly broken: (doing: string, cause: unknown) => AksmlError;
  readonly mismatch: (digest: string) => AksmlError;
}

export interface UploadOptions {
  /** Where uploads begin: `…/blobs/uploads/`. */
  readonly start: URL;
  readonly chunkBytes: number;
  readonly expected?: { readonly digest: string; readonly size: number };
  readonly onBytes?: OnBytes;
  readonly signal?: AbortSignal;
}

interface Session {
  location: URL;
  /** `OCI-Chunk-Min-Length`, bytes. */
  readonly minChunk: number;
}

const ATTEMPTS = 6;
/** A registry that wants more in one piece than this would have us hold too much in memory. */
const MAX_CHUNK_BYTES = 64 * 1024 * 1024;

/** Content in its order; iterating it again may begin anew. */
type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Sends one blob: in one request when it fits into a chunk, else chunk by chunk. What was lost with a connection is sent again from
 * where the registry says it stands (distribution specification, "pushing a blob in chunks"). Some registries forget an upload whose
 * connection broke: content that can be iterated again is then sent from its beginning.
 * @throws AksmlError `registry.digestMismatch` | `registry.uploadLost` | `registry.*`
 */
export async function uploadBlob(
  ports: UploadPorts,
  content: Content,
  options: UploadOptions,
): Promise<{ readonly digest: string; readonly size: number }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await new BlobUpload(ports, options).send(content);
    } catch (error) {
      if (!AksmlError.is(error, 'registry.uploadLost') || !isRepeatable(content) || attempt === ATTEMPTS) throw error;
      await ports.http.sleep(backOff(ports.http, attempt), options.signal);
    }
  }
}

/** Generators and streams are spent once iterated. */
export function isRepeatable(content: Content): boolean {
  return !('next' in content) && !(content instanceof Readable);
}

/** A stream that nobody reads would keep its file or its connection open. One that was read has ended. */
export function close(content: Content | Uint8Array): void {
  if (content instanceof Readable) content.destroy();
}

class BlobUpload {
  readonly #ports: UploadPorts;
  readonly #options: UploadOptions;
  readonly #hash = createHash('sha256');
  #size = 0;

  constructor(ports: UploadPorts, options: UploadOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  async send(content: Content): Promise<{ digest: string; size: number }> {
    const session = await this.#open();
    const chunkBytes = Math.min(MAX_CHUNK_BYTES, Math.max(this.#options.chunkBytes, session.minChunk));
    const { expected } = this.#options;
    // With room to notice that there is more.
    const room = expected === undefined ? chunkBytes : Math.min(chunkBytes, expected.size + 1);
    const chunks = inChunks(content, room)[Symbol.asyncIterator]();
    try {
      const first = await chunks.next();
      const bytes = first.done ? EMPTY : first.value;
      if (bytes.length < chunkBytes) return await this.#sendWhole(session, bytes);
      for (let next = first; !next.done; next = await chunks.next()) await this.#sendChunk(session, next.value);
      const digest = this.#verify();
      await this.#finish(session, digest, EMPTY);
      return { digest, size: this.#size };
    } catch (error) {
      await this.#abandon(session);
      throw error;
    } finally {
      await chunks.return?.(undefined);
    }
  }

  async #open(): Promise<Session> {
    const { start, signal } = this.#options;
    const response = await this.#ports.send({ method: 'POST', url: start, ...optional(signal) });
    if (response.status !== 202) throw await this.#ports.failure(response, 'beginning an upload to');
    await response.body?.cancel();
    const minimum = Number(response.headers.get('oci-chunk-min-length') ?? 0);
    return { location: this.#location(response, start), minChunk: Number.isSafeInteger(minimum) ? minimum : 0 };
  }

  async #sendWhole(session: Session, bytes: Uint8Array<ArrayBuffer>): Promise<{ digest: string; size: number }> {
    this.#count(bytes);
    const digest = this.#verify();
    await this.#finish(session, digest, bytes);
    this.#options.onBytes?.(this.#size);
    return { digest, size: this.#size };
  }

  async #sendChunk(session: Session, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const start = this.#size;
    this.#count(bytes);
    let sent = 0;
    for (let attempt = 1; sent < bytes.length; attempt += 1) {
      const rest = bytes.subarray(sent);
      const response = await this.#try({
        method: 'PATCH',
        url: session.location,
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `${start + sent}-${start + bytes.length - 1}`,
        },
        body: rest,
      });
      if (!(response instanceof AksmlError) && response.ok) {
        await response.body?.cancel();
        session.location = this.#location(response, session.location);
        break;
      }
      await this.#pauseOrThrow(response, attempt, 'uploading to', [404, 416]);
      sent = (await this.#whereItStands(session, start)) - start;
    }
    this.#options.onBytes?.(this.#size);
  }

  /** How many bytes of the upload the registry holds. */
  async #whereItStands(session: Session, acknowledged: number): Promise<number> {
    const response = await this.#request({ method: 'GET', url: session.location, ...optional(this.#options.signal) });
    if (response.status === 404 && acknowledged === 0) {
      await response.body?.cancel();
      session.location = (await this.#open()).location;
      return 0;
    }
    if (response.status === 404) throw this.#lost();
    if (!response.ok) throw await this.#ports.failure(response, 'resuming an upload to');
    await response.body?.cancel();
    session.location = this.#location(response, session.location);
    // "0-0" is also what registries say of an empty upload.
    const last = Number(response.headers.get('range')?.match(/^(?:bytes=)?0-(\d+)$/)?.[1] ?? 0);
    const held = last === 0 ? 0 : last + 1;
    if (held < acknowledged || held > this.#size) throw this.#lost();
    return held;
  }

  /** Commits. The connection may break after the registry has committed: then the blob is there. */
  async #finish(session: Session, digest: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const url = new URL(session.location);
      url.search += `${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
      const headers = { 'content-type': 'application/octet-stream' };
      const response = await this.#try({ method: 'PUT', url, headers, body: bytes });
      if (!(response instanceof AksmlError) && response.ok) {
        await response.body?.cancel();
        return;
      }
      await this.#pauseOrThrow(response, attempt, 'completing an upload to', [404]);
      if (await this.#ports.exists(digest, this.#options.signal)) return;
      // In one piece it can simply begin again; in chunks the registry must still know the upload.
      if (bytes.length > 0 || this.#size === 0) session.location = (await this.#open()).location;
      else await this.#whereItStands(session, this.#size);
    }
  }

  /** The answer, or the error of the network. */
  async #try(request: HttpRequest): Promise<Answer | AksmlError> {
    try {
      return await this.#request({ ...request, retry: false, ...optional(this.#options.signal) });
    } catch (error) {
      if (AksmlError.is(error, 'registry.unreachable')) return error;
      throw error;
    }
  }

  async #pauseOrThrow(
    outcome: Answer | AksmlError,
    attempt: number,
    doing: string,
    alsoRetried: readonly number[],
  ): Promise<void> {
    const again = outcome instanceof AksmlError || isRetried(outcome.status) || alsoRetried.includes(outcome.status);
    if (!again || attempt === ATTEMPTS) {
      throw outcome instanceof AksmlError
        ? this.#ports.broken(doing, outcome)
        : await this.#ports.failure(outcome, doing);
    }
    if (!(outcome instanceof AksmlError)) await outcome.body?.cancel();
    await this.#ports.http.sleep(backOff(this.#ports.http, attempt), this.#options.signal);
  }

  /** Credentials go to the registry itself only, wherever it wants the bytes. */
  #request(request: HttpRequest): Promise<Answer> {
    return request.url.origin === this.#options.start.origin
      ? this.#ports.send(request)
      : send(this.#ports.http, request);
  }

  /** A registry behind a proxy may name itself by the wrong scheme or port. */
  #location(response: Answer, base: URL): URL {
    const location = response.headers.get('location');
    if (location === null) return base;
    const { start } = this.#options;
    const url = new URL(location, base);
    return url.hostname === start.hostname ? new URL(url.pathname + url.search, start) : url;
  }

  #count(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }

  #verify(): string {
    const digest = `sha256:${this.#hash.digest('hex')}`;
    const { expected } = this.#options;
    if (expected && (expected.digest !== digest || expected.size !== this.#size)) {
      throw this.#ports.mismatch(expected.digest);
    }
    return digest;
  }

  /** Best effort: registries forget unfinished uploads by themselves. */
  async #abandon(session: Session): Promise<void> {
    if (this.#options.signal?.aborted) return;
    try {
      const response = await this.#request({ method: 'DELETE', url: session.location, retry: false });
      await response.body?.cancel();
    } catch {
      // The error that led here is the one to tell.
    }
  }

  #lost(): AksmlError {
    return new AksmlError('registry.uploadLost', `${this.#options.start.host} lost an upload half-way.`, {
      subject: this.#options.start.host,
      remedy: 'Run the command again: blobs that are complete are not sent again.',
    });
  }
}

const EMPTY = new Uint8Array(0);

function optional(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Chunks of exactly `size` bytes, the last one shorter and possibly empty. A chunk is valid until the next is asked for. */
async function* inChunks(content: Content, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let chunk: Uint8Array<ArrayBuffer> | undefined;
  let filled = 0;
  for await (const part of content) {
    for (let taken = 0; taken < part.length; ) {
      // Not filled with zeros, which for small content takes longer than sending it.
      chunk ??= Buffer.allocUnsafeSlow(size);
      const piece = part.subarray(taken, taken + size - filled);
      chunk.set(piece, filled);
      taken += piece.length;
      filled += piece.length;
      if (filled < size) continue;
      yield chunk;
      filled = 0;
    }
  }
  if (filled > 0 && chunk) yield chunk.subarray(0, filled);
}
