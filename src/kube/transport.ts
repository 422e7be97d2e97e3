import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import type { Dispatcher, Socks5ProxyAgent as SocksAgent } from 'undici';
import { AksmlError } from '../contract/error.ts';
import { Agent, request as sendRequest } from '../http/connections.ts';
import { type ClientCertificate, type Credentials, readPem } from './credentials.ts';
import {
  type ApiStatus,
  type Attempt,
  httpStatusOf,
  neverSent,
  refused,
  retryAfterOf,
  unreachable,
} from './failure.ts';
import type { KubeCluster } from './kubeconfig.ts';

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** For messages: such as `pods/x`, and what "while …" continues with. */
  readonly subject: string;
  readonly doing: string;
  /** May be sent twice without harm: repeated also when it is not known whether it arrived. Default: GET is. */
  readonly idempotent?: boolean;
  /** 1: not repeated at all. */
  readonly attempts?: number;
  /** Milliseconds until the answer begins; default 30 s. */
  readonly timeoutMs?: number;
  /** Milliseconds that the answer may pause; 0: any. Default 30 s. */
  readonly idleMs?: number;
  readonly signal?: AbortSignal;
}

export type Answer = Dispatcher.ResponseData<null>;

/** What requests to an API server go through. */
export type KubeTransport = Pick<Transport, keyof Transport>;

/** The effects beside the network. */
export interface TransportPorts {
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
}

export const SYSTEM_PORTS: TransportPorts = {
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
  random: Math.random,
};

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 200;
const CONNECT_MS = 10_000;
const TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 30_000;
const REPEATABLE = new Set([500, 502, 503, 504]);

/** Sends requests to one API server: time-outs, repetition, renewed credentials, errors of ours. */
export class Transport {
  readonly server: URL;
  readonly #cluster: KubeCluster;
  readonly #credentials: Credentials;
  readonly #proxies: Readonly<Record<string, string | undefined>>;
  readonly #ports: TransportPorts;
  #dispatcher: { readonly certificate: ClientCertificate | undefined; readonly ready: Promise<Dispatcher> } | undefined;

  constructor(
    cluster: KubeCluster,
    credentials: Credentials,
    environment: Readonly<Record<string, string | undefined>>,
    ports: TransportPorts = SYSTEM_PORTS,
  ) {
    this.server = new URL(cluster.server);
    this.#cluster = cluster;
    this.#credentials = credentials;
    this.#proxies = environment;
    this.#ports = ports;
    refusePlainHttp(this.server);
  }

