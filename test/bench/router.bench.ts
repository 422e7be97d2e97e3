/**
 * How many requests a router carries, and what it adds to each: against HAProxy with a plain configuration and a proxy of Node's, with the same
 * upstream, in interleaved runs. Needs wrk.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { SOCKETS } from '../../src/cluster/router/haproxy-names.ts';
import { ownerOf } from '../../src/cluster/router/owners.ts';
import { RequestLog } from '../../src/cluster/router/request-log.ts';
import type { Router } from '../../src/cluster/router/router.ts';
import type { RoutedEndpoint, RouterPeer, RoutingTable } from '../../src/cluster/router/routing-table.ts';
import { keepTelling } from '../../src/cluster/router/telling.ts';
import { serveTokens } from '../../src/cluster/router/token-socket.ts';
import { sha256 } from '../conformance/data-plane-world.ts';
import { freePorts, routedEndpoint, routedVersion, startRouter, type TestRouter } from '../router/test-router.ts';
import type { LoadOptions, LoadResult } from './gateway/load.ts';

const ROUNDS = 5;
const SECONDS = 4;
const CONNECTIONS = 64;
const RATES = [1000, 2000, 5000];
const REPLICA_ID = '3d0d6e5b-3c53-4f0e-9a5b-7a3c52f0c1de';
/** As the scoring server's, which makes an id for a request that comes without: so that replicas behind any proxy answer alike. */
const REPLICA_HEADERS = `hdr x-request-id ${REPLICA_ID} hdr x-ms-request-id ${REPLICA_ID} hdr x-ms-run-function-failed False hdr x-ms-server-version azmlinfsrv`;
const KEY = 'key-of-the-benchmark';

const program = await haproxyProgram();
if (typeof program !== 'string') throw new Error(program.skip);
const haproxy = program;
const folder = await mkdtemp(join(tmpdir(), 'aksml-router-bench-'));
const [upstream = 0, plain = 0, node = 0] = await freePorts(3, '127.0.0.1');
const children: ChildProcess[] = [];
const routers: TestRouter[] = [];
/** What ends the counting of requests, which an agent does. */
const told: (() => void)[] = [];

try {
  await startHaproxy('upstream', [
    'frontend upstream',
    `  bind 127.0.0.1:${upstream}`,
    // With what the scoring server says of itself and of each call.
    `  http-request return status 200 content-type application/json string "[0.1, 0.9]" ${REPLICA_HEADERS}`,
  ]);
  await startHaproxy('plain', [
    'frontend plain',
    `  bind 127.0.0.1:${plain}`,
    '  default_backend replicas',
    'backend replicas',
    '  balance leastconn',
    '  http-reuse always',
    ...[0, 1, 2, 3].map((index) => `  server r${index} 127.0.0.1:${upstream} maxconn 64`),
  ]);
  children.push(
    spawn(process.execPath, [join(import.meta.dirname, 'router', 'node-proxy.ts'), String(node), String(upstream)]),
  );
  for (const [index, address] of ['127.0.0.1', '127.0.0.2'].entries())
    routers.push(await startRouter({ name: `router-${index}`, address }));
  const [first] = routers;
  if (!first) throw new Error('no router');
  const table = tableOf();
  for (const { router, settings } of routers) {
    await router.configure(table, { hop: ['secret'], challenges: new Map(), certificates: [] });
    told.push(await tellAsAsked(router, settings.logPort));
    await serveTokens(join(settings.folder, SOCKETS.tokens), async () => 4_000_000_000);
  }
  const at = (owner: string, auth: string) =>
    `http://127.0.0.1:${first.settings.port}/api/v1/service/${nameFor(owner, auth)}/score`;
  const targets = {
    'HAProxy, plain': `http://127.0.0.1:${plain}/score`,
    'router, owner, key': at('router-0', 'key'),
    'router, owner, token': at('router-0', 'token'),
    'router, over the owner hop, key': at('router-1', 'key'),
    'Node proxy (undici)': `http://127.0.0.1:${node}/score`,
  };
  await sleep(500);
  const rps = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [name, url] of Object.entries(targets)) rps.set(name, [...(rps.get(name) ?? []), await wrk(url)]);
  const base = median(rps.get('HAProxy, plain') ?? []);
  console.log(
    `\n${CONNECTIONS} connections, closed loop, one thread; medians of ${ROUNDS} interleaved runs of ${SECONDS} s`,
  );
  console.table(
    [...rps].map(([target, values]) => ({
      target,
      'requests/s': Math.round(median(values)),
      'of plain HAProxy': Number((median(values) / base).toFixed(2)),
    })),
  );
  for (const rate of RATES) await printAdded(rate, at);
} finally {
  for (const child of children) child.kill();
  for (const end of told) end();
  await Promise.all(routers.map((router) => router.remove()));
  await rm(folder, { recursive: true, force: true });
}

