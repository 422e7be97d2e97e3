import { Informer } from '../../src/kube/informer.ts';
import type { KubeClient } from '../../src/kube/kube.ts';
import { type KubeNode, NODES, PODS, type Pod } from '../../src/kube/resource.ts';

const OPTIONS = { fieldManager: 'test' };
/** Kubernetes takes a node for lost when it says nothing for longer than 40 s. */
const HEARTBEAT_MS = 10_000;

export interface PlayedNodes {
  add(...names: readonly string[]): Promise<void>;
  /** From now on, pods that come start, or stay as they are. */
  start(starting: boolean): void;
}

/**
 * Nodes that nothing runs on, of a control plane of the test's own: pods that the scheduler puts there become ready at once, and are gone as soon
 * as they are to end.
 */
export async function playNodes(t: { after(work: () => Promise<void>): void }, kube: KubeClient): Promise<PlayedNodes> {
  const names = new Set<string>();
  let starting = true;
  const ending = new AbortController();
  const playing = new Set<Promise<unknown>>();
  const play = (work: Promise<unknown>) => {
    // Whatever has changed meanwhile is told again.
    const done = work.catch(() => {}).finally(() => playing.delete(done));
    playing.add(done);
  };
  const consider = (pod: Pod) => {
    const { metadata, spec, status } = pod;
    if (!names.has(spec?.nodeName ?? '')) return;
    if (metadata.deletionTimestamp !== undefined) play(kube.remove(PODS, metadata, { gracePeriodSeconds: 0 }));
    else if (starting && status?.phase === 'Pending')
      play(kube.patch(PODS, metadata, { status: running(pod) }, STATUS));
  };
  const pods: Informer<Pod> = new Informer<Pod>(kube, PODS, {
    onChange: ({ type, object }) => {
      if (type !== 'deleted') consider(object);
    },
  });
  const beat = () => {
    for (const name of names) play(kube.patch(NODES, { name }, { status: ready() }, STATUS));
  };
  const beating = setInterval(beat, HEARTBEAT_MS);
  const watching = pods.run(ending.signal);
  t.after(async () => {
    clearInterval(beating);
    ending.abort();
    await watching;
    await Promise.all(playing);
  });
  return {
    async add(...more) {
      for (const name of more) {
        await kube.create(NODES, node(name), OPTIONS);
        names.add(name);
      }
      beat();
    },
    start(next) {
      starting = next;
      for (const pod of pods.list()) consider(pod);
    },
  };
}

const STATUS = { ...OPTIONS, subresource: 'status' } as const;

function running({ spec }: Pod): Pod['status'] {
  const now = new Date().toISOString() as never;
  const containers = spec?.containers ?? [];
  return {
    phase: 'Running',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    conditions: ['Initialized', 'ContainersReady', 'Ready'].map((type) => ({
      type,
      status: 'True',
      lastTransitionTime: now,
    })),
    containerStatuses: containers.map(({ name, image = '' }) => ({
      name,
      image,
      imageID: image,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    })),
  };
}

function node(name: string): KubeNode {
  const room = { cpu: '8', memory: '32Gi', pods: '100' };
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
    spec: {},
    status: { capacity: room, allocatable: room },
  };
}

function ready(): KubeNode['status'] {
  const now = new Date().toISOString() as never;
  return { conditions: [{ type: 'Ready', status: 'True', reason: 'Played', lastHeartbeatTime: now }] };
}
