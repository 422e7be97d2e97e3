import type { MetricsSample, VersionMetrics } from '../../src/contract/metrics.ts';

export type ChartId = 'requests' | 'latency' | 'utilization' | 'queue' | 'replicas' | 'traffic';

export interface Line {
  /** A status, a percentile or a version. */
  readonly name: string;
  /** Null: nothing was measured. */
  readonly values: readonly (number | null)[];
}

export interface Series {
  readonly id: ChartId;
  readonly unit: '/s' | 'ms' | '%' | '';
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
}

/** What the charts draw, of all versions or of one. Latencies of several versions are those of the slowest. */
export function seriesOf(samples: readonly MetricsSample[], version: string | undefined): readonly Series[] {
  const times = samples.map(({ time }) => Date.parse(time) / 1000);
  const rows = samples.map(({ versions }) =>
    versions.filter((one) => version === undefined || one.version === version),
  );
  const names = [...new Set(rows.flat().map((one) => one.version))].sort();
  const byVersion = (value: (one: VersionMetrics) => number | undefined): Line[] =>
    names.map((name) => ({
      name,
      values: rows.map((versions) => {
        const one = versions.find((candidate) => candidate.version === name);
        return (one === undefined ? undefined : value(one)) ?? null;
      }),
    }));
  return [
    { id: 'requests', unit: '/s', times, lines: requestLines(rows) },
    { id: 'latency', unit: 'ms', times, lines: latencyLines(rows) },
    { id: 'utilization', unit: '%', times, lines: byVersion(({ utilization }) => scaled(utilization)) },
    { id: 'queue', unit: '', times, lines: byVersion(({ queued }) => queued) },
    { id: 'replicas', unit: '', times, lines: byVersion(({ readyReplicas }) => readyReplicas) },
    { id: 'traffic', unit: '%', times, lines: byVersion(({ measuredTraffic }) => measuredTraffic) },
  ];
}

type Rows = readonly (readonly VersionMetrics[])[];

/** By status, good ones first; a status that was not seen in an interval had no requests. */
function requestLines(rows: Rows): Line[] {
  const statuses = [...new Set(rows.flat().flatMap(({ requestsPerSecond }) => Object.keys(requestsPerSecond)))].sort();
  return statuses.map((status) => ({
    name: status,
    values: rows.map((versions) =>
      versions.reduce((sum, { requestsPerSecond }) => sum + (requestsPerSecond[status] ?? 0), 0),
    ),
  }));
}

function latencyLines(rows: Rows): Line[] {
  return (['p50', 'p95', 'p99'] as const).map((name) => ({
    name,
    values: rows.map((versions) => {
      const known = versions.flatMap(({ latencyMs }) => (latencyMs === undefined ? [] : [latencyMs[name]]));
      return known.length === 0 ? null : Math.max(...known);
    }),
  }));
}

function scaled(utilization: number | undefined): number | undefined {
  return utilization === undefined ? undefined : utilization * 100;
}

/** One interval in figures, for those who read rather than look. */
export interface MetricsRow {
  readonly time: string;
  readonly requestsPerSecond: number;
  /** Of these, answered with 400 and above, or not at all. */
  readonly failuresPerSecond: number;
  readonly latencyMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly utilization?: number;
  readonly queued: number;
  readonly readyReplicas: number;
  /** `canary 20 %, stable 80 %` */
  readonly traffic: readonly (readonly [version: string, percent: number])[];
}

/** Newest first. */
export function rowsOf(samples: readonly MetricsSample[], version: string | undefined, most: number): MetricsRow[] {
  const recent = samples.slice(-most);
  const series = new Map(seriesOf(recent, version).map((one) => [one.id, one]));
  const at = (id: ChartId, index: number) =>
    (series.get(id)?.lines ?? []).map(({ name, values }) => [name, values[index] ?? null] as const);
  const sum = (pairs: readonly (readonly [string, number | null])[]) =>
    pairs.reduce((total, [, value]) => total + (value ?? 0), 0);
  return recent
    .map(({ time }, index): MetricsRow => {
      const latency = Object.fromEntries(at('latency', index));
      const busiest = at('utilization', index).flatMap(([, value]) => value ?? []);
      const { p50, p95, p99 } = latency;
      return {
        time,
        requestsPerSecond: sum(at('requests', index)),
        failuresPerSecond: sum(at('requests', index).filter(([status]) => Number(status) >= 400 || status === '0')),
        ...(p50 == null || p95 == null || p99 == null ? {} : { latencyMs: { p50, p95, p99 } }),
        ...(busiest.length === 0 ? {} : { utilization: Math.max(...busiest) }),
        queued: sum(at('queue', index)),
        readyReplicas: sum(at('replicas', index)),
        traffic: at('traffic', index).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const])),
      };
    })
    .reverse();
}
