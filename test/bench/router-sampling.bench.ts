/**
 * What it costs the requests of a router with 1,000 versions that its load is sampled: their latency at about the same rate, in interleaved runs
 * without sampling, at 4 Hz, and as often as the agent does it. HAProxy has a core of its own. Needs wrk, taskset and two cores.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { LoadSampler } from '../../src/cluster/router/load-sampler.ts';
import { RequestLog } from '../../src/cluster/router/request-log.ts';
import type { RoutedEndpoint } from '../../src/cluster/router/routing-table.ts';
import { keepTelling } from '../../src/cluster/router/telling.ts';
import { sha256 } from '../conformance/data-plane-world.ts';
import { freePorts, routedEndpoint, routedVersion, startRouter } from '../router/test-router.ts';
import { median } from './median.ts';
import { type PacedLoadResult, pacedLoad } from './paced-load.ts';
import { bindTo, cpuOf, MEASURED_CORE, ON_OTHER_CORE, OTHER_CORE } from './processor.ts';

const ENDPOINTS = 500;
const ROUNDS = 9;
const SECONDS = 2;
const RATE = 5000;
const KEY = 'key-of-the-benchmark';
/** Samples a second. */
const MODES = { 'no sampling': 0, '4 Hz': 4, '10 Hz, as the agent': 10 };
/** Endpoints that the requests go to, one after the other. */
const IN_USE = [10, 100];

const program = await haproxyProgram();
if (typeof program !== 'string') throw new Error(program.skip);
const folder = await mkdtemp(join(tmpdir(), 'aksml-sampling-bench-'));
const [upstream = 0] = await freePorts(1, '127.0.0.1');
await writeFile(join(folder, 'upstream.cfg'), upstreamConfig(upstream));
const replicas = spawn(program, ['-f', join(folder, 'upstream.cfg'), '-db'], { stdio: 'ignore' });
const test = await startRouter();
const { router, settings } = test;
const log = await RequestLog.listen(settings.logPort);
const sampler = new LoadSampler(router, log);
const telling = new AbortController();
void keepTelling(router, log, telling.signal, console.error);

try {
  await router.configure({ endpoints: Array.from({ length: ENDPOINTS }, (_, index) => endpoint(index)), routers: [] });
  await bindTo(MEASURED_CORE, [await workerPid()]);
  await bindTo(OTHER_CORE, replicas.pid === undefined ? [] : [replicas.pid]);
  for (const inUse of IN_USE) await printCost(inUse);
} finally {
  telling.abort();
  await test.remove();
  log.close();
  replicas.kill();
  await rm(folder, { recursive: true, force: true });
}

interface Run extends PacedLoadResult {
  /** Milliseconds of HAProxy's for a second of requests. */
  readonly cpu: number;
  /** Milliseconds that each took. */
  readonly samples: readonly number[];
}

async function printCost(inUse: number): Promise<void> {
  const modes = Object.entries(MODES);
  const runs = new Map<string, Run[]>(modes.map(([mode]) => [mode, []]));
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    // Each comes first, second and last equally often.
    const order = modes.map((_, index) => modes[(index + turn) % modes.length] ?? (['', 0] as const));
    for (const [mode, hertz] of order) runs.get(mode)?.push(await measure(inUse, hertz));
  }
  const none = runs.get('no sampling') ?? [];
  console.log(
    `\n${2 * ENDPOINTS} versions of two replicas, ${RATE} requests a second to ${2 * inUse} of them; ` +
      `medians of ${ROUNDS} interleaved runs of ${SECONDS} s; milliseconds`,
  );
  console.table(
    [...runs].map(([mode, all]) => ({
      mode,
      mean: round(median(all.map(({ mean }) => mean))),
      p99: round(median(all.map(({ p99 }) => p99))),
      'p99, of the same round without': round(
        median(all.map(({ p99 }, turn) => p99 / (none[turn]?.p99 ?? Number.NaN))),
      ),
      'CPU of HAProxy, a second': round(median(all.map(({ cpu }) => cpu))),
      'a sample takes': round(median(all.flatMap(({ samples }) => samples))),
      failed: all.reduce((sum, { failed }) => sum + failed, 0),
    })),
  );
}

/** `hertz`: samples a second, 0 for none. */
async function measure(inUse: number, hertz: number): Promise<Run> {
  const ending = new AbortController();
  const pid = await workerPid();
  const sampling = hertz > 0 ? sampleUntil(ending.signal, 1000 / hertz) : Promise.resolve([]);
  const urls = Array.from(
    { length: inUse },
    (_, index) => `http://127.0.0.1:${settings.port}/api/v1/service/svc-${index}/score`,
  );
  const before = await cpuOf([pid]);
  const result = await pacedLoad({ urls, key: KEY, rate: RATE, seconds: SECONDS, startedBy: ON_OTHER_CORE });
  const cpu = (await cpuOf([pid])) - before;
  ending.abort();
  return { ...result, cpu: (cpu * RATE) / result.requests, samples: await sampling };
}

/** Milliseconds that each took. */
async function sampleUntil(signal: AbortSignal, everyMs: number): Promise<number[]> {
  const taken: number[] = [];
  while (!signal.aborted) {
    const begun = performance.now();
    await sampler.sample();
    taken.push(performance.now() - begun);
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  return taken;
}

/** With a key, and two versions that share the traffic. */
function endpoint(index: number): RoutedEndpoint {
  const limits = {
    maxConcurrentRequestsPerContainer: 64,
    replicas: ['a', 'b'].map((id) => ({ id, address: '127.0.0.1', port: upstream, state: 'ready' as const })),
  };
  return routedEndpoint(
    `svc-${index}`,
    [
      routedVersion('main', [], limits),
      routedVersion('next', [], { ...limits, isDefault: false, trafficPercentile: 20 }),
    ],
    { auth: { mode: 'key', keyHashes: [sha256(KEY)] } },
  );
}

async function workerPid(): Promise<number> {
  const [text = ''] = await router.api.run(['show info']);
  return Number(/^Pid: (\d+)$/m.exec(text)?.[1]);
}

function upstreamConfig(port: number): string {
  return `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 1m
  timeout server 1m
frontend upstream
  bind 127.0.0.1:${port}
  http-request return status 200 content-type application/json string "[0.1, 0.9]"
`;
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
