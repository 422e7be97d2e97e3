/**
 * From one to eight clients that wait for their answer before they ask again, on a service of 100 ms with concurrency 1: a real router, a real
 * controller, and real pods on the test cluster. Target: the p95 is normal again within 3 s and what a replica needs to start, no more replicas
 * are ever asked for than the load needs, and nothing is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { workloadName } from '../../src/cluster/names.ts';
import { Informer } from '../../src/kube/informer.ts';
import { DEPLOYMENTS, type Deployment, PODS, type Pod } from '../../src/kube/resource.ts';
import { replicasFor } from '../../src/serving/replicas.ts';
import { type ControllerWorld, openControllerWorld, pythonVersion } from '../cluster/controller-world.ts';
import { announceRouter } from '../cluster/fake-router.ts';
import { startAgent } from '../cluster/running-agent.ts';
import { eventually, testCluster } from '../cluster/world.ts';
import { call } from '../conformance/http-client.ts';
import { median } from './median.ts';

const CLIENTS = 8;
const ROUNDS = 3;
/** Percent. */
const TARGETS = [70, 100];
/** What is normal for one client alone on a quiet machine; on a busy one, half as much again as it was. */
const NORMAL_MS = 150;
/** One client alone before the step; and how long it is watched afterwards. */
const BEFORE_MS = 4000;
const AFTER_MS = 25_000;
const NAME = 'web';

const SERVER = `
import http.server, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        self.rfile.read(int(self.headers.get('content-length', 0)))
        if self.command == 'POST': time.sleep(0.1)
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    do_GET = do_POST = answer
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', int(sys.argv[1])), Handler).serve_forever()
`;

interface Ended {
  readonly at: number;
  readonly taken: number;
  readonly ok: boolean;
}

/** Milliseconds since the step. */
interface Step {
  /** When which number of replicas was asked for. */
  readonly asked: readonly { readonly at: number; readonly replicas: number }[];
  /** What the new pods took from being made to being ready. */
  readonly starts: readonly number[];
  /** When as many were ready as there are clients. */
  readonly enoughAt: number;
  readonly normalAt: number;
  /** Milliseconds, of one client. */
  readonly p95Before: number;
  readonly requests: number;
  readonly lost: number;
}

const cleanups: (() => Promise<void>)[] = [];
const t = { after: (work: () => Promise<void>) => void cleanups.unshift(work) };

try {
  const cluster = await testCluster();
  const program = await haproxyProgram();
  if ('skip' in cluster) throw new Error(cluster.skip);
  if (typeof program !== 'string') throw new Error(program.skip);
  const world = await openControllerWorld(t, cluster);
  await world.startController();
  const agent = await startAgent(t, world, program);
  await announceRouter(world, 'router', agent.ports.agent);
  for (const target of TARGETS) {
    const steps: Step[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await serveOne(world, target);
      await eventually('it answers', async () => (await call(agent.url(NAME), { body: 'x' })).status === 200);
      steps.push(await watchStep(world, agent.url(NAME)));
    }
    print(target, steps);
  }
} finally {
  for (const cleanup of cleanups) await cleanup();
}

/** Anew, so that nothing is remembered of before. */
async function serveOne(world: ControllerWorld, targetUtilization: number): Promise<void> {
  await world.kubectl('delete', 'endpoints.aksml.dev', NAME, '--ignore-not-found', '--cascade=foreground');
  await eventually(
    'there are no pods',
    async () => (await world.list('pod', `aksml.dev/endpoint=${NAME}`)).length === 0,
  );
  const scale = { kind: 'auto', minReplicas: 1, maxReplicas: 40, targetUtilization, refreshPeriodInSeconds: 1 };
  const version = pythonVersion(world.cluster, {
    scale: scale as never,
    script: SERVER,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 30_000,
    scoringTimeoutMs: 10_000,
  });
  await world.put({ name: NAME, spec: { auth: 'none', versions: [version] } });
  await world.untilState(NAME, 'Healthy');
}

