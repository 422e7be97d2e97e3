import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { AksmlError } from '../../contract/error.ts';
import type { Answer } from '../../http/fetch.ts';
import { backOff, type HttpPorts } from './http.ts';

export interface DownloadOptions {
  readonly digest: string;
  readonly http: HttpPorts;
  /** Asks for the content from this byte on; the registry may answer with all of it. */
  readonly open: (offset: number) => Promise<Answer>;
  readonly corrupt: () => AksmlError;
  readonly broken: (cause: unknown) => AksmlError;
  readonly signal?: AbortSignal;
}

const ATTEMPTS = 6;

/** A blob, checked against its digest while it is read. A dropped connection is taken up where it broke. */
export async function downloadBlob(options: DownloadOptions): Promise<Readable> {
  const first = await options.open(0);
  const content = Readable.from(readVerified(options, first), { objectMode: false });
  // Ended before it was read, it has not come to reading the answer either.
  return content.once('close', () => void first.body?.cancel().catch(() => undefined));
}

async function* readVerified(options: DownloadOptions, first: Answer): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let offset = 0;
  let response = first;
  for (let failures = 0; ; ) {
    try {
      for await (const fresh of from(response, offset)) {
        hash.update(fresh);
        offset += fresh.length;
        failures = 0;
        yield fresh;
      }
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      failures += 1;
      if (failures === ATTEMPTS) throw options.broken(error);
      await options.http.sleep(backOff(options.http, failures), options.signal);
      response = await options.open(offset);
    }
  }
  if (`sha256:${hash.digest('hex')}` !== options.digest) throw options.corrupt();
}

/** What the answer holds from `offset` on, whether or not the registry heeded the range. */
async function* from(response: Answer, offset: number): AsyncGenerator<Uint8Array> {
  let skip = response.status === 206 ? 0 : offset;
  for await (const chunk of response.body ?? []) {
    const fresh = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - fresh.length;
    if (fresh.length > 0) yield fresh;
  }
}
