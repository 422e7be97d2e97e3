import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { LONGEST_LOG_LINE } from '../../src/contract/log-line.ts';
import type { KubeClient } from '../../src/kube/kube.ts';
import { LogPosition } from '../../src/kube/log-position.ts';
import { followPodLog, type PodLogBatch, readPodLog } from '../../src/kube/pod-log.ts';

/** What a connection brings, and whether it is dropped then. */
interface Connection {
  readonly text: string;
  readonly dropped?: boolean;
}

/** State of the container when it is asked for: how often it began anew, and whether it runs. */
interface Asked {
  readonly restarts: number;
  readonly running: boolean;
}

const NEVER = new AbortController().signal;
const QUERY = { pod: { namespace: 'n', name: 'p' }, container: 'c' };
const PORTS = { random: () => 0, sleep: async () => {} };

/** An API server whose connections for a log bring these, one after the other. */
function answering(connections: readonly Connection[], states: readonly Asked[] = []): KubeClient {
  const left = [...connections];
  const statesLeft = [...states];
  async function* body({ text, dropped }: Connection) {
    yield* Readable.from([Buffer.from(text)]);
    if (dropped) throw new Error('dropped');
  }
  const transport = { send: async () => ({ body: body(left.shift() ?? { text: '' }) }) };
  const find = async () => {
    const state = statesLeft.shift();
    if (state === undefined) return undefined;
    const { restarts: restartCount, running } = state;
    const containerStatuses = [{ name: 'c', restartCount, state: running ? { running: {} } : { terminated: {} } }];
    return { metadata: { name: 'p' }, status: { containerStatuses } };
  };
  return { transport, find } as unknown as KubeClient;
}

async function linesOf(batches: AsyncIterable<PodLogBatch>): Promise<readonly string[]> {
  return (await Array.fromAsync(batches)).flat().map(({ line }) => line);
}

function read(...connections: readonly Connection[]) {
  return linesOf(readPodLog(answering(connections), QUERY, NEVER, PORTS));
}

/** `1.5 text` as the node tells it. */
function stamped(...lines: readonly string[]): string {
  return lines.map((line) => `2026-01-01T00:00:0${line.replace(' ', 'Z ')}\n`).join('');
}

test("a kubelet's excuse for a log that it has thrown away is no line of the log", async () => {
  assert.deepEqual(await read({ text: 'unable to retrieve container logs for containerd://13595b1967a6' }), []);
  const said = 'unable to retrieve container logs for x';
  assert.deepEqual(await read({ text: `2026-01-01T00:00:00.1Z ${said}\n2026-01-01T00:00:00.2Z\n` }), [said, '']);
});

test('lines that two streams stamped at once are told, whichever came first, and once', async () => {
  const text = stamped('1.9 a', '2.1 b', '2.05 late', '1.95 later', '2.2 c');
  assert.deepEqual(await read({ text }), ['a', 'b', 'late', 'later', 'c']);
  const begun = stamped('1.9 a', '2.1 b', '2.05 late');
  // From 2.0 on, which is how the API is asked.
  const again = stamped('2.1 b', '2.05 late', '2.08 later', '2.2 c');
  assert.deepEqual(await read({ text: begun, dropped: true }, { text: again }), ['a', 'b', 'late', 'later', 'c']);
});

test('a line that is too long to be held comes in pieces, and goes on after a dropped connection where it was', async () => {
  const line = 'ü'.repeat(LONGEST_LOG_LINE + 100);
  const whole = stamped('1.1 a', `1.2 ${line}`, '1.3 b');
  const expected = ['a', line, 'b'];
  const joined = (lines: readonly string[]) => [lines[0], lines.slice(1, -1).join(''), lines.at(-1)];
  const pieces = await read({ text: whole });
  assert.deepEqual(joined(pieces), expected);
  assert.ok(pieces.every((piece) => Buffer.byteLength(piece) <= LONGEST_LOG_LINE));
  for (const characters of [10, LONGEST_LOG_LINE - 1, LONGEST_LOG_LINE + 150]) {
    const cut = { text: whole.slice(0, 60 + characters), dropped: true };
    assert.deepEqual(joined(await read(cut, cut, { text: whole })), expected, `dropped after ${characters}`);
  }
  // What a container that has ended wrote last may have no end.
  assert.deepEqual(await read({ text: stamped('1.1 a', '1.2 b').slice(0, -1) }), ['a', 'b']);
});

