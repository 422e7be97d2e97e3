/** v1's limits of what is requested and recommended: vCPU and GB (`azureml-core`, `core/profile.py`). */
export const CPU_LIMITS = { min: 0.1, max: 3.5 } as const;
export const MEMORY_LIMITS = { min: 0.1, max: 15 } as const;

/** What a replica has used, from its start on, with all of its processes. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  /** Now. */
  readonly residentBytes: number;
  /** Since its start, where the system knows. */
  readonly peakResidentBytes?: number;
}

/** The usage at a time. */
export interface UsageSample extends ProcessUsage {
  /** Milliseconds on the clock of the measurement. */
  readonly at: number;
}

/** One request after the other, sent without a pause. */
export interface Measurement {
  /** Milliseconds, of the requests that succeeded. */
  readonly latencies: readonly number[];
  readonly total: number;
  readonly elapsedMs: number;
  /** In the order of time; empty where the system does not tell. */
  readonly samples: readonly UsageSample[];
}

/** In v1's words. */
export interface ProfileMetrics {
  readonly totalQueries: number;
  readonly successQueries: number;
  /** Percent. */
  readonly successRate: number;
  readonly measuredQueriesPerSecond: number | null;
  readonly averageLatencyInMs: number | null;
  readonly latencyPercentile50InMs: number | null;
  readonly latencyPercentile90InMs: number | null;
  readonly latencyPercentile95InMs: number | null;
  readonly latencyPercentile99InMs: number | null;
  readonly latencyPercentile999InMs: number | null;
  readonly maxLatencyInMs: number | null;
  /** Of CPU, of all processes of the replica. */
  readonly cpuTimePerQueryInMs: number | null;
  /** vCPU. */
  readonly maxUtilizedCpu: number | null;
  readonly maxUtilizedMemoryInGB: number | null;
  readonly recommendedCpu: number | null;
  readonly recommendedMemoryInGB: number | null;
}

/** Room for what a short measurement does not see. */
const HEADROOM = 1.2;
const GIB = 1024 ** 3;
/** CPU time is counted in steps of 10 ms: shorter windows would say more about the clock than about the script. */
const WINDOW_MS = 500;

/**
 * CPU: what a replica needs so that a request takes as long as it did here, because while it was measured it was never idle. Memory: the
 * most that it ever held. Both with a fifth on top, rounded up to a tenth, within v1's limits and not above what was requested.
 */
export function profileMetrics(
  measurement: Measurement,
  requested: { readonly cpu: number; readonly memoryInGB: number },
): ProfileMetrics {
  const { latencies, total, elapsedMs, samples } = measurement;
  const sorted = latencies.toSorted((a, b) => a - b);
  const percentile = (percent: number) => rounded(sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]);
  const cpu = busiestCpu(samples);
  const memory = peakMemory(samples);
  const cpuSeconds = samples.length < 2 ? undefined : (samples.at(-1)?.cpuSeconds ?? 0) - (samples[0]?.cpuSeconds ?? 0);
  return {
    totalQueries: total,
    successQueries: latencies.length,
    successRate: total === 0 ? 0 : (latencies.length / total) * 100,
    measuredQueriesPerSecond: elapsedMs > 0 ? rounded((total / elapsedMs) * 1000) : null,
    averageLatencyInMs: rounded(sorted.length === 0 ? undefined : sum(sorted) / sorted.length),
    latencyPercentile50InMs: percentile(50),
    latencyPercentile90InMs: percentile(90),
    latencyPercentile95InMs: percentile(95),
    latencyPercentile99InMs: percentile(99),
    latencyPercentile999InMs: percentile(99.9),
    maxLatencyInMs: percentile(100),
    cpuTimePerQueryInMs: rounded(cpuSeconds === undefined || total === 0 ? undefined : (cpuSeconds * 1000) / total),
    maxUtilizedCpu: rounded(cpu),
    maxUtilizedMemoryInGB: rounded(memory === undefined ? undefined : memory / GIB),
    recommendedCpu: recommended(cpu, CPU_LIMITS.min, requested.cpu),
    recommendedMemoryInGB: recommended(
      memory === undefined ? undefined : memory / GIB,
      MEMORY_LIMITS.min,
      requested.memoryInGB,
    ),
  };
}

/** Cores in use in the busiest window, or over the whole time when it was shorter than one. */
function busiestCpu(samples: readonly UsageSample[]): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last || last.at <= first.at) return undefined;
  let busiest = coresBetween(first, last);
  let from = first;
  for (const sample of samples) {
    if (sample.at - from.at < WINDOW_MS) continue;
    busiest = Math.max(busiest, coresBetween(from, sample));
    from = sample;
  }
  return busiest;
}

function coresBetween(from: UsageSample, to: UsageSample): number {
  return Math.max(0, ((to.cpuSeconds - from.cpuSeconds) * 1000) / (to.at - from.at));
}

function peakMemory(samples: readonly UsageSample[]): number | undefined {
  if (samples.length === 0) return undefined;
  return Math.max(
    ...samples.map(({ residentBytes, peakResidentBytes }) => Math.max(residentBytes, peakResidentBytes ?? 0)),
  );
}

function recommended(used: number | undefined, min: number, max: number): number | null {
  if (used === undefined) return null;
  // A hair less, so that binary fractions do not cost a tenth.
  const tenths = Math.ceil(used * HEADROOM * 10 - 1e-9);
  return Math.min(max, Math.max(min, tenths / 10));
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Number(value.toPrecision(4));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
