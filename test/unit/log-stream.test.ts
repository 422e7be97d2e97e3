import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type LogSource, readLogs } from '../../src/local/log-reader.ts';
import { LogStream } from '../../src/local/log-stream.ts';

const LIMITS = { fileBytes: 100, rotatedFiles: 2 };
const NEVER = new AbortController().signal;

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-log-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function texts(stream: LogStream, from = 0): Promise<string[]> {
  return (await Array.fromAsync(stream.lines(from, true))).map(({ text }) => text);
}

test('rotation loses no line that still has a place, and offsets go on', async (t) => {
  const folder = await newFolder(t);
  const stream = new LogStream(folder, 'stdout', 0, LIMITS);
  const line = (index: number) => `line ${String(index).padStart(4, '0')}\n`; // 10 bytes
  for (let index = 0; index < 33; index++) {
    await appendFile(stream.path, line(index));
    await stream.maintain(index);
  }
  assert.equal(await stream.end(), 330);
  const kept = await texts(stream);
  assert.equal(kept.at(-1), 'line 0032');
  assert.equal(kept.length, 33 - Number(kept[0]?.slice(5)));
  assert.ok((await readdir(folder)).length <= 3, 'two rotated files beside the one that is written');

  const [missed, ...rest] = await texts(stream, 10);
  assert.match(missed ?? '', /bytes of this log were dropped/);
  assert.deepEqual(rest, kept);
  assert.deepEqual(await texts(new LogStream(folder, 'stdout', 0, LIMITS)), kept, 'another supervisor reads the same');
  assert.deepEqual(await texts(stream, 310), ['line 0031', 'line 0032']);
});

test('the last lines are found without reading the rest', async (t) => {
  const stream = new LogStream(await newFolder(t), 'stdout', 0);
  const tail = async (count: number) => texts(stream, await stream.tailStart(count));
  assert.deepEqual(await tail(3), []);
  await appendFile(stream.path, 'a\nb\n\nc\n');
  assert.deepEqual(await tail(1), ['c']);
  assert.deepEqual(await tail(2), ['', 'c']);
  assert.deepEqual(await tail(9), ['a', 'b', '', 'c']);
  await appendFile(stream.path, 'unfinished');
  assert.deepEqual(await tail(2), ['c', 'unfinished']);
  await appendFile(stream.path, `\n${'ü'.repeat(70_000)}\nend\n`);
  assert.deepEqual(await tail(1), ['end']);
});

test('a line without end comes in pieces', async (t) => {
  const stream = new LogStream(await newFolder(t), 'stdout', 0);
  const line = `x${'ü'.repeat(1_100_000)}`;
  await appendFile(stream.path, line);
  const pieces = await texts(stream);
  assert.equal(pieces.join(''), line);
  assert.deepEqual(
    pieces.map((piece) => Buffer.byteLength(piece)),
    [2 ** 20 - 1, 2 ** 20, 2_200_001 - 2 ** 21 + 1],
  );
});

test('lines without a time of their own get that of the line before, or when they were first seen', async (t) => {
  const stream = new LogStream(await newFolder(t), 'stderr', 1000);
  await appendFile(stream.path, 'first\n');
  await stream.maintain(5000);
  await appendFile(stream.path, '2026-01-31 08:15:30,123 E [1] azmlinfsrv - failed\n  in detail\n');
  const times = (await Array.fromAsync(stream.lines(0, true))).map(({ time }) => time);
  const stamped = Date.parse('2026-01-31T08:15:30.123Z');
  assert.deepEqual(times, [1000, stamped, stamped]);
});

test('streams are merged by time, filtered, and cut to the last lines over all', async (t) => {
  const folder = await newFolder(t);
  const source = async (replica: string, lines: string[], initEnd?: string): Promise<LogSource> => {
    const log = new LogStream(join(folder, replica), 'stdout', 0);
    await mkdir(join(folder, replica));
    await appendFile(log.path, lines.map((line) => `2026-01-01 00:00:${line}\n`).join(''));
    return { version: 'v', replica, stream: 'stdout', log, ...(initEnd ? { initEnd: Date.parse(initEnd) } : {}) };
  };
  const sources = [
    await source('a', ['01,000 one', '03,000 three', '02,000 late two', '06,000 six']),
    await source('b', ['02,500 two and a half', '05,000 five'], '2026-01-01T00:00:03Z'),
  ];
  const read = async (query: Parameters<typeof readLogs>[1]) =>
    (await Array.fromAsync(readLogs(() => sources, query, NEVER))).map(({ line }) => line.line.slice(24));
  assert.deepEqual(await read({}), ['one', 'two and a half', 'three', 'late two', 'five', 'six']);
  assert.deepEqual(await read({ lines: 2 }), ['five', 'six']);
  assert.deepEqual(await read({ grep: 'two', lines: 1 }), ['two and a half']);
  assert.deepEqual(await read({ since: '2026-01-01T00:00:03.000Z' }), ['five', 'six']);
  assert.deepEqual(await read({ replica: 'b', init: true }), ['two and a half']);
});
