import type { EndpointStatus } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { InformerChange } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { electLeader } from '../../kube/lease.ts';
import { keyOf } from '../../kube/object.ts';
import { PODS, SECRETS, type StoredEndpoint } from '../../kube/resource.ts';
import { CONTROLLER_NAME, SYSTEM_NAMESPACE } from '../names.ts';
import { Announcer, isNews } from './announcer.ts';
import { AuthPublisher, hopSecret } from './auth-publisher.ts';
import { CertificateKeeper } from './certificate-keeper.ts';
import { ClusterCache } from './cluster-cache.ts';
import { FrontEndView } from './front-end-view.ts';
import { LoadFollower } from './load-follower.ts';
import type { ControllerMetrics } from './metrics.ts';
import { type BeforeWrite, ObjectWriter } from './object-writer.ts';
import { PodDiagnosis } from './pod-diagnosis.ts';
import { Reconciler } from './reconciler.ts';
import { RouterScaler } from './router-scaler.ts';
import { SpecHistory } from './spec-history.ts';
import { WorkQueue } from './work-queue.ts';

export interface ControllerOptions {
  readonly kube: KubeClient;
  /** Those whose endpoints are served. */
  readonly namespaces: readonly string[];
  /** Unlike that of any other process: a pod's name and uid. */
  readonly identity: string;
  readonly log: (entry: LogEntry) => void;
  readonly metrics?: ControllerMetrics;
  readonly clock?: () => Date;
  /** Where the Lease is, and what routers are told; default: aksml's own namespace. */
  readonly systemNamespace?: string;
  /** Milliseconds, in the order of Kubernetes' own components: 15, 10 and 2 s. */
  readonly leaseMs?: number;
  readonly renewMs?: number;
  readonly retryMs?: number;
  readonly inPlaceAfterMs?: number;
}

export interface LogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  /** `namespace/name` */
  readonly endpoint?: string;
  readonly [detail: string]: unknown;
}

const CONCURRENCY = 8;

