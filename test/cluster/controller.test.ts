import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { openControllerWorld, pythonVersion } from './controller-world.ts';
import { testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('the controller', { skip: cluster.skip }, () => {});
else controllerSuite(cluster);

function controllerSuite(cluster: Cluster): void {
  test('an applied Endpoint becomes Healthy, with everything that it needs, in a restricted namespace', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    const healthy = await world.untilState('web', 'Healthy');
    assert.equal(healthy.status?.versions[0]?.availableReplicas, 1);
  });
}
