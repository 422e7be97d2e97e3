import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { LATENCY_BOUNDS_MS } from '../../src/cluster/router/routing-table.ts';
import type { StoredEndpoint } from '../../src/kube/resource.ts';
import { type ControllerWorld, openControllerWorld, pythonVersion } from './controller-world.ts';
import { type FakeRouter, startFakeRouter } from './fake-router.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('rollout in steps', { skip: cluster.skip }, () => {});
else rolloutSuite(cluster);

const ROLLOUT = { steps: [10, 50], intervalSeconds: 1, maxErrorPercent: 1 };

function rolloutSuite(cluster: Cluster): void {
  test('a version comes to its traffic in steps, also through a change of leader, and a bad one is left with none', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const first = await world.startController();
    const router = await startFakeRouter(t, world, 'router');
    const old = pythonVersion(cluster, { name: 'old' });
    await world.put({ name: 'web', spec: { form: 'endpoint', versions: [old] } });
    await world.untilState('web', 'Healthy');
    const next = { name: 'next', isDefault: true, rollout: ROLLOUT };
    const versions = [{ ...old, isDefault: false }, pythonVersion(cluster, next)];
    await world.put({ name: 'web', spec: { form: 'endpoint', versions } });
    await untilShares(world, { old: 90, next: 10 });
    // Nobody has asked it yet.
    const traffic = sendTraffic(t, router);
    await untilShares(world, { old: 50, next: 50 });
    traffic.pause();
    await first.stop();
    await world.startController();
    traffic.resume();
    const promoted = await untilShares(world, { old: 0, next: 100 });
    assert.equal(promoted.status?.defaultVersion, 'next');
    assert.equal(conditionOf(promoted)?.reason, 'Promoted');
    const events = await world.kubectl('get', 'events', '--field-selector', 'involvedObject.name=web');
    assert.match(events, /RolloutPromoted .*next: It has all of its traffic: \d+ requests/);

    const worse = pythonVersion(cluster, {
      ...next,
      image: `sha256:${'1'.repeat(64)}`,
      isDefault: false,
      trafficPercentile: 60,
    });
    traffic.fail();
    await world.put({ name: 'web', spec: { form: 'endpoint', versions: [old, worse] } });
    const back = await eventually('it has gone back', async () => {
      const found = await world.endpoint('web');
      return conditionOf(found)?.reason === 'RolledBack' && found;
    });
    assert.deepEqual(sharesOf(back), { old: 100, next: 0 });
    assert.match(conditionOf(back)?.message ?? '', /next: With 10 % of the traffic, \d+ of \d+ requests failed/);
  });
}

/** 50 requests a second for the version `next`. */
function sendTraffic(t: { after(work: () => void): void }, router: FakeRouter) {
  let count = 0;
  let failed = 0;
  let isPaused = false;
  let fails = false;
  const timer = setInterval(() => {
    if (isPaused) return;
    count += 5;
    if (fails) failed += 1;
    const latency = [...LATENCY_BOUNDS_MS.map((bound) => (bound === 20 ? count : 0)), 0];
    router.say({ endpoint: 'web', version: 'next', arrived: count, completed: count, failed, latency });
  }, 100);
  t.after(() => clearInterval(timer));
  return {
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
    },
    fail: () => {
      fails = true;
    },
  };
}

function conditionOf(endpoint: StoredEndpoint | undefined) {
  return endpoint?.status?.conditions?.find(({ type }) => type === 'RolledOut');
}

function sharesOf(endpoint: StoredEndpoint | undefined): Readonly<Record<string, number>> {
  return Object.fromEntries(
    endpoint?.status?.versions.map(({ name, effectiveTraffic }) => [name, effectiveTraffic]) ?? [],
  );
}

async function untilShares(world: ControllerWorld, wanted: Readonly<Record<string, number>>): Promise<StoredEndpoint> {
  return await eventually(
    `the traffic is ${JSON.stringify(wanted)}`,
    async () => {
      const found = await world.endpoint('web');
      return JSON.stringify(sharesOf(found)) === JSON.stringify(wanted) && found;
    },
    { describe: async () => (await world.endpoint('web'))?.status },
  );
}
