import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  addIds,
  corsHeaders,
  type FlatHeaders,
  preflightHeaders,
  type RequestIds,
  requestIds,
  single,
  VERSION_HEADER,
} from '../serving/headers.ts';
import {
  FOREIGN_HOST,
  NO_DISK_ROOM,
  noReadyReplicas,
  type Refusal,
  refuse,
  tooLarge,
  UNAUTHORIZED,
  unknownService,
} from '../serving/refusal.ts';
import { type BodyStore, bodySize, type ReceivedBody } from '../serving/request-body.ts';
import type { RunningEndpoint } from './gateway-endpoint.ts';
import { Exchange, type ExchangeResult } from './gateway-exchange.ts';
import { isOwnHost } from './gateway-host.ts';
import type { AccessLog } from './gateway-log.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { parseRoute, printableName, type Route } from './gateway-routes.ts';

export interface RequestContext {
  endpoint(name: string): RunningEndpoint | undefined;
  readonly bodies: BodyStore;
  readonly log: AccessLog;
  readonly metrics: GatewayMetrics;
  readonly random: () => number;
}

export type Admittance =
  | { readonly kind: 'admitted'; readonly endpoint: RunningEndpoint; readonly route: Route }
  | {
      readonly kind: 'refused';
      readonly endpoint: RunningEndpoint | undefined;
      readonly route: Route;
      readonly refusal: Refusal;
    };

/** Finds the endpoint and checks the key or token: the same for requests and for upgrades. */
export async function admit(
  context: RequestContext,
  request: IncomingMessage,
  ownEndpoint: string | undefined,
): Promise<Admittance> {
  const route = parseRoute(request.url ?? '/', ownEndpoint);
  const endpoint = route.endpoint === undefined ? undefined : context.endpoint(route.endpoint);
  if (!endpoint) {
    return { kind: 'refused', endpoint, route, refusal: unknownService(printableName(route.endpoint ?? '')) };
  }
  const { auth, corsAllowedOrigins } = endpoint.configuration;
  if (auth.mode === 'none' && !isOwnHost(request.headers.host, corsAllowedOrigins)) {
    return { kind: 'refused', endpoint, route, refusal: FOREIGN_HOST };
  }
  const open = endpoint.authenticator.admits(request.headers.authorization, Date.now());
  if (!(typeof open === 'boolean' ? open : await open))
    return { kind: 'refused', endpoint, route, refusal: UNAUTHORIZED };
  return { kind: 'admitted', endpoint, route };
}

/** One HTTP request from its arrival to its line in the log. */
export class RequestHandler {
  readonly #context: RequestContext;
  #active = 0;

  constructor(context: RequestContext) {
    this.#context = context;
  }

  /** Requests whose client has not got its whole answer. */
  get active(): number {
    return this.#active;
  }

