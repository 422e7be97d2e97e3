import type { Cause, Endpoint, EndpointStatus, VersionSpec } from '../contract/endpoint.ts';
import { endpointState } from '../serving/status.ts';
import { effectiveShares } from '../serving/traffic.ts';
import type { EndpointRecord } from './endpoint-store.ts';
import type { GatewayAuth, GatewayEndpoint, GatewaySample } from './gateway-protocol.ts';
import type { LogSource } from './log-reader.ts';
import type { ReplicaProcess } from './replica-process.ts';
import type { ReplicaRecord } from './replica-record.ts';
import { gatewayEndpoint, presentTraffic, scoringUri } from './routes.ts';
import { VersionController, type VersionHost } from './version-controller.ts';

export interface EndpointHost extends Omit<VersionHost, 'served'> {
  served(endpoint: string, version: string, image: string): void;
  /** The shared listener's port, once it is known. */
  sharedPort(): number | undefined;
  /** Why the endpoint's own port is not open. */
  portProblem(endpoint: string): string | undefined;
}

/** Requests that are under way when an endpoint is deleted get this long. */
const DELETE_DRAIN_MS = 10_000;

/** One endpoint: its versions, and what is told of them. */
export class EndpointController {
  #record: EndpointRecord;
  #versions = new Map<string, VersionController>();
  #updatedTime: string;
  #told = '';
  readonly #gone = Promise.withResolvers<void>();
  readonly #host: EndpointHost;

  constructor(record: EndpointRecord, host: EndpointHost) {
    this.#record = record;
    this.#host = host;
    this.#updatedTime = host.clock().toISOString();
    for (const spec of record.endpoint.spec.versions) this.#versions.set(spec.name, this.#newVersion(spec));
  }

  get name(): string {
    return this.#record.endpoint.metadata.name;
  }
  get record(): EndpointRecord {
    return this.#record;
  }
  get isDeleting(): boolean {
    return this.#record.deleting;
  }
  get isGone(): boolean {
    return this.isDeleting && this.#versions.size === 0;
  }
  get replicaCount(): number {
    return [...this.#versions.values()].reduce((sum, { replicas }) => sum + replicas.length, 0);
  }
  /** Resolves once {@link finish} was called. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Whether it has taken it. */
  async adopt(folder: string, record: ReplicaRecord, process: ReplicaProcess): Promise<boolean> {
    const version = this.#versions.get(record.version);
    await version?.adopt(folder, record, process);
    return version !== undefined;
  }

  remember(folder: string, record: ReplicaRecord): boolean {
    const version = this.#versions.get(record.version);
    version?.remember(folder, record);
    return version !== undefined;
  }

  update(record: EndpointRecord): void {
    this.#record = record;
    const wanted = new Map(record.endpoint.spec.versions.map((spec) => [spec.name, spec]));
    for (const [name, version] of this.#versions) {
      if (!wanted.has(name)) version.leave(Number.POSITIVE_INFINITY);
    }
    for (const [name, spec] of wanted) {
      const version = this.#versions.get(name);
      if (version) version.update(spec);
      else this.#versions.set(name, this.#newVersion(spec));
    }
    this.reconcile();
  }

  /** Remembers what is only kept beside the specification. */
  remark(record: EndpointRecord): void {
    this.#record = record;
  }

  delete(record: EndpointRecord): void {
    this.#record = record;
    for (const version of this.#versions.values()) version.leave(DELETE_DRAIN_MS);
    this.reconcile();
  }

  finish(): void {
    this.#gone.resolve();
  }

  reconcile(): void {
    for (const [name, version] of this.#versions) {
      version.reconcile();
      if (version.isGone) this.#versions.delete(name);
    }
  }

  take(sample: GatewaySample): void {
    const mine = sample.versions.filter(({ endpoint }) => endpoint === this.name);
    for (const [name, version] of this.#versions) {
      version.take(
        mine.find((candidate) => candidate.version === name),
        sample.time,
      );
    }
  }

  /** The endpoint with its present status. */
  endpoint(): Endpoint {
    const status = this.#status();
    const text = JSON.stringify(status);
    if (text !== this.#told) {
      this.#told = text;
      this.#updatedTime = this.#host.clock().toISOString();
    }
    return { ...this.#record.endpoint, status: { ...status, updatedTime: this.#updatedTime } };
  }

  route(auth: GatewayAuth): GatewayEndpoint {
    const versions = [...this.#versions.values()].map((version) => version.routed());
    return gatewayEndpoint(this.#record, auth, versions);
  }

  logSources(): LogSource[] {
    return [...this.#versions.values()].flatMap((version) => version.logSources());
  }

  async maintainLogs(now: number): Promise<void> {
    for (const version of this.#versions.values()) await version.maintainLogs(now);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#versions.values()].map((version) => version.stopAll()));
  }

  #status(): Omit<EndpointStatus, 'updatedTime'> {
    const { endpoint, ownPort, deleting } = this.#record;
    const shares = effectiveShares(presentTraffic(this.#record));
    const versions = endpoint.spec.versions.flatMap(({ name }) => {
      const version = this.#versions.get(name);
      return version ? [version.status(shares.get(name) ?? 0)] : [];
    });
    const verdict = endpointState(versions);
    const taken = this.#portCause();
    const state = deleting ? 'Deleting' : taken ? 'Failed' : verdict.state;
    const error = taken ?? verdict.error;
    const uri = scoringUri(endpoint, this.#host.sharedPort(), ownPort);
    return {
      observedGeneration: endpoint.metadata.generation ?? 0,
      state,
      ...(uri === undefined ? {} : { scoringUri: uri, swaggerUri: uri.replace(/score$/, 'swagger.json') }),
      ...(error === undefined ? {} : { error }),
      versions: taken ? versions.map((version) => ({ ...version, state: 'Failed' as const, error: taken })) : versions,
    };
  }

  #portCause(): Cause | undefined {
    const message = this.#host.portProblem(this.name);
    if (message === undefined) return undefined;
    return {
      code: 'PortInUse',
      message,
      remedy: 'End the other program, or deploy with another port.',
    };
  }

  #newVersion(spec: VersionSpec): VersionController {
    const host = this.#host;
    return new VersionController(this.name, spec, this.#record.served[spec.name], {
      clock: host.clock,
      readinessTimeoutMs: host.readinessTimeoutMs,
      replicasFolder: host.replicasFolder,
      launch: (record, folder) => host.launch(record, folder),
      isIdle: (id) => host.isIdle(id),
      isRouted: (id) => host.isRouted(id),
      isDrained: (id) => host.isDrained(id),
      changed: () => host.changed(),
      served: (version, image) => host.served(this.name, version, image),
      log: (line) => host.log(line),
    });
  }
}
