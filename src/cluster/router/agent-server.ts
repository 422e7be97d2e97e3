import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { RouterLoad } from './routing-table.ts';

export interface AgentFacts {
  /** Whether clients may be sent here. */
  readonly ready: () => boolean;
  readonly load: () => RouterLoad;
  /** Who knows one of these may ask for the load. */
  readonly secrets: () => readonly string[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** Ten a second. */
const LOAD_MS = 100;
const MOST_STREAMS = 32;

/**
 * What others ask a router itself:
 *
 * | path | answer |
 * |---|---|
 * | `/healthz` | this process answers |
 * | `/readyz` | HAProxy does what the cluster asks for, and clients may be sent here |
 * | `/metrics` | Prometheus text |
 * | `/load` | one {@link RouterLoad}; with `?stream=1` ten a second, a line of JSON each; for who knows the routers' secret |
 */
export function startAgentServer(port: number, address: string | undefined, facts: AgentFacts): Promise<Server> {
  let streams = 0;
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, contentType = 'text/plain') =>
      void response.writeHead(status, { 'content-type': contentType }).end(text);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://router');
    switch (pathname) {
      case '/healthz':
        return answer(200, 'ok');
      case '/readyz':
        return facts.ready() ? answer(200, 'ok') : answer(503, 'not ready, or leaving; see the log');
      case '/metrics':
        facts.metrics.text().then(
          (text) => answer(200, text, facts.metrics.contentType),
          () => answer(500, 'no metrics'),
        );
        return;
      case '/load':
        if (!isKnown(request, facts.secrets())) return answer(401, 'the secret of the routers is missing or wrong');
        if (searchParams.get('stream') !== '1') return answer(200, JSON.stringify(facts.load()), 'application/json');
        if (streams >= MOST_STREAMS) return answer(503, 'too many ask already');
        streams += 1;
        response.once('close', () => {
          streams -= 1;
        });
        return stream(response, facts.load);
      default:
        return answer(404, 'not found');
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen({ port, ...(address === undefined ? {} : { host: address }) }, () => resolve(server));
  return promise;
}

function stream(response: ServerResponse, load: () => RouterLoad): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const tell = () => {
    // Who does not read gets no more: an old figure is of no use.
    if (!response.writableNeedDrain) response.write(`${JSON.stringify(load())}\n`);
  };
  tell();
  const timer = setInterval(tell, LOAD_MS);
  response.once('close', () => clearInterval(timer));
}

const BEARER = /^bearer +(\S+) *$/i;

function isKnown({ headers }: IncomingMessage, secrets: readonly string[]): boolean {
  const given = BEARER.exec(headers.authorization ?? '')?.[1];
  if (given === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return secrets.some((secret) => secret !== '' && timingSafeEqual(digest(given), digest(secret)));
}