  /** `mustContinue`: the client waits for "100 Continue" before it sends its body. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    ownEndpoint: string | undefined,
    mustContinue: boolean,
  ): Promise<void> {
    const arrival = { time: Date.now(), at: performance.now() };
    const ids = requestIds(request.headers);
    this.#active += 1;
    response.once('close', () => {
      this.#active -= 1;
    });
    const admittance = await this.#preflightOrAdmit(request, response, ownEndpoint, ids);
    if (!admittance) return;

    const { endpoint, route } = admittance;
    const cors = endpoint ? corsHeaders(endpoint.configuration.corsAllowedOrigins, request.headers) : [];
    const done = (result: ExchangeResult, bytesIn: number) =>
      this.#record(request, endpoint?.name ?? '', route, ids, arrival, result, bytesIn);
    const refuseWith = (refusal: Refusal) => {
      const headers = addIds([...cors], ids);
      // Without its "100 Continue" the client sends no body, so the connection cannot be used again.
      if (mustContinue) headers.push('connection', 'close');
      refuse(response, refusal, headers);
      request.resume();
      done(withoutReplica(refusal.status), 0);
    };

    if (admittance.kind === 'refused') return refuseWith(admittance.refusal);
    if (isHealthQuestion(request, route)) return this.#answerHealth(response, admittance.endpoint, cors, ids, done);

    const limit = admittance.endpoint.configuration.maxBodyBytes;
    const reception = await this.#context.bodies.receive(
      request,
      limit,
      mustContinue ? () => response.writeContinue() : undefined,
    );
    switch (reception.kind) {
      case 'tooLarge':
        return refuseWith(tooLarge(limit));
      case 'noRoom':
        return refuseWith(NO_DISK_ROOM);
      case 'aborted':
        return done(withoutReplica(0), 0);
      case 'received':
        return this.#exchange(request, response, admittance.endpoint.name, route, ids, cors, reception.body, done);
    }
  }

  #exchange(
    request: IncomingMessage,
    response: ServerResponse,
    service: string,
    route: Route,
    ids: RequestIds,
    cors: FlatHeaders,
    body: ReceivedBody,
    done: (result: ExchangeResult, bytesIn: number) => void,
  ): void {
    const asked = single(request.headers[VERSION_HEADER]);
    const { bodies, random } = this.#context;
    const exchange = new Exchange({ service, route, request, response, ids, cors, body, asked }, random, {
      answered: (result) => done(result, bodySize(body)),
      finished: () => void bodies.release(body).catch(() => undefined),
    });
    if (response.destroyed) exchange.abandon();
    // The configuration may have changed while the body arrived.
    else exchange.enter(this.#context.endpoint(service));
  }

  async #preflightOrAdmit(
    request: IncomingMessage,
    response: ServerResponse,
    ownEndpoint: string | undefined,
    ids: RequestIds,
  ): Promise<Admittance | undefined> {
    if (request.method === 'OPTIONS') {
      const { endpoint: name } = parseRoute(request.url ?? '/', ownEndpoint);
      const endpoint = name === undefined ? undefined : this.#context.endpoint(name);
      const headers = endpoint && preflightHeaders(endpoint.configuration.corsAllowedOrigins, request);
      if (headers) {
        response.writeHead(200, addIds(['content-length', '0', ...headers], ids));
        response.end();
        return undefined;
      }
    }
    return admit(this.#context, request, ownEndpoint);
  }

  /** `GET` of the endpoint itself: answered here, because a question about health must not wait behind a scoring call. */
  #answerHealth(
    response: ServerResponse,
    endpoint: RunningEndpoint,
    cors: FlatHeaders,
    ids: RequestIds,
    done: (result: ExchangeResult, bytesIn: number) => void,
  ): void {
    const healthy = [...endpoint.versions.values()].some((version) => version.readyReplicas > 0);
    const more = addIds([...cors], ids);
    if (!healthy) refuse(response, noReadyReplicas(endpoint.name), more);
    else {
      response.writeHead(200, ['content-type', 'text/html; charset=utf-8', 'content-length', '7', ...more]);
      response.end('Healthy');
    }
    done(withoutReplica(healthy ? 200 : 503), 0);
  }

  #record(
    request: IncomingMessage,
    endpoint: string,
    route: Route,
    { requestId }: RequestIds,
    arrival: { readonly time: number; readonly at: number },
    { status, version, replica, queueMs, bytesOut }: ExchangeResult,
    bytesIn: number,
  ): void {
    const ms = performance.now() - arrival.at;
    this.#context.metrics.observe({ endpoint, version, status, ms, queueMs });
    this.#context.log.write({
      time: arrival.time,
      endpoint,
      version,
      replica,
      method: request.method ?? '',
      path: route.path,
      status,
      ms,
      queueMs: queueMs ?? 0,
      bytesIn,
      bytesOut,
      requestId,
    });
  }
}

function isHealthQuestion(request: IncomingMessage, route: Route): boolean {
  return route.path === '/' && (request.method === 'GET' || request.method === 'HEAD');
}

function withoutReplica(status: number): ExchangeResult {
  return { status, version: '', replica: '', queueMs: undefined, bytesOut: 0 };
}
