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
  test(`which replicas get little: ${what}`, () => {
    const map = new Map(Object.entries(records).map(([name, [completed, failed]]) => [name, { completed, failed }]));
    assert.deepEqual([...aversion(map).keys()], shunned);
  });
}

test('who has got little because he failed gets his share again once he works', () => {
  const before = new Map([['a', 5]]);
  const records = (completed: number, failed: number) =>
    new Map([
      ['a', { completed, failed }],
      ['b', { completed: 20, failed: 0 }],
    ]);
  assert.deepEqual([...aversion(records(0, 0), before).keys()], ['a']);
  assert.deepEqual([...aversion(records(1, 1), before).keys()], ['a']);
  assert.deepEqual([...aversion(records(2, 0), before).keys()], []);
});
