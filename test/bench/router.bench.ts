/**
 * How many requests a router carries, and what it adds to each: against HAProxy and Envoy with plain configurations and a proxy of Node's, with
 * the same upstream, in interleaved runs. Every proxy has one thread. Needs wrk, two cores, and taskset and chrt of util-linux.
 *
 * What a router carries is decided by the processor time that it needs for a request. Where generator, upstream and proxy share two cores, their
 * part of the time is in every figure and brings the ratios together. So there are two tables: one with everything on the same cores, and one with
 * the proxies on a core of their own. In that one the generator and the upstream on the other core can be the limit: the proxy's core is then not
 * in use all the time, and what it would carry is worked out, as a second divided by the time for a request. All ratios are medians of those within
 * a round, since the machine may have other work that comes and goes.
 *
 * What a router adds to the direct call is taken at three rates, with the proxies on a core of their own (`router/added-latency.ts`). What the
 * plain HAProxy adds tells what is a second process's on the way, and what is the router's.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { envoyProgram } from '../../scripts/envoy.ts';
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
import { median } from './median.ts';
import { bindTo, cpuOf, MEASURED_CORE, ON_OTHER_CORE, OTHER_CORE } from './processor.ts';
import { printAddedLatency } from './router/added-latency.ts';
import { envoyConfig } from './router/envoy-config.ts';

const ROUNDS = 5;
const SECONDS = 3;
const CONNECTIONS = 64;
const RATES = [1000, 2000, 5000];
const REPLICA_ID = '3d0d6e5b-3c53-4f0e-9a5b-7a3c52f0c1de';
/** As the scoring server's, which makes an id for a request that comes without: so that replicas behind any proxy answer alike. */
const REPLICA_HEADERS = `hdr x-request-id ${REPLICA_ID} hdr x-ms-request-id ${REPLICA_ID} hdr x-ms-run-function-failed False hdr x-ms-server-version azmlinfsrv`;
const REPLICA_ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
/** With which the others are compared. */
const COMPARED = ['HAProxy', 'Envoy', 'Node (undici)'];
const KEY = 'key-of-the-benchmark';
const WRK_REQUEST = `
wrk.method = "POST"
wrk.body = '{"data": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}'
wrk.headers["content-type"] = "application/json"
`;

const program = await haproxyProgram();
if (typeof program !== 'string') throw new Error(program.skip);
const haproxy = program;
const envoy = await envoyProgram();
const folder = await mkdtemp(join(tmpdir(), 'aksml-router-bench-'));
const [upstream = 0, plain = 0, plainEnvoy = 0, node = 0] = await freePorts(4, '127.0.0.1');
const children: ChildProcess[] = [];
const routers: TestRouter[] = [];
/** What ends that which an agent does: counting requests, judging tokens. */
const endings: (() => void)[] = [];

