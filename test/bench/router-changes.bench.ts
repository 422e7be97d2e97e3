/** How soon a router does what has changed, and what it needs for 2,000 endpoints of three versions with two replicas each. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { RoutedEndpoint, RoutedVersion } from '../../src/cluster/router/routing-table.ts';
import { sha256 } from '../conformance/data-plane-world.ts';
import { FakeReplica } from '../conformance/fake-replica.ts';
import { call } from '../conformance/http-client.ts';
import { routedEndpoint, routedVersion, startRouter } from '../router/test-router.ts';

const ENDPOINTS = 2000;
const ROUNDS = 40;
const KEYS = ['first-key', 'second-key'];

const replica = await FakeReplica.start('answers');
const test = await startRouter({ maxConnections: 2000 });
const { router, settings } = test;
try {
  const rows: Record<string, string>[] = [];
  for (const count of [10, ENDPOINTS]) {
    const crowd = Array.from({ length: count }, (_, index) => idle(index));
    const begun = performance.now();
    await router.configure({ endpoints: crowd, routers: [] });
    rows.push({ what: `${count} endpoints, all at once`, 'ms, p50': (performance.now() - begun).toFixed(0), p95: '' });
    rows.push({ what: '  memory of HAProxy', 'ms, p50': `${residentMb().toFixed(0)} MB`, p95: '' });
    await measure(rows, crowd);
  }
  console.table(rows);
} finally {
  await test.remove();
  await replica.kill();
}

/** From the order to a request that shows that it is in force. */
async function measure(rows: Record<string, string>[], crowd: readonly RoutedEndpoint[]): Promise<void> {
  const configure = (endpoint?: RoutedEndpoint) =>
    router.configure({ endpoints: endpoint ? [...crowd, endpoint] : crowd, routers: [] });
  const ready = version([{ id: 'answers', address: '127.0.0.1', port: replica.port, state: 'ready' }]);
  const empty = version([]);
  const keyed = (key: string, versions: readonly RoutedVersion[]) =>
    routedEndpoint('svc', versions, { auth: { mode: 'key', keyHashes: [sha256(key)] } });
  const [first = '', second = ''] = KEYS;
  await timed(
    rows,
    '  a new endpoint',
    () => configure(),
    () => configure(keyed(first, [ready])),
    () => answers(first),
  );
  await timed(
    rows,
    '  a new replica',
    () => configure(keyed(first, [empty])),
    () => configure(keyed(first, [ready])),
    () => answers(first),
  );
  await timed(
    rows,
    '  another key',
    () => configure(keyed(first, [ready])),
    () => configure(keyed(second, [ready])),
    () => answers(second),
  );
}

async function timed(
  rows: Record<string, string>[],
  what: string,
  before: () => Promise<void>,
  change: () => Promise<void>,
  seen: () => Promise<boolean>,
): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await before();
    const begun = performance.now();
    const changed = change();
    while (!(await seen())) await turn();
    times.push(performance.now() - begun);
    await changed;
  }
  times.sort((a, b) => a - b);
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? Number.NaN).toFixed(1);
  rows.push({ what, 'ms, p50': at(0.5), p95: at(0.95) });
}

async function answers(key: string): Promise<boolean> {
  const url = `http://127.0.0.1:${settings.port}/api/v1/service/svc/score`;
  return (await call(url, { body: 'x', headers: { authorization: `Bearer ${key}` } })).status === 200;
}

function version(replicas: RoutedVersion['replicas']): RoutedVersion {
  return routedVersion('main', [], { maxQueueWaitMs: 500, replicas });
}

function idle(index: number): RoutedEndpoint {
  const versions = [0, 1, 2].map((nth) => {
    const replicas = [0, 1].map((each) => ({
      id: `pod-${index}-${nth}-${each}`,
      address: `10.${index >> 8}.${index & 255}.${nth * 2 + each + 1}`,
      port: 5001,
      state: 'ready' as const,
    }));
    return routedVersion(`v${nth}`, [], {
      isDefault: nth === 0,
      trafficPercentile: nth * 10,
      maxQueueWaitMs: 500,
      replicas,
    });
  });
  return routedEndpoint(`idle-${index}`, versions, { auth: { mode: 'key', keyHashes: [sha256(`key-${index}`)] } });
}

/** Of HAProxy's processes. */
function residentMb(): number {
  const pids = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const all = pids.flatMap((pid) => [
    pid,
    ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' '),
  ]);
  const kilobytes = all
    .filter((pid) => pid !== '')
    .map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1024;
}
