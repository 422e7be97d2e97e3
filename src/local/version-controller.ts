import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReplicaStatus, Scale, VersionSpec, VersionStatus } from '../contract/endpoint.ts';
import { type AutoscaleState, decide, NO_HISTORY, observe } from '../serving/autoscale.ts';
import { utilization } from '../serving/replicas.ts';
import { versionState } from '../serving/status.ts';
import type { VersionSample } from './gateway-protocol.ts';
import type { LogSource } from './log-reader.ts';
import { Replica, type ReplicaHost, replicaLogs } from './replica.ts';
import { fixedPort } from './replica-launch.ts';
import type { ReplicaProcess } from './replica-process.ts';
import { type ReplicaRecord, writeReplicaRecord } from './replica-record.ts';
import { planRollout } from './rollout.ts';
import type { RoutedVersion } from './routes.ts';

export interface VersionHost extends Omit<ReplicaHost, 'livenessProbe'> {
  readonly replicasFolder: string;
  /** Whether a replica that gets nothing new has finished what it had. */
  isDrained(id: string): boolean;
  /** Whether the gateway sends requests to a replica. */
  isRouted(id: string): boolean;
  /** What serves from now on; to be remembered over restarts of the supervisor. */
  served(version: string, image: string): void;
  log(line: string): void;
}

/** A run folder whose replica is gone; kept for its log. */
export interface PastReplica {
  readonly folder: string;
  readonly record: ReplicaRecord;
  readonly logs: Replica['logs'];
}

const KEPT_PAST_REPLICAS = 3;
/** A replica inside `init()` would not hear a polite request. */
const UNREADY_GRACE_MS = 500;
/** Beyond the scoring time-out, for answers that are on their way. */
const DRAIN_MARGIN_MS = 2000;

/** Keeps one version's replicas as its specification wants them. Every call is cheap and may be repeated: it acts on what is, not on what happened. */
export class VersionController {
  readonly endpoint: string;
  readonly name: string;
  #spec: VersionSpec;
  #going = false;
  #served: string | undefined;
  #replicas: Replica[] = [];
  #past: PastReplica[] = [];
  #autoscale: AutoscaleState = NO_HISTORY;
  #scaled: number | undefined;
  #sample: VersionSample | undefined;
  #drainLimitMs = Number.POSITIVE_INFINITY;
  readonly #host: VersionHost;

  constructor(endpoint: string, spec: VersionSpec, served: string | undefined, host: VersionHost) {
    this.endpoint = endpoint;
    this.name = spec.name;
    this.#spec = spec;
    this.#served = served;
    this.#host = host;
  }

  get isGone(): boolean {
    return this.#going && this.#replicas.length === 0;
  }
  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  /** Takes over a replica of an earlier supervisor. */
  async adopt(folder: string, record: ReplicaRecord, process: ReplicaProcess): Promise<void> {
    const replica = new Replica(folder, record, this.#replicaHost());
    await replica.adopt(process);
    this.#replicas.push(replica);
    this.#replicas.sort((a, b) => a.record.createdTime.localeCompare(b.record.createdTime));
  }

  /** Keeps the logs of a replica that an earlier supervisor had. */
  remember(folder: string, record: ReplicaRecord): void {
    this.#past.push({ folder, record, logs: replicaLogs(folder, record) });
    this.#forgetOldLogs();
  }

  update(spec: VersionSpec): void {
    this.#spec = spec;
    this.#going = false;
    // Who deploys again has changed something, perhaps around the deployment and not in it: do not make them wait for the next attempt, nor
    // judge by the last one.
    for (const replica of this.#replicas) replica.retry();
    this.reconcile();
  }

  /** Ends all replicas: each when it has finished what it has, at the latest after `limitMs`. */
  leave(limitMs: number): void {
    this.#going = true;
    // So does what is remembered of the endpoint: a version that comes back has to serve anew before it gets traffic.
    this.#served = undefined;
    this.#drainLimitMs = limitMs;
    this.reconcile();
  }

  reconcile(): void {
    this.#collectEnded();
    const plan = planRollout({
      wanted: this.#going ? undefined : { image: this.#spec.image, replicas: this.#desired() },
      served: this.#served,
      replicas: this.#replicas.map((replica) => ({
        id: replica.id,
        image: replica.record.image,
        ready: replica.isReady,
        draining: replica.drainingSince !== undefined,
      })),
      exclusive: fixedPort(this.#spec.container) !== undefined,
    });
    for (const image of plan.start) this.#start(image);
    for (const id of plan.stop) this.#retire(id);
    for (const id of plan.drain) this.#drain(id);
    if (plan.served !== undefined && plan.served !== this.#served) {
      this.#served = plan.served;
      this.#host.served(this.name, plan.served);
    }
    this.#stopDrained();
  }

