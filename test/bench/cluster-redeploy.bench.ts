import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDPOINT_LABEL } from '../../src/cluster/names.ts';
import { EngineClient } from '../../src/extension/engine-client.ts';
import { openKube } from '../../src/kube/kube.ts';
import { listWatch } from '../../src/kube/list-watch.ts';
import { PODS } from '../../src/kube/resource.ts';
import { l10n } from '../../webview-ui/host/l10n.ts';
import { DEPLOY_TO_CLUSTER } from '../cluster/project.ts';
import { type ClusterWorld, eventually } from '../cluster/world.ts';
import { ANSWER, outcomeOf } from '../local/world.ts';
import { deployService, withAttachedCluster } from './cluster-world.ts';
import { median } from './median.ts';

/**
 * From the command to the first answer of the new replica: deploying with one changed line of code, by `aksml model deploy` and by the
 * engine's process that VS Code keeps, against `kubectl rollout restart` of the same Deployment. Interleaved, each with the cluster at rest
 * before it; target: at most 1.15 times. Of the command also the time to push (target: at most 0.2 s), and how long attaching takes.
 */
const ROUNDS = 10;
const NAME = 'bench';
/** Asking costs CPU, which the new replica needs. */
const POLL_MS = 20;
const PORT = 5001;

await withAttachedCluster(async (world, attachSeconds) => {
  const deployment = await deployService(world, NAME);
  const replicas = await watchReplicas(world);
  await atRest(world, deployment);
  const engine = openEngine(world);
  const pushes: number[] = [];
  const times = new Map<string, number[]>(['command', 'engine', 'restart'].map((way) => [way, []]));
  let answer = 1;
  const measure = async (way: string, change: () => Promise<unknown>) => {
    times.get(way)?.push(await replicas.firstAnswerOfNew(answer, change));
    await atRest(world, deployment);
  };
  const changeCode = () => world.write('source/score.py', ANSWER(++answer));
  for (let round = 1; round <= ROUNDS; round += 1) {
    await changeCode();
    await measure('command', async () => pushes.push(await redeploy(world)));
    await changeCode();
    await measure('engine', () => engine.redeploy());
    await measure('restart', () => world.kubectl('rollout', 'restart', deployment));
  }
  engine.close();
  await replicas.close();
  const [command = 0, byEngine = 0, restart = 0] = [...times.values()].map(median);
  console.table([
    { what: 'attach to ready, s', figure: attachSeconds.toFixed(1) },
    { what: 'aksml model deploy, to the first new answer, median, ms', figure: command.toFixed(0) },
    { what: '… of which pushing the image, median, ms', figure: median(pushes).toFixed(0) },
    { what: 'the same by the engine that VS Code keeps, median, ms', figure: byEngine.toFixed(0) },
    { what: 'kubectl rollout restart, to the first answer, median, ms', figure: restart.toFixed(0) },
    { what: 'ratio of the command', figure: (command / restart).toFixed(2) },
    { what: 'ratio of the engine', figure: (byEngine / restart).toFixed(2) },
  ]);
});

/** A process of the engine, as a window of VS Code has it once its tree shows the cluster. */
function openEngine(world: ClusterWorld) {
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
      client.request('deployment.deploy', { ...target, ...files, name: NAME, models: ['weights:1'], overwrite: true }),
    close() {
      tree.dispose();
      client.dispose();
    },
  };
}

/** The rollout is complete, and what it replaced is gone: ending a replica costs CPU, which whatever is measured next would pay for. */
async function atRest(world: ClusterWorld, deployment: string): Promise<void> {
  await world.kubectl('rollout', 'status', deployment);
  await eventually('one replica is left', async () => {
    const pods = await world.list('pods', `${ENDPOINT_LABEL}=${NAME}`);
    return pods.length === 1;
  });
  await world.kubectl('wait', `endpoints.aksml.dev/${NAME}`, '--for=jsonpath={.status.state}=Healthy', '--timeout=60s');
}

/** Milliseconds that the push took. */
async function redeploy(world: ClusterWorld): Promise<number> {
  const child = world.start(...DEPLOY_TO_CLUSTER, '-n', NAME, '-m', 'weights:1', '--overwrite');
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

async function watchReplicas(world: ClusterWorld) {
  const kube = await openKube(
    { paths: [world.kubeconfig] },
    { variables: {}, consent: async () => false, untrustedFolders: [] },
  );
  const ending = new AbortController();
  const addresses = new Map<string, string>();
  const query = { namespace: world.namespace, labelSelector: `${ENDPOINT_LABEL}=${NAME}` };
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
    async firstAnswerOfNew(answer: number, change: () => Promise<unknown>): Promise<number> {
      const known = new Set(addresses.keys());
      const started = performance.now();
      const changing = change();
      for (;;) {
        for (const [name, address] of addresses) {
          if (!known.has(name) && (await answerOf(address)) === answer) {
            const elapsed = performance.now() - started;
            await changing;
            return elapsed;
          }
        }
        await sleep(POLL_MS);
      }
    },
    async close() {
      ending.abort();
      await watching;
      await kube.close();
    },
  };
}

async function answerOf(address: string): Promise<unknown> {
  try {
    const answer = await fetch(`http://${address}:${PORT}/score`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
      signal: AbortSignal.timeout(1_000),
    });
    const content: unknown = await answer.json();
    return answer.ok && typeof content === 'object' && content !== null && 'answer' in content
      ? content.answer
      : undefined;
  } catch {
    return undefined;
  }
}