async function watchStep({ kube, namespace }: ControllerWorld, url: string): Promise<Step> {
  const asked: { at: number; replicas: number }[] = [];
  const made = new Map<string, number>();
  const ready = new Map<string, number>();
  const ending = new AbortController();
  const deployments = new Informer<Deployment>(kube, DEPLOYMENTS, {
    query: { namespace, fieldSelector: `metadata.name=${workloadName(NAME, 'main')}` },
    onChange: ({ object }) => {
      const replicas = object.spec?.replicas ?? 0;
      if (replicas !== asked.at(-1)?.replicas) asked.push({ at: performance.now(), replicas });
    },
  });
  const pods = new Informer<Pod>(kube, PODS, {
    query: { namespace, labelSelector: `aksml.dev/endpoint=${NAME}` },
    onChange: ({ object: { metadata, status } }) => {
      if (!made.has(metadata.name)) made.set(metadata.name, performance.now());
      const isReady = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
      if (isReady && !ready.has(metadata.name)) ready.set(metadata.name, performance.now());
    },
  });
  const watching = Promise.all([deployments.run(ending.signal), pods.run(ending.signal)]);
  await Promise.all([deployments.whenSynced, pods.whenSynced]);

  const ended: Ended[] = [];
  const clients = [client(url, ending.signal, ended)];
  await sleep(BEFORE_MS);
  const begun = performance.now();
  while (clients.length < CLIENTS) clients.push(client(url, ending.signal, ended));
  await sleep(AFTER_MS);
  ending.abort();
  await Promise.all([...clients, watching]);

  const since = (at: number) => at - begun;
  const p95Before = p95(ended, begun);
  const fresh = [...ready].filter(([, at]) => at > begun);
  return {
    asked: asked.filter(({ at }) => at > begun).map(({ at, replicas }) => ({ at: since(at), replicas })),
    starts: fresh.map(([name, at]) => at - (made.get(name) ?? Number.NaN)),
    enoughAt: since(fresh.map(([, at]) => at).sort((a, b) => a - b)[CLIENTS - 2] ?? Number.NaN),
    normalAt: since(normalAgain(ended, begun, Math.max(NORMAL_MS, 1.5 * p95Before))),
    p95Before,
    requests: ended.length,
    lost: ended.filter(({ ok }) => !ok).length,
  };
}

async function client(url: string, signal: AbortSignal, ended: Ended[]): Promise<void> {
  while (!signal.aborted) {
    const begun = performance.now();
    const status = await call(url, { body: 'x' }).then(
      (reply) => reply.status,
      () => 0,
    );
    const at = performance.now();
    ended.push({ at, taken: at - begun, ok: status === 200 });
  }
}

/** When the p95 of the last second, which the step has spoilt, is back to what is normal. */
function normalAgain(ended: readonly Ended[], step: number, normalMs: number): number {
  let isSpoilt = false;
  for (const { at } of ended.filter((one) => one.at > step)) {
    if (p95(ended, at) > normalMs) isSpoilt = true;
    else if (isSpoilt) return at;
  }
  return Number.NaN;
}

/** Of what ended in the second before. */
function p95(ended: readonly Ended[], at: number): number {
  const taken = ended.filter((one) => one.at <= at && one.at > at - 1000).map((one) => one.taken);
  return taken.sort((a, b) => a - b)[Math.floor(taken.length * 0.95)] ?? 0;
}

function print(target: number, steps: readonly Step[]): void {
  console.log(`\n1 → ${CLIENTS} clients, target utilization ${target} %: seconds after the step`);
  console.table(
    steps.map(({ asked, starts, enoughAt, normalAt, p95Before, requests, lost }) => ({
      'replicas asked for': asked.map(({ at, replicas }) => `${replicas} at ${seconds(at)}`).join(', '),
      'most, of needed': `${Math.max(...asked.map(({ replicas }) => replicas))} of ${replicasFor(CLIENTS, target, 1)}`,
      'a replica starts in (median, most)': `${seconds(median(starts))}, ${seconds(Math.max(...starts))}`,
      [`${CLIENTS} are ready`]: seconds(enoughAt),
      'p95 before, ms': Math.round(p95Before),
      'p95 is normal': seconds(normalAt),
      '… without the start': seconds(normalAt - Math.max(...starts)),
      requests,
      lost,
    })),
  );
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(2);
}
