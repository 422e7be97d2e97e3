import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrived, raw, type World } from './data-plane-world.ts';
import { type Answer, echo, Hold } from './fake-replica.ts';
import { type Call, call, until } from './http-client.ts';

export function failures(world: () => World): void {
  const score = (service: string, options: Call = {}) => call(`${service}/score`, { body: 'x', ...options });

  test('a run() that raised is 502 with what the scoring server said; other answers pass as they are', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const answers =
      (status: number, failed?: string): Answer =>
      (_request, response) => {
        if (failed) response.setHeader('x-ms-run-function-failed', failed);
        response.statusCode = status;
        response.end('{"message": "from the script"}');
      };
    for (const [status, failed, expected] of [
      [500, 'True', 502],
      [500, 'False', 500],
      [500, undefined, 500],
      [503, 'True', 503],
      [400, 'False', 400],
      [418, undefined, 418],
    ] as const) {
      replica.answer = answers(status, failed);
      const reply = await score(service);
      assert.equal(reply.status, expected);
      assert.equal(reply.text, '{"message": "from the script"}');
    }
  });

  test('a replica that dies over a request is 502 with v1’s text, and the request is not repeated', async (t) => {
    const replicas = await world().replicas(t, 2, (_request, response) => void response.destroy());
    const service = await world().serve(replicas);
    const reply = await score(service);
    assert.deepEqual([reply.status, reply.text], [502, 'Replica closed connection before replying']);
    assert.equal(
      replicas.reduce((sum, replica) => sum + replica.seen.length, 0),
      1,
    );
  });

  test('a replica that refuses connections is passed over, and no request is lost', async (t) => {
    const replicas = await world().replicas(t, 3);
    const service = await world().serve(replicas);
    await replicas[0]?.kill();
    const replies = await Promise.all(Array.from({ length: 30 }, () => score(service)));
    assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200]);
  });

  test('without a replica, or with none that can be reached, it is 503 with v1’s text', async (t) => {
    const [dead] = await world().replicas(t, 1);
    assert.ok(dead);
    const service = await world().serve([]);
    const none = await score(service);
    assert.deepEqual([none.status, none.text], [503, 'No ready replicas for service svc']);
    await world().serve([dead], { maxQueueWaitMs: 100 });
    await dead.kill();
    const unreachable = await score(service);
    assert.equal(unreachable.status, 503);
    assert.match(unreachable.text, /^No ready replicas for service svc$/);
  });

  test('an answer that breaks off is seen to be broken', async (t) => {
    const [replica] = await world().replicas(t, 1, (_request, response) => {
      response.write('half');
      setImmediate(() => response.destroy());
    });
    assert.ok(replica);
    const service = await world().serve([replica]);
    await assert.rejects(score(service));
    replica.answer = echo;
    assert.equal((await score(service)).status, 200);
  });

  test('what is not HTTP, or smuggles, is refused and reaches nobody', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const { hostname, port } = new URL(service);
    const post = 'POST /api/v1/service/svc/score HTTP/1.1\r\nhost: x\r\n';
    for (const bytes of [
      'nonsense\r\n\r\n',
      `${post}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`,
      `${post}transfer-encoding: chunked\r\n\r\nzz\r\n`,
      `${post}: empty\r\ncontent-length: 0\r\n\r\n`,
      `${post}content-length: -1\r\n\r\n`,
      `${post}x: ${'y'.repeat(100_000)}\r\n\r\n`,
    ]) {
      assert.match(await raw(Number(port), hostname, bytes), /^HTTP\/1\.[01] (400|413|431) /, bytes.slice(0, 120));
    }
    assert.equal(replica.seen.length, 0);
    // Of two lengths, one may be passed over (RFC 9112, 6.3) as long as all agree which: what follows is never a second request.
    const twice = `${post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/service/svc/hidden HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
    await raw(Number(port), hostname, twice);
    assert.ok(replica.seen.every(({ headers }) => headers['content-length'] !== '3'));
  });
}

export function admission(world: () => World): void {
  test('no replica ever gets more than its limit, and the queue is served in order', async (t) => {
    for (const limit of [1, 3]) {
      const replicas = await world().replicas(t, 2, (_request, response) => setTimeout(() => response.end('ok'), 2));
      const service = await world().serve(replicas, { maxConcurrentRequestsPerContainer: limit });
      const replies = await Promise.all(Array.from({ length: 200 }, () => call(`${service}/score`, { body: 'x' })));
      assert.ok(replies.every(({ status }) => status === 200));
      assert.deepEqual(
        replicas.map(({ mostInFlight }) => mostInFlight),
        [limit, limit],
      );
    }
  });

  test('first come, first served', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const order: number[] = [];
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i += 1) {
      calls.push(call(`${service}/score`, { body: String(i) }).then(() => order.push(i)));
      if (i === 0) await until(() => replica.inFlight === 1, 'the first is at the replica');
      else await arrived(service);
    }
    for (let i = 0; i < 8; i += 1) {
      await until(() => hold.waiting.length === 1, `number ${i} is at the replica`);
      hold.release();
    }
    await Promise.all(calls);
    assert.deepEqual(
      replica.seen.map(({ body }) => Number(body)),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  });

  test('who has waited maxQueueWaitMs gets 503 with v1’s text; the replica never hears of it', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { maxQueueWaitMs: 150 });
    const first = call(`${service}/score`, { body: 'x' });
    await until(() => replica.inFlight === 1, 'the replica is busy');
    const refused = await Promise.all(Array.from({ length: 5 }, () => call(`${service}/score`, { body: 'x' })));
    for (const { status, text } of refused) {
      assert.deepEqual([status, text], [503, 'Too many requests for service svc (overloaded)']);
    }
    hold.release();
    assert.equal((await first).status, 200);
    assert.equal(replica.seen.length, 1);
  });

  test('after scoringTimeoutMs it is 504, and the replica gets nothing new while it still works', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { scoringTimeoutMs: 150 });
    const late = await call(`${service}/score`, { body: 'late' });
    assert.equal(late.status, 504);
    assert.equal(late.headers['azureml-model-deployment'], 'main');
    const next = call(`${service}/score`, { body: 'next' });
    await arrived(service);
    assert.equal(replica.seen.length, 1, 'the next one waits for the late one');
    replica.answer = echo;
    hold.release();
    assert.equal((await next).status, 200);
    assert.equal(replica.mostInFlight, 1);
  });

  test('time in the queue does not count as scoring time', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { scoringTimeoutMs: 400 });
    const first = call(`${service}/score`, { body: '1' });
    await until(() => hold.waiting.length === 1, 'the first is at the replica');
    const second = call(`${service}/score`, { body: '2' });
    assert.equal((await first).status, 504);
    hold.release();
    await until(() => hold.waiting.length === 1, 'the second is at the replica');
    hold.release();
    assert.equal((await second).status, 200);
  });

  test('a client that goes leaves the queue, but not the replica that works for it', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const [atReplica, inQueue] = [new AbortController(), new AbortController()];
    const gone = [
      assert.rejects(call(`${service}/score`, { body: 'at the replica', signal: atReplica.signal })),
      until(() => replica.inFlight === 1, 'the replica is busy').then(() =>
        assert.rejects(call(`${service}/score`, { body: 'in the queue', signal: inQueue.signal })),
      ),
    ];
    await until(() => replica.inFlight === 1, 'the replica is busy');
    await arrived(service);
    const last = call(`${service}/score`, { body: 'last' });
    await arrived(service);
    inQueue.abort();
    atReplica.abort();
    await Promise.all(gone);
    await arrived(service);
    assert.equal(replica.seen.length, 1, 'the slot is taken until the replica has answered');
    hold.release();
    await until(() => replica.seen.length === 2, 'the next one is served');
    hold.release();
    assert.equal((await last).text, 'done');
    assert.deepEqual(
      replica.seen.map(({ body }) => String(body)),
      ['at the replica', 'last'],
    );
    assert.equal(replica.mostInFlight, 1);
  });
}