/** As an agent does: of so many requests as the rate allows. */
async function tellAsAsked(router: Router, logPort: number): Promise<() => void> {
  const log = await RequestLog.listen(logPort);
  const ending = new AbortController();
  void keepTelling(router, log, ending.signal, console.error);
  return () => {
    ending.abort();
    log.close();
  };
}

/** Milliseconds that the router adds to the direct call, at a constant rate. */
async function printAdded(rate: number, at: (owner: string, auth: string) => string): Promise<void> {
  const targets = {
    direct: `http://127.0.0.1:${upstream}/score`,
    'router, owner': at('router-0', 'key'),
    'router, over the owner hop': at('router-1', 'key'),
  };
  const runs = new Map<string, LoadResult[]>();
  for (let round = 0; round < 3; round += 1) {
    for (const [name, target] of Object.entries(targets)) {
      const { port, pathname } = new URL(target);
      const result = await load({
        port: Number(port),
        path: pathname,
        key: KEY,
        rate,
        seconds: SECONDS,
        connections: CONNECTIONS,
      });
      runs.set(name, [...(runs.get(name) ?? []), result]);
    }
  }
  const of = (name: string, figure: 'mean' | 'p99') => median((runs.get(name) ?? []).map((result) => result[figure]));
  console.log(`\n${rate} requests a second, open loop; medians of 3 interleaved runs; milliseconds`);
  console.table(
    Object.keys(targets).map((target) => ({
      target,
      mean: round(of(target, 'mean')),
      p99: round(of(target, 'p99')),
      'added mean': round(of(target, 'mean') - of('direct', 'mean')),
      'added p99': round(of(target, 'p99') - of('direct', 'p99')),
    })),
  );
}

function tableOf(): RoutingTable {
  const peers: RouterPeer[] = routers.map(({ settings: { name, address, hopPort } }) => ({ name, address, hopPort }));
  const endpoints = ['router-0', 'router-1'].flatMap((owner) =>
    ['key', 'token'].map((auth) => endpointFor(owner, auth)),
  );
  return { endpoints, routers: peers };
}

/** With two versions that share the traffic, four replicas each. */
function endpointFor(owner: string, auth: string): RoutedEndpoint {
  const replicas = [0, 1, 2, 3].map((index) => ({
    id: `r${index}`,
    address: '127.0.0.1',
    port: upstream,
    state: 'ready' as const,
  }));
  const limits = { maxConcurrentRequestsPerContainer: 64, replicas };
  return routedEndpoint(
    nameFor(owner, auth),
    [
      routedVersion('main', [], limits),
      routedVersion('next', [], { ...limits, isDefault: false, trafficPercentile: 20 }),
    ],
    {
      auth:
        auth === 'key'
          ? { mode: 'key', keyHashes: [sha256(KEY)] }
          : { mode: 'token', audience: 'https://aksml.dev/bench', subjectUid: 'uid' },
    },
  );
}

function nameFor(owner: string, auth: string): string {
  const names = ['router-0', 'router-1'];
  for (let index = 0; ; index += 1) {
    const name = `${auth}-${index}`;
    if (ownerOf(name, names) === owner) return name;
  }
}

async function startHaproxy(name: string, lines: readonly string[]): Promise<void> {
  const path = join(folder, `${name}.cfg`);
  const text = [
    'global',
    '  nbthread 1',
    '  maxconn 4000',
    'defaults',
    '  mode http',
    '  timeout connect 1s',
    '  timeout client 1m',
    '  timeout server 1m',
    '  timeout queue 10s',
    ...lines,
  ];
  await writeFile(path, `${text.join('\n')}\n`);
  children.push(spawn(haproxy, ['-f', path, '-db'], { stdio: 'ignore' }));
}

async function load(options: LoadOptions): Promise<LoadResult> {
  const script = join(import.meta.dirname, 'gateway', 'load.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

/** Requests a second. */
async function wrk(url: string): Promise<number> {
  const { stdout } = await promisify(execFile)('wrk', [
    ...['-t', '1', '-c', String(CONNECTIONS), '-d', `${SECONDS}s`, '-H', `authorization: Bearer ${KEY}`],
    url,
  ]);
  if (/Non-2xx/.test(stdout)) throw new Error(`${url} answered with errors: ${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function round(milliseconds: number): number {
  return Number(milliseconds.toFixed(2));
}
