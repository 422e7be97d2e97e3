import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { openKube } from '../../src/kube/kube.ts';
import {
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  ENDPOINTS,
  NODES,
  PODS,
  SECRETS,
  SERVICES,
} from '../../src/kube/resource.ts';
import { type ControllerWorld, NOBODY, openControllerWorld, pythonVersion } from './controller-world.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('the controller', { skip: cluster.skip }, () => {});
else controllerSuite(cluster);

const CRASHES = 'import time; print("loading the model"); time.sleep(0.2); raise ValueError("no such model")';

function controllerSuite(cluster: Cluster): void {
  test('an applied Endpoint becomes Healthy in a restricted namespace, and then nothing is written any more', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const first = await world.startController();
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    const { status } = await world.untilState('web', 'Healthy');
    assert.equal(status?.versions[0]?.availableReplicas, 1);
    assert.equal(status?.versions[0]?.effectiveTraffic, 100);
    const table = await world.kubectl('get', 'aep');
    assert.match(table, /^NAME +STATE +VERSIONS +REPLICAS +URI +AGE\nweb +Healthy +main +1\/1 /);

    const described = await world.kubectl('describe', 'aep', 'web');
    assert.match(described, /Normal +Healthy .*aksml-controller +The endpoint is Healthy/);
    const before = await versionsOf(world);
    // Another one looks at everything anew.
    await first.stop();
    await world.startController();
    await world.put({ name: 'other', spec: { auth: 'none', versions: [pythonVersion(cluster)] } });
    await world.untilState('other', 'Healthy');
    assert.deepEqual(await versionsOf(world), before);
    assert.equal(await world.kube.find(SECRETS, { namespace: world.namespace, name: 'other.keys' }), undefined);
  });

  test('a version that fails says why, with its exit code and its last lines, while the one before keeps serving', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    await world.untilState('web', 'Healthy');
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster, { script: CRASHES })] } });
    const { status } = await world.untilState('web', 'Unhealthy');
    const version = status?.versions[0];
    assert.equal(version?.availableReplicas, 1);
    assert.equal(version?.updatedReplicas, 0);
    assert.equal(version?.error?.code, 'DeploymentCrashLoopBackOff');
    assert.equal(version?.error?.exitCode, 1);
    assert.ok(version?.error?.logTail?.includes('ValueError: no such model'), JSON.stringify(version?.error));
    assert.equal(status?.error?.code, 'DeploymentCrashLoopBackOff');
    assert.equal(status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'DeploymentCrashLoopBackOff');

    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    await world.untilState('web', 'Healthy');
  });

  test('an image that is not there, and a Secret that is not there, are named', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const gone = { ...pythonVersion(cluster), imageRepository: `${cluster.registry}/nothing` };
    await world.put({ name: 'gone', spec: { versions: [gone] } });
    const secretVariables = [{ name: 'PASSWORD', secret: 'mine', key: 'password' }];
    await world.put({ name: 'secret', spec: { versions: [pythonVersion(cluster, { secretVariables })] } });
    const pull = (await world.untilState('gone', 'Failed')).status?.error;
    assert.equal(pull?.code, 'ImagePullLoopBackOff');
    assert.match(pull?.message ?? '', /nothing@sha256:0+.*not found/);
    const missing = (await world.untilState('secret', 'Failed')).status?.error;
    assert.equal(missing?.code, 'InvalidDeploymentSpec');
    assert.match(missing?.message ?? '', /secret "mine" not found/);

    await world.kubectl('create', 'secret', 'generic', 'mine', '--from-literal=password=x');
    await world.untilState('secret', 'Healthy');
  });

  test('a replica that no node takes is Unschedulable with the reason, and Transitioning while a node is being added', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const resources = { cpu: 900, memoryInGB: 0.05, gpu: 0 };
    await world.put({ name: 'huge', spec: { versions: [pythonVersion(cluster, { resources })] } });
    const { status } = await world.untilState('huge', 'Unschedulable');
    assert.equal(status?.error?.code, 'PodUnschedulable');
    assert.match(status?.error?.message ?? '', /Insufficient cpu/);

    await world.apply(await scaleUpEvent(world, 'huge'));
    const waiting = await world.untilState('huge', 'Transitioning');
    assert.match(
      waiting.status?.versions[0]?.replicas[0]?.message ?? '',
      /cluster autoscaler is adding \(pod triggered scale-up/,
    );
    assert.equal(waiting.status?.error, undefined);
  });

  test('on a full cluster new replicas take the room of old ones, after the surge has found none', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const gpuResource = await addDevice(t, world, 1);
    await world.startController({ inPlaceAfterMs: 2_000 });
    const resources = { cpu: 0.01, memoryInGB: 0.05, gpu: 1, gpuResource };
    const first = pythonVersion(cluster, { resources });
    await world.put({ name: 'gpu', spec: { versions: [first] } });
    await world.untilState('gpu', 'Healthy');
    await world.put({ name: 'gpu', spec: { versions: [{ ...first, image: `sha256:${'1'.repeat(64)}` }] } });
    await eventually('the new image serves', async () => {
      const found = await world.endpoint('gpu');
      return (
        found?.status?.state === 'Healthy' && found.status.versions[0]?.servingImage === `sha256:${'1'.repeat(64)}`
      );
    });
    const name = { namespace: world.namespace, name: 'gpu.main' };
    await eventually('the next rollout surges again', async () => {
      const { spec } = await world.kube.get(DEPLOYMENTS, name);
      return spec?.strategy?.rollingUpdate?.maxUnavailable === 0;
    });
  });

  test('versions come and go, each generation is kept, and traffic follows what has served', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const blue = pythonVersion(cluster, { name: 'blue' });
    const green = pythonVersion(cluster, { name: 'green', isDefault: false, trafficPercentile: 30 });
    await world.put({ name: 'two', spec: { form: 'endpoint', versions: [blue] } });
    await world.untilState('two', 'Healthy');
    await world.put({ name: 'two', spec: { form: 'endpoint', versions: [blue, green] } });
    assert.deepEqual(shares((await world.untilState('two', 'Healthy')).status), { blue: 70, green: 30 });
    const onlyGreen = { ...green, isDefault: true, trafficPercentile: 0 };
    await world.put({ name: 'two', spec: { form: 'endpoint', versions: [onlyGreen] } });
    assert.deepEqual(shares((await world.untilState('two', 'Healthy')).status), { green: 100 });
    await eventually('what belonged to the version is gone', async () => {
      const deployments = await world.list('deployment');
      const services = await world.list('service');
      return deployments.length === 1 && services.length === 1;
    });
    const { items } = await world.kube.list(CONTROLLER_REVISIONS, { namespace: world.namespace });
    const kept = items.filter(({ metadata }) => metadata.name.startsWith('two.'));
    assert.deepEqual(kept.map(({ revision }) => revision).sort(), [1, 2, 3]);
  });

  test('a name is one per cluster: a second endpoint waits until the first is gone', async (t) => {
    const [world, other] = [await openControllerWorld(t, cluster), await openControllerWorld(t, cluster)];
    await world.startController({ kube: world.kube, namespaces: [world.namespace, other.namespace] });
    await world.put({ name: 'same', spec: { versions: [pythonVersion(cluster)] } });
    await world.untilState('same', 'Healthy');
    await other.put({ name: 'same', spec: { versions: [pythonVersion(cluster)] } });
    const { status } = await other.untilState('same', 'Failed');
    const conflict = status?.conditions?.find(({ type }) => type === 'NameConflict');
    assert.equal(conflict?.status, 'True');
    assert.match(conflict?.message ?? '', new RegExp(`${world.namespace}/same, which was there first`));
    assert.deepEqual(await other.list('deployment'), []);

    await world.kubectl('delete', 'aep', 'same', '--cascade=foreground', '--timeout=60s');
    const kinds = 'deployment,service,pdb,secret,networkpolicy,controllerrevision';
    assert.deepEqual(await world.list(kinds, 'aksml.dev/endpoint=same'), []);
    await other.untilState('same', 'Healthy');
  });

  test('what others change of our objects is put right, but for the replicas of an autoscaled version', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const scale = {
      kind: 'auto',
      minReplicas: 1,
      maxReplicas: 3,
      targetUtilization: 70,
      refreshPeriodInSeconds: 1,
    } as const;
    await world.put({ name: 'auto', spec: { versions: [pythonVersion(cluster, { scale })] } });
    await world.untilState('auto', 'Healthy');
    await world.kubectl('scale', 'deployment/auto.main', '--replicas=2');
    await world.kubectl(
      'patch',
      'deployment/auto.main',
      '--type=json',
      '--patch',
      JSON.stringify([{ op: 'replace', path: '/spec/template/spec/terminationGracePeriodSeconds', value: 99 }]),
    );
    await world.kubectl('delete', 'service,pdb,networkpolicy', '--all');
    const name = { namespace: world.namespace, name: 'auto.main' };
    await eventually('all is as it was', async () => {
      const { spec } = await world.kube.get(DEPLOYMENTS, name);
      const kinds = new Set((await world.list('service,pdb,networkpolicy')).map(({ kind }) => kind));
      return spec?.template.spec?.terminationGracePeriodSeconds === 17 && kinds.size === 3;
    });
    assert.equal((await world.kube.get(DEPLOYMENTS, name)).spec?.replicas, 2);
  });

  test("an object of somebody else's is left alone and named", async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    await world.kubectl('create', 'deployment', 'web.main', `--image=${cluster.baseImage}`, '--replicas=0');
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    const found = await eventually('the obstacle is named', async () => {
      const endpoint = await world.endpoint('web');
      const condition = endpoint?.status?.conditions?.find(({ type }) => type === 'Reconciled');
      return condition?.status === 'False' ? condition : undefined;
    });
    assert.equal(found.reason, 'ObjectInTheWay');
    assert.match(found.message, /Deployment named web.main .* was not made by aksml/);
    assert.equal(
      (await world.kube.get(DEPLOYMENTS, { namespace: world.namespace, name: 'web.main' })).spec?.replicas,
      0,
    );
  });

  test('a namespace that is deleted under an endpoint ends quietly', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const { controller, log } = await world.startController({ kube: world.kube });
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    await world.untilState('web', 'Healthy');
    await world.kubectl('delete', 'namespace', world.namespace, '--timeout=120s');
    assert.ok(controller.ready);
    const complaints = log.filter(({ level, endpoint }) => level !== 'info' && endpoint !== undefined);
    assert.deepEqual(complaints, []);
  });
}

