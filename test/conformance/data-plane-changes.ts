import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrived, endpoint, KEY, sha256, version, type World } from './data-plane-world.ts';
import { type Answer, type FakeReplica, Hold } from './fake-replica.ts';
import { call, type Reply, until } from './http-client.ts';

export function traffic(world: () => World): void {
  test('shares are kept within chance, the default takes the rest, and a header picks a version', async (t) => {
    const [a, b, c] = await world().replicas(t, 3);
    assert.ok(a && b && c);
    const many = { maxConcurrentRequestsPerContainer: 50 };
    await world().plane.configure([
      endpoint('svc', [
        version('a', [a], { isDefault: true, trafficPercentile: 1, ...many }),
        version('b', [b], { trafficPercentile: 20, ...many }),
        version('c', [c], { trafficPercentile: 0, ...many }),
      ]),
    ]);
    const service = world().plane.url('svc');
    const total = 2000;
    const counts = new Map<string, number>();
    for (let done = 0; done < total; done += 50) {
      const replies = await Promise.all(Array.from({ length: 50 }, () => call(`${service}/score`, { body: 'x' })));
      for (const {
        headers: { 'azureml-model-deployment': name },
      } of replies) {
        counts.set(String(name), (counts.get(String(name)) ?? 0) + 1);
      }
    }
    // Five standard deviations: one run in two million fails by chance.
    const deviation = 5 * Math.sqrt(total * 0.2 * 0.8);
    assert.ok(Math.abs((counts.get('b') ?? 0) - total * 0.2) < deviation, JSON.stringify([...counts]));
    assert.equal((counts.get('a') ?? 0) + (counts.get('b') ?? 0), total);
    assert.equal(c.seen.length, 0);
    const picked = await call(`${service}/score`, { body: 'x', headers: { 'azureml-model-deployment': 'c' } });
    assert.equal(picked.headers['azureml-model-deployment'], 'c');
    assert.equal(c.seen.length, 1);
  });
}

export function changes(world: () => World): void {
  test('replicas are replaced, versions come and go, shares and keys change under load: no request fails', async (t) => {
    const plane = world().plane;
    const answer: Answer = (_request, response) => setTimeout(() => response.end('ok'), 3);
    let generation = await world().replicas(t, 2, answer);
    const leave = async (replicas: readonly FakeReplica[], change: () => Promise<void>) => {
      for (const replica of replicas) replica.drain();
      await change();
      await plane.drained(replicas.map(({ id }) => id));
    };
    const hashes = [sha256(KEY)];
    const shape = (main: readonly FakeReplica[], treatment: readonly FakeReplica[], share: number) =>
      plane.configure([
        endpoint(
          'svc',
          [
            version('main', main, { isDefault: true }),
            ...(treatment.length > 0 ? [version('next', treatment, { trafficPercentile: share })] : []),
          ],
          { auth: { mode: 'key', keyHashes: hashes } },
        ),
      ]);
    await shape(generation, [], 0);

    const statuses = new Map<number | string, number>();
    let running = true;
    const client = async () => {
      while (running) {
        const outcome = await call(`${plane.url('svc')}/score`, {
          body: 'x',
          headers: { authorization: `Bearer ${KEY}` },
        }).then(
          (reply: Reply) => reply.status,
          (error: Error) => error.message,
        );
        statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    const served = () => [...statuses.values()].reduce((a, b) => a + b, 0);
    for (let round = 0; round < 10; round += 1) {
      const next = await world().replicas(t, 2, answer);
      const treatment = round % 2 === 0 ? await world().replicas(t, 1, answer) : [];
      const old = generation;
      hashes.push(sha256(`key of round ${round}`));
      await leave(old, () => shape([...old, ...next], treatment, 30));
      await shape(next, treatment, 60);
      await Promise.all(old.map((replica) => replica.kill()));
      generation = next;
      const before = served();
      await until(() => served() > before + 20, 'the new replicas have served');
      // Its traffic goes first, then the version: who waits for it is sent on.
      await leave(treatment, () => shape(next, treatment, 0));
    }
    running = false;
    await Promise.all(clients);
    assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]));
  });

  test('who waits for a version without replicas any more is served by another', async (t) => {
    const hold = new Hold();
    const [old] = await world().replicas(t, 1, hold.answer);
    const [next] = await world().replicas(t, 1);
    assert.ok(old && next);
    const service = await world().serve([old]);
    const first = call(`${service}/score`, { body: 'first' });
    await until(() => old.inFlight === 1, 'the old replica is busy');
    const second = call(`${service}/score`, { body: 'second' });
    await arrived(service);
    old.drain();
    await world().plane.configure([
      endpoint('svc', [version('main', [old]), version('next', [next], { isDefault: true })]),
    ]);
    assert.equal((await second).headers['azureml-model-deployment'], 'next');
    hold.release();
    assert.equal((await first).text, 'done');
  });

  test('a replica that is cut fails what it had, and an endpoint that is deleted is 404', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const lost = call(`${service}/score`, { body: 'x' });
    await until(() => replica.inFlight === 1, 'the replica is busy');
    await world().plane.configure([]);
    assert.equal((await lost).status, 502);
    assert.equal((await call(`${service}/score`, { body: 'x' })).status, 404);
  });
}
