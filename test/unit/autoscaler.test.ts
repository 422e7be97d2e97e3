import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Autoscaler } from '../../src/cluster/controller/autoscaler.ts';
import type { ClusterCache } from '../../src/cluster/controller/cluster-cache.ts';
import { LoadView } from '../../src/cluster/controller/load-view.ts';
import { deployment as deploymentOf } from '../../src/cluster/controller/objects.ts';
import type { VersionLoad } from '../../src/cluster/router/routing-table.ts';
import type { Scale } from '../../src/contract/endpoint.ts';
import type { KubeClient } from '../../src/kube/kube.ts';
import type { Deployment } from '../../src/kube/resource.ts';
import { type AutoscaleState, decide, NO_HISTORY, observe } from '../../src/serving/autoscale.ts';
import type { LoadSample } from '../../src/serving/demand.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { simulate } from '../../src/serving/simulator.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

const SCALE = {
  kind: 'auto',
  minReplicas: 1,
  maxReplicas: 40,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
} as const;

test('a recorded curve, told by routers, gives the replicas that the simulator gives', async () => {
  const recorded = record();
  const cluster = clusterOf(SCALE, 1);
  const view = new LoadView();
  view.setRouters(['a', 'b'], 0);
  tell(view, 'b', 0, []);
  let changes = 0;
  for (const { sample, present, wanted } of recorded) {
    cluster.set(present, present);
    tell(view, 'b', sample.time, []);
    for (const moment of tell(view, 'a', sample.time, [loadOf(sample)]))
      cluster.autoscaler.moment(moment, cluster.endpoint, cluster.signal);
    await turn();
    assert.equal(cluster.replicas(), wanted, `at ${sample.time} ms with ${present}`);
    if (wanted !== present) changes += 1;
  }
  assert.ok(changes > 10, `${changes} changes`);
});

test('a request for a version without replicas gets the first one at once, and those that wait for it get no more', async () => {
  const cluster = clusterOf({ ...SCALE, minReplicas: 0, refreshPeriodInSeconds: 60 }, 0);
  const moment = (time: number, queued: number, busy = 0) =>
    cluster.autoscaler.moment(
      {
        endpoint: 'web',
        version: 'main',
        sample: { time, busy, queued, arrived: queued + busy, completed: 0 },
        totals: { arrived: 0, completed: 0, failed: 0, latency: [] },
      },
      cluster.endpoint,
      cluster.signal,
    );
  moment(0, 0);
  await turn();
  assert.equal(cluster.replicas(), 0);
  moment(100, 30);
  await turn();
  assert.equal(cluster.replicas(), 1);
  for (let time = 200; time < 70_000; time += 100) moment(time, 30);
  await turn();
  assert.equal(cluster.replicas(), 1);
  cluster.set(1, 1);
  moment(70_000, 29, 1);
  await turn();
  assert.equal(cluster.replicas(), 40);
});

test('what somebody else has written since counts, also where it is not what was written before', async () => {
  const cluster = clusterOf(SCALE, 1);
  const moment = (time: number, busy: number, queued: number) =>
    cluster.autoscaler.moment(
      {
        endpoint: 'web',
        version: 'main',
        sample: { time, busy, queued, arrived: 0, completed: 0 },
        totals: { arrived: 0, completed: 0, failed: 0, latency: [] },
      },
      cluster.endpoint,
      cluster.signal,
    );
  cluster.set(1, 1);
  moment(0, 1, 5);
  await turn();
  assert.equal(cluster.replicas(), 9);
  cluster.set(2, 2);
  moment(2000, 2, 4);
  await turn();
  assert.equal(cluster.replicas(), 9);
});

test('a version that has never run keeps its first replica', async () => {
  const cluster = clusterOf({ ...SCALE, minReplicas: 0 }, 1, { served: false });
  for (let time = 0; time < 120_000; time += 1000) {
    cluster.autoscaler.moment(
      {
        endpoint: 'web',
        version: 'main',
        sample: { time, busy: 0, queued: 0, arrived: 0, completed: 0 },
        totals: { arrived: 0, completed: 0, failed: 0, latency: [] },
      },
      cluster.endpoint,
      cluster.signal,
    );
  }
  await turn();
  assert.equal(cluster.replicas(), 1);
});

/** What the simulator decided on an hour’s load: at each sample, with how many replicas it found. */
function record(): readonly { readonly sample: LoadSample; readonly present: number; readonly wanted: number }[] {
  const made: { sample: LoadSample; present: number; wanted: number }[] = [];
  let state: AutoscaleState = NO_HISTORY;
  const random = seededRandom(7);
  const run = simulate({
    arrivals: Array.from(
      { length: 600 },
      (_, at) => 5 + 60 * Math.sin((Math.PI * at) / 300) ** 2 + (at % 90 < 6 ? 40 : 0),
    ),
    serviceTime: (next) => -100 * Math.log(1 - next()),
    replicaStartMs: 3000,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 500,
    initialReplicas: 1,
    random,
    scale: (sample, present) => {
      state = observe(state, sample);
      const decision = decide({ ...SCALE, maxConcurrentRequestsPerContainer: 1 }, state, present, sample.time);
      state = decision.state;
      made.push({ sample, present, wanted: decision.replicas });
      return decision.replicas;
    },
  });
  for (const _ of run);
  return made;
}

function tell(view: LoadView, router: string, time: number, versions: readonly VersionLoad[]) {
  return [...view.heard({ router, time, versions }, time)];
}

function loadOf({ busy, queued, arrived = 0, completed = 0 }: LoadSample): VersionLoad {
  return { endpoint: 'web', version: 'main', busy, queued, arrived, completed, failed: 0, latency: [] };
}

/** One endpoint with one Deployment, as the cache shows it and the API server takes it. */
function clusterOf(scale: Scale, replicas: number, { served = true } = {}) {
  const version = clusterVersion({ scale });
  const status = {
    observedGeneration: 1,
    state: 'Healthy',
    versions: [
      {
        name: 'main',
        state: 'Healthy',
        desiredReplicas: 1,
        updatedReplicas: 1,
        availableReplicas: 1,
        effectiveTraffic: 100,
        replicas: [],
        ...(served ? { servingImage: version.image } : {}),
      },
    ],
    updatedTime: '',
  } as const;
  const endpoint = clusterEndpoint({ versions: [version] }, { status });
  let live: Deployment = deploymentOf(endpoint, version, { replicas, inPlace: false });
  const cache = { find: () => live } as unknown as ClusterCache;
  const kube = {
    replace: async (_: unknown, wanted: Deployment) => {
      live = next(wanted);
      return live;
    },
  } as unknown as KubeClient;
  const autoscaler = new Autoscaler({
    kube,
    cache,
    beforeWrite: () => {},
    log: () => {},
    warn: assert.ifError,
    onUtilization: () => {},
  });
  return {
    autoscaler,
    endpoint,
    signal: new AbortController().signal,
    replicas: () => live.spec?.replicas,
    set(wanted: number, ready: number) {
      live = next({
        ...live,
        spec: { ...live.spec, replicas: wanted } as NonNullable<Deployment['spec']>,
        status: { readyReplicas: ready },
      });
    },
  };
}

/** With the generation that the API server counts. */
function next(deployment: Deployment): Deployment {
  const { metadata } = deployment;
  return { ...deployment, metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 } };
}
