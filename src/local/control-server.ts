import { hash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EndpointChange } from '../contract/compute-target.ts';
import { AksmlError } from '../contract/error.ts';
import {
  type ApplyRequest,
  CONTROL_PROTOCOL,
  type Health,
  type Refusal,
  type RegenerateRequest,
  VERSION,
} from './control-protocol.ts';
import { notFound } from './endpoint-store.ts';
import { type LogRequest, readLogs } from './log-reader.ts';
import type { Supervisor } from './supervisor.ts';

export interface ControlServerOptions {
  readonly supervisor: Supervisor;
  readonly token: string;
  /** Ends this process: with everything that it looks after, or leaving that to a successor. */
  readonly end: (how: 'stop' | 'retire') => Promise<void>;
  readonly log: (line: string) => void;
}

const LARGEST_BODY = 64 * 1024 * 1024;

/** The supervisor's side of `control-protocol.ts`. Listens on loopback and answers only who has the token. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #tokenHash: Buffer;
  readonly #ended = new AbortController();

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#tokenHash = hash('sha256', options.token, 'buffer');
    // A deletion may take as long as a scoring call.
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => this.#refuse(response, error));
    });
  }

  async open(): Promise<number> {
    this.#server.listen({ host: '127.0.0.1', port: 0 });
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on nobody is answered; streams are cut, so that their readers turn to a successor. */
  close(): void {
    this.#ended.abort();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isOurs(request))
      return send(response, 401, refusal(new AksmlError('supervisor.token', 'The token is not valid.')));
    const { supervisor } = this.#options;
    const url = new URL(request.url ?? '/', 'http://supervisor');
    const [, collection, name, part] = url.pathname.split('/');
    if (collection === 'endpoints' && name !== undefined) return this.#endpoint(request, response, name, part);
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /health':
        return send(response, 200, { protocol: CONTROL_PROTOCOL, version: VERSION, pid: process.pid } satisfies Health);
      case 'GET /status':
        return send(response, 200, supervisor.status());
      case 'GET /endpoints':
        return send(response, 200, supervisor.list());
      case 'GET /watch':
        return this.#watch(response, url.searchParams.get('name') ?? undefined);
      case 'POST /stop':
      case 'POST /retire':
        await this.#options.end(url.pathname === '/stop' ? 'stop' : 'retire');
        return send(response, 204);
      default:
        throw unknownRequest();
    }
  }

  async #endpoint(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    part: string | undefined,
  ): Promise<void> {
    const { supervisor } = this.#options;
    switch (`${request.method} ${part ?? ''}`.trim()) {
      case 'GET':
        return send(response, 200, supervisor.get(name));
      case 'PUT':
        return send(response, 200, await supervisor.apply((await readJson(request)) as ApplyRequest));
      case 'DELETE':
        await supervisor.delete(name);
        return send(response, 204);
      case 'GET keys':
        return send(response, 200, await supervisor.keys(name));
      case 'POST keys': {
        const { which, value } = (await readJson(request)) as RegenerateRequest;
        return send(response, 200, await supervisor.regenerateKey(name, which, value));
      }
      case 'POST token':
        return send(response, 200, await supervisor.accessToken(name));
      case 'POST logs':
        return this.#logs(response, name, (await readJson(request)) as LogRequest);
      default:
        throw unknownRequest();
    }
  }

  /** A slow reader gets the newest state of each endpoint, not every one in between. */
  async #watch(response: ServerResponse, name: string | undefined): Promise<void> {
    const signal = this.#untilClosed(response);
    const pending = new Map<string, EndpointChange>();
    let wake = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => wake.resolve());
    const unsubscribe = this.#options.supervisor.watch(name, (change) => {
      pending.set(keyOf(change), change);
      wake.resolve();
    });
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    try {
      while (!signal.aborted) {
        wake = Promise.withResolvers();
        const changes = [...pending.values()];
        pending.clear();
        for (const change of changes) await writeLine(response, change, signal);
        if (pending.size === 0) await wake.promise;
      }
    } finally {
      unsubscribe();
    }
  }

  async #logs(response: ServerResponse, name: string, query: LogRequest): Promise<void> {
    const { supervisor } = this.#options;
    if (!supervisor.logSources(name)) throw notFound(name);
    const signal = this.#untilClosed(response);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for await (const line of readLogs(() => supervisor.logSources(name), query, signal)) {
      if (signal.aborted) return;
      await writeLine(response, line, signal);
    }
    // A stream that is cut by this process's end must not look like a finished one.
    if (!signal.aborted) response.end();
  }

  #untilClosed(response: ServerResponse): AbortSignal {
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    return AbortSignal.any([closed.signal, this.#ended.signal]);
  }

  #refuse(response: ServerResponse, error: unknown): void {
    const known = asAksmlError(error);
    if (!AksmlError.is(error))
      this.#options.log(`request failed: ${error instanceof Error ? error.stack : String(error)}`);
    if (response.headersSent) response.end(`${JSON.stringify(refusal(known))}\n`);
    else send(response, 400, refusal(known));
  }

  #isOurs(request: IncomingMessage): boolean {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(hash('sha256', token, 'buffer'), this.#tokenHash);
  }
}

function keyOf(change: EndpointChange): string {
  // A deletion and a later creation are both told; `synced` keeps its place behind the first listing.
  if (change.type === 'synced') return '';
  return change.type === 'deleted' ? `deleted ${change.name}` : `${change.type} ${change.endpoint.metadata.uid}`;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new AksmlError('request.invalid', 'The request is too large.');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}');
}

async function writeLine(response: ServerResponse, value: unknown, signal: AbortSignal): Promise<void> {
  if (response.write(`${JSON.stringify(value)}\n`)) return;
  await once(response, 'drain', { signal }).catch(() => undefined);
}

function send(response: ServerResponse, status: number, body?: unknown): void {
  if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refusal(error: AksmlError): Refusal {
  return { error: error.toJSON() };
}

function unknownRequest(): AksmlError {
  return new AksmlError('request.unknown', 'The supervisor does not know this request.', {
    remedy: 'Run "aksml local stop", then the command again, so that both are of the same version.',
  });
}

function asAksmlError(error: unknown): AksmlError {
  if (AksmlError.is(error)) return error;
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return new AksmlError('disk.full', 'The disk that holds the home folder of aksml is full. Nothing was changed.', {
      remedy: 'Free some space, for example with "aksml gc", then run the command again.',
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new AksmlError('supervisor.failed', `The supervisor could not do this: ${message}`, { cause: error });
}
