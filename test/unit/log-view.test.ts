import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogLine } from '../../src/contract/compute-target.ts';
import { LogBuffer } from '../../src/extension/logs/log-buffer.ts';
import { ColouredLines, plainLine } from '../../src/extension/logs/log-text.ts';

function line(second: number, text: string, replica = 'r1'): LogLine {
  const time = `2026-01-01T00:00:${`${second}`.padStart(2, '0')}.000Z`;
  return { version: 'blue', replica, time, stream: 'stdout', line: text };
}
const texts = (lines: readonly LogLine[]) => lines.map((one) => one.line);

describe('a log that is shown', () => {
  test('has each line once, also when its stream begins anew', () => {
    const buffer = new LogBuffer();
    buffer.add([line(1, 'a'), line(2, 'b'), line(2, 'c'), line(9, 'x', 'r2')]);
    buffer.reopened();
    const { shown } = buffer.add([
      line(1, 'a'),
      line(2, 'b'),
      line(2, 'c'),
      line(2, 'd'),
      line(3, 'e'),
      line(1, 'new', 'r3'),
    ]);
    assert.deepEqual(texts(shown), ['d', 'e', 'new']);
  });

  test('keeps the last lines, and says how many went', () => {
    const buffer = new LogBuffer({ lines: 8, size: 1000 });
    assert.equal(buffer.add(Array.from({ length: 8 }, (_, index) => line(index, `${index}`))).trimmed, false);
    assert.equal(buffer.add([line(9, 'last')]).trimmed, true);
    assert.deepEqual(texts(buffer.shown()), ['3', '4', '5', '6', '7', 'last']);
    assert.equal(buffer.dropped, 3);
  });

  test('is held to a size, too', () => {
    const buffer = new LogBuffer({ lines: 100, size: 100 });
    buffer.add(Array.from({ length: 3 }, (_, index) => line(index, `${index}`.repeat(40))));
    assert.deepEqual(texts(buffer.shown()), ['2'.repeat(40)]);
  });

  test('is filtered by text or replica, and all of it comes back', () => {
    const buffer = new LogBuffer();
    buffer.add([line(1, 'Loading the MODEL'), line(2, 'ready'), line(3, 'ready', 'model-replica')]);
    buffer.filter = 'model';
    assert.deepEqual(texts(buffer.shown()), ['Loading the MODEL', 'ready']);
    assert.deepEqual(texts(buffer.add([line(4, 'noise'), line(5, 'model again')]).shown), ['model again']);
    buffer.filter = '';
    assert.equal(buffer.shown().length, 5);
  });
});

describe('a line of a log', () => {
  test('steers no terminal, but keeps its colours there', () => {
    const evil = line(1, '\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J\x07\r done\ttab');
    assert.match(plainLine(evil), / \[r1\] red {2}done\ttab$/);
    const coloured = new ColouredLines().render(evil);
    assert.ok(coloured.includes('\x1b[31mred\x1b[0m'));
    assert.ok(!coloured.includes('\x1b]0;') && !coloured.includes('\x1b[2J') && !coloured.includes('\x07'));
  });
});
