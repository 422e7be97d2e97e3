import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VersionCounters } from '../../src/contract/metrics.ts';
import { countersOf, sampleBetween } from '../../src/serving/metrics.ts';

const TEXT = `# HELP aksml_requests_total Requests answered, by status; 0 when the client went first.
# TYPE aksml_requests_total counter
aksml_requests_total{endpoint="iris",version="blue",status="200"} 10
aksml_requests_total{endpoint="iris",version="blue",status="503"} 2
aksml_requests_total{endpoint="iris",version="green \\"x\\"",status="200"} 4
aksml_requests_total{endpoint="other",version="blue",status="200"} 99
aksml_request_duration_seconds_bucket{le="0.1",endpoint="iris",version="blue"} 6
aksml_request_duration_seconds_bucket{le="0.01",endpoint="iris",version="blue"} 0
aksml_request_duration_seconds_bucket{le="+Inf",endpoint="iris",version="blue"} 12
aksml_request_duration_seconds_count{endpoint="iris",version="blue"} 12
aksml_requests_in_flight{endpoint="iris",version="blue"} 1
aksml_requests_queued{endpoint="iris",version="blue"} 3
aksml_replicas_ready{endpoint="iris",version="blue"} 2
aksml_utilization_ratio{endpoint="iris",version="blue"} 2
`;

describe('figures of an endpoint', () => {
  test('are read from the text form of Prometheus, of that endpoint alone', () => {
    const [blue, green] = countersOf(TEXT, 'iris');
    assert.deepEqual(blue, {
      version: 'blue',
      requests: { '200': 10, '503': 2 },
      duration: {
        buckets: [
          [0.01, 0],
          [0.1, 6],
        ],
        count: 12,
      },
      busy: 1,
      queued: 3,
      readyReplicas: 2,
      utilization: 2,
    } satisfies VersionCounters);
    assert.equal(green?.version, 'green "x"');
    assert.equal(green?.utilization, undefined);
  });

  const counters = (version: string, requests: Record<string, number>, buckets: [number, number][] = []) => ({
    version,
    requests,
    duration: { buckets, count: Object.values(requests).reduce((sum, count) => sum + count, 0) },
    busy: 0,
    queued: 0,
    readyReplicas: 1,
  });
  const between = (before: readonly VersionCounters[], after: readonly VersionCounters[]) =>
    sampleBetween({ time: 1000, versions: before }, { time: 3000, versions: after }, '2026-01-01T00:00:02.000Z');

  test('become rates, percentiles and the measured split of the interval', () => {
    const sample = between(
      [
        counters('blue', { '200': 100 }, [
          [0.1, 100],
          [0.2, 100],
        ]),
        counters('green', { '200': 5 }),
      ],
      [
        counters('blue', { '200': 106, '503': 2 }, [
          [0.1, 104],
          [0.2, 108],
        ]),
        counters('green', { '200': 7 }),
      ],
    );
    const [blue, green] = sample.versions;
    assert.deepEqual(blue?.requestsPerSecond, { '200': 3, '503': 1 });
    assert.equal(blue?.measuredTraffic, 80);
    assert.equal(green?.measuredTraffic, 20);
    assert.equal(blue?.latencyMs?.p50, 100);
    assert.ok((blue?.latencyMs?.p95 ?? 0) > 180 && (blue?.latencyMs?.p99 ?? 0) <= 200);
  });

  test('have no latency and no split without requests', () => {
    const idle = counters('blue', { '200': 1 }, [[0.1, 1]]);
    const [blue] = between([idle], [idle]).versions;
    assert.equal(blue?.latencyMs, undefined);
    assert.equal(blue?.measuredTraffic, undefined);
    assert.deepEqual(blue?.requestsPerSecond, {});
  });

  test('of a front end that began anew are all new', () => {
    const [blue] = between([counters('blue', { '200': 50 })], [counters('blue', { '200': 4 })]).versions;
    assert.deepEqual(blue?.requestsPerSecond, { '200': 2 });
  });
});