  /** The answer, a success, whose body must be read or destroyed. @throws AksmlError `kube.*` */
  async send(request: KubeRequest): Promise<Answer> {
    const attempts = request.attempts ?? ATTEMPTS;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#authenticated(request);
      } catch (error) {
        request.signal?.throwIfAborted();
        if (attempt >= attempts || !mayRepeat(request, error)) throw error;
        const delay = FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.5 + this.#ports.random() / 2);
        await this.#ports.sleep(Math.max(delay, Math.min(retryAfterOf(error) ?? 0, 10_000)), request.signal);
      }
    }
  }

  async json<T>(request: KubeRequest): Promise<T> {
    const answer = await this.send(request);
    try {
      // Whoever asks knows what the API server keeps there.
      return (await answer.body.json()) as T;
    } catch (error) {
      request.signal?.throwIfAborted();
      throw unreachable(error, this.#attempt(request));
    }
  }

  /** What a WebSocket to this server needs. */
  async socketOptions(
    signal?: AbortSignal,
  ): Promise<{ readonly headers: Record<string, string>; readonly dispatcher: Dispatcher }> {
    const { headers, clientCertificate } = await this.#credentials.present(signal);
    return { headers: { ...headers }, dispatcher: await this.#connect(clientCertificate) };
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    const dispatcher = await this.#dispatcher?.ready.catch(() => undefined);
    await dispatcher?.destroy();
  }

  async #authenticated(request: KubeRequest): Promise<Answer> {
    try {
      return await this.#once(request);
    } catch (error) {
      if (!AksmlError.is(error, 'kube.unauthorized') || !this.#credentials.refused()) throw error;
      return await this.#once(request);
    }
  }

  async #once(request: KubeRequest): Promise<Answer> {
    const { headers, clientCertificate } = await this.#credentials.present(request.signal);
    const attempt = this.#attempt(request);
    const dispatcher = await this.#connect(clientCertificate).catch((error: unknown) => {
      throw AksmlError.is(error) ? error : unreachable(error, attempt);
    });
    let answer: Answer;
    try {
      answer = await sendRequest(dispatcher, {
        origin: this.server.origin,
        path: this.path(request),
        method: request.method,
        headers: {
          ...headers,
          accept: request.accept ?? 'application/json',
          'user-agent': 'aksml',
          ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        headersTimeout: request.timeoutMs ?? TIMEOUT_MS,
        bodyTimeout: request.idleMs ?? TIMEOUT_MS,
        signal: request.signal ?? null,
      });
    } catch (error) {
      request.signal?.throwIfAborted();
      throw unreachable(error, attempt);
    }
    if (answer.statusCode < 300) return answer;
    throw refused(await readStatus(answer), answer.statusCode, attempt);
  }

  path({ path, query = {} }: Pick<KubeRequest, 'path' | 'query'>): string {
    const given = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, String(value));
    const text = given.toString();
    return `${this.server.pathname.replace(/\/$/, '')}${path}${text === '' ? '' : `?${text}`}`;
  }

  #attempt({ subject, doing }: KubeRequest): Attempt {
    return { server: this.server.host, subject, doing };
  }

  #connect(certificate: ClientCertificate | undefined): Promise<Dispatcher> {
    const known = this.#dispatcher;
    if (known?.certificate === certificate && known !== undefined) return known.ready;
    const ready = this.#makeDispatcher(certificate);
    this.#dispatcher = { certificate, ready };
    // Requests in flight end on the old connections.
    void known?.ready.then((dispatcher) => dispatcher.close()).catch(() => undefined);
    return ready;
  }

  async #makeDispatcher(certificate: ClientCertificate | undefined): Promise<Dispatcher> {
    const { certificateAuthority: authority, insecureSkipTlsVerify, tlsServerName, proxyUrl } = this.#cluster;
    const connect = {
      timeout: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // Made once for all connections: it takes longer than their handshakes.
      secureContext: createSecureContext({
        ...(authority === undefined ? {} : { ca: await readPem(authority) }),
        ...certificate,
      }),
      ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
      ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
    };
    const options = { connect, connections: null, pipelining: 1, keepAliveTimeout: KEEP_ALIVE_MS };
    if (proxyUrl === undefined) {
      const proxies = this.#proxies;
      const httpsProxy = proxies['HTTPS_PROXY'] ?? proxies['https_proxy'];
      const httpProxy = proxies['HTTP_PROXY'] ?? proxies['http_proxy'];
      const noProxy = proxies['NO_PROXY'] ?? proxies['no_proxy'];
      if (!httpsProxy && !httpProxy) return new Agent(options);
      const { EnvHttpProxyAgent } = await import('../http/undici.ts');
      return new EnvHttpProxyAgent({
        ...options,
        requestTls: connect,
        ...(httpsProxy ? { httpsProxy } : {}),
        ...(httpProxy ? { httpProxy } : {}),
        ...(noProxy ? { noProxy } : {}),
      });
    }
    const { ProxyAgent, Socks5ProxyAgent } = await import('../http/undici.ts');
    if (/^https?:/.test(proxyUrl)) return new ProxyAgent({ ...options, uri: proxyUrl, requestTls: connect });
    // undici's types forget `requestTls`, which it honours.
    const socks: SocksAgent.Options & { readonly requestTls: object } = { requestTls: connect };
    return new Socks5ProxyAgent(proxyUrl, socks);
  }
}

/** Whether sending it again may help and cannot harm. */
function mayRepeat({ method, idempotent = method === 'GET' }: KubeRequest, error: unknown): boolean {
  const status = httpStatusOf(error);
  // The server says itself that it did nothing.
  if (status === 429) return true;
  if (status !== undefined) return idempotent && REPEATABLE.has(status);
  if (!AksmlError.is(error) || (error.code !== 'kube.unreachable' && error.code !== 'kube.timeout')) return false;
  return idempotent || neverSent(error.cause);
}

async function readStatus(answer: Answer): Promise<ApiStatus> {
  let text: string;
  try {
    text = await answer.body.text();
  } catch {
    return {};
  }
  const after = Number(answer.headers['retry-after']);
  const details = Number.isFinite(after) ? { details: { retryAfterSeconds: after } } : {};
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === 'object' && status !== null && 'kind' in status && status.kind === 'Status') {
      return { ...details, ...status };
    }
  } catch {
    // A proxy on the way answers in HTML.
  }
  return { ...details, message: text.trim().slice(0, 200).replace(/\s+/g, ' ') || `answered ${answer.statusCode}` };
}

function refusePlainHttp(server: URL): void {
  if (server.protocol === 'https:') return;
  if (server.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(server.hostname)) return;
  throw new AksmlError('kube.insecure', `${server.host} is not reached over TLS; nothing was sent to it.`, {
    fault: 'input',
    subject: server.host,
    remedy: 'Name the cluster by an https address; plain http is allowed for this machine only.',
  });
}
