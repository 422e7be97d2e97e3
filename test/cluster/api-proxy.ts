import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { credentialsOf, readPem } from '../../src/kube/credentials.ts';
import { readKubeconfig } from '../../src/kube/kubeconfig.ts';
import type { ClusterWorld } from './world.ts';

export interface ApiRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The how many-th request that changes something, from 1; 0 for one that reads. */
  readonly write: number;
}

/** `lose`: the API server does what it is asked, but nobody hears of it. */
export type Fault =
  | { readonly kind: 'refuse'; readonly status: number; readonly reason: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'drop' }
  | { readonly kind: 'lose' };

/** Stands between a client and the API server. */
export interface ApiProxy {
  /** Names the proxy instead of the API server, with the administrator's rights unless a token is given. */
  readonly kubeconfig: string;
  /** Every request so far. */
  readonly requests: readonly ApiRequest[];
  /** What happens to a request; undefined: it passes. */
  judge: (request: ApiRequest) => Fault | undefined;
  /** Ends every open connection, watches with them. */
  cut(): void;
}

/** Who reads tells by method; a review of access changes nothing. */
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

export async function openApiProxy(
  t: { after(work: () => Promise<void>): void },
  world: Pick<ClusterWorld, 'kubeconfig' | 'namespace' | 'home'>,
  options: { readonly token?: string } = {},
): Promise<ApiProxy> {
  const upstream = await connectOptions(world.kubeconfig);
  const requests: ApiRequest[] = [];
  const sockets = new Set<Socket>();
  let writes = 0;

  const note = (message: IncomingMessage): ApiRequest => {
    const { pathname, searchParams } = new URL(message.url ?? '/', 'http://proxy');
    const method = message.method ?? 'GET';
    const reads = READS.has(method) || pathname.endsWith('reviews');
    if (!reads) writes += 1;
    const noted = { method, path: pathname, query: searchParams, write: reads ? 0 : writes };
    requests.push(noted);
    return noted;
  };
  const server = createServer((message, answer) => {
    const fault = proxy.judge(note(message));
    if (fault?.kind === 'drop') message.socket.destroy();
    else if (fault?.kind === 'refuse') refuse(answer, fault);
    else forward(message, answer, upstream, fault?.kind === 'lose');
  });
  server.on('upgrade', (message, socket, head) => {
    if (proxy.judge(note(message)) !== undefined) socket.destroy();
    else tunnel(message, socket, head, upstream);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: ApiProxy = {
    kubeconfig: join(world.home, '..', `proxy-${(server.address() as AddressInfo).port}.kubeconfig`),
    requests,
    judge: () => undefined,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
  t.after(async () => {
    server.close();
    proxy.cut();
    await once(server, 'close');
  });
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(proxy.kubeconfig, kubeconfigOf(address, world.namespace, options.token), { mode: 0o600 });
  return proxy;
}

function kubeconfigOf(server: string, namespace: string, token: string | undefined): string {
  const name = 'proxy';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: token === undefined ? {} : { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  });
}

async function connectOptions(kubeconfig: string): Promise<RequestOptions> {
  const context = await readKubeconfig({ paths: [kubeconfig] });
  const environment = { variables: process.env, consent: async () => true, untrustedFolders: [] };
  const { headers, clientCertificate } = await credentialsOf(context, environment, Date.now).present();
  const { server, certificateAuthority } = context.cluster;
  const { hostname, port } = new URL(server);
  return {
    hostname,
    port,
    headers,
    ...(certificateAuthority === undefined ? {} : { ca: await readPem(certificateAuthority) }),
    ...clientCertificate,
  };
}

/** A token takes the place of the administrator's credentials. */
function optionsFor(message: IncomingMessage, upstream: RequestOptions): RequestOptions {
  const { cert: _cert, key: _key, ...anonymous } = upstream;
  const own = message.headers.authorization === undefined ? upstream : anonymous;
  const { host: _host, ...given } = message.headers;
  const headers = { ...(upstream.headers as OutgoingHttpHeaders | undefined), ...given };
  return { ...own, headers, method: message.method ?? 'GET', path: message.url ?? '/' };
}

function forward(message: IncomingMessage, answer: ServerResponse, upstream: RequestOptions, lose: boolean): void {
  const asked = httpsRequest(optionsFor(message, upstream), (got) => {
    if (lose) {
      got.resume().once('close', () => message.socket.destroy());
      return;
    }
    answer.writeHead(got.statusCode ?? 502, got.headers);
    answer.flushHeaders();
    got.pipe(answer);
    got.on('error', () => answer.destroy());
  });
  asked.on('error', () => message.socket.destroy());
  answer.on('close', () => asked.destroy());
  message.pipe(asked);
}

function tunnel(message: IncomingMessage, socket: Duplex, head: Buffer, upstream: RequestOptions): void {
  const asked = httpsRequest(optionsFor(message, upstream));
  asked.on('upgrade', (got, onward, rest) => {
    const lines = got.rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
    onward.unshift(rest);
    socket.unshift(head);
    socket.pipe(onward).pipe(socket);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      end.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
  });
  asked.on('response', () => socket.destroy()).on('error', () => socket.destroy());
  asked.end();
}

function refuse(answer: ServerResponse, { status, reason, retryAfterSeconds }: Fault & { kind: 'refuse' }): void {
  const retry = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  answer.writeHead(status, { 'content-type': 'application/json', ...retry });
  answer.end(
    JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message: reason, code: status }),
  );
}