/** Of everything in the namespace that the controller writes. */
async function versionsOf(world: ControllerWorld): Promise<Record<string, string | undefined>> {
  const { namespace } = world;
  const endpoint = await world.kube.get(ENDPOINTS, { namespace, name: 'web' });
  const deployment = await world.kube.get(DEPLOYMENTS, { namespace, name: 'web.main' });
  const { items } = await world.kube.list(SERVICES, { namespace, labelSelector: 'aksml.dev/endpoint=web' });
  return {
    endpoint: endpoint.metadata.resourceVersion,
    deployment: deployment.metadata.resourceVersion,
    service: items[0]?.metadata.resourceVersion,
  };
}

function shares(status: Awaited<ReturnType<ControllerWorld['untilState']>>['status']): Record<string, number> {
  return Object.fromEntries((status?.versions ?? []).map(({ name, effectiveTraffic }) => [name, effectiveTraffic]));
}

/** What the cluster autoscaler says of a pod for which it adds a node. */
async function scaleUpEvent(world: ControllerWorld, endpoint: string): Promise<Record<string, unknown>> {
  const { namespace } = world;
  const { items } = await world.kube.list(PODS, { namespace, labelSelector: `aksml.dev/endpoint=${endpoint}` });
  const pod = items[0]?.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${pod?.name}.scale-up`, namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: pod?.name, uid: pod?.uid },
    reason: 'TriggeredScaleUp',
    message: 'pod triggered scale-up: [{aks-nodepool1 1->2 (max: 5)}]',
    source: { component: 'cluster-autoscaler' },
    type: 'Normal',
    lastTimestamp: new Date().toISOString(),
  };
}

/** Devices of a kind that no other test has, on the node. */
async function addDevice(
  t: { after(work: () => Promise<void>): void },
  world: ControllerWorld,
  count: number,
): Promise<string> {
  const name = `test.aksml.dev/gpu-${randomBytes(3).toString('hex')}`;
  const kube = await openKube({ paths: [world.cluster.kubeconfig] }, NOBODY);
  const [node] = (await kube.list(NODES)).items;
  assert.ok(node);
  const patch = (status: object) =>
    kube.patch(NODES, node.metadata, { status }, { fieldManager: 'test', subresource: 'status' });
  await patch({ capacity: { [name]: String(count) }, allocatable: { [name]: String(count) } });
  t.after(async () => {
    await patch({ capacity: { [name]: null }, allocatable: { [name]: null } });
    await kube.close();
  });
  return name;
}
