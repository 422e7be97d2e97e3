import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VersionMoment, VersionTotals } from '../../src/cluster/controller/load-view.ts';
import { RolloutWatch } from '../../src/cluster/controller/rollout-watch.ts';
import { LATENCY_BOUNDS_MS } from '../../src/cluster/router/routing-table.ts';
import type { RolloutStatus } from '../../src/contract/endpoint.ts';

const FIRST: RolloutStatus = { key: 'k', phase: 'Progressing', step: 0, since: '', message: '' };

test('evidence is what was seen since the step began, and silence is no evidence', () => {
  const watch = new RolloutWatch();
  const at = (time: number, totals: Partial<VersionTotals>, rollout = FIRST, queued = 0) =>
    watch.moment(moment(time, totals, queued), rollout);
  at(0, { arrived: 1000, completed: 1000, failed: 500, latency: latency(0, 1000) });
  at(500, { arrived: 1060, completed: 1050, failed: 501, latency: latency(50, 1000) }, FIRST, 4);
  assert.deepEqual(watch.evidence('web', 'new', FIRST), { observedMs: 500, requests: 56, failed: 7, p99Ms: 50 });
  // The routers were silent for a minute.
  at(60_500, { arrived: 1060, completed: 1060, failed: 501, latency: latency(60, 1000) });
  assert.equal(watch.evidence('web', 'new', FIRST).observedMs, 500);

  const second = { ...FIRST, step: 1 };
  assert.deepEqual(watch.evidence('web', 'new', second), { observedMs: 0, requests: 0, failed: 0 });
  at(61_000, { arrived: 1100, completed: 1100, failed: 501, latency: latency(100, 1000) }, second);
  at(61_100, { arrived: 1110, completed: 1110, failed: 501, latency: latency(100, 1010) }, second);
  assert.deepEqual(watch.evidence('web', 'new', second), { observedMs: 100, requests: 10, failed: 0, p99Ms: 120_000 });
});

/** How many took 21 to 50 ms, and how many more than a minute. */
function latency(some: number, endless: number): number[] {
  return [...LATENCY_BOUNDS_MS.map((bound) => (bound === 50 ? some : 0)), endless];
}

function moment(time: number, totals: Partial<VersionTotals>, queued: number): VersionMoment {
  return {
    endpoint: 'web',
    version: 'new',
    sample: { time, busy: 0, queued },
    totals: { arrived: 0, completed: 0, failed: 0, latency: [], ...totals },
  };
}