try {
  const replicas = await startHaproxy('upstream', [
    'frontend upstream',
    ...REPLICA_ADDRESSES.map((address) => `  bind ${address}:${upstream}`),
    // With what the scoring server says of itself and of each call.
    `  http-request return status 200 content-type application/json string "[0.1, 0.9]" ${REPLICA_HEADERS}`,
  ]);
  const plainProxy = await startHaproxy('plain', [
    'frontend plain',
    `  bind 127.0.0.1:${plain}`,
    '  default_backend replicas',
    'backend replicas',
    '  balance leastconn',
    '  http-reuse always',
    ...REPLICA_ADDRESSES.map((address, index) => `  server r${index} ${address}:${upstream} maxconn 64`),
  ]);
  const envoyProxy = typeof envoy === 'string' ? await startEnvoy(envoy) : undefined;
  if (typeof envoy !== 'string') console.log(`\nwithout Envoy: ${envoy.skip}`);
  const nodeProxy = start(process.execPath, [
    join(import.meta.dirname, 'router', 'node-proxy.ts'),
    String(node),
    String(upstream),
  ]);
  for (const [index, address] of ['127.0.0.1', '127.0.0.2'].entries())
    routers.push(await startRouter({ name: `router-${index}`, address }));
  const [first] = routers;
  if (!first) throw new Error('no router');
  const table = tableOf();
  for (const { router, settings } of routers) {
    await router.configure(table, { hop: ['secret'], challenges: new Map(), certificates: [] });
    endings.push(await tellAsAsked(router, settings.logPort));
    const tokens = await serveTokens(join(settings.folder, SOCKETS.tokens), async () => 4_000_000_000);
    endings.push(() => tokens.close());
  }
  const at = (owner: string, auth: string) =>
    `http://127.0.0.1:${first.settings.port}/api/v1/service/${nameFor(owner, auth)}/score`;
  const workers = await Promise.all(routers.map(({ router }) => workerOf(router)));
  const owner = workers.slice(0, 1);
  const targets: readonly Target[] = [
    { target: 'HAProxy', url: `http://127.0.0.1:${plain}/score`, pids: [plainProxy] },
    ...(envoyProxy === undefined
      ? []
      : [{ target: 'Envoy', url: `http://127.0.0.1:${plainEnvoy}/score`, pids: [envoyProxy] }]),
    { target: 'Node (undici)', url: `http://127.0.0.1:${node}/score`, pids: [nodeProxy] },
    { target: 'router, owner, key', url: at('router-0', 'key'), pids: owner },
    { target: 'router, owner, token', url: at('router-0', 'token'), pids: owner },
    { target: 'two routers, over the owner hop, key', url: at('router-1', 'key'), pids: workers },
  ];
  await writeFile(join(folder, 'request.lua'), WRK_REQUEST);
  for (const { url } of targets) await untilAnswers(url);
  const title = `${CONNECTIONS} connections, closed loop, one thread; medians of ${ROUNDS} interleaved runs of ${SECONDS} s`;
  console.log(`\n${title}; everything on the same cores`);
  await printCarried(targets, []);
  await bindTo(MEASURED_CORE, [...new Set(targets.flatMap(({ pids }) => pids))]);
  await bindTo(OTHER_CORE, [replicas, process.pid]);
  console.log(`\n${title}; proxies on a core of their own`);
  await printCarried(targets, ON_OTHER_CORE);
  for (const rate of RATES) {
    await printAddedLatency({
      rate,
      key: KEY,
      pids: [plainProxy, ...workers],
      direct: { url: `http://127.0.0.1:${upstream}/score`, pid: replicas },
      proxies: [
        { name: 'HAProxy', url: `http://127.0.0.1:${plain}/score` },
        { name: 'router, owner', url: at('router-0', 'key') },
        { name: 'router, over the owner hop', url: at('router-1', 'key') },
      ],
    });
  }
} finally {
  for (const child of children) child.kill();
  for (const end of endings) end();
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

async function untilAnswers(url: string): Promise<void> {
  const deadline = AbortSignal.timeout(30_000);
  const headers = { authorization: `Bearer ${KEY}` };
  while (!(await fetch(url, { method: 'POST', headers, body: '{}' }).catch(() => undefined))?.ok) {
    if (deadline.aborted) throw new Error(`${url} does not answer`);
    await sleep(20);
  }
}

interface Target {
  readonly target: string;
  readonly url: string;
  /** Of the proxies that a request goes through. */
  readonly pids: readonly number[];
}

interface Carried {
  /** Requests a second. */
  readonly rps: number;
  /** Microseconds of the proxies' for a request. */
  readonly cpu: number;
  /** Part of the run in which the proxies were at work. */
  readonly busy: number;
}

/** `generator`: what the generator is started by. */
async function printCarried(targets: readonly Target[], generator: readonly string[]): Promise<void> {
  const runs = new Map<string, Carried[]>(targets.map(({ target }) => [target, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const target of targets) runs.get(target.target)?.push(await carried(target, generator));
  const of = (all: readonly Carried[], figure: keyof Carried) => median(all.map((run) => run[figure]));
  const ratios = (all: readonly Carried[], by: string, of: (run: Carried, other: Carried) => number) =>
    Object.fromEntries(
      COMPARED.flatMap((name) => {
        const others = runs.get(name) ?? [];
        const each = all.flatMap((run, index) => (others[index] ? [of(run, others[index])] : []));
        return each.length === 0 ? [] : [[`of ${name}${by}`, round(median(each))]];
      }),
    );
  console.table(
    [...runs].map(([target, all]) => ({
      target,
      'requests/s': Math.round(of(all, 'rps')),
      ...ratios(all, '', ({ rps }, other) => rps / other.rps),
      'proxy at work, %': Math.round(100 * of(all, 'busy')),
      'CPU, µs': round(of(all, 'cpu')),
      'a second / CPU': Math.round(1e6 / of(all, 'cpu')),
      ...ratios(all, ', CPU', ({ cpu }, other) => other.cpu / cpu),
    })),
  );
}

async function carried({ url, pids }: Target, generator: readonly string[]): Promise<Carried> {
  const [program = 'wrk', ...args] = [...generator, 'wrk'];
  const before = await cpuOf(pids);
  const begun = performance.now();
  const { stdout } = await promisify(execFile)(program, [
    ...[...args, '-t', '1', '-c', String(CONNECTIONS), '-d', `${SECONDS}s`],
    ...['-H', `authorization: Bearer ${KEY}`, '-s', join(folder, 'request.lua'), url],
  ]);
  const took = performance.now() - begun;
  const cpu = (await cpuOf(pids)) - before;
  if (/Non-2xx/.test(stdout)) throw new Error(`${url} answered with errors: ${stdout}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]), cpu: (1000 * cpu) / requests, busy: cpu / took };
}

async function workerOf(router: Router): Promise<number> {
  const [text = ''] = await router.api.run(['show info']);
  return Number(/^Pid: (\d+)$/m.exec(text)?.[1]);
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
  const replicas = REPLICA_ADDRESSES.map((address, index) => ({
    id: `r${index}`,
    address,
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

/** Its process. */
async function startEnvoy(program: string): Promise<number> {
  const path = join(folder, 'envoy.json');
  const endpoints = REPLICA_ADDRESSES.map((address) => ({ address, port: upstream }));
  await writeFile(path, envoyConfig({ address: '127.0.0.1', port: plainEnvoy }, endpoints));
  return start(program, ['--config-path', path, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'off']);
}

/** Its process. */
async function startHaproxy(name: string, lines: readonly string[]): Promise<number> {
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
  return start(haproxy, ['-f', path, '-db']);
}

function start(program: string, args: readonly string[]): number {
  const child = spawn(program, args, { stdio: 'ignore' });
  children.push(child);
  return child.pid ?? 0;
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
