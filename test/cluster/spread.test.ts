import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { isReady } from '../../src/cluster/controller/version-status.ts';
import { clusterManifests } from '../../src/cluster/manifests.ts';
import { CONTROLLER_NAME, FRONT_END_NAME, SYSTEM_NAMESPACE, workloadName } from '../../src/cluster/names.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { Informer } from '../../src/kube/informer.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import { DEPLOYMENTS, ENDPOINTS, NODES, PODS, type Pod } from '../../src/kube/resource.ts';
import { frontEndSettings } from '../unit/cluster-samples.ts';
import { openControlPlane, whyNoControlPlane } from './control-plane.ts';
import { endpointOf, NOBODY, pythonVersion, runController } from './controller-world.ts';
import { playNodes } from './played-nodes.ts';
import { eventually } from './world.ts';

const OPTIONS = { fieldManager: 'test', force: true };
const SERVED = 'default';
const WORKLOAD = workloadName('web', 'main');
const NODES_OF_THREE = ['node-0', 'node-1', 'node-2'];

test('routers and replicas are on different nodes where there are nodes, through updates and drains', {
  skip: whyNoControlPlane() ?? false,
}, async (t) => {
  const plane = await openControlPlane(t, { controllers: true });
  const kube = await openKube({ paths: [plane.kubeconfig] }, NOBODY);
  t.after(() => kube.close());
  const nodes = await playNodes(t, kube);
  const fewest = await watchReadyRouters(t, kube);
  await nodes.add('node-0');

  await install(kube, { version: '1.0.0', routers: 1, controllers: 1 });
  assert.deepEqual(await settled(kube, FRONT_END_NAME, 1), ['node-0']);
  const [only] = await podsOf(kube, SYSTEM_NAMESPACE, FRONT_END_NAME);
  assert.ok(only && (await evict(kube, only)), 'nobody is kept from draining a node for one router');

  await install(kube, { version: '1.0.0', routers: 3, controllers: 2 });
  assert.deepEqual(await settled(kube, FRONT_END_NAME, 3), ['node-0', 'node-0', 'node-0'], 'one node is enough');

  await nodes.add('node-1', 'node-2');
  await eventually('the nodes take pods', async () =>
    (await kube.list(NODES)).items.every(({ spec }) => (spec?.taints ?? []).length === 0),
  );
  fewest.reset();
  for (const version of ['1.0.1', '1.0.2', '1.0.3', '1.0.4']) {
    await install(kube, { version, routers: 3, controllers: 2 });
    assert.deepEqual(await settled(kube, FRONT_END_NAME, 3), NODES_OF_THREE, version);
    assert.equal(new Set(await settled(kube, CONTROLLER_NAME, 2)).size, 2, version);
  }
  assert.equal(fewest.now(), 3, 'none is given up before its successor is there');

  nodes.start(false);
  await kube.patch(NODES, { name: 'node-0' }, { spec: { unschedulable: true } }, OPTIONS);
  const routers = await podsOf(kube, SYSTEM_NAMESPACE, FRONT_END_NAME);
  const [first, second] = routers.toSorted((a, b) => (a.spec?.nodeName ?? '').localeCompare(b.spec?.nodeName ?? ''));
  assert.ok(first && second);
  assert.equal(await evict(kube, first), true);
  assert.equal(await evict(kube, second), false, 'one at a time');
  nodes.start(true);
  assert.deepEqual([...new Set(await settled(kube, FRONT_END_NAME, 3))], ['node-1', 'node-2']);
  await eventually('the next node may be drained', () => evict(kube, second));
  await settled(kube, FRONT_END_NAME, 3);
  await kube.patch(NODES, { name: 'node-0' }, { spec: { unschedulable: null } }, OPTIONS);

  const controller = runController({ kube, namespaces: [SERVED], systemNamespace: SERVED });
  t.after(() => controller.stop());
  const rollOut = async (image: string, replicas: number) => {
    const version = pythonVersion({ baseImage: image } as Cluster, { scale: { kind: 'fixed', replicas } });
    await kube.apply(ENDPOINTS, endpointOf({ name: 'web', spec: { versions: [version] } }, SERVED), OPTIONS);
    await eventually('the controller has done it', async () => {
      const { spec } = (await kube.find(DEPLOYMENTS, { namespace: SERVED, name: WORKLOAD })) ?? {};
      return spec?.replicas === replicas && spec.template.spec?.containers[0]?.image === image;
    });
    return settled(kube, WORKLOAD, replicas, SERVED);
  };
  for (const image of ['registry.example/one', 'registry.example/two'])
    assert.deepEqual(await rollOut(image, 3), NODES_OF_THREE, image);
  for (const [name, zone] of [
    ['node-0', 'east'],
    ['node-1', 'east'],
    ['node-2', 'west'],
  ]) {
    const labels = { 'topology.kubernetes.io/zone': zone };
    await kube.patch(NODES, { name: name ?? '' }, { metadata: { labels } }, OPTIONS);
  }
  for (const image of ['registry.example/three', 'registry.example/four'])
    assert.ok((await rollOut(image, 2)).includes('node-2'), 'one in each zone');
});

