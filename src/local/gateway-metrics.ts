import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { utilization } from '../serving/replicas.ts';
import type { VersionSample } from './gateway-protocol.ts';

export interface ObservedRequest {
  readonly endpoint: string;
  readonly version: string;
  /** 0 when the client went before there was an answer. */
  readonly status: number;
  readonly ms: number;
  /** Absent when the request never waited for a replica. */
  readonly queueMs?: number | undefined;
}

export interface ObservedVersion extends VersionSample {
  readonly readyReplicas: number;
  readonly maxConcurrentRequestsPerContainer: number;
}

const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const LABELS = ['endpoint', 'version'] as const;

/** The gateway's numbers in Prometheus' text form. */
export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'endpoint' | 'version' | 'status'>;
  readonly #duration: Histogram<'endpoint' | 'version'>;
  readonly #queueWait: Histogram<'endpoint' | 'version'>;
  readonly #gauges: readonly (readonly [
    Gauge<'endpoint' | 'version'>,
    (version: ObservedVersion) => number | undefined,
  ])[];
  readonly #versions: () => readonly ObservedVersion[];
  /** By endpoint and version: the statuses that were counted. */
  readonly #counted = new Map<string, { endpoint: string; version: string; statuses: Set<number> }>();

  constructor(versions: () => readonly ObservedVersion[]) {
    const registers = [this.#registry];
    this.#versions = versions;
    this.#requests = new Counter({
      name: 'aksml_requests_total',
      help: 'Requests answered, by status; 0 when the client went first.',
      labelNames: [...LABELS, 'status'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'aksml_request_duration_seconds',
      help: 'Time from the request to the end of its answer.',
      labelNames: LABELS,
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#queueWait = new Histogram({
      name: 'aksml_queue_wait_seconds',
      help: 'Time in the queue before a replica was free.',
      labelNames: LABELS,
      buckets: DURATION_BUCKETS,
      registers,
    });
    const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: LABELS, registers });
    this.#gauges = [
      [gauge('aksml_requests_in_flight', 'Requests at replicas.'), inFlight],
      [gauge('aksml_requests_queued', 'Requests that wait for a replica.'), (version) => version.queued],
      [gauge('aksml_replicas_ready', 'Replicas that take requests.'), (version) => version.readyReplicas],
      [
        gauge('aksml_utilization_ratio', '(busy + queued) / (replicas × concurrency).'),
        (version) =>
          utilization(
            inFlight(version),
            version.queued,
            version.readyReplicas,
            version.maxConcurrentRequestsPerContainer,
          ),
      ],
    ];
  }

  observe({ endpoint, version, status, ms, queueMs }: ObservedRequest): void {
    const key = `${endpoint} ${version}`;
    const counted = this.#counted.get(key) ?? { endpoint, version, statuses: new Set() };
    this.#counted.set(key, counted);
    counted.statuses.add(status);
    this.#requests.inc({ endpoint, version, status });
    this.#duration.observe({ endpoint, version }, ms / 1000);
    if (queueMs !== undefined) this.#queueWait.observe({ endpoint, version }, queueMs / 1000);
  }

  async text(): Promise<string> {
    const versions = this.#versions();
    this.#forgetDeleted(versions);
    for (const [gauge, value] of this.#gauges) {
      gauge.reset();
      for (const version of versions) {
        const present = value(version);
        if (present !== undefined) gauge.set({ endpoint: version.endpoint, version: version.version }, present);
      }
    }
    return this.#registry.metrics();
  }

  /** What was deleted is not told for ever. */
  #forgetDeleted(versions: readonly ObservedVersion[]): void {
    // Requests that met no endpoint, or no version of one, are counted with an empty name.
    const present = new Set(versions.flatMap(({ endpoint, version }) => [`${endpoint} `, `${endpoint} ${version}`]));
    for (const [key, { endpoint, version, statuses }] of this.#counted) {
      if (endpoint === '' || present.has(key)) continue;
      this.#counted.delete(key);
      for (const status of statuses) this.#requests.remove({ endpoint, version, status });
      this.#duration.remove({ endpoint, version });
      this.#queueWait.remove({ endpoint, version });
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

function inFlight(version: VersionSample): number {
  return version.replicas.reduce((sum, replica) => sum + replica.inFlight, 0);
}