/** Keeps the cluster as its Endpoints ask for: one instance leads, the others stand by with warm caches. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #cache: ClusterCache;
  readonly #history = new SpecHistory();
  readonly #diagnosis: PodDiagnosis;
  readonly #announcer: Announcer;
  readonly #writer: ObjectWriter;
  readonly #publisher: AuthPublisher;
  readonly #frontEnd: FrontEndView;
  readonly #load: LoadFollower;
  readonly #certificates: CertificateKeeper;
  readonly #routers: RouterScaler;
  readonly #reconciler: Reconciler;
  #queue: WorkQueue | undefined;
  #leading = false;
  /** Asked before every write: a process that slept must not go on where it was. */
  #holdsLease = () => false;

  constructor(options: ControllerOptions) {
    const { kube, namespaces, metrics } = options;
    const clock = options.clock ?? (() => new Date());
    this.#options = options;
    this.#cache = new ClusterCache(kube, namespaces, {
      onChange: (endpoint) => {
        this.#queue?.add(endpoint);
        this.#publisher.changed(endpoint);
      },
      onEndpoint: (change) => this.#onEndpoint(change),
      onError: (resource, namespace, error) => {
        metrics?.watchInterrupted(resource.plural);
        options.log({ level: 'warn', message: `watching ${resource.plural}: ${said(error)}`, namespace });
      },
    });
    const warn = (error: unknown) => options.log({ level: 'warn', message: said(error) });
    this.#announcer = new Announcer(kube, clock, warn);
    this.#diagnosis = new PodDiagnosis(kube, () => clock().getTime(), warn);
    const beforeWrite: BeforeWrite = (verb, resource) => {
      if (!this.#holdsLease()) throw AksmlError.cancelled('Leading');
      metrics?.wrote(verb, resource);
    };
    this.#writer = new ObjectWriter(kube, beforeWrite);
    this.#publisher = new AuthPublisher({ kube, cache: this.#cache, namespace: this.#namespace, beforeWrite, warn });
    this.#frontEnd = new FrontEndView(kube, this.#namespace, () => this.#lookAtAll(), warn);
    this.#certificates = new CertificateKeeper({
      kube,
      namespace: this.#namespace,
      beforeWrite,
      clock,
      log: (message) => options.log({ level: 'info', message }),
      warn,
    });
    this.#routers = new RouterScaler({
      kube,
      namespace: this.#namespace,
      beforeWrite,
      log: (message) => options.log({ level: 'info', message }),
      warn,
    });
    this.#load = new LoadFollower({
      kube,
      cache: this.#cache,
      namespace: this.#namespace,
      beforeWrite,
      log: (message, { metadata }, version) =>
        options.log({ level: 'info', message, endpoint: keyOf(metadata), version }),
      warn,
      onLoad: (load) => this.#routers.heard(load, performance.now()),
      onNews: (endpoint) => this.#queue?.add(endpoint),
    });
    this.#reconciler = new Reconciler({
      load: this.#load,
      frontEnd: this.#frontEnd,
      cache: this.#cache,
      writer: this.#writer,
      diagnosis: this.#diagnosis,
      history: this.#history,
      clock,
      onStatus: (endpoint, status) => this.#onStatus(endpoint, status),
      ...(options.inPlaceAfterMs === undefined ? {} : { inPlaceAfterMs: options.inPlaceAfterMs }),
    });
  }

  /** Whether it knows what is there and is told what changes, so that it could lead at once. */
  get ready(): boolean {
    return this.#cache.synced && !this.#cache.lacksRights;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Works until the signal, then gives the leadership back. */
  async run(signal: AbortSignal): Promise<void> {
    const { kube, identity, log, leaseMs, renewMs, retryMs } = this.#options;
    const watching = this.#cache.run(signal);
    const watchingRouters = [this.#publisher.watch(signal), this.#frontEnd.run(signal)];
    const namespace = this.#namespace;
    await electLeader(
      kube,
      {
        lease: { namespace, name: CONTROLLER_NAME },
        identity,
        lead: (leading, holds) => this.#lead(leading, holds),
        onChange: ({ type, leader }) => log({ level: 'info', message: `leadership: ${type}`, leader }),
        onError: (error) => log({ level: 'warn', message: `leader election: ${said(error)}` }),
        ...(leaseMs === undefined ? {} : { leaseMs }),
        ...(renewMs === undefined ? {} : { renewMs }),
        ...(retryMs === undefined ? {} : { retryMs }),
      },
      signal,
    );
    await Promise.all([watching, ...watchingRouters]);
  }

  get #namespace(): string {
    return this.#options.systemNamespace ?? SYSTEM_NAMESPACE;
  }

  async #lead(signal: AbortSignal, holds: () => boolean): Promise<void> {
    const { log, metrics } = this.#options;
    const queue = new WorkQueue({
      concurrency: CONCURRENCY,
      work: async (key, stop) => {
        const begun = performance.now();
        const recheck = await this.#reconciler.reconcile(key, stop);
        metrics?.reconciled('success', performance.now() - begun);
        return recheck;
      },
      onBegin: (waitedMs) => metrics?.waited(waitedMs),
      onError: (key, error, retryMs) => {
        metrics?.reconciled(mendsItself(error) ? 'repeated' : 'failed', undefined);
        if (mendsItself(error)) return;
        log({ level: 'warn', message: said(error), endpoint: key, retryMs });
      },
    });
    this.#queue = queue;
    this.#leading = true;
    this.#holdsLease = holds;
    metrics?.observe(() => ({ leading: this.#leading, depth: queue.depth, endpoints: this.#states() }));
    try {
      await Promise.race([this.#cache.endpoints.whenSynced, aborted(signal)]);
      this.#lookAtAll();
      await Promise.all([queue.run(signal), this.#serveRouters(signal)]);
    } finally {
      this.#leading = false;
      this.#queue = undefined;
    }
  }

  #lookAtAll(): void {
    for (const endpoint of this.#cache.endpoints.list()) this.#lookAt(endpoint);
  }

  /** At once where somebody waits for what was asked for. */
  #lookAt({ metadata, status }: StoredEndpoint): void {
    this.#queue?.add(keyOf(metadata), status?.observedGeneration === metadata.generation ? 'soon' : 'now');
  }

  /** What the routers need of the leader. */
  async #serveRouters(signal: AbortSignal): Promise<void> {
    await this.#writer
      .createOnce({ resource: SECRETS, object: hopSecret(this.#namespace) }, signal)
      .catch((error: unknown) => this.#options.log({ level: 'warn', message: `the routers' secret: ${said(error)}` }));
    await Promise.all([this.#publisher, this.#load, this.#certificates, this.#routers].map((one) => one.run(signal)));
  }

  #onEndpoint(change: InformerChange<StoredEndpoint>): void {
    this.#history.note(change);
    const { object } = change;
    const key = keyOf(object.metadata);
    this.#publisher.changed(key);
    if (object.metadata.deletionTimestamp !== undefined) this.#lookAtNamesakes(object);
    if (change.type !== 'deleted') {
      this.#lookAt(object);
      return;
    }
    this.#reconciler.forget(object);
    this.#load.forget(object);
    this.#queue?.forget(key);
    for (const pod of this.#cache.belongingTo(PODS, object.metadata.namespace ?? '', object.metadata.name)) {
      this.#diagnosis.forget(pod.metadata.uid ?? '');
    }
    this.#lookAtNamesakes(object);
  }

  /** Whoever waits for its name has it now, or is told that it will. */
  #lookAtNamesakes({ metadata: { name, uid } }: StoredEndpoint): void {
    for (const { metadata } of this.#cache.named(name)) if (metadata.uid !== uid) this.#queue?.add(keyOf(metadata));
  }

  #onStatus(endpoint: StoredEndpoint, status: EndpointStatus): void {
    this.#announcer.announce(endpoint, status);
    if (!isNews(endpoint.status, status)) return;
    this.#options.log({
      level: status.error === undefined ? 'info' : 'warn',
      message:
        status.error === undefined ? status.state : `${status.state}: ${status.error.code}: ${status.error.message}`,
      endpoint: keyOf(endpoint.metadata),
    });
  }

  #states(): ReadonlyMap<string, number> {
    const states = new Map<string, number>();
    for (const { status } of this.#cache.endpoints.list()) {
      const state = status?.state ?? 'Transitioning';
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    return states;
  }
}

/** Somebody else was faster, or the cache is a moment behind: the next look settles it. */
function mendsItself(error: unknown): boolean {
  return (
    AksmlError.is(error) && ['kube.conflict', 'kube.notFound', 'controller.notSynced', 'cancelled'].includes(error.code)
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
