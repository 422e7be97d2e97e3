import { spawn } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../scripts/cluster/command.ts';
import { SAMPLE, SAMPLE_MODEL, trainSampleModel } from '../../scripts/sample.ts';
import { ENDPOINT_LABEL, workloadName } from '../../src/cluster/names.ts';
import { EngineClient } from '../../src/extension/engine-client.ts';
import { openKube } from '../../src/kube/kube.ts';
import { listWatch } from '../../src/kube/list-watch.ts';
import { PODS } from '../../src/kube/resource.ts';
import { l10n } from '../../webview-ui/host/l10n.ts';
import { DEPLOY_TO_CLUSTER, writeClusterProject } from '../cluster/project.ts';
import { type ClusterWorld, eventually } from '../cluster/world.ts';
import { outcomeOf } from '../local/world.ts';
import { must, withAttachedCluster } from './cluster-world.ts';
import { median } from './median.ts';

/**
 * Deploying with one changed line of code, by `aksml model deploy` and by the engine's process that VS Code keeps, against `kubectl rollout
 * restart` of the same Deployment: from the command to the first answer of the new code that a caller of the endpoint gets, and to the first
 * that the new replica itself gives. Interleaved, each with the cluster at rest before it. Of the sample project, whose `init()` loads a model
 * with scikit-learn (target: at most 1.15 times), and of a script that loads nothing: it shows what deploying adds where a start is shortest.
 * Of the command also the time to push (target: at most 0.2 s), and how long attaching takes.
 */
const ROUNDS = 10;
/** Asking costs CPU, which the new replica needs. */
const POLL_MS = 20;
const PORT = 5001;

interface Service {
  readonly name: string;
  readonly title: string;
  readonly model: string;
  /** Writes the project, and registers the model. */
  readonly prepare: (world: ClusterWorld) => Promise<void>;
  /** Whose answers tell one replica, and one change of the code, from the next. */
  readonly script: (answer: number) => string;
}

/** Milliseconds from the command. */
interface FirstAnswers {
  readonly replica: number;
  readonly caller: number;
}

await trainSampleModel({
  step: (_, work) => work(),
  run: async (command, args, cwd) => void (await run(command, args, { cwd })),
});
const request = await readFile(join(SAMPLE, 'sample-request.json'), 'utf8');
const sampleScript = await readFile(join(SAMPLE, 'source', 'score.py'), 'utf8');

const SERVICES: readonly Service[] = [
  {
    name: 'sample',
    title: 'The sample project, which loads a model with scikit-learn',
    model: 'diabetes:1',
    async prepare(world) {
      await writeClusterProject(world);
      await cp(join(SAMPLE, 'source'), join(world.project, 'source'), { recursive: true });
      const sample: unknown = JSON.parse(await readFile(join(SAMPLE, 'inferenceconfig.json'), 'utf8'));
      const inference = { ...(sample as object), baseImage: world.cluster.baseImage };
      await world.write('inferenceconfig.json', JSON.stringify(inference));
      await must(world, 'model', 'register', '-n', 'diabetes', '-p', SAMPLE_MODEL);
    },
    script: (answer) => `${sampleScript}

predict = run


def run(raw_data):
    predict(raw_data)
    return {"answer": ${answer}, "replica": os.environ["HOSTNAME"]}
`,
  },
  {
    name: 'bare',
    title: 'A script that loads nothing',
    model: 'weights:1',
    async prepare(world) {
      await writeClusterProject(world);
      await must(world, 'model', 'register', '-n', 'weights', '-p', 'model');
    },
    script: (answer) => `import os

def init():
    pass

def run(data):
    return {"answer": ${answer}, "replica": os.environ["HOSTNAME"]}
`,
  },
];

await withAttachedCluster(async (world, attachSeconds) => {
  for (const service of SERVICES) await measureService(world, service);
  console.log(`Attach to ready: ${attachSeconds.toFixed(1)} s`);
});

async function measureService(world: ClusterWorld, { name, title, model, prepare, script }: Service): Promise<void> {
  await prepare(world);
  let answer = 1;
  const changeCode = () => world.write('source/score.py', script(++answer));
  await changeCode();
  await must(world, ...DEPLOY_TO_CLUSTER, '-n', name, '-m', model);
  const deployment = `deployment/${workloadName(name, name)}`;
  const replicas = await watchReplicas(world, name);
  await atRest(world, name, deployment);
  const engine = openEngine(world, name, model);
  const pushes: number[] = [];
  const times: Record<'command' | 'engine' | 'restart', FirstAnswers[]> = { command: [], engine: [], restart: [] };
  const measure = async (way: keyof typeof times, change: () => Promise<unknown>) => {
    times[way].push(await replicas.firstAnswersOfNew(answer, change));
    await atRest(world, name, deployment);
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    await changeCode();
    await measure('command', async () => pushes.push(await redeploy(world, name, model)));
    await changeCode();
    await measure('engine', () => engine.redeploy());
    await measure('restart', () => world.kubectl('rollout', 'restart', deployment));
  }
  engine.close();
  await replicas.close();
  await must(world, 'service', 'delete', '-n', name, '--yes');
  const first = (way: keyof typeof times, whom: keyof FirstAnswers) => median(times[way].map((taken) => taken[whom]));
  const row = (way: keyof typeof times) => ({
    'to a caller, ms': first(way, 'caller').toFixed(0),
    '/ restart': (first(way, 'caller') / first('restart', 'caller')).toFixed(2),
    'by the replica, ms': first(way, 'replica').toFixed(0),
    '/ restart ': (first(way, 'replica') / first('restart', 'replica')).toFixed(2),
  });
  console.log(`${title}: first answer of the new code, medians`);
  console.table({
    'aksml model deploy': row('command'),
    'the engine that VS Code keeps': row('engine'),
    'kubectl rollout restart': row('restart'),
  });
  console.log(`Of the command, pushing the image, median: ${median(pushes).toFixed(0)} ms`);
}

