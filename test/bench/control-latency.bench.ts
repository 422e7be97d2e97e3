/**
 * On a real API server: from a step in what a router tells to the Deployment that is to have more replicas (target: p95 at most 1 s), and from
 * a changed key to what routers are told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { authSecretKey, authSecretName } from '../../src/cluster/names.ts';
import { Informer } from '../../src/kube/informer.ts';
import { openKube } from '../../src/kube/kube.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  DEPLOYMENTS,
  type Deployment,
  ENDPOINTS,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  type Secret,
} from '../../src/kube/resource.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { openControlPlane, whyNoControlPlane } from '../cluster/control-plane.ts';
import {
  type ControllerWorld,
  endpointOf,
  installDefinition,
  NOBODY,
  pythonVersion,
  runController,
} from '../cluster/controller-world.ts';
import { startFakeRouter } from '../cluster/fake-router.ts';

const ROUNDS = 40;
const namespace = 'default';
const options = { fieldManager: 'bench' };
const cleanups: (() => Promise<void>)[] = [];
const t = { after: (work: () => Promise<void>) => void cleanups.unshift(work) };

async function bench(): Promise<void> {
  const plane = await openControlPlane(t);
  const kube = await openKube({ paths: [plane.kubeconfig] }, NOBODY);
  t.after(() => kube.close());
  await installDefinition(kube);
  // Which a controller manager would make.
  await kube.create(SERVICE_ACCOUNTS, { metadata: { name: 'default', namespace } }, options);
  const cluster = { baseImage: 'registry.example/base' } as Cluster;
  const controller = runController({ kube, namespaces: [namespace], systemNamespace: namespace });
  t.after(() => controller.stop());
  const scale = {
    kind: 'auto',
    minReplicas: 1,
    maxReplicas: 50,
    targetUtilization: 70,
    refreshPeriodInSeconds: 1,
  } as const;
  await kube.create(
    ENDPOINTS,
    endpointOf({ name: 'web', spec: { versions: [pythonVersion(cluster, { scale })] } }, namespace),
    options,
  );
  const router = await startFakeRouter(t, { kube, namespace, cluster } as ControllerWorld, 'router');
  const deployment = await follow<Deployment>(kube, DEPLOYMENTS, 'web.main');
  const shard = await follow<Secret>(kube, SECRETS, authSecretName('web'));
  const random = seededRandom(3);

  const decisions: number[] = [];
  await deployment.until((object) => object.spec?.replicas === 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    router.say({ endpoint: 'web', version: 'main', busy: 1 });
    const replicas = deployment.now()?.spec?.replicas ?? 1;
    // At any moment between two decisions.
    await sleep(1500 + 1000 * random());
    const begun = performance.now();
    router.say({ endpoint: 'web', version: 'main', busy: 1, queued: replicas });
    await deployment.until((object) => (object.spec?.replicas ?? 0) > replicas);
    decisions.push(performance.now() - begun);
    if (replicas > 20) {
      router.say({ endpoint: 'web', version: 'main' });
      await kube.patch(DEPLOYMENTS, { namespace, name: 'web.main' }, { spec: { replicas: 1 } }, options);
      await deployment.until((object) => object.spec?.replicas === 1);
    }
  }

  const published: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = shard.now()?.data?.[authSecretKey(namespace, 'web')];
    const begun = performance.now();
    const primaryKey = Buffer.from(`key ${round}`).toString('base64');
    await kube.patch(SECRETS, { namespace, name: 'web.keys' }, { data: { primaryKey } }, options);
    await shard.until((object) => object.data?.[authSecretKey(namespace, 'web')] !== before);
    published.push(performance.now() - begun);
  }
  console.table({
    'step in load → replicas written': summary(decisions),
    'key changed → routers are told': summary(published),
  });
}

/** One object, as the API server tells of it. */
async function follow<T extends KubeObject>(
  kube: Awaited<ReturnType<typeof openKube>>,
  resource: Resource<T>,
  name: string,
): Promise<{ now(): T | undefined; until(holds: (object: T) => boolean): Promise<void> }> {
  const end = new AbortController();
  let settle = () => {};
  const informer = new Informer(kube, resource, {
    query: { namespace, fieldSelector: `metadata.name=${name}` },
    onChange: () => settle(),
  });
  const running = informer.run(end.signal);
  t.after(async () => {
    end.abort();
    await running;
  });
  await informer.whenSynced;
  const now = () => informer.get(`${namespace}/${name}`);
  return {
    now,
    until: (holds) =>
      new Promise((resolve) => {
        settle = () => {
          const object = now();
          if (object !== undefined && holds(object)) resolve();
        };
        settle();
      }),
  };
}

function summary(milliseconds: readonly number[]) {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { rounds: sorted.length, 'p50 ms': at(0.5), 'p95 ms': at(0.95), 'max ms': at(1) };
}

const missing = whyNoControlPlane();
if (missing !== undefined) console.log(missing);
else {
  try {
    await bench();
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}
