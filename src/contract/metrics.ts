/** Counters of one version since the front end began: what Prometheus sees, added up over front ends. */
export interface VersionCounters {
  readonly version: string;
  /** Requests answered, by status; `0` when the client went first. */
  readonly requests: Readonly<Record<string, number>>;
  readonly duration: HistogramCounters;
  /** Requests at replicas, and those that wait for one. */
  readonly busy: number;
  readonly queued: number;
  readonly readyReplicas: number;
  /** (busy + queued) / (replicas × concurrency); absent without replicas. */
  readonly utilization?: number;
}

export interface HistogramCounters {
  /** Upper bounds in seconds, ascending, each with how many observations were at most that. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
}

export interface EndpointCounters {
  /** Monotonic milliseconds of whoever read them. */
  readonly time: number;
  readonly versions: readonly VersionCounters[];
}

/** An endpoint over the last interval, as charts draw it. */
export interface MetricsSample {
  /** ISO 8601, UTC: the end of the interval. */
  readonly time: string;
  /** Length of the interval. */
  readonly seconds: number;
  readonly versions: readonly VersionMetrics[];
}

export interface VersionMetrics {
  readonly version: string;
  /** By status; `0` when the client went first. */
  readonly requestsPerSecond: Readonly<Record<string, number>>;
  /** Absent when nothing was answered in the interval. */
  readonly latencyMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly busy: number;
  readonly queued: number;
  readonly readyReplicas: number;
  readonly utilization?: number;
  /** Percent of the endpoint's requests of the interval; absent when it had none. */
  readonly measuredTraffic?: number;
}
