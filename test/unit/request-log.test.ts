import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestLog } from '../../src/cluster/router/request-log.ts';

test('what came of requests is told from HAProxy’s lines, and when there are many each stands for several', async (t) => {
  const log = await RequestLog.listen(0);
  t.after(() => log.close());
  for (const line of [
    'b500-0 r.a 200 0 4 --',
    'b500-0 r.a 500 0 150 --',
    'b500-0 r.b 504 3 70000 sH',
    'b500-0 <NOSRV> 503 500 500 sQ',
    'b500-0 r.b 503 -1 1200 sC',
    'b500-0 elsewhere 200 0 1 --',
    'not a line',
  ])
    log.count(line);
  const outcome = log.outcomes.get('b500-0');
  assert.deepEqual([outcome?.completed, outcome?.failed, outcome?.refused], [3, 2, 2]);
  assert.deepEqual(outcome?.latency, [0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(log.nextShare(), 1);
  const count = (lines: number) => Array.from({ length: lines }, () => log.count('b500-1 r.a 200 0 4 --'));
  count(160);
  assert.equal(log.nextShare(), 0.25);
  count(30);
  assert.equal(log.outcomes.get('b500-1')?.completed, 280);
  assert.equal(log.nextShare(), 0.25, 'as long as lines are neither too many nor few');
  count(15);
  assert.equal(log.nextShare(), 0.5);
  assert.equal(log.nextShare(), 1);
});
