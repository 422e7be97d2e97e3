import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { measuredShares } from '../../webview-ui/rollout/model.ts';
import {
  makeDefault,
  moveShare,
  promote,
  type Split,
  type SplitVersion,
  shiftShare,
  withdraw,
} from '../../webview-ui/rollout/split.ts';
import { metrics } from '../forms/samples.ts';

/** `a=70* b=20 c=10`: the star marks the default. */
function split(text: string): Split {
  return text.split(' ').map((part): SplitVersion => {
    const [name = '', share = ''] = part.split('=');
    return { name, isDefault: share.endsWith('*'), isControl: false, share: Number.parseFloat(share) };
  });
}

function shown(versions: Split): string {
  return versions.map(({ name, share, isDefault }) => `${name}=${share}${isDefault ? '*' : ''}`).join(' ');
}

const MOVES: readonly (readonly [what: string, before: string, name: string, to: number, after: string])[] = [
  ['a version takes from the default', 'a=100* b=0', 'b', 30, 'a=70* b=30'],
  ['a version gives back to the default', 'a=70* b=30', 'b', 5, 'a=95* b=5'],
  ['others keep theirs while the default has some', 'a=70* b=20 c=10', 'b', 60, 'a=30* b=60 c=10'],
  ['then the others give in proportion', 'a=10* b=10 c=60 d=20', 'b', 60, 'a=0* b=60 c=30 d=10'],
  ['all to one leaves nothing to the rest', 'a=50* b=30 c=20', 'b', 100, 'a=0* b=100 c=0'],
  ['the default takes from the others in proportion', 'a=40* b=40 c=20', 'a', 70, 'a=70* b=20 c=10'],
  ['the default gives to the others in proportion', 'a=70* b=20 c=10', 'a', 40, 'a=40* b=40 c=20'],
  ['the default gives equal parts where nobody has any', 'a=100* b=0 c=0', 'a', 99, 'a=99* b=0.5 c=0.5'],
  [
    'hundredths that cannot be split go to the largest remainder',
    'a=100* b=0 c=0 d=0',
    'a',
    0,
    'a=0* b=33.34 c=33.33 d=33.33',
  ],
  ['a figure beyond the scale is its end', 'a=70* b=30', 'b', 170, 'a=0* b=100'],
  ['below the scale, too', 'a=70* b=30', 'b', -5, 'a=100* b=0'],
  ['fractions are hundredths', 'a=70* b=30', 'b', 12.345, 'a=87.65* b=12.35'],
  ['what is no number changes nothing', 'a=70* b=30', 'b', Number.NaN, 'a=70* b=30'],
  ['an unknown version changes nothing', 'a=70* b=30', 'x', 10, 'a=70* b=30'],
  ['the only version has everything', 'a=100*', 'a', 10, 'a=100*'],
];

for (const [what, before, name, to, after] of MOVES) {
  test(`traffic sliders: ${what}`, () => assert.equal(shown(moveShare(split(before), name, to)), after));
}

test('traffic sliders: however they are moved, the shares add up to exactly 100 and none is negative', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const move = fc.tuple(
    fc.constantFrom(...names),
    fc.double({ min: -20, max: 120, noNaN: true }),
    fc.constantFrom('move', 'default'),
  );
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.array(move, { maxLength: 30 }), (count, moves) => {
      let versions: Split = names.slice(0, count).map((name, index) => ({
        name,
        isDefault: index === 0,
        isControl: false,
        share: index === 0 ? 100 : 0,
      }));
      for (const [name, to, kind] of moves) {
        if (!versions.some((version) => version.name === name)) continue;
        versions = kind === 'move' ? moveShare(versions, name, to) : makeDefault(versions, name);
        const units = versions.map(({ share }) => Math.round(share * 100));
        assert.equal(
          units.reduce((sum, unit) => sum + unit, 0),
          10_000,
        );
        assert.ok(units.every((unit) => unit >= 0));
        assert.ok(versions.every(({ share }, index) => share === (units[index] ?? 0) / 100));
      }
    }),
  );
});

test('traffic sliders: steps, promotion and withdrawal', () => {
  assert.equal(shown(shiftShare(split('a=95* b=5'), 'b', 10)), 'a=85* b=15');
  assert.equal(shown(shiftShare(split('a=95* b=5'), 'b', -10)), 'a=100* b=0');
  assert.equal(shown(promote(split('a=85* b=15'), 'b')), 'a=0 b=100*');
  assert.equal(shown(withdraw(split('a=60* b=15 c=25'))), 'a=100* b=0 c=0');
});

test('the measured split counts requests of all statuses over all samples, and is unknown without any', () => {
  assert.equal(measuredShares([metrics({ a: 0, b: 0 })]), undefined);
  assert.deepEqual(
    measuredShares([metrics({ a: 9, b: 1 }), metrics({ a: 6, b: 4 })]),
    new Map([
      ['a', 75],
      ['b', 25],
    ]),
  );
});