test('the end of a long line that began before the time asked for is not told', async () => {
  const position = new LogPosition('2026-01-01T00:00:01Z');
  const connections = [
    { text: `the end\n${stamped('1.5 a')}`, dropped: true },
    { text: `the end\n${stamped('1.5 a', '1.6 b')}` },
  ];
  const query = { ...QUERY, position };
  assert.deepEqual(await linesOf(readPodLog(answering(connections), query, NEVER, PORTS)), ['a', 'b']);
});

const UNREAD = /^\[aksml: lines may be missing between 2026-01-01T00:00:01\.2Z and 2026-01-01T00:00:05Z: /;

test('where a node threw lines away before they were asked for, the log says so', async () => {
  const begun = { text: stamped('1.1 a', '1.2 b'), dropped: true };
  const [a, b, mark, c, ...none] = await read(begun, { text: stamped('5 c') });
  assert.deepEqual([a, b, c, none], ['a', 'b', 'c', []]);
  assert.match(mark ?? '', UNREAD);
  assert.deepEqual(await read(begun, { text: stamped('1.2 b', '5 c') }), ['a', 'b', 'c'], 'it has them all');
});

test('where a kubelet gives out a whole file again, it is told once', async () => {
  const file = stamped('1.1 a', '2.5 b', '4 c');
  assert.deepEqual(await read({ text: `${file}${file}${stamped('5 d')}` }), ['a', 'b', 'c', 'd']);
  const long = stamped(...Array.from({ length: 9000 }, (_, index) => `1.${1000 + index} ${index}`));
  assert.equal((await read({ text: `${long}${stamped('0.9 late')}${long}${stamped('5 d')}` })).length, 9001);
});

test('a kubelet that has to wait for its reader passes over files: the log says which time they were of', () => {
  const position = new LogPosition();
  const time = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.5Z`;
  const start = Date.parse('2026-01-01T00:00:00Z');
  position.resume();
  /** Lines of these seconds come so many seconds after the start. */
  const arrive = (after: number, ...seconds: readonly number[]) => {
    position.arrive(start + after * 1000);
    return seconds.map((second) => position.take(time(second), 1) !== undefined);
  };
  assert.deepEqual(arrive(1, 1), [true]);
  assert.deepEqual(arrive(9, 9), [true], 'it was silent');
  assert.deepEqual(arrive(30, 10, 11, 25), [true, true, true], 'the reader was away');
  assert.deepEqual(arrive(31, 25), [true], 'two lines of one instant');
  assert.equal(position.takeGap(), undefined);
  assert.deepEqual(arrive(33, 31, 32), [true, true]);
  assert.deepEqual(arrive(33, 25, 25, 31), [false, false, false], 'the newest file comes again');
  assert.deepEqual(position.takeGap(), { reason: 'skipped', after: time(11), before: time(25) });
  assert.deepEqual(arrive(34, 32, 33), [false, true]);
  assert.equal(position.takeGap(), undefined);
});

test('runs of a container follow each other without a mark, unless one was not read to its end', async () => {
  const follow = (connections: readonly Connection[], states: readonly Asked[]) =>
    linesOf(followPodLog(answering(connections, states), QUERY, NEVER, PORTS));
  const first = { text: stamped('1.1 a', '1.2 b') };
  const next = { text: stamped('5 c') };
  const [begun, ended] = [
    { restarts: 0, running: true },
    { restarts: 0, running: false },
  ];
  const again = { restarts: 1, running: true };
  // It is followed until it ends, then read to its end: as the present run, or as the one before.
  assert.deepEqual(await follow([first, first, first, next], [begun, ended, again]), ['a', 'b', 'c']);
  assert.deepEqual(await follow([first, first, next], [begun, again]), ['a', 'b', 'c']);
  // The API server can say later than the node that a run has ended.
  const late = [begun, begun, begun, begun, again];
  assert.deepEqual(await follow([first, first, next, next, first, next], late), ['a', 'b', 'c']);
  const goesOn = { text: stamped('1.2 b', '5 c') };
  assert.deepEqual(await follow([first, goesOn], [begun, begun]), ['a', 'b', 'c'], 'it has not ended');
  const rotated = await follow([first, ...Array(20).fill(next)], Array(20).fill(begun));
  assert.match(rotated[2] ?? '', UNREAD, 'it is believed in the end');
  assert.deepEqual([rotated.length, rotated[3]], [4, 'c']);
  const [, , mark, ...rest] = await follow([first, { text: '' }, next], [begun, { restarts: 2, running: true }]);
  assert.match(mark ?? '', UNREAD);
  assert.deepEqual(rest, ['c']);
});
