import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { ROUTER_PORTS } from '../names.ts';
import { Activator, type AnotherRouter } from './activator.ts';
import { startAgentServer } from './agent-server.ts';
import { fetchClusterKeys } from './cluster-keys.ts';
import { withWaiting } from './cold-queue.ts';
import { SOCKETS } from './haproxy-names.ts';
import { LoadSampler } from './load-sampler.ts';
import { RequestLog } from './request-log.ts';
import { Router } from './router.ts';
import { RouterMetrics } from './router-metrics.ts';
import type { RouterLoad, RoutingTable } from './routing-table.ts';
import { type Saturation, SaturationProbe } from './saturation.ts';
import { type RouterOrders, TableSource } from './table-source.ts';
import { keepTelling } from './telling.ts';
import { serveTokens } from './token-socket.ts';
import { TokenVerifier } from './token-verifier.ts';

export interface AgentOptions {
  readonly kube: KubeClient;
  /** Those whose endpoints are served. */
  readonly namespaces: readonly string[];
  /** Where the routers are; default: aksml's own namespace. */
  readonly systemNamespace?: string;
  /** Of its pod. */
  readonly name: string;
  /** Of its pod. */
  readonly podAddress: string;
  /** The executable of HAProxy. */
  readonly haproxy: string;
  /** Private, and small: sockets, and what HAProxy reads. */
  readonly folder: string;
  /** For request bodies that are too large for memory. */
  readonly spool: string;
  /** Bytes of all of them together. */
  readonly mostSpooled: number;
  /** What to listen on; default: all addresses. */
  readonly address?: string;
  readonly ports?: typeof ROUTER_PORTS | Readonly<Record<keyof typeof ROUTER_PORTS, number>>;
  readonly logPort: number;
  readonly threads: number;
  readonly maxConnections: number;
  /** Milliseconds from the news that this router leaves until nobody sends requests here any more. */
  readonly leavingMs: number;
  readonly log: (entry: AgentLogEntry) => void;
}

export interface AgentLogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly [detail: string]: unknown;
}

const NO_TABLE: RoutingTable = { endpoints: [], routers: [] };
const RETRY_MS = 500;
/** How often HAProxy is asked how much it has to do. */
const SAMPLE_MS = 100;
/** How often it is measured what HAProxy adds to a request. */
const MEASURE_MS = 250;
/** How often it is judged which replicas fail where others work, and of how many requests HAProxy shall tell. */
const HEED_MS = 1000;
/** What is held when HAProxy is to end: bodies that arrive, requests that wait. */
const LONGEST_HOLD_MS = 90_000;
const POLL_MS = 50;

/** One router: HAProxy, what it cannot do itself, and all that tells it what to do. */
export class RouterAgent {
  readonly #options: AgentOptions;
  readonly #router: Router;
  readonly #source: TableSource;
  readonly #verifier: TokenVerifier;
  readonly #metrics: RouterMetrics;
  #activator: Activator | undefined;
  #load: RouterLoad;
  #orders: RouterOrders | undefined;
  #inForce: RouterOrders | undefined;
  #saturation: Saturation | undefined;
  #leftAt: number | undefined;
  #news = Promise.withResolvers<void>();

