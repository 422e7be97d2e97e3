import { Agent, request } from './connections.ts';

export interface Asked {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** Redirects are answers like any other. */
  readonly redirect: 'manual';
  readonly signal: AbortSignal;
}

/** What of a `Response` can be had without Node's `fetch`. Its body must be read or cancelled. */
export interface Answer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: { get(name: string): string | null };
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null;
  json(): Promise<unknown>;
  text(): Promise<string>;
}

/** Node was told to send what `fetch` asks through proxies (`NODE_USE_ENV_PROXY`): it has set what `fetch` sends by from the start. */
const USES_PROXIES = Symbol.for('undici.globalDispatcher.1') in globalThis;
/** Of a body that nobody wants, so many bytes are read so that its connection can be used again. */
const WORTH_READING = 128 * 1024;

/** What a registry client needs of `fetch`, which is one. */
export type Fetch = (url: URL, asked: Asked) => Promise<Answer>;

let agent: Agent | undefined;

/** As `fetch`, which takes a command longer to load than all its requests take together. */
export async function lightFetch(url: URL, asked: Asked): Promise<Answer> {
  if (USES_PROXIES) return fetch(url, asked);
  asked.signal.throwIfAborted();
  agent ??= new Agent();
  const { statusCode, headers, body } = await request(agent, {
    origin: url.origin,
    path: url.pathname + url.search,
    method: asked.method,
    headers: { accept: '*/*', 'user-agent': 'aksml', ...asked.headers },
    body: asked.body ?? null,
    signal: asked.signal,
  });
  const cancel = () => body.dump({ limit: WORTH_READING });
  return {
    status: statusCode,
    ok: statusCode >= 200 && statusCode < 300,
    headers: {
      get: (name) => {
        const value = headers[name.toLowerCase()];
        return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
      },
    },
    body: Object.assign(body, { cancel }),
    json: () => body.json(),
    text: () => body.text(),
  };
}