  /** What the gateway saw of this version. */
  take(sample: VersionSample | undefined, time: number): void {
    this.#sample = sample;
    this.#stopDrained();
    const scale = this.#scale;
    if (!sample || scale.kind !== 'auto') return;
    if ((this.#autoscale.recent.at(-1)?.time ?? 0) > time) this.#autoscale = NO_HISTORY; // another gateway, another clock
    this.#autoscale = observe(this.#autoscale, {
      time,
      busy: busyIn(sample),
      queued: sample.queued,
      arrived: sample.requests,
      ...(sample.completed === undefined ? {} : { completed: sample.completed }),
    });
    const settings = { ...scale, maxConcurrentRequestsPerContainer: this.#spec.maxConcurrentRequestsPerContainer };
    const { replicas, state, direction } = decide(settings, this.#autoscale, this.#desired(), time);
    this.#autoscale = state;
    this.#scaled = replicas;
    if (direction !== 'hold') this.#host.changed();
  }

  status(effectiveTraffic: number): VersionStatus {
    const replicas = this.#replicas.map((replica) => this.#replicaStatus(replica));
    const { image } = this.#spec;
    const scale = this.#scale;
    const desiredReplicas = this.#going ? 0 : this.#desired();
    const requiredReplicas = scale.kind === 'fixed' ? scale.replicas : scale.minReplicas;
    const verdict = versionState({ image, desiredReplicas, requiredReplicas, replicas });
    const used = this.#sample && this.#utilization(this.#sample, verdict.availableReplicas);
    return {
      name: this.name,
      desiredReplicas,
      effectiveTraffic,
      ...verdict,
      ...(used === undefined ? {} : { utilization: used }),
      replicas,
    };
  }

  routed(): RoutedVersion {
    return {
      name: this.name,
      spec: this.#spec,
      replicas: this.#replicas.map((replica) => ({
        id: replica.id,
        image: replica.record.image,
        port: replica.port,
        isReady: replica.isReady,
        isDraining: replica.drainingSince !== undefined,
      })),
    };
  }

  logSources(): LogSource[] {
    return [...this.#past, ...this.#replicas].flatMap(({ record, logs }) =>
      (['stdout', 'stderr'] as const).map((stream) => ({
        version: this.name,
        replica: record.id,
        stream,
        log: logs[stream],
        ...(record.initEnd === undefined ? {} : { initEnd: record.initEnd }),
      })),
    );
  }

  async maintainLogs(now: number): Promise<void> {
    for (const { logs } of this.#replicas) {
      await logs.stdout.maintain(now);
      await logs.stderr.maintain(now);
    }
  }

  /** Ends everything at once. */
  async stopAll(): Promise<void> {
    this.#going = true;
    await Promise.all(this.#replicas.map((replica) => replica.stop()));
    this.#collectEnded();
  }

  /** Who reads "ready" sends a request at once: so the gateway must know first. */
  #replicaStatus(replica: Replica): ReplicaStatus {
    const status = replica.status();
    return status.state === 'ready' && !this.#host.isRouted(replica.id) ? { ...status, state: 'starting' } : status;
  }

  /** Nothing here holds a request until a first replica is there: one always is. */
  get #scale(): Scale {
    const { scale } = this.#spec;
    return scale.kind === 'auto' ? { ...scale, minReplicas: Math.max(1, scale.minReplicas) } : scale;
  }

  #desired(): number {
    const scale = this.#scale;
    if (scale.kind === 'fixed') return scale.replicas;
    // A new supervisor begins with what it found.
    const present = this.#scaled ?? this.#replicas.filter(({ drainingSince }) => drainingSince === undefined).length;
    return Math.min(scale.maxReplicas, Math.max(scale.minReplicas, present));
  }

  #utilization(sample: VersionSample, replicas: number): number | undefined {
    const exact = utilization(busyIn(sample), sample.queued, replicas, this.#spec.maxConcurrentRequestsPerContainer);
    return exact === undefined ? undefined : Math.round(exact * 100) / 100;
  }

  #start(image: string): void {
    const id = randomBytes(4).toString('hex');
    const folder = join(this.#host.replicasFolder, this.endpoint, this.name, id);
    const createdTime = this.#host.clock().toISOString();
    const record: ReplicaRecord = { id, endpoint: this.endpoint, version: this.name, image, createdTime, restarts: 0 };
    const replica = new Replica(folder, record, this.#replicaHost());
    this.#replicas.push(replica);
    mkdir(folder, { recursive: true, mode: 0o700 })
      .then(() => writeReplicaRecord(folder, record))
      .catch((error: unknown) => this.#host.log(`replica ${id}: its record could not be written: ${String(error)}`))
      .finally(() => replica.start());
  }

  #drain(id: string): void {
    this.#replicas.find((replica) => replica.id === id)?.drain();
  }

  #retire(id: string): void {
    const replica = this.#replicas.find((candidate) => candidate.id === id);
    replica?.drain();
    void replica?.stop(UNREADY_GRACE_MS);
  }

  #stopDrained(): void {
    const now = this.#host.clock().getTime();
    for (const replica of this.#replicas) {
      if (replica.drainingSince === undefined) continue;
      const limit = Math.min(this.#drainLimitMs, this.#spec.scoringTimeoutMs + DRAIN_MARGIN_MS);
      const done = !replica.isReady || this.#host.isDrained(replica.id) || now - replica.drainingSince > limit;
      if (done) void replica.stop();
    }
  }

  #collectEnded(): void {
    const ended = this.#replicas.filter((replica) => replica.hasEnded);
    if (ended.length === 0) return;
    this.#replicas = this.#replicas.filter((replica) => !replica.hasEnded);
    this.#past.push(...ended.map(({ folder, record, logs }) => ({ folder, record, logs })));
    this.#forgetOldLogs();
  }

  /** Keeps the logs of the newest past replicas only. */
  #forgetOldLogs(): void {
    const newestFirst = this.#past.toSorted((a, b) => b.record.createdTime.localeCompare(a.record.createdTime));
    this.#past = newestFirst.slice(0, KEPT_PAST_REPLICAS);
    for (const { folder } of newestFirst.slice(KEPT_PAST_REPLICAS)) {
      rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
        this.#host.log(`${folder}: ${String(error)}`),
      );
    }
  }

  #replicaHost(): ReplicaHost {
    const host = this.#host;
    return {
      clock: host.clock,
      readinessTimeoutMs: host.readinessTimeoutMs,
      launch: (record, folder) => host.launch(record, folder),
      isIdle: (id) => host.isIdle(id),
      changed: () => host.changed(),
      livenessProbe: () => this.#spec.livenessProbe,
    };
  }
}

function busyIn(sample: VersionSample): number {
  return sample.replicas.reduce((sum, { inFlight }) => sum + inFlight, 0);
}
