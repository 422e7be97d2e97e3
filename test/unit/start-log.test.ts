import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ComputeTarget, LogLine, LogQuery } from '../../src/contract/compute-target.ts';
import { tellStartLog } from '../../src/engine/endpoints/start-log.ts';
import type { Engine } from '../../src/engine/engine.ts';

const SINCE = '2026-01-01T00:00:00.000Z';

/** A compute target whose replicas have printed one line, and print no more. */
function openLog(kind: ComputeTarget['kind']) {
  const queries: LogQuery[] = [];
  const told: string[] = [];
  const leaving = new AbortController();
  async function* readLogs(_name: string, query: LogQuery): AsyncGenerator<LogLine> {
    queries.push(query);
    yield { version: 'web', replica: 'web-1', time: SINCE, stream: 'stdout', line: 'loaded' };
  }
  const engine = { clock: () => new Date(SINCE), target: { kind, readLogs } } as unknown as Engine;
  const onProgress = (event: { readonly type: string; readonly line?: string }) => told.push(event.line ?? event.type);
  const log = tellStartLog(engine, 'web', 'web', { onProgress }, leaving.signal);
  return { log, queries, told, leaving };
}

const now = { version: 'web', living: true, since: SINCE };

test('the log of replicas that start at once is read once they have', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, queries, told } = openLog('kubernetes');
  assert.deepEqual(queries, []);
  await log.end();
  t.mock.timers.tick(60_000);
  assert.deepEqual(queries, [now]);
  assert.deepEqual(told, ['loaded']);
});

test('the log of replicas that take a while is followed, and not read twice', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, queries } = openLog('aks');
  t.mock.timers.tick(60_000);
  assert.deepEqual(queries, [{ ...now, follow: true }]);
  await log.end();
  assert.equal(queries.length, 1);
});

test('on this machine the log is followed from the beginning', () => {
  assert.deepEqual(openLog('local').queries, [{ ...now, follow: true }]);
});

test('nothing is read for somebody who has left', async () => {
  const { log, queries, leaving } = openLog('kubernetes');
  leaving.abort();
  await log.end();
  assert.deepEqual(queries, []);
});
