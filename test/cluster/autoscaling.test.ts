import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { DEPLOYMENTS } from '../../src/kube/resource.ts';
import { type ControllerWorld, openControllerWorld, pythonVersion } from './controller-world.ts';
import { startFakeRouter } from './fake-router.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('autoscaling', { skip: cluster.skip }, () => {});
else autoscalingSuite(cluster);

const SCALE = {
  kind: 'auto',
  minReplicas: 1,
  maxReplicas: 3,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
} as const;
const WEB = { endpoint: 'web', version: 'main' };

function autoscalingSuite(cluster: Cluster): void {
  test('replicas follow what several routers say, through the death of a router and of the leader', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const leader = await world.startController();
    const [a, b] = [await startFakeRouter(t, world, 'router-a'), await startFakeRouter(t, world, 'router-b')];
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster, { scale: SCALE })] } });
    await world.untilState('web', 'Healthy');

    a.say({ ...WEB, busy: 1 });
    // One router alone would ask for two.
    b.say({ ...WEB, queued: 1 });
    await untilReplicas(world, 3);
    await eventually('its utilization is told', async () => {
      const { status } = (await world.endpoint('web')) ?? {};
      return (status?.versions[0]?.utilization ?? 0) > 0 && status?.state === 'Healthy';
    });

    await b.die();
    await leader.stop();
    const next = await world.startController();
    // The dead one may know of requests: nothing is decided before it is gone.
    await world.kubectl('scale', 'deployment', 'web.main', '--replicas=1');
    await eventually('the silence is told', async () =>
      next.log.some(({ message }) => message.startsWith('the load of router-b is not known')),
    );
    await b.leave();
    a.say({ ...WEB, busy: 1, queued: 2 });
    await untilReplicas(world, 3);
  });

  test('a version that may have no replica begins with one, goes to none in a minute of calm, and comes back for the first request', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const router = await startFakeRouter(t, world, 'router');
    router.say(WEB);
    const version = pythonVersion(cluster, { scale: { ...SCALE, minReplicas: 0 } });
    await world.put({ name: 'web', spec: { versions: [version] } });
    await world.untilState('web', 'Healthy');
    assert.equal(await replicasOf(world), 1);
    await untilReplicas(world, 0);
    const asleep = await eventually('it is well without replicas', async () => {
      const found = await world.endpoint('web');
      return found?.status?.versions[0]?.availableReplicas === 0 && found;
    });
    assert.deepEqual(
      [asleep.status?.state, asleep.status?.versions[0]?.effectiveTraffic, asleep.status?.versions[0]?.utilization],
      ['Healthy', 100, undefined],
    );

    router.say({ ...WEB, queued: 1, arrived: 1 });
    await untilReplicas(world, 1);
    router.say({ ...WEB, arrived: 1, completed: 1 });

    const image = `sha256:${'1'.repeat(64)}`;
    await world.kubectl('scale', 'deployment', 'web.main', '--replicas=0');
    await world.put({ name: 'web', spec: { versions: [{ ...version, image }] } });
    await eventually('what is new has run before it may sleep', async () => {
      const found = await world.endpoint('web');
      return found?.status?.state === 'Healthy' && found.status.versions[0]?.servingImage === image;
    });
  });
}

async function replicasOf({ kube, namespace }: ControllerWorld): Promise<number | undefined> {
  return (await kube.get(DEPLOYMENTS, { namespace, name: 'web.main' })).spec?.replicas;
}

async function untilReplicas(world: ControllerWorld, wanted: number): Promise<void> {
  await eventually(`there are to be ${wanted} replicas`, async () => (await replicasOf(world)) === wanted, {
    describe: () => replicasOf(world),
  });
}
