import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccessToken, EndpointChange, EndpointSecrets, Keys } from '../contract/compute-target.ts';
import type { Endpoint } from '../contract/endpoint.ts';
import type { Home } from '../home/home.ts';
import { bindOnce } from '../http/loopback-port.ts';
import { wrongAuth } from '../serving/wrong-auth.ts';
import { adoptReplicas } from './adoption.ts';
import type { ApplyRequest, SupervisorStatus } from './control-protocol.ts';
import { VERSION } from './control-protocol.ts';
import { DataPlane } from './data-plane.ts';
import { EndpointController, type EndpointHost } from './endpoint-controller.ts';
import { damagedEndpoints, type EndpointRecord, EndpointStore, notFound, withServed } from './endpoint-store.ts';
import type { GatewayAuth } from './gateway-protocol.ts';
import { Launcher } from './launcher.ts';
import type { LogSource } from './log-reader.ts';
import { replicasFolder } from './replica-record.ts';
import { keyHash, SecretStore } from './secret-store.ts';
import { TokenIssuer } from './token-issuer.ts';

export interface SupervisorOptions {
  readonly home: Home;
  readonly clock: () => Date;
  /** Of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly gatewayCommand: readonly string[];
  /** How to start this supervisor again. */
  readonly ownCommand: readonly string[];
  readonly readinessTimeoutMs: number;
  readonly log: (line: string) => void;
}

const LOGS_MS = 500;
const LEVEL_MS = 1000;
/** A gateway that is just being started again takes the new key with its first configuration. */
const KEY_IN_FORCE_MS = 3000;

