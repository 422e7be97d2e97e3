import type {
  EndpointCounters,
  HistogramCounters,
  MetricsSample,
  VersionCounters,
  VersionMetrics,
} from '../contract/metrics.ts';

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The counters of one endpoint in what a front end tells Prometheus. */
export function countersOf(text: string, endpoint: string): readonly VersionCounters[] {
  const series = parseSeries(text).filter(({ labels }) => labels['endpoint'] === endpoint);
  const versions = new Set(series.flatMap(({ labels }) => labels['version'] ?? []));
  return [...versions].map((version) => {
    const own = series.filter(({ labels }) => labels['version'] === version);
    const gauge = (name: string) => own.find((one) => one.name === name)?.value;
    const utilization = gauge('aksml_utilization_ratio');
    return {
      version,
      requests: Object.fromEntries(
        own
          .filter(({ name }) => name === 'aksml_requests_total')
          .map(({ labels, value }) => [labels['status'] ?? '0', value]),
      ),
      duration: histogramOf(own, 'aksml_request_duration_seconds'),
      busy: gauge('aksml_requests_in_flight') ?? 0,
      queued: gauge('aksml_requests_queued') ?? 0,
      readyReplicas: gauge('aksml_replicas_ready') ?? 0,
      ...(utilization === undefined ? {} : { utilization }),
    };
  });
}

function histogramOf(series: readonly Series[], name: string): HistogramCounters {
  return {
    buckets: series
      .filter((one) => one.name === `${name}_bucket` && one.labels['le'] !== '+Inf')
      .map(({ labels, value }): readonly [number, number] => [Number(labels['le']), value])
      .sort(([a], [b]) => a - b),
    count: series.find((one) => one.name === `${name}_count`)?.value ?? 0,
  };
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Prometheus' text form, without what it says about types. */
function parseSeries(text: string): Series[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const pairs = [...labels.matchAll(LABEL)].map(([, key = '', text = '']) => [key, withoutEscapes(text)] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

function withoutEscapes(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

/**
 * What happened between two readings. Counters that went back belong to a front end that began anew: all that it counted is new.
 * `now` is ISO 8601, UTC.
 */
export function sampleBetween(before: EndpointCounters, after: EndpointCounters, now: string): MetricsSample {
  const seconds = Math.max((after.time - before.time) / 1000, 0.001);
  const versions = after.versions.map((version) =>
    versionMetrics(
      before.versions.find((other) => other.version === version.version),
      version,
      seconds,
    ),
  );
  const rates = versions.map(({ requestsPerSecond }) => sum(Object.values(requestsPerSecond)));
  const total = sum(rates);
  return {
    time: now,
    seconds,
    versions: versions.map((version, index) =>
      total === 0 ? version : { ...version, measuredTraffic: ((rates[index] ?? 0) / total) * 100 },
    ),
  };
}

function versionMetrics(before: VersionCounters | undefined, after: VersionCounters, seconds: number): VersionMetrics {
  const rates = Object.entries(after.requests)
    .map(([status, count]): readonly [string, number] => [status, increase(before?.requests[status], count) / seconds])
    .filter(([, rate]) => rate > 0);
  const latencyMs = percentiles(before?.duration, after.duration);
  const { version, busy, queued, readyReplicas, utilization } = after;
  return {
    version,
    requestsPerSecond: Object.fromEntries(rates),
    ...(latencyMs === undefined ? {} : { latencyMs }),
    busy,
    queued,
    readyReplicas,
    ...(utilization === undefined ? {} : { utilization }),
  };
}

function increase(before: number | undefined, after: number): number {
  return before === undefined || after < before ? after : after - before;
}

function percentiles(before: HistogramCounters | undefined, after: HistogramCounters): VersionMetrics['latencyMs'] {
  const restarted = before === undefined || after.count < before.count;
  const observed = after.count - (restarted ? 0 : before.count);
  if (observed === 0) return undefined;
  const earlier = new Map(restarted ? [] : before.buckets);
  const buckets = after.buckets.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)] as const);
  const at = (share: number) => quantile(buckets, observed * share) * 1000;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Linear within its bucket, as Prometheus estimates it; beyond the last bound, that bound. */
function quantile(buckets: readonly (readonly [bound: number, count: number])[], rank: number): number {
  let lowerBound = 0;
  let lowerCount = 0;
  for (const [bound, count] of buckets) {
    if (count >= rank) return lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / (count - lowerCount || 1);
    [lowerBound, lowerCount] = [bound, count];
  }
  return lowerBound;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
