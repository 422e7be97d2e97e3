import { hash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AksmlError } from '../contract/error.ts';
import type { Gateway } from './gateway.ts';
import { parseConfiguration } from './gateway-config.ts';

const SAMPLE_MS = 100;
const LARGEST_CONFIGURATION = 64 * 1024 * 1024;
const LARGEST_BACKLOG = 1024 * 1024;

export interface GatewayAdminEvents {
  /** A configuration is in force: the port may be new. */
  readonly configured: () => Promise<void>;
  readonly stop: () => void;
}

/** The supervisor's side of the gateway, as `gateway-protocol.ts` describes it. */
export class GatewayAdmin {
  readonly #gateway: Gateway;
  readonly #tokenHash: Buffer;
  readonly #events: GatewayAdminEvents;
  readonly #server: Server;
  #streams = 0;

  constructor(gateway: Gateway, token: string, events: GatewayAdminEvents) {
    this.#gateway = gateway;
    this.#tokenHash = hash('sha256', token, 'buffer');
    this.#events = events;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => fail(response, error));
    });
  }

  /** Somebody is following the samples: the supervisor is alive. */
  get isWatched(): boolean {
    return this.#streams > 0;
  }

  async open(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject).listen({ host: '127.0.0.1', port: 0 }, resolve);
    await promise;
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isOurs(request)) return send(response, 401, { message: 'The token is missing or not valid.' });
    const url = new URL(request.url ?? '/', 'http://gateway');
    switch (`${request.method} ${url.pathname}`) {
      case 'PUT /configuration':
        await this.#gateway.configure(parseConfiguration(await readJson(request)));
        await this.#events.configured();
        return send(response, 204);
      case 'GET /samples':
        if (url.searchParams.get('stream') === '1') return this.#stream(response);
        return send(response, 200, this.#gateway.sample());
      case 'GET /metrics':
        response.writeHead(200, { 'content-type': this.#gateway.metrics.contentType });
        response.end(await this.#gateway.metrics.text());
        return;
      case 'POST /stop':
        response.once('close', () => this.#events.stop());
        return send(response, 204);
      default:
        return send(response, 404, { message: 'There is no such request.' });
    }
  }

  #stream(response: ServerResponse): void {
    this.#streams += 1;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const write = () => {
      if (response.writableLength < LARGEST_BACKLOG) response.write(`${JSON.stringify(this.#gateway.sample())}\n`);
    };
    write();
    const timer = setInterval(write, SAMPLE_MS);
    response.once('close', () => {
      clearInterval(timer);
      this.#streams -= 1;
    });
  }

  #isOurs(request: IncomingMessage): boolean {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(hash('sha256', token, 'buffer'), this.#tokenHash);
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_CONFIGURATION) break;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new AksmlError('gateway.configuration', 'The configuration is not JSON.', { fault: 'input', cause });
  }
}

function fail(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) response.destroy();
  else if (AksmlError.is(error, 'gateway.portTaken')) send(response, 409, { listener: error.subject, message });
  else send(response, AksmlError.is(error, 'gateway.configuration') ? 400 : 500, { message });
}

function send(response: ServerResponse, status: number, body?: unknown): void {
  if (body === undefined) response.writeHead(status).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