/** Makes this home's endpoints so, and keeps them so. One a home: the caller holds the lock. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #store: EndpointStore;
  readonly #secrets: SecretStore;
  readonly #tokens: TokenIssuer;
  readonly #plane: DataPlane;
  readonly #launcher: Launcher;
  readonly #controllers = new Map<string, EndpointController>();
  readonly #watchers = new Set<(change: EndpointChange) => void>();
  readonly #told = new Map<string, string>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #started: Date;
  #writing: Promise<unknown> = Promise.resolve();
  /** Not before everything that runs is known: acting on half of it would end the other half. */
  #begun = false;
  #scheduled = false;
  #publishing: Promise<void> | undefined;
  #maintaining = false;
  #stopped = false;

  private constructor(options: SupervisorOptions, store: EndpointStore, openPlane: (self: Supervisor) => DataPlane) {
    this.#options = options;
    this.#store = store;
    this.#secrets = new SecretStore(options.home);
    this.#tokens = new TokenIssuer(options.home, options.clock);
    this.#launcher = new Launcher(options.home, this.#secrets, options.environment);
    this.#plane = openPlane(this);
    this.#started = options.clock();
  }

  /** Reads what shall be, takes over what is, and begins. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const store = await EndpointStore.open(options.home);
    const port = await DataPlane.readPort(options.home);
    const supervisor = new Supervisor(options, store, (self) => self.#newPlane(port));
    for (const record of store.list()) supervisor.#control(record);
    await adoptReplicas(options.home, supervisor.#controllers, options.log);
    supervisor.#begun = true;
    for (const record of store.list())
      if (record.deleting) supervisor.#controllers.get(record.endpoint.metadata.name)?.delete(record);
    supervisor.#timers.push(
      setInterval(() => supervisor.#maintainLogs(), LOGS_MS),
      setInterval(() => supervisor.#changed(), LEVEL_MS),
    );
    supervisor.#changed();
    return supervisor;
  }

  /** Whether there is nothing to look after. */
  get isIdle(): boolean {
    return this.#controllers.size === 0;
  }

  list(): Endpoint[] {
    return [...this.#controllers.values()].map((controller) => controller.endpoint());
  }

  /** @throws AksmlError `service.notFound` */
  get(name: string): Endpoint {
    return this.#controller(name).endpoint();
  }

  /** @throws AksmlError `endpoint.conflict` | `endpoint.exists` | `endpoint.invalid` */
  apply({ endpoint, secrets, requestId }: ApplyRequest): Promise<Endpoint> {
    return this.#alone(async () => {
      const { name } = endpoint.metadata;
      const earlier = this.#store.find(name);
      const prepared = this.#store.prepare(endpoint, requestId, this.#options.clock().toISOString());
      if (prepared === earlier) return this.#control(prepared).endpoint();
      const record = await this.#withPort(prepared);
      await this.#mergeSecrets(record.endpoint, secrets ?? {});
      await this.#store.put(record);
      this.#plane.retryPort(name);
      const controller = this.#controllers.get(name);
      if (controller) controller.update(record);
      else this.#control(record);
      this.#changed();
      return this.#control(record).endpoint();
    });
  }

  /** @throws AksmlError `service.notFound` */
  async delete(name: string): Promise<void> {
    const controller = this.#controllers.get(name);
    if (!controller) return this.#alone(() => this.#deleteDamaged(name));
    await this.#alone(async () => {
      if (controller.isDeleting) return;
      const record = { ...this.#store.get(name), deleting: true };
      await this.#store.put(record);
      controller.delete(record);
      this.#changed();
    });
    await controller.gone;
  }

  /** Nothing of it runs: replicas that belong to no readable record were ended at the start. */
  async #deleteDamaged(name: string): Promise<void> {
    if (!(await damagedEndpoints(this.#options.home)).includes(name)) throw notFound(name);
    await this.#forget(name);
  }

  /** The present state first, then every change, until `unsubscribe` is called. */
  watch(name: string | undefined, listener: (change: EndpointChange) => void): () => void {
    const filtered = (change: EndpointChange) => {
      const subject =
        change.type === 'deleted' ? change.name : change.type === 'synced' ? name : change.endpoint.metadata.name;
      if (name === undefined || subject === name) listener(change);
    };
    for (const endpoint of this.list()) filtered({ type: 'present', endpoint });
    listener({ type: 'synced' });
    this.#watchers.add(filtered);
    return () => this.#watchers.delete(filtered);
  }

  /** The streams of an endpoint's replicas; undefined once it is gone. */
  logSources(name: string): LogSource[] | undefined {
    return this.#controllers.get(name)?.logSources();
  }

  /** @throws AksmlError `service.notFound` | `auth.notKey` */
  async keys(name: string): Promise<Keys> {
    this.#require(name, 'key');
    return this.#secrets.keys(name);
  }

  /** @throws AksmlError `service.notFound` | `auth.notKey` */
  async regenerateKey(name: string, which: 'primary' | 'secondary', value?: string): Promise<Keys> {
    const keys = await this.#alone(() => {
      this.#require(name, 'key');
      return this.#secrets.regenerate(name, which, value);
    });
    await this.#publish();
    await this.#plane.settled(KEY_IN_FORCE_MS);
    return keys;
  }

  /** @throws AksmlError `service.notFound` | `auth.notToken` */
  async accessToken(name: string): Promise<AccessToken> {
    return this.#tokens.issue(this.#require(name, 'token').metadata);
  }

  status(): SupervisorStatus {
    const { port, pid } = this.#plane;
    return {
      pid: process.pid,
      version: VERSION,
      startedTime: this.#started.toISOString(),
      memoryBytes: process.memoryUsage.rss(),
      ...(port === undefined || pid === undefined ? {} : { gateway: { pid, port } }),
      endpoints: [...this.#controllers.values()].map((controller) => ({
        name: controller.name,
        state: controller.endpoint().status?.state ?? 'Transitioning',
        replicas: controller.replicaCount,
      })),
    };
  }

  /** Lets go of everything, which goes on for a successor. */
  async release(): Promise<void> {
    this.#halt();
    await this.#plane.release();
  }

  /** Ends everything that runs; what is deployed stays known. */
  async stop(): Promise<void> {
    this.#halt();
    await this.#plane.stop();
    await Promise.all([...this.#controllers.values()].map((controller) => controller.stopAll()));
  }

  #halt(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  #control(record: EndpointRecord): EndpointController {
    const { name } = record.endpoint.metadata;
    const present = this.#controllers.get(name);
    if (present) return present;
    const controller = new EndpointController(record, this.#endpointHost());
    this.#controllers.set(name, controller);
    return controller;
  }

  #controller(name: string): EndpointController {
    const controller = this.#controllers.get(name);
    if (!controller) throw notFound(name);
    return controller;
  }

  #require(name: string, mode: 'key' | 'token'): Endpoint {
    const { endpoint } = this.#controller(name).record;
    if (endpoint.spec.auth === mode) return endpoint;
    throw wrongAuth(name, mode, endpoint.spec.auth);
  }

  /** A local service without a port of the user's choice gets one, and keeps it. */
  async #withPort(record: EndpointRecord): Promise<EndpointRecord> {
    const { computeType, port } = record.endpoint.spec;
    if (computeType !== 'local') {
      const { ownPort: _, ...rest } = record;
      return rest;
    }
    const taken = new Set(this.#store.list().map(({ ownPort }) => ownPort));
    let ownPort = port || record.ownPort || (await bindOnce(0));
    while (!port && ownPort !== record.ownPort && taken.has(ownPort)) ownPort = await bindOnce(0);
    return { ...record, ownPort };
  }

  async #mergeSecrets({ metadata, spec }: Endpoint, secrets: EndpointSecrets): Promise<void> {
    await this.#secrets.merge(
      metadata.name,
      secrets,
      spec.versions.map((version) => version.name),
    );
  }

  /** Soon after the last of many events: acts on what is, tells what is different, and configures the gateway. */
  #changed(): void {
    if (this.#scheduled || this.#stopped || !this.#begun) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#stopped) return;
      for (const controller of this.#controllers.values()) {
        controller.reconcile();
        if (controller.isGone) void this.#finish(controller);
      }
      this.#publish().catch((error: unknown) => this.#options.log(`publish: ${String(error)}`));
      this.#tell();
    });
  }

  async #finish(controller: EndpointController): Promise<void> {
    const { name } = controller;
    this.#controllers.delete(name);
    await this.#alone(() => this.#forget(name));
    this.#told.delete(name);
    for (const watcher of this.#watchers) watcher({ type: 'deleted', name });
    this.#changed();
    controller.finish();
  }

  async #forget(name: string): Promise<void> {
    await rm(join(replicasFolder(this.#options.home), name), { recursive: true, force: true });
    await this.#secrets.remove(name);
    await this.#store.remove(name);
  }

  #tell(): void {
    for (const controller of this.#controllers.values()) {
      const endpoint = controller.endpoint();
      const text = JSON.stringify(endpoint);
      if (this.#told.get(controller.name) === text) continue;
      this.#told.set(controller.name, text);
      for (const watcher of this.#watchers) watcher({ type: 'changed', endpoint });
    }
  }

  /** One at a time, so that an older state never overtakes a newer one. */
  async #publish(): Promise<void> {
    const before = this.#publishing;
    const turn = (async () => {
      await before?.catch(() => undefined);
      if (this.#stopped) return;
      const endpoints = [...this.#controllers.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
      const auths = await Promise.all(endpoints.map((controller) => this.#authOf(controller.record.endpoint)));
      this.#plane.publish(endpoints.map((controller, index) => controller.route(auths[index] ?? { mode: 'none' })));
    })();
    this.#publishing = turn;
    await turn;
  }

  async #authOf({ metadata, spec }: Endpoint): Promise<GatewayAuth> {
    switch (spec.auth) {
      case 'none':
        return { mode: 'none' };
      case 'token':
        return this.#tokens.verification(metadata);
      case 'key': {
        try {
          const { primaryKey, secondaryKey } = await this.#secrets.keys(metadata.name);
          return { mode: 'key', keyHashes: [keyHash(primaryKey), keyHash(secondaryKey)] };
        } catch (error) {
          // Nobody gets in here, and the other endpoints go on.
          this.#options.log(`${metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
          return { mode: 'key', keyHashes: [] };
        }
      }
    }
  }

  #maintainLogs(): void {
    if (this.#maintaining) return;
    this.#maintaining = true;
    const now = this.#options.clock().getTime();
    Promise.all([...this.#controllers.values()].map((controller) => controller.maintainLogs(now)))
      .catch((error: unknown) => this.#options.log(`logs: ${String(error)}`))
      .finally(() => {
        this.#maintaining = false;
      });
  }

  #remember(name: string, version: string, image: string): void {
    this.#alone(async () => {
      const record = this.#store.find(name);
      if (!record) return;
      const changed = withServed(record, version, image);
      await this.#store.put(changed);
      this.#controllers.get(name)?.remark(changed);
      this.#changed();
    }).catch((error: unknown) => this.#options.log(`${name}: ${String(error)}`));
  }

  #newPlane(port: number): DataPlane {
    const { home, gatewayCommand, ownCommand, environment, log } = this.#options;
    return new DataPlane(
      {
        home,
        command: gatewayCommand,
        environment: { ...environment, AKSML_HOME: home.root, AKSML_SUPERVISOR_COMMAND: JSON.stringify(ownCommand) },
        log,
        onChange: () => this.#changed(),
        onSample: (sample) => {
          for (const controller of this.#controllers.values()) controller.take(sample);
        },
      },
      port,
    );
  }

  #endpointHost(): EndpointHost {
    const { clock, readinessTimeoutMs, home, log } = this.#options;
    return {
      clock,
      readinessTimeoutMs,
      log,
      replicasFolder: replicasFolder(home),
      launch: (record, folder) => this.#launcher.launch(record, folder),
      changed: () => this.#changed(),
      served: (endpoint, version, image) => this.#remember(endpoint, version, image),
      isIdle: (id) => this.#plane.isIdle(id),
      isRouted: (id) => this.#plane.isRouted(id),
      isDrained: (id) => this.#plane.isDrained(id),
      sharedPort: () => this.#plane.port,
      portProblem: (endpoint) => this.#plane.portProblem(endpoint),
    };
  }

  /** Writes follow one another: each begins from what the one before has left. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#writing.then(work);
    this.#writing = result.catch(() => undefined);
    return result;
  }
}
