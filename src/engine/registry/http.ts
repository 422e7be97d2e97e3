import { AksmlError } from '../../contract/error.ts';
import type { Answer, Fetch } from '../../http/fetch.ts';
import { isLoopback } from './image-reference.ts';

/** The effects of the registry client. */
export interface HttpPorts {
  readonly fetch: Fetch;
  /** Rejects with the signal's reason when aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` only, never along a redirect to another. */
  readonly authorization?: string;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Default true. A request that is not safe to repeat blindly says false. */
  readonly retry?: boolean;
  readonly signal?: AbortSignal;
}

const ATTEMPTS = 6;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 15_000;
/** A registry that asks for more patience than this is reported instead. */
const MAX_RETRY_AFTER_MS = 120_000;
const MAX_REDIRECTS = 5;
const HEADERS_TIMEOUT_MS = 60_000;
const RETRIED = new Set([408, 429, 500, 502, 503, 504]);

export function isRetried(status: number): boolean {
  return RETRIED.has(status);
}

/**
 * One request, repeated with exponential back-off and full jitter while the registry is busy or out of reach; `Retry-After` is obeyed.
 * The answer may have any status; after the last attempt a busy registry's answer is handed out as it is.
 * @throws AksmlError `registry.unreachable` | `registry.insecure`
 */
export async function send(ports: HttpPorts, request: HttpRequest): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const last = attempt === ATTEMPTS || request.retry === false;
    let wait = backOff(ports, attempt);
    try {
      const response = await follow(ports, request);
      if (last || !RETRIED.has(response.status)) return response;
      const asked = retryAfter(response, ports.now());
      if (asked !== undefined && asked > MAX_RETRY_AFTER_MS) return response;
      wait = Math.max(wait, asked ?? 0);
      await response.body?.cancel();
    } catch (error) {
      request.signal?.throwIfAborted();
      if (AksmlError.is(error)) throw error;
      if (last) throw unreachable(request.url, error);
    }
    await ports.sleep(wait, request.signal);
  }
}

/** Milliseconds before attempt `attempt + 1`. */
export function backOff(ports: Pick<HttpPorts, 'random'>, attempt: number): number {
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1)) * (0.5 + ports.random() / 2);
}

/** `Retry-After` in milliseconds: seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(response: Answer, now: number): number | undefined {
  const value = response.headers.get('retry-after');
  if (value === null) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

/** Redirects are followed by hand: `fetch` would also follow them to plain HTTP. */
async function follow(ports: HttpPorts, request: HttpRequest): Promise<Answer> {
  let url = request.url;
  for (let redirects = 0; ; redirects += 1) {
    refusePlainHttp(url);
    const response = await fetchOnce(ports, request, url);
    const location = response.headers.get('location');
    if (!isRedirect(request.method, response.status) || location === null || redirects === MAX_REDIRECTS)
      return response;
    await response.body?.cancel();
    url = new URL(location, url);
  }
}

function isRedirect(method: HttpRequest['method'], status: number): boolean {
  if (status === 307 || status === 308) return true;
  return (method === 'GET' || method === 'HEAD') && status >= 301 && status <= 303;
}

async function fetchOnce(ports: HttpPorts, request: HttpRequest, url: URL): Promise<Answer> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new Error('no answer in time')), HEADERS_TIMEOUT_MS);
  try {
    return await ports.fetch(url, {
      method: request.method,
      headers: {
        ...request.headers,
        ...(request.authorization !== undefined && url.origin === request.url.origin
          ? { authorization: request.authorization }
          : {}),
      },
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: 'manual',
      // The time-out ends with the headers; the caller's signal stops the body too.
      signal: request.signal ? AbortSignal.any([request.signal, timeout.signal]) : timeout.signal,
    });
  } finally {
    clearTimeout(timer);
  }
}

export function refusePlainHttp(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw new AksmlError('registry.insecure', `${url.host} is not reached over TLS; nothing was sent to it.`, {
    subject: url.host,
    remedy: 'Serve the registry over https; plain http is allowed for this machine only.',
  });
}

function unreachable(url: URL, error: unknown): AksmlError {
  return new AksmlError('registry.unreachable', `The registry ${url.host} could not be reached: ${reason(error)}.`, {
    subject: url.host,
    remedy: 'Check its name, the network and the proxy settings, then run the command again: what was sent is kept.',
    cause: error,
  });
}

/** fetch says "fetch failed"; the reason is further down. */
function reason(error: unknown): string {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  if (!(deepest instanceof Error)) return 'the connection failed';
  return 'code' in deepest && typeof deepest.code === 'string' ? deepest.code : deepest.message;
}