/** A process of the engine, as a window of VS Code has it once its tree shows the cluster. */
function openEngine(world: ClusterWorld, name: string, model: string) {
  const host = join(import.meta.dirname, '..', '..', 'dist', 'engine-host.js');
  const client = new EngineClient({
    t: l10n.t,
    spawn: () => spawn(process.execPath, [host], { env: world.environment, stdio: 'pipe' }),
    log: console.error,
  });
  const target = { folder: world.project, target: 'prod' };
  const tree = client.subscribe('endpoint.watch', target, { onEvent: () => undefined });
  const files = { inferenceConfigFile: 'inferenceconfig.json', deploymentConfigFile: 'deploymentconfig.json' };
  return {
    redeploy: () =>
      client.request('deployment.deploy', { ...target, ...files, name, models: [model], overwrite: true }),
    close() {
      tree.dispose();
      client.dispose();
    },
  };
}

/** The rollout is complete, and what it replaced is gone: ending a replica costs CPU, which whatever is measured next would pay for. */
async function atRest(world: ClusterWorld, name: string, deployment: string): Promise<void> {
  await world.kubectl('rollout', 'status', deployment);
  await eventually('one replica is left', async () => {
    const pods = await world.list('pods', `${ENDPOINT_LABEL}=${name}`);
    return pods.length === 1;
  });
  await world.kubectl('wait', `endpoints.aksml.dev/${name}`, '--for=jsonpath={.status.state}=Healthy', '--timeout=60s');
}

/** Milliseconds that the push took. */
async function redeploy(world: ClusterWorld, name: string, model: string): Promise<number> {
  const child = world.start(...DEPLOY_TO_CLUSTER, '-n', name, '-m', model, '--overwrite');
  const times: number[] = [];
  if (child.stderr === null) throw new Error('no output');
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.includes('Pushing the deployment image')) times.push(performance.now());
  });
  const { code, stderr } = await outcomeOf(child);
  const [begun, done] = times;
  if (code !== 0 || begun === undefined || done === undefined) throw new Error(`deploying failed: ${stderr}`);
  return done - begun;
}

/** The endpoint as its callers have it. */
async function callerOf(world: ClusterWorld, name: string): Promise<Asked> {
  const { scoringUri } = (await must(world, 'service', 'show', '-n', name, '-o', 'json')).json();
  const { primaryKey } = (await must(world, 'service', 'get-keys', '-n', name, '-o', 'json')).json();
  return { uri: String(scoringUri), headers: { authorization: `Bearer ${String(primaryKey)}` } };
}

async function watchReplicas(world: ClusterWorld, name: string) {
  const caller = await callerOf(world, name);
  const kube = await openKube(
    { paths: [world.kubeconfig] },
    { variables: {}, consent: async () => false, untrustedFolders: [] },
  );
  const ending = new AbortController();
  const addresses = new Map<string, string>();
  const query = { namespace: world.namespace, labelSelector: `${ENDPOINT_LABEL}=${name}` };
  const listed = Promise.withResolvers<void>();
  const watching = (async () => {
    for await (const event of listWatch(kube, PODS, query, ending.signal)) {
      const pods = event.type === 'listed' ? event.objects : event.type === 'changed' ? [event.object] : [];
      for (const { metadata, status } of pods) if (status?.podIP) addresses.set(metadata.name, status.podIP);
      if (event.type === 'listed') listed.resolve();
    }
  })();
  await listed.promise;
  return {
    async firstAnswersOfNew(answer: number, change: () => Promise<unknown>): Promise<FirstAnswers> {
      const known = new Set(addresses.keys());
      const started = performance.now();
      const changing = change();
      const untilNew = async (asked: () => readonly Asked[]): Promise<number> => {
        for (;;) {
          for (const one of asked()) {
            const given = await answerOf(one);
            if (given?.answer === answer && !known.has(given.replica)) return performance.now() - started;
          }
          await sleep(POLL_MS);
        }
      };
      const fresh = () => [...addresses].filter(([name]) => !known.has(name)).map(([, address]) => address);
      const replica = await untilNew(() => fresh().map((address) => ({ uri: `http://${address}:${PORT}/score` })));
      const taken = { replica, caller: await untilNew(() => [caller]) };
      await changing;
      return taken;
    },
    async close() {
      ending.abort();
      await watching;
      await kube.close();
    },
  };
}

interface Asked {
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answerOf({
  uri,
  headers,
}: Asked): Promise<{ readonly answer: unknown; readonly replica: string } | undefined> {
  try {
    const answer = await fetch(uri, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: request,
      signal: AbortSignal.timeout(1_000),
    });
    const content = (await answer.json()) as { readonly answer?: unknown; readonly replica?: unknown };
    return answer.ok ? { answer: content.answer, replica: String(content.replica) } : undefined;
  } catch {
    return undefined;
  }
}