  constructor(options: AgentOptions) {
    const { kube, name, log, ports = ROUTER_PORTS } = options;
    this.#options = options;
    this.#load = { router: name, time: performance.now(), versions: [] };
    this.#metrics = new RouterMetrics(() => ({
      load: this.#loadNow(),
      table: this.#inForce?.table ?? NO_TABLE,
      activator: this.#activator?.figures() ?? { held: 0, bytesHeld: 0, copied: new Map(), dropped: new Map() },
      inForce: this.#isInForce(),
    }));
    this.#router = new Router({
      name,
      folder: options.folder,
      haproxy: options.haproxy,
      address: options.address ?? '*',
      port: ports.http,
      tlsPort: ports.https,
      hopPort: ports.hop,
      logPort: options.logPort,
      threads: options.threads,
      maxConnections: options.maxConnections,
      log: (line) => log({ level: 'info', message: line, from: 'haproxy' }),
      inForce: (table) => this.#activator?.update(table),
    });
    this.#verifier = new TokenVerifier({
      fetchKeys: (signal) => fetchClusterKeys(kube, signal),
      onError: (error) => log({ level: 'warn', message: said(error) }),
    });
    this.#source = new TableSource({
      kube,
      namespaces: options.namespaces,
      ...(options.systemNamespace === undefined ? {} : { systemNamespace: options.systemNamespace }),
      self: { name, address: options.podAddress, hopPort: ports.hop },
      onOrders: (orders) => this.#take(orders),
      onError: (resource, namespace, error) => {
        this.#metrics.watchInterrupted(resource.plural);
        log({ level: 'warn', message: `watching ${resource.plural}: ${said(error)}`, namespace });
      },
    });
  }

  /** Whether clients may be sent here. */
  get ready(): boolean {
    return this.#inForce !== undefined && this.#leftAt === undefined;
  }

  /**
   * Serves until the signal, then leaves: others take its endpoints, what still comes is answered until nobody sends anything any more, and
   * HAProxy ends when all that it has is answered. @throws AksmlError `router.haproxyFailed`, and what opening sockets throws
   */
  async run(signal: AbortSignal): Promise<void> {
    const { folder, spool, mostSpooled, address, ports = ROUTER_PORTS, logPort, log } = this.#options;
    const ending = new AbortController();
    const path = (socket: string) => join(folder, socket);
    const tokens = await serveTokens(path(SOCKETS.tokens), (...question) => this.#verifier.verify(...question));
    const activator = await Activator.open({
      socket: path(SOCKETS.activator),
      self: path(SOCKETS.self),
      spool,
      mostSpooled,
      another: () => this.#another(),
    });
    this.#activator = activator;
    const requestLog = await RequestLog.listen(logPort);
    const server = await startAgentServer(ports.agent, address, {
      ready: () => this.ready,
      load: () => this.#loadNow(),
      secrets: () => this.#orders?.secrets.hop ?? [],
      metrics: this.#metrics,
    });
    const failed = (error: unknown) => log({ level: 'warn', message: said(error) });
    await this.#router.start();
    void this.#verifier.prepare();
    const working = Promise.all([
      this.#source.run(ending.signal),
      this.#obey(ending.signal),
      this.#sample(new LoadSampler(this.#router, requestLog), ending.signal),
      this.#heed(requestLog, ending.signal),
      keepTelling(this.#router, requestLog, ending.signal, failed),
      this.#measure(new SaturationProbe(ports.http), ending.signal),
    ]);
    await Promise.race([working, untilAborted(signal)]);
    log({ level: 'info', message: 'leaves: others are asked to serve its endpoints' });
    await this.#leave(activator);
    ending.abort();
    await working;
    await activator.close();
    tokens.close();
    requestLog.close();
    server.closeAllConnections();
    server.close();
    log({ level: 'info', message: 'has answered everything and ends' });
  }

  #take(orders: RouterOrders): void {
    this.#orders = orders;
    if (this.#source.leaving) this.#leftAt ??= performance.now();
    this.#news.resolve();
  }

  #isInForce(): boolean {
    return this.#inForce !== undefined && this.#inForce === this.#orders;
  }

  /** Makes HAProxy do what was ordered last, one change after the other. */
  async #obey(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true });
    for (;;) {
      await this.#news.promise;
      const orders = this.#orders;
      if (signal.aborted || orders === undefined) return;
      this.#news = Promise.withResolvers();
      const begun = performance.now();
      try {
        await this.#router.configure(orders.table, orders.secrets, orders.settings);
        this.#metrics.changed('success', performance.now() - begun);
        if (this.#inForce === undefined) {
          log({ level: 'info', message: 'serves', endpoints: orders.table.endpoints.length });
        }
        this.#inForce = orders;
      } catch (error) {
        this.#metrics.changed('failed', performance.now() - begun);
        log({ level: 'error', message: said(error) });
        this.#news.resolve();
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #sample(sampler: LoadSampler, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // While HAProxy is being started again there is nothing to tell.
      this.#load = await sampler.sample().catch(() => this.#load);
      await sleep(SAMPLE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #heed(requestLog: RequestLog, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    while (!signal.aborted) {
      await sleep(HEED_MS, undefined, { signal }).catch(() => undefined);
      const shunned = this.#router.shun(requestLog.takeServers());
      await shunned.catch((error: unknown) => log({ level: 'warn', message: said(error) }));
    }
  }

  async #measure(probe: SaturationProbe, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#saturation = await probe.sample();
      await sleep(MEASURE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #loadNow(): RouterLoad {
    return { ...withWaiting(this.#load, this.#activator?.waiting() ?? new Map()), ...this.#saturation };
  }

  #another(): AnotherRouter | undefined {
    const other = this.#orders?.table.routers.find(({ name }) => name !== this.#options.name);
    const [secret] = this.#orders?.secrets.hop ?? [];
    if (other === undefined || secret === undefined) return undefined;
    const host = other.address.includes(':') ? `[${other.address}]` : other.address;
    return { origin: `http://${host}:${other.hopPort}`, secret };
  }

  async #leave(activator: Activator): Promise<void> {
    this.#leftAt ??= performance.now();
    this.#source.leave();
    await sleep(Math.max(0, this.#leftAt + this.#options.leavingMs - performance.now()));
    // HAProxy's own listener, which what is held comes back to, closes with the others.
    const deadline = performance.now() + LONGEST_HOLD_MS;
    while (activator.figures().held > 0 && performance.now() < deadline) await sleep(POLL_MS);
    await this.#router.stop();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function said(error: unknown): string {
  if (AksmlError.is(error) && error.cause instanceof Error) return `${error.message} ${error.cause.message}`;
  return error instanceof Error ? error.message : String(error);
}