async function install(
  kube: KubeClient,
  {
    version,
    routers,
    controllers,
  }: { readonly version: string; readonly routers: number; readonly controllers: number },
): Promise<void> {
  const frontEnd = frontEndSettings({ routers });
  const settings = { version, image: 'registry.example/aksml', namespaces: [SERVED], controllers, frontEnd };
  for (const { resource, object } of clusterManifests(settings)) await kube.apply(resource, object, OPTIONS);
}

/** The nodes of a Deployment's pods, sorted, once its newest template is all that runs. */
async function settled(
  kube: KubeClient,
  name: string,
  replicas: number,
  namespace = SYSTEM_NAMESPACE,
): Promise<string[]> {
  await eventually(
    `${name} is rolled out`,
    async () => {
      const { metadata, status } = await kube.get(DEPLOYMENTS, { namespace, name });
      const counts = [status?.replicas, status?.updatedReplicas, status?.readyReplicas];
      return status?.observedGeneration === metadata.generation && counts.every((count) => count === replicas);
    },
    {
      describe: async () =>
        (await podsOf(kube, namespace, name)).map(({ metadata, spec, status }) => [
          metadata.name,
          spec?.nodeName,
          status?.conditions,
        ]),
    },
  );
  return (await podsOf(kube, namespace, name)).map(({ spec }) => spec?.nodeName ?? '').sort();
}

/** Those that stay. */
async function podsOf(kube: KubeClient, namespace: string, name: string): Promise<Pod[]> {
  const { spec } = await kube.get(DEPLOYMENTS, { namespace, name });
  const labelSelector = Object.entries(spec?.selector.matchLabels ?? {})
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
  const { items } = await kube.list(PODS, { namespace, labelSelector });
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** The smallest number of routers that were ready at a time. */
async function watchReadyRouters(t: { after(work: () => Promise<void>): void }, kube: KubeClient) {
  const ending = new AbortController();
  let fewest = 0;
  const count = () =>
    [...pods.list()].filter((pod) => isReady(pod) && pod.metadata.name.startsWith(FRONT_END_NAME)).length;
  const pods: Informer<Pod> = new Informer<Pod>(kube, PODS, {
    query: { namespace: SYSTEM_NAMESPACE },
    onChange: () => {
      fewest = Math.min(fewest, count());
    },
  });
  const watching = pods.run(ending.signal);
  t.after(async () => {
    ending.abort();
    await watching;
  });
  await pods.whenSynced;
  return {
    now: () => fewest,
    reset: () => {
      fewest = count();
    },
  };
}

/** False where a budget forbids it for now. */
async function evict(kube: KubeClient, { metadata: { name, namespace } }: Pod): Promise<boolean> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  try {
    await kube.createIn(PODS, { name, ...(namespace === undefined ? {} : { namespace }) }, 'eviction', eviction);
    return true;
  } catch (error) {
    if (AksmlError.is(error) && String(error.cause ?? error.message).includes('disruption budget')) return false;
    throw error;
  }
}
