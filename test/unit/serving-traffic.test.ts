import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/serving/random.ts';
import { requiredReplicas, utilization } from '../../src/serving/replicas.ts';
import {
  chooseVersion,
  effectiveShares,
  type TrafficVersion,
  trafficSplit,
  validateTraffic,
} from '../../src/serving/traffic.ts';

function version(name: string, trafficPercentile?: number, isDefault = false): TrafficVersion {
  return { name, isDefault, ...(trafficPercentile === undefined ? {} : { trafficPercentile }) };
}

const SHARES: readonly [string, readonly TrafficVersion[], Record<string, number>][] = [
  ['a default alone takes everything, whatever its figure', [version('a', 20, true)], { a: 100 }],
  ['a second version takes its part', [version('a', 20, true), version('b', 10)], { a: 90, b: 10 }],
  ['a new default takes the remainder', [version('a', 20), version('b', 40, true)], { a: 20, b: 80 }],
  ['decimals add up', [version('a', 0, true), version('b', 0.1), version('c', 0.2)], { a: 99.7, b: 0.1, c: 0.2 }],
  [
    'nothing is left for the default',
    [version('a', 5, true), version('b', 99.9), version('c', 0.1)],
    { a: 0, b: 99.9, c: 0.1 },
  ],
  ['a version without a figure gets nothing', [version('a', 100, true), version('b')], { a: 100, b: 0 }],
];

for (const [sentence, versions, expected] of SHARES) {
  test(`traffic: ${sentence}`, () => assert.deepEqual(Object.fromEntries(effectiveShares(versions)), expected));
}

test('traffic: random numbers are split as the shares say', () => {
  const split = trafficSplit([version('a', 0, true), version('b', 10), version('c', 0.5)]);
  assert.deepEqual(split, [
    { name: 'b', upTo: 10 },
    { name: 'c', upTo: 10.5 },
    { name: 'a', upTo: 100 },
  ]);
  const random = seededRandom(7);
  const counts = new Map<string | undefined, number>();
  for (let i = 0; i < 100_000; i += 1) {
    const name = chooseVersion(split, random());
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.ok(Math.abs((counts.get('b') ?? 0) - 10_000) < 400, `b: ${counts.get('b')}`);
  assert.ok(Math.abs((counts.get('c') ?? 0) - 500) < 100, `c: ${counts.get('c')}`);
});

test('traffic: every valid endpoint has shares of 100 in all, and every random number finds a version with a share', () => {
  const endpoints = fc
    .array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 6 })
    .map((figures) => figures.map((figure, index) => version(`v${index}`, figure, index === 0)));
  fc.assert(
    fc.property(endpoints, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (versions, random) => {
      const shares = effectiveShares(versions);
      const sum = [...shares.values()].reduce((a, b) => a + b, 0);
      const chosen = chooseVersion(trafficSplit(versions), random);
      return Math.abs(sum - 100) < 1e-6 && chosen !== undefined && (shares.get(chosen) ?? 0) > 0;
    }),
  );
});

const INVALID: readonly [string, readonly TrafficVersion[], readonly string[]][] = [
  ['no version', [], ['versions.none']],
  [
    'seven versions',
    [version('v0', 0, true), ...Array.from({ length: 6 }, (_, i) => version(`v${i + 1}`))],
    ['versions.tooMany'],
  ],
  ['two defaults', [version('a', 1, true), version('b', 1, true)], ['versions.default']],
  ['no default', [version('a', 1)], ['versions.default']],
  [
    'out of range and no number',
    [version('a', 0, true), version('b', -0.1), version('c', Number.NaN)],
    ['traffic.range', 'traffic.range'],
  ],
  ['more than everything', [version('a', 0, true), version('b', 60), version('c', 40.5)], ['traffic.sum']],
  ['equal names', [version('a', 0, true), version('a', 1)], ['versions.duplicate']],
  [
    'two controls',
    [
      { ...version('a', 0, true), type: 'Control' },
      { ...version('b'), type: 'Control' },
    ],
    ['versions.control'],
  ],
  ['decimals that add up to 100', [version('a', 50, true), version('b', 33.3), version('c', 66.7)], []],
];

for (const [sentence, versions, codes] of INVALID) {
  test(`traffic rules: ${sentence} → ${codes.join(', ') || 'valid'}`, () => {
    assert.deepEqual(
      validateTraffic(versions).map((problem) => problem.code),
      codes,
    );
  });
}

test("the replica calculator gives v1's worked example", () => {
  const load = {
    requestsPerSecond: 20,
    secondsPerRequest: 10,
    targetUtilization: 70,
    maxConcurrentRequestsPerContainer: 1,
  };
  assert.equal(requiredReplicas(load), 286);
  assert.equal(requiredReplicas({ ...load, maxConcurrentRequestsPerContainer: 3 }), 96);
  assert.equal(requiredReplicas({ ...load, requestsPerSecond: 0.7, secondsPerRequest: 10 }), 10);
  assert.equal(requiredReplicas({ ...load, requestsPerSecond: 0 }), 1);
});

test('utilization counts queued requests and is unknown without replicas', () => {
  assert.equal(utilization(4, 2, 4, 1), 1.5);
  assert.equal(utilization(2, 0, 2, 4), 0.25);
  assert.equal(utilization(0, 3, 0, 1), undefined);
});
