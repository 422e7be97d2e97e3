import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { type LineBatch, readLineBatches } from '../../src/kube/lines.ts';

const LONGEST = 8;

async function batchesOf(bytes: Buffer, chunk: number): Promise<LineBatch[]> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, index) =>
    bytes.subarray(index * chunk, (index + 1) * chunk),
  );
  return Array.fromAsync(readLineBatches(Readable.from(chunks), LONGEST));
}

/** Each piece as text, with `+` before one that goes on with a line, and after one that is not its end. */
function told(batches: readonly LineBatch[]): string[] {
  return batches.flatMap(({ lines, continues, open }) =>
    lines.map((line, index) => {
      const last = index === lines.length - 1;
      return `${index === 0 && continues ? '+' : ''}${line}${last && open ? '+' : ''}`;
    }),
  );
}

const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  ['nothing', '', []],
  ['whole lines', 'a\nbc\n\nd\n', ['a', 'bc', '', 'd']],
  ['a last line without its end', 'a\nbc', ['a', 'bc+']],
  ['a line as long as may be', '12345678\nb\n', ['12345678', 'b']],
  ['one that is longer by a byte', '123456789\nb\n', ['12345678+', '+9', 'b']],
  ['one of three pieces between others', 'a\n12345678123456781\nb\n', ['a', '12345678+', '+12345678+', '+1', 'b']],
  ['one without end', '1234567812345678123', ['12345678+', '+12345678+', '+123+']],
  ['one whose end comes just after a piece', '1234567812345678\nb\n', ['12345678+', '+12345678', 'b']],
  ['characters of several bytes', 'üüüüü\n1234567€8\n😀😀😀\n', ['üüüü+', '+ü', '1234567+', '+€8', '😀😀+', '+😀']],
];

for (const [what, text, expected] of CASES) {
  test(`a log is cut into lines and long lines into pieces, however it comes: ${what}`, async () => {
    const bytes = Buffer.from(text);
    for (let chunk = 1; chunk <= bytes.length + 1; chunk += 1) {
      assert.deepEqual(told(await batchesOf(bytes, chunk)), expected, `in chunks of ${chunk} bytes`);
    }
  });
}

test('no more is held of an endless line than may be told at once', async () => {
  const chunk = Buffer.alloc(1000, 'x');
  let held = 0;
  let most = 0;
  async function* endless() {
    for (let count = 0; count < 10_000; count += 1) {
      held += chunk.length;
      most = Math.max(most, held);
      yield chunk;
    }
  }
  let bytes = 0;
  for await (const { lines } of readLineBatches(endless(), 64_000)) {
    const length = lines.reduce((sum, line) => sum + line.length, 0);
    held -= length;
    bytes += length;
  }
  assert.equal(bytes, 10_000_000);
  assert.ok(most <= 64_000 + chunk.length, `${most} bytes were held`);
});
