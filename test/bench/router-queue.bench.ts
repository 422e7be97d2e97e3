/**
 * How long requests wait, with one router, with three that share an endpoint, and with three HAProxies that know nothing of each other: the same
 * arrivals and service times (both exponential, seeded) on twelve replicas of concurrency 1, four fifths of their time at work.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import type { RoutedReplica, RouterPeer } from '../../src/cluster/router/routing-table.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { call } from '../conformance/http-client.ts';
import { freePorts, routedEndpoint, routedVersion, startRouter, type TestRouter } from '../router/test-router.ts';

const REPLICAS = 12;
const SERVICE_MS = 100;
const UTILIZATION = 0.8;
const SECONDS = 60;

const program = await haproxyProgram();
if (typeof program !== 'string') throw new Error(program.skip);
const folder = await mkdtemp(join(tmpdir(), 'aksml-queue-bench-'));
const children: ChildProcess[] = [];
const routers: TestRouter[] = [];
// Works as long as it is told, one request at a time.
const servers = await Promise.all(
  Array.from({ length: REPLICAS }, async () => {
    let free = Promise.resolve();
    const server = createServer((request, response) => {
      free = free.then(() => sleep(Number(request.headers['x-work']))).then(() => void response.end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }),
);
const ports = servers.map((server) => (server.address() as AddressInfo).port);
try {
  for (const index of [0, 1, 2])
    routers.push(await startRouter({ name: `router-${index}`, address: `127.0.0.${index + 1}` }));
  const rows = {
    'one router': await run(await routed(routers.slice(0, 1))),
    'three routers, one queue': await run(await routed(routers)),
    'three HAProxies, leastconn, each its own queue': await run(await plain()),
  };
  console.log(`\n${SECONDS} s each; milliseconds from asking to the beginning of the work`);
  console.table(rows);
} finally {
  for (const child of children) child.kill();
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
  await Promise.all(routers.map((router) => router.remove()));
  await rm(folder, { recursive: true, force: true });
}

/** The addresses to ask in turn. */
async function routed(among: readonly TestRouter[]): Promise<string[]> {
  const peers: RouterPeer[] = among.map(({ settings: { name, address, hopPort } }) => ({ name, address, hopPort }));
  const replicas = ports.map(
    (port, index): RoutedReplica => ({ id: `r${index}`, address: '127.0.0.1', port, state: 'ready' }),
  );
  const endpoints = [routedEndpoint('svc', [routedVersion('main', [], { replicas })])];
  for (const { router } of among)
    await router.configure({ endpoints, routers: peers }, { hop: ['secret'], challenges: new Map(), certificates: [] });
  return among.map(({ settings: { address, port } }) => `http://${address}:${port}/api/v1/service/svc/score`);
}

async function plain(): Promise<string[]> {
  const own = await freePorts(3, '127.0.0.1');
  for (const port of own) {
    const path = join(folder, `${port}.cfg`);
    const lines = [
      ...['global', '  maxconn 2000', 'defaults', '  mode http', '  timeout connect 1s', '  timeout client 1m'],
      ...[
        '  timeout server 1m',
        '  timeout queue 10s',
        'frontend f',
        `  bind 127.0.0.1:${port}`,
        '  default_backend b',
      ],
      ...['backend b', '  balance leastconn', '  http-reuse always'],
      ...ports.map((replica, index) => `  server r${index} 127.0.0.1:${replica} maxconn 1`),
    ];
    await writeFile(path, `${lines.join('\n')}\n`);
    children.push(spawn(program as string, ['-f', path, '-db'], { stdio: 'ignore' }));
  }
  await sleep(500);
  return own.map((port) => `http://127.0.0.1:${port}/score`);
}

async function run(urls: readonly string[]) {
  const random = seededRandom(7);
  const exponential = (mean: number) => -Math.log(1 - random()) * mean;
  const begun = performance.now();
  const waits: number[] = [];
  let failed = 0;
  const asked: Promise<void>[] = [];
  for (let due = 0; due < SECONDS * 1000; due += exponential(SERVICE_MS / (REPLICAS * UTILIZATION))) {
    const work = Math.max(1, Math.round(exponential(SERVICE_MS)));
    const url = urls[asked.length % urls.length] ?? '';
    const wait = begun + due - performance.now();
    if (wait > 0) await sleep(wait);
    const since = performance.now();
    asked.push(
      call(url, { body: 'x', headers: { 'x-work': String(work) } }).then(({ status }) => {
        if (status === 200) waits.push(performance.now() - since - work);
        else failed += 1;
      }),
    );
  }
  await Promise.all(asked);
  waits.sort((a, b) => a - b);
  const at = (part: number) => Math.round(waits[Math.floor(waits.length * part)] ?? Number.NaN);
  return { requests: asked.length, failed, p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}
