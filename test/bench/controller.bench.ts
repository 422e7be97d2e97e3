import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openPlace } from '../../scripts/cluster/place.ts';
import { buildKwok } from '../../scripts/cluster/programs.ts';
import { endpointDefinition } from '../../src/cluster/crd.ts';
import { workloadName } from '../../src/cluster/names.ts';
import { Informer } from '../../src/kube/informer.ts';
import { openKube } from '../../src/kube/kube.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  type Deployment,
  ENDPOINTS,
  type KubeNode,
  NODES,
  type StoredEndpoint,
} from '../../src/kube/resource.ts';
import { openControlPlane, whyNoControlPlane } from '../cluster/control-plane.ts';
import { eventually } from '../cluster/world.ts';
import { freePort } from '../images/docker-registry.ts';

/**
 * The controller with many endpoints, on a real API server whose nodes and pods are played by kwok: memory, the time from a change of an
 * Endpoint to that of its Deployment (target: median at most 100 ms) beside that until the API server has told of the former, which it takes
 * twice and which says how busy the machine is; and how long until all is well again after a kill. A change asks for one replica more, and
 * comes as soon as the one before it has arrived, while its pod is still being made. The store does not wait for the disk.
 */
const COUNT = Number(process.env['AKSML_BENCH_ENDPOINTS'] ?? 2000);
const REPLICAS = 5;
const NODE_COUNT = 12;
const CHANGES = 300;
const NAMESPACE = 'default';
const OPTIONS = { fieldManager: 'bench' };
const SETTLE_MS = 60 * 60_000;
const TELL_MS = 10_000;
/** By itself it plays four pods at a time. */
const KWOK = {
  apiVersion: 'config.kwok.x-k8s.io/v1alpha1',
  kind: 'KwokConfiguration',
  options: {
    podPlayStageParallelism: 64,
    nodePlayStageParallelism: 4,
    nodeLeaseParallelism: 4,
    podsOnNodeSyncParallelism: 4,
  },
};

/** On stderr: a run takes minutes. */
function tell(what: string): void {
  console.error(`${performance.now().toFixed(0).padStart(7)} ms  ${what}`);
}

async function bench(): Promise<void> {
  const [kwok = '', ...stages] = await buildKwok(openPlace());
  const plane = await openControlPlane(t, { controllers: true, crowded: true });
  const kube = await openKube(
    { paths: [plane.kubeconfig] },
    { variables: {}, consent: async () => false, untrustedFolders: [] },
  );
  t.after(() => kube.close());
  const speed = join(plane.folder, 'kwok.yaml');
  await writeFile(speed, JSON.stringify(KWOK));
  const playing = start(kwok, [
    ...stages,
    '--config',
    speed,
    '--node-lease-duration-seconds=0',
    '--kubeconfig',
    plane.kubeconfig,
  ]);
  playing.once('exit', (code) => tell(`kwok ended with ${code}`));
  await kube.apply(CUSTOM_RESOURCE_DEFINITIONS, endpointDefinition('0.0.0-bench'), { ...OPTIONS, force: true });
  for (let index = 0; index < NODE_COUNT; index += 1) await kube.create(NODES, node(index), OPTIONS);

  const ending = new AbortController();
  const toldEndpoints = new Watched<StoredEndpoint>();
  const endpoints = new Informer(kube, ENDPOINTS, {
    onChange: (change) => change.type !== 'deleted' && toldEndpoints.told(change.object),
  });
  const deployments = new Watched<Deployment>();
  const made = new Informer<Deployment>(kube, DEPLOYMENTS, {
    onChange: (change) => change.type !== 'deleted' && deployments.told(change.object),
  });
  const watching = [endpoints.run(ending.signal), made.run(ending.signal)];
  t.after(async () => {
    ending.abort();
    await Promise.all(watching);
  });
  await eventually('the resource is served', async () => endpoints.synced);

  const first = await startController(plane.kubeconfig);
  const created = performance.now();
  await inParallel(COUNT, 16, (index) => kube.create(ENDPOINTS, endpoint(index), OPTIONS));
  tell(`${COUNT} endpoints are created`);
  const healthy = () => [...endpoints.list()].filter(({ status }) => status?.state === 'Healthy').length;
  const replicas = () => [...made.list()].reduce((sum, { status }) => sum + (status?.readyReplicas ?? 0), 0);
  const telling = setInterval(
    () => tell(`${healthy()} endpoints healthy, ${made.size} deployments, ${replicas()} replicas ready`),
    TELL_MS,
  );
  await eventually('all are healthy', async () => healthy() === COUNT, {
    timeoutMs: SETTLE_MS,
    describe: async () => healthy(),
  });
  clearInterval(telling);
  const filled = (performance.now() - created) / 1000;
  tell('all are healthy');
  await idle(first.port);
  const memory = await memoryOf(first.child);

  let begun = 0;
  const told: number[] = [];
  const reconciled: number[] = [];
  for (let round = 0; round < CHANGES; round += 1) {
    const index = (round * 7) % COUNT;
    if (round % 50 === 0) tell(`change ${round} of ${CHANGES}`);
    const change = await changeOne(index, REPLICAS + 1 + Math.floor(round / COUNT));
    told.push(change.told);
    reconciled.push(change.reconciled);
  }

  tell('the controller is killed');
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const missed = COUNT - 1;
  const seen = deployments.until(workload(missed), ({ spec }) => spec?.replicas === 1);
  await scale(missed, 1);
  const restarted = Date.now();
  const second = await startController(plane.kubeconfig);
  await seen;
  const caughtUp = (Date.now() - restarted) / 1000;
  await idle(second.port);
  const settled = (Date.now() - restarted) / 1000;
  const led = ((await second.leading) - restarted) / 1000;
  const memoryAfter = await memoryOf(second.child);

  console.table([
    { what: 'endpoints, pods', figure: `${COUNT}, ${COUNT * REPLICAS}` },
    { what: 'all created to all Healthy, s (bound by Kubernetes and kwok)', figure: filled.toFixed(0) },
    { what: 'memory of the controller then, and at most, MiB', figure: `${memory.now}, ${memory.most}` },
    { what: 'change of an Endpoint to change of its Deployment, median, ms', figure: percentile(reconciled, 0.5) },
    { what: '… p99, ms', figure: percentile(reconciled, 0.99) },
    { what: '… a write to being told of it, median, ms', figure: percentile(told, 0.5) },
    { what: 'kill to leading again, s (15 s of it until the Lease ends)', figure: led.toFixed(1) },
    { what: '… to a change that was made meanwhile being applied, s', figure: caughtUp.toFixed(1) },
    { what: '… to every endpoint looked at, s', figure: settled.toFixed(1) },
    { what: 'memory after that, and at most, MiB', figure: `${memoryAfter.now}, ${memoryAfter.most}` },
  ]);

  /** Whatever the controller writes of it meanwhile. */
  async function scale(index: number, replicas: number): Promise<StoredEndpoint> {
    const name = { name: nameOf(index), namespace: NAMESPACE };
    const versions = (await kube.get(ENDPOINTS, name)).spec.versions.map((version) => ({
      ...version,
      scale: { kind: 'fixed', replicas } as const,
    }));
    begun = performance.now();
    return kube.patch(ENDPOINTS, name, { spec: { versions } }, OPTIONS);
  }

  async function changeOne(index: number, replicas: number): Promise<{ told: number; reconciled: number }> {
    const isScaled = ({ spec }: StoredEndpoint) =>
      spec.versions.every(({ scale }) => scale.kind === 'fixed' && scale.replicas === replicas);
    const told = toldEndpoints.until(nameOf(index), isScaled);
    const seen = deployments.until(workload(index), ({ spec }) => spec?.replicas === replicas);
    await scale(index, replicas);
    return { told: (await told) - begun, reconciled: (await seen) - begun };
  }
}

