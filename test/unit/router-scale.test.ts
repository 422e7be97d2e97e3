import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RouterSaturation, type RouterScaleState, scaleRouters } from '../../src/serving/router-scale.ts';

const LIMITS = { minRouters: 3, maxRouters: 5, minCpu: 1, maxCpu: 2 };
const NOW = 1_000_000;
const LONG_AGO = NOW - 400_000;
const LONG_HOT = { hotSince: NOW - 6_000 };
const each = (routers: number, limit: number, cores: number, routingMs = 0.5): RouterSaturation[] =>
  Array.from({ length: routers }, () => ({ cores, limit, routingMs }));

const cases: readonly {
  readonly what: string;
  readonly routers: readonly RouterSaturation[];
  readonly state?: RouterScaleState;
  readonly wanted: readonly [routers: number, cpu: number];
}[] = [
  { what: 'nothing is known: nothing changes', routers: [], wanted: [0, 1] },
  { what: 'enough to do, not too much', routers: each(3, 1, 0.5), wanted: [3, 1] },
  { what: 'busy: more CPU first', routers: each(3, 1, 0.9), wanted: [3, 2] },
  { what: 'busy for a moment', routers: each(3, 1, 0.9), state: {}, wanted: [3, 1] },
  { what: 'one that is busy is enough', routers: [...each(2, 1, 0.1), ...each(1, 1, 0.95)], wanted: [3, 2] },
  { what: 'slow although not busy: a client of few, large requests', routers: each(3, 1, 0.3, 4), wanted: [3, 2] },
  { what: 'busy with all the CPU it may have: another router', routers: each(3, 2, 1.9), wanted: [4, 2] },
  { what: 'busy, and there may be no more', routers: each(5, 2, 1.9), wanted: [5, 2] },
  {
    what: 'busy a moment after a change: what it brings is waited for',
    routers: each(3, 1, 0.9),
    state: { ...LONG_HOT, changedAt: NOW - 10_000 },
    wanted: [3, 1],
  },
  {
    what: 'one that has come with less CPU than the others gets as much',
    routers: [...each(3, 2, 1), ...each(1, 1, 0.5)],
    wanted: [4, 2],
  },
  { what: 'little to do since just now', routers: each(5, 2, 0.1), wanted: [5, 2] },
  { what: 'little to do for long', routers: each(5, 2, 0.1), state: { calmSince: LONG_AGO }, wanted: [4, 2] },
  {
    what: 'little to do for long: less CPU last',
    routers: each(3, 2, 0.1),
    state: { calmSince: LONG_AGO },
    wanted: [3, 1],
  },
  { what: 'never less than at first', routers: each(3, 1, 0), state: { calmSince: LONG_AGO }, wanted: [3, 1] },
  { what: 'the rest would be busy', routers: each(4, 2, 0.7), state: { calmSince: LONG_AGO }, wanted: [4, 2] },
];

for (const { what, routers, state = LONG_HOT, wanted } of cases) {
  test(`routers: ${what}`, () => {
    const scaling = scaleRouters(NOW, routers, LIMITS, state);
    assert.deepEqual([scaling.routers, scaling.cpu], wanted);
  });
}

test('calm that is interrupted begins anew, and each step down has a calm of its own', () => {
  let state: RouterScaleState = {};
  const at = (ms: number, cores: number) => {
    const scaling = scaleRouters(ms, each(5, 2, cores), LIMITS, state);
    state = scaling.state;
    return scaling.routers;
  };
  assert.deepEqual(
    [at(0, 0.1), at(200_000, 1.5), at(250_000, 0.1), at(400_000, 0.1), at(550_000, 0.1)],
    [5, 5, 5, 5, 4],
  );
  assert.equal(at(560_000, 0.1), 5);
});
