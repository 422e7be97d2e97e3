import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { eventually, openSupervisorWorld, scriptAnswering } from './supervisor-world.ts';

const REQUESTS = 10_000;
const EVERY_MS = 5;
/** So many may be under way: a machine that is slower than the rate must not drown in its own test. */
const AT_ONCE = 100;

test('at a constant rate, ten redeploys, scaling 1→3→1 and new keys fail none of 10,000 requests', async (t) => {
  const world = await openSupervisorWorld(t);
  const patient = { maxQueueWaitMs: 60_000 };
  const endpoint = await world.deploy('steady', scriptAnswering('0'), patient);
  const first = await world.target.getKeys('steady');
  const load = constantRate(t, endpoint.status?.scoringUri ?? '', first.secondaryKey);

  for (let turn = 1; turn <= 10; turn += 1) await world.deploy('steady', scriptAnswering(String(turn)));
  for (const replicas of [3, 1]) {
    await world.deploy('steady', scriptAnswering('10'), { scale: { kind: 'fixed', replicas } });
    await world.until('steady', ({ status }) => status?.versions[0]?.replicas.length === replicas);
  }
  const second = await world.target.regenerateKey('steady', 'primary');
  load.useKey(second.primaryKey);
  await load.settled();
  const third = await world.target.regenerateKey('steady', 'secondary');
  assert.deepEqual([third.primaryKey === first.primaryKey, third.secondaryKey === first.secondaryKey], [false, false]);

  await eventually(`${REQUESTS} requests`, () => load.sent >= REQUESTS, 300_000);
  await load.stop();
  t.diagnostic(`${load.sent} requests, one each ${EVERY_MS} ms; answers of ${load.bodies.size} deployments`);
  assert.deepEqual(load.failed, []);
  assert.equal(load.bodies.size, 11);
});

/** One request each so many milliseconds, whether the ones before are answered or not. */
function constantRate(t: TestContext, uri: string, key: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const failed: string[] = [];
  const bodies = new Set<string>();
  const underWay = new Set<Promise<void>>();
  let authorization = `Bearer ${key}`;
  let sent = 0;
  const send = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const outgoing = request(uri, { method: 'POST', agent, headers: { authorization } }, async (response) => {
      const parts = await response.toArray().catch((error: unknown) => [Buffer.from(String(error))]);
      const body = Buffer.concat(parts).toString();
      if (response.statusCode === 200) bodies.add(body);
      else failed.push(`${response.statusCode} ${body}`);
      resolve();
    });
    outgoing.on('error', (error) => {
      failed.push(String(error));
      resolve();
    });
    outgoing.end('{}');
    await promise;
  };
  const timer = setInterval(() => {
    if (underWay.size >= AT_ONCE) return;
    sent += 1;
    const one: Promise<void> = send().finally(() => underWay.delete(one));
    underWay.add(one);
  }, EVERY_MS);
  const settled = async () => {
    await Promise.all([...underWay]);
  };
  const end = () => {
    clearInterval(timer);
    agent.destroy();
  };
  t.after(end);
  return {
    failed,
    bodies,
    get sent() {
      return sent;
    },
    useKey: (next: string) => {
      authorization = `Bearer ${next}`;
    },
    /** Everything that was sent until now is answered. */
    settled,
    stop: async () => {
      clearInterval(timer);
      await settled();
      end();
    },
  };
}
