/** What the gateway adds to a request, and how many it carries: against the same replica called directly, in interleaved runs. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { GatewayAuth, GatewayEndpoint } from '../../src/local/gateway-protocol.ts';
import { startGateway } from '../local/gateway-process.ts';
import { alternate } from './gateway/alternate.ts';
import { generateLoad, type LoadOptions, type LoadResult } from './gateway/load.ts';

const ROUNDS = 5;
const RATE = 1000;
const KEY = 'key-of-the-benchmark';

const replica = spawn(process.execPath, [path('./gateway/replica.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
const replicaPort = Number(String((await once(replica.stdout, 'data'))[0]));
const bundle = await mkdtemp(join(tmpdir(), 'aksml-gateway-bundle-'));
// As it is shipped: bundled, which also saves the memory of reading TypeScript.
await build({
  entryPoints: { gateway: path('../../src/local/gateway-main.ts') },
  outdir: bundle,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minify: true,
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
const gateway = await startGateway({ main: join(bundle, 'gateway.mjs') });
await gateway.configure({
  port: 0,
  endpoints: [
    endpoint('open', { mode: 'none' }),
    endpoint('keyed', { mode: 'key', keyHashes: [createHash('sha256').update(KEY).digest('hex')] }),
  ],
});

const targets: Record<string, Pick<LoadOptions, 'port' | 'path' | 'key'>> = {
  direct: { port: replicaPort, path: '/score' },
  'gateway, no authentication': { port: gateway.port, path: '/api/v1/service/open/score' },
  'gateway, key': { port: gateway.port, path: '/api/v1/service/keyed/score', key: KEY },
};

try {
  const idleMemory = await memory();
  const [straight = [], through = []] = await alternate([
    { port: replicaPort, path: '/fast' },
    { port: gateway.port, path: '/api/v1/service/open/fast' },
  ]);
  console.log('\nOne request at a time, directly and through the gateway in turn; milliseconds');
  console.table(
    [0.1, 0.5, 0.9, 0.99].map((part) => {
      const [direct = Number.NaN, gateway = Number.NaN] = [straight, through].map(
        (times) => times[Math.floor(times.length * part)],
      );
      return { percentile: part * 100, direct: round(direct), gateway: round(gateway), added: round(gateway - direct) };
    }),
  );
  const steady = await interleaved({ rate: RATE, seconds: 4, connections: 64 });
  const cpuBefore = await cpuMs();
  const most = await interleaved({ seconds: 3, connections: 32 });
  const cpu = (await cpuMs()) - cpuBefore;

  const base = steady.get('direct');
  console.log(`\n${RATE} requests a second, open loop; medians of ${ROUNDS} interleaved runs; milliseconds`);
  console.table(
    [...steady].map(([target, result]) => ({
      target,
      p50: round(result.p50),
      mean: round(result.mean),
      p99: round(result.p99),
      'added p50': round(result.p50 - (base?.p50 ?? 0)),
      'added mean': round(result.mean - (base?.mean ?? 0)),
      'added p99': round(result.p99 - (base?.p99 ?? 0)),
      failed: result.failed,
    })),
  );
  console.log('As fast as 32 connections answer (replica, gateway and generator share the cores)');
  console.table(
    [...most].map(([target, result]) => ({
      target,
      'requests/s': Math.round(result.perSecond),
      p99: round(result.p99),
    })),
  );
  console.log('Gateway process');
  const carried = [...most]
    .filter(([target]) => target !== 'direct')
    .reduce((sum, [, result]) => sum + result.requests * ROUNDS, 0);
  console.table({
    'memory idle, MB': idleMemory,
    'memory after the runs, MB': await memory(),
    // The generator's warm-up is a fifth on top of what it counts.
    'CPU a request, µs': Number.isNaN(cpu) ? 'unknown here' : Math.round((cpu * 1000) / (carried * 1.2)),
  });
} finally {
  await gateway.remove();
  replica.kill();
  await rm(bundle, { recursive: true, force: true });
}

function endpoint(name: string, auth: GatewayAuth): GatewayEndpoint {
  return {
    name,
    auth,
    corsAllowedOrigins: [],
    maxBodyBytes: 100 * 1024 * 1024,
    versions: [
      {
        name: 'main',
        isDefault: true,
        maxConcurrentRequestsPerContainer: 64,
        maxQueueWaitMs: 500,
        scoringTimeoutMs: 60_000,
        scoringRoute: '/score',
        replicas: [{ id: `${name}-1`, port: replicaPort, state: 'ready' }],
      },
    ],
  };
}

async function interleaved(options: Omit<LoadOptions, 'port' | 'path'>): Promise<Map<string, LoadResult>> {
  const results = new Map<string, LoadResult[]>(Object.keys(targets).map((target) => [target, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [target, address] of Object.entries(targets)) {
      results.get(target)?.push(await generateLoad({ ...options, ...address }));
    }
  }
  return new Map([...results].map(([target, runs]) => [target, medians(runs)]));
}

function medians(runs: readonly LoadResult[]): LoadResult {
  const median = (value: (run: LoadResult) => number) =>
    runs.map(value).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? Number.NaN;
  return {
    requests: median((run) => run.requests),
    failed: runs.reduce((sum, run) => sum + run.failed, 0),
    perSecond: median((run) => run.perSecond),
    p50: median((run) => run.p50),
    p99: median((run) => run.p99),
    mean: median((run) => run.mean),
  };
}

/** Resident, MB; Linux only. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${gateway.process.pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

/** User and system time; Linux only, where a tick is 10 ms. */
async function cpuMs(): Promise<number> {
  const stat = await readFile(`/proc/${gateway.process.pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
