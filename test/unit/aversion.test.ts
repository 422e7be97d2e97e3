import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aversion } from '../../src/cluster/router/aversion.ts';

const CASES = [
  ['all work', { a: [20, 0], b: [20, 1] }, []],
  ['one fails where the other works', { a: [40, 40], b: [20, 0] }, ['a']],
  ['one fails half of the time', { a: [20, 10], b: [20, 0], c: [20, 1] }, ['a']],
  ['all fail: it is the script', { a: [20, 20], b: [20, 19] }, []],
  ['too few requests to tell', { a: [4, 4], b: [20, 0] }, []],
  ['nobody to compare it with', { a: [20, 20] }, []],
  ['the others have had too few', { a: [20, 20], b: [2, 0] }, []],
] as const;

for (const [what, records, shunned] of CASES) {
  test(`which replicas are shunned: ${what}`, () => {
    const map = new Map(Object.entries(records).map(([name, [completed, failed]]) => [name, { completed, failed }]));
    assert.deepEqual([...aversion(map).keys()], shunned);
  });
}

test('who is shunned is tried, longer while nothing comes, and has his share again once he works or nobody else does', () => {
  const trial = (before: number, [completed, failed]: readonly [number, number], others = 20) => {
    const records = new Map([
      ['a', { completed, failed }],
      ['b', { completed: others, failed: 0 }],
    ]);
    return aversion(records, new Map([['a', before]])).get('a');
  };
  assert.equal(trial(20, [0, 0]), 40);
  assert.equal(trial(800, [0, 0]), 1000);
  assert.equal(trial(160, [1, 1]), 20);
  assert.equal(trial(20, [2, 0]), undefined);
  assert.equal(trial(20, [7, 7], 0), undefined);
});
