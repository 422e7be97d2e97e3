import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Home } from '../home/home.ts';
import { BodyStore } from '../serving/request-body.ts';
import { RunningEndpoint } from './gateway-endpoint.ts';
import { Exchange } from './gateway-exchange.ts';
import { answerClientError, canUpgrade, LoopbackListener, portTaken } from './gateway-listeners.ts';
import { AccessLog } from './gateway-log.ts';
import { GatewayMetrics, type ObservedVersion } from './gateway-metrics.ts';
import type { GatewayConfiguration, GatewaySample } from './gateway-protocol.ts';
import { type RequestContext, RequestHandler } from './gateway-request.ts';
import { handleUpgrade } from './gateway-upgrade.ts';
import type { RunningVersion } from './gateway-version.ts';

const LONGEST_STOP_MS = 60_000;

/** No endpoint has this name: for a port between two configurations. */
const NOBODY = '';

interface OwnListener {
  readonly listener: LoopbackListener;
  /** The endpoint that has the port; changes hands with a configuration. */
  endpoint: string;
}

/** The data plane of this machine: listeners, endpoints and what is on its way. */
export class Gateway {
  readonly metrics: GatewayMetrics;
  readonly log: AccessLog;
  readonly #context: RequestContext;
  readonly #handler: RequestHandler;
  readonly #bodies: BodyStore;
  #endpoints: ReadonlyMap<string, RunningEndpoint> = new Map();
  #shared: LoopbackListener | undefined;
  #own: ReadonlyMap<number, OwnListener> = new Map();
  #configuring: Promise<unknown> = Promise.resolve();
  #stopping = false;

  constructor(home: Home, random: () => number = Math.random) {
    this.log = new AccessLog(join(home.local, 'logs', 'gateway.log'));
    this.#bodies = new BodyStore(join(home.local, 'bodies'));
    this.metrics = new GatewayMetrics(() => this.#observe());
    this.#context = {
      endpoint: (name) => this.#endpoints.get(name),
      bodies: this.#bodies,
      log: this.log,
      metrics: this.metrics,
      random,
    };
    this.#handler = new RequestHandler(this.#context);
  }

  async open(): Promise<void> {
    await this.#bodies.open();
  }

  /** The shared listener's; 0 before the first configuration. */
  get port(): number {
    return this.#shared?.port ?? 0;
  }

  /**
   * Puts a configuration in force, whole or not at all: each request sees the old one or the new one.
   * @throws AksmlError `gateway.portTaken` with the port as its subject; then nothing has changed
   */
  configure(configuration: GatewayConfiguration): Promise<void> {
    const turn = this.#configuring.then(() => this.#configure(configuration));
    this.#configuring = turn.catch(() => undefined);
    return turn;
  }

  sample(): GatewaySample {
    const versions = this.#versions().map((version) => version.sample());
    return { time: performance.now(), port: this.port, versions };
  }

  /** Takes nothing new, answers what it holds, and ends; a stream without an end is cut after a minute. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#configuring;
    const listeners = [...this.#listeners()];
    for (const listener of listeners) listener.close();
    const deadline = performance.now() + LONGEST_STOP_MS;
    while (this.#handler.active > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      for (const listener of listeners) listener.closeIdleConnections();
    }
    for (const version of this.#versions()) version.close();
    await this.log.close();
  }

  async #configure(configuration: GatewayConfiguration): Promise<void> {
    const prepared = await Promise.all(
      configuration.endpoints.map((endpoint) => RunningEndpoint.prepare(endpoint, this.#endpoints.get(endpoint.name))),
    );
    const listeners = await this.#openListeners(configuration);

    const before = this.#endpoints;
    this.#endpoints = new Map(prepared.map((endpoint) => endpoint.take()).map((endpoint) => [endpoint.name, endpoint]));
    const closed = [...this.#listeners()];
    this.#shared = listeners.shared;
    this.#own = listeners.own;
    const kept = new Set(this.#listeners());
    for (const listener of closed) if (!kept.has(listener)) listener.close();
    for (const endpoint of before.values()) this.#settle(endpoint);
  }

  /** Sends on who waits for a version that is gone, and cuts what is not in the configuration any more. */
  #settle(before: RunningEndpoint): void {
    const endpoint = this.#endpoints.get(before.name);
    for (const version of before.versions.values()) {
      if (!endpoint?.isServed(version)) this.#sendOn(version, endpoint);
      if (endpoint?.versions.get(version.name) !== version) version.close();
    }
  }

  #sendOn(version: RunningVersion, endpoint: RunningEndpoint | undefined): void {
    const exchanges: Exchange[] = [];
    const isGone = endpoint?.versions.get(version.name) !== version;
    const tickets = version.takeQueued((applicant) => {
      const takes = applicant instanceof Exchange && (isGone || !applicant.isPinned);
      if (takes) exchanges.push(applicant);
      return takes;
    });
    for (const [index, exchange] of exchanges.entries()) {
      if (endpoint && exchange.isPinned) exchange.dismiss();
      else exchange.enter(endpoint, tickets[index]?.since);
    }
  }

  async #openListeners(configuration: GatewayConfiguration) {
    const opened: LoopbackListener[] = [];
    const open = async (port: number, own: () => string | undefined) => {
      const listener = await LoopbackListener.open(port, (server) => this.#attach(server, own));
      opened.push(listener);
      return listener;
    };
    try {
      const keepsShared = this.#shared && (configuration.port === 0 || configuration.port === this.#shared.port);
      const shared = (keepsShared && this.#shared) || (await open(configuration.port, () => undefined));
      const own = new Map<number, OwnListener>();
      for (const { name, ownPort } of configuration.endpoints) {
        if (ownPort === undefined) continue;
        const known = this.#own.get(ownPort);
        if (own.has(ownPort)) throw portTaken(ownPort, 'Two endpoints ask for it.');
        const listener = known?.listener ?? (await open(ownPort, () => this.#own.get(ownPort)?.endpoint ?? NOBODY));
        own.set(ownPort, { listener, endpoint: name });
      }
      return { shared, own };
    } catch (error) {
      for (const listener of opened) listener.close();
      throw error;
    }
  }

  #attach(server: Server, own: () => string | undefined): void {
    const take = (mustContinue: boolean) => (request: IncomingMessage, response: ServerResponse) => {
      if (this.#stopping) response.shouldKeepAlive = false;
      this.#handler.handle(request, response, own(), mustContinue).catch((error: unknown) => {
        this.log.note(`A request failed inside the gateway: ${error instanceof Error ? error.stack : error}`);
        response.destroy();
      });
    };
    server.on('request', take(false));
    server.on('checkContinue', take(true));
    server.on('clientError', answerClientError);
    if (!canUpgrade(process.versions.node)) return;
    server.on('upgrade', (request, socket, head) => {
      handleUpgrade(this.#context, request, socket, head, own()).catch(() => socket.destroy());
    });
  }

  *#listeners(): Generator<LoopbackListener> {
    if (this.#shared) yield this.#shared;
    for (const { listener } of this.#own.values()) yield listener;
  }

  #versions(): RunningVersion[] {
    return [...this.#endpoints.values()].flatMap((endpoint) => [...endpoint.versions.values()]);
  }

  #observe(): ObservedVersion[] {
    return this.#versions().map((version) => ({
      ...version.sample(),
      readyReplicas: version.readyReplicas,
      maxConcurrentRequestsPerContainer: version.configuration.maxConcurrentRequestsPerContainer,
    }));
  }
}
