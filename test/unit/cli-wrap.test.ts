import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrapFor } from '../../src/cli/wrap.ts';

const terminal = (columns: number) => ({ isTerminal: true, columns });

const cases: readonly (readonly [what: string, text: string, columns: number, indent: number, expected: string])[] = [
  ['what fits stays', 'one two', 40, 0, 'one two'],
  ['lines break between words', 'aaaaaaaaaa bbbbbbbbbb cccccccccc', 24, 0, 'aaaaaaaaaa bbbbbbbbbb\ncccccccccc'],
  ['later lines are indented', 'aaaaaaaaaa bbbbbbbbbb cccccccccc', 34, 4, 'aaaaaaaaaa bbbbbbbbbb\n    cccccccccc'],
  ['a word that is longer than a line stays whole', `a ${'b'.repeat(50)} c`, 24, 0, `a\n${'b'.repeat(50)}\nc`],
  [
    'colours take no room',
    `\u001b[1maaaaaaaaaa\u001b[22m bbbbbbbbbbbbb`,
    24,
    0,
    `\u001b[1maaaaaaaaaa\u001b[22m bbbbbbbbbbbbb`,
  ],
  ['a very narrow terminal breaks lines itself', 'aaaaaaaaaa bbbbbbbbbb', 12, 0, 'aaaaaaaaaa bbbbbbbbbb'],
  ['lines that are there stay', 'one\ntwo', 40, 0, 'one\ntwo'],
];

for (const [what, text, columns, indent, expected] of cases) {
  test(`wrapping: ${what}`, () => assert.equal(wrapFor(terminal(columns), text, indent), expected));
}

test('wrapping: a pipe gets the text as it is', () => {
  const text = 'word '.repeat(100);
  assert.equal(wrapFor({ isTerminal: false, columns: 24 }, text), text);
});