/** Waits for what an informer tells. */
class Watched<T extends KubeObject> {
  readonly #waiting = new Map<string, { holds: (object: T) => boolean; resolve: (at: number) => void }>();

  told(object: T): void {
    const waiting = this.#waiting.get(object.metadata.name);
    if (!waiting?.holds(object)) return;
    this.#waiting.delete(object.metadata.name);
    waiting.resolve(performance.now());
  }

  until(name: string, holds: (object: T) => boolean): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(name, { holds, resolve }));
  }
}

function percentile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(0);
}

async function startController(kubeconfig: string) {
  const port = await freePort();
  const script = join(import.meta.dirname, 'controller-process.ts');
  const child = start(process.execPath, [script, kubeconfig, NAMESPACE, String(port)]);
  const leading = Promise.withResolvers<number>();
  if (child.stdout === null) throw new Error('no output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const entry: { at: number; message: string } = JSON.parse(line);
    if (entry.message === 'leadership: leading') leading.resolve(entry.at);
  });
  return { child, port, leading: leading.promise };
}

/** Waits until the controller has looked at every endpoint and nothing is left to do. */
async function idle(port: number): Promise<void> {
  await eventually(
    'the controller is idle',
    async () => {
      const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
        (answer) => answer.text(),
        () => '',
      );
      const figure = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
      return figure('aksml_reconciles_total') >= COUNT && figure('aksml_queue_depth') === 0;
    },
    { timeoutMs: SETTLE_MS },
  );
}

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout?.resume();
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

async function memoryOf({ pid }: ChildProcess): Promise<{ readonly now: number; readonly most: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const figure = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024);
  return { now: figure('VmRSS'), most: figure('VmHWM') };
}

async function inParallel(count: number, width: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

function nameOf(index: number): string {
  return `e-${String(index).padStart(4, '0')}`;
}

function workload(index: number): string {
  return workloadName(nameOf(index), 'main');
}

function node(index: number): KubeNode {
  const room = { cpu: '1000', memory: '4000Gi', pods: '1000' };
  return {
    metadata: { name: `node-${index}`, labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
    spec: {},
    status: { capacity: room, allocatable: room },
  };
}

function endpoint(index: number): StoredEndpoint {
  const version = {
    name: 'main',
    isDefault: true,
    image: `sha256:${'0'.repeat(64)}`,
    imageRepository: 'registry.example/images/bench',
    resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0 },
    scale: { kind: 'fixed', replicas: REPLICAS },
  };
  const object: unknown = {
    metadata: { name: nameOf(index), namespace: NAMESPACE },
    spec: { form: 'service', auth: 'none', versions: [version] },
  };
  // What is left out has defaults in the custom resource.
  return object as StoredEndpoint;
}

const why = whyNoControlPlane();
if (why !== undefined) {
  console.log(why);
  process.exit(1);
}
const cleanups: (() => Promise<void>)[] = [];
const t = { after: (work: () => Promise<void>) => void cleanups.push(work) };
try {
  await bench();
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
