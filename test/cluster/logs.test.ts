import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import type { ComputeTarget, LogLine, LogQuery } from '../../src/contract/compute-target.ts';
import { endpoint, openTargetWorld, type TargetWorld } from './target-world.ts';
import { type ClusterWorld, eventually, openClusterWorld, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('logs of a cluster', { skip: cluster.skip }, () => {});
else suite(cluster);

interface Scene extends TargetWorld {
  readonly world: ClusterWorld;
  readonly name: string;
  /** A replica that runs a shell script. */
  replica(pod: string, script: string, options?: { readonly init?: string; readonly restart?: boolean }): Promise<void>;
}

async function openScene(
  t: { after(work: () => Promise<void>): void },
  cluster: Cluster,
  kubeconfigOf?: (world: ClusterWorld) => Promise<string>,
): Promise<Scene> {
  const world = await openClusterWorld(t, cluster);
  const kubeconfig = await kubeconfigOf?.(world);
  const opened = await openTargetWorld(t, world, kubeconfig === undefined ? {} : { kubeconfig });
  const name = `t-${randomBytes(4).toString('hex')}`;
  await opened.target.applyEndpoint(endpoint(name));
  const image = cluster.baseImage;
  return {
    ...opened,
    world,
    name,
    replica: (pod, script, { init, restart = false } = {}) =>
      world.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod, labels: { 'aksml.dev/endpoint': name, 'aksml.dev/version': name } },
        spec: {
          terminationGracePeriodSeconds: 0,
          restartPolicy: restart ? 'Always' : 'Never',
          ...(init === undefined ? {} : { initContainers: [{ name: 'prepare', image, command: ['sh', '-c', init] }] }),
          containers: [{ name: 'scoring', image, command: ['sh', '-c', script] }],
        },
      }),
  };
}

async function read(target: ComputeTarget, name: string, query: LogQuery = {}): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of target.readLogs(name, query)) lines.push(line);
  return lines;
}

/** Follows until `enough`, and returns what came. */
async function follow(
  target: ComputeTarget,
  name: string,
  enough: (lines: readonly LogLine[]) => boolean,
  query: LogQuery = {},
  onLine: (line: LogLine) => void = () => undefined,
): Promise<LogLine[]> {
  const leave = new AbortController();
  const lines: LogLine[] = [];
  for await (const line of target.readLogs(name, { ...query, follow: true }, leave.signal)) {
    lines.push(line);
    onLine(line);
    if (enough(lines)) leave.abort();
  }
  return lines;
}

const texts = (lines: readonly LogLine[]) => lines.map(({ line }) => line);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);
/** Counts up to `to`, and says so. */
const count = (to: number, pause = '') => `for i in $(seq 1 ${to}); do echo $i; ${pause} done; echo end`;
/** `at`: lines a second. */
const countForEver = ({ lineBytes, at }: { readonly lineBytes: number; readonly at: number }) =>
  `text=$(head -c ${lineBytes} /dev/zero | tr '\\0' x); i=0
  while i=$((i + 1)); do echo "$i $text"; [ $((i % ${at / 10})) -ne 0 ] || sleep 0.1; done`;

function suite(cluster: Cluster): void {
  test('the logs of all replicas and of their init containers are merged by time', async (t) => {
    const { target, name, replica, world } = await openScene(t, cluster);
    await replica(`${name}-1`, 'echo one; sleep 1.2; echo three', { init: 'echo zero' });
    await replica(`${name}-2`, 'sleep 0.1; echo unordered');
    for (const pod of [`${name}-1`, `${name}-2`]) {
      await world.kubectl('wait', `pod/${pod}`, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=120s');
    }
    const lines = await read(target, name);
    assert.deepEqual(
      texts(lines).filter((line) => line !== 'unordered'),
      ['zero', 'one', 'three'],
    );
    assert.deepEqual(
      lines.map(({ time }) => Date.parse(time)),
      lines.map(({ time }) => Date.parse(time)).sort((a, b) => a - b),
    );
    assert.deepEqual(
      lines.find(({ line }) => line === 'zero'),
      { ...lines[0], version: name, replica: `${name}-1/prepare`, stream: 'stdout', line: 'zero' },
    );
    assert.deepEqual(texts(await read(target, name, { replica: `${name}-2` })), ['unordered']);
    assert.deepEqual(texts(await read(target, name, { lines: 1 })).length, 1);
    assert.deepEqual(texts(await read(target, name, { grep: 'thr' })), ['three']);
    const three = lines.find(({ line }) => line === 'three');
    assert.deepEqual(texts(await read(target, name, { since: three?.time ?? '' })), ['three']);
  });

  test('following tells what was, what comes, and what comes of replicas that join, each line once', async (t) => {
    const { target, name, replica } = await openScene(t, cluster);
    await replica(`${name}-1`, count(200, 'sleep 0.01;'));
    let joined = false;
    const lines = await follow(
      target,
      name,
      (all) => all.filter(({ line }) => line === 'end').length === 2,
      {},
      () => {
        if (!joined) void replica(`${name}-2`, count(100));
        joined = true;
      },
    );
    for (const [pod, last] of [
      [`${name}-1`, 200],
      [`${name}-2`, 100],
    ] as const) {
      assert.deepEqual(texts(lines.filter((line) => line.replica === pod)), [...numbers(1, last), 'end']);
    }
  });

  test('following goes on over restarts of a container, and tells the log of the run before', async (t) => {
    const { target, name, replica, world } = await openScene(t, cluster);
    const pod = `${name}-1`;
    const run = 'echo begin; until [ -e /tmp/end ]; do sleep 0.1; done; sleep 0.5; echo crash; exit 1';
    await replica(pod, run, { restart: true });
    // One that ended before it was seen could be the second whose log is gone.
    const endings: Promise<boolean>[] = [];
    const letEnd = async () => (await world.tryKubectl('exec', pod, '--', 'touch', '/tmp/end')).code === 0;
    const lines = await follow(
      target,
      name,
      (all) => all.filter(({ line }) => line === 'crash').length === 3,
      {},
      ({ line }) => {
        if (line === 'begin') endings.push(eventually('the run may end', letEnd));
      },
    );
    await Promise.all(endings);
    assert.deepEqual(texts(lines), ['begin', 'crash', 'begin', 'crash', 'begin', 'crash']);
    await eventually('it has been restarted', async () => {
      const text = await world.kubectl('get', 'pod', pod, '--output', 'json');
      return JSON.parse(text).status.containerStatuses[0].restartCount >= 2;
    });
    const past = texts(await read(target, name));
    assert.ok(past.length >= 2 && past.every((line) => line === 'begin' || line === 'crash'), past.join());
  });

  test('following ends with the endpoint', async (t) => {
    const { target, name, replica, world } = await openScene(t, cluster);
    await replica(`${name}-1`, 'echo ready; sleep 1000');
    let deleting: Promise<unknown> | undefined;
    // No controller is at work here, so that nothing but the test ends the replica.
    const removeWithReplica = () =>
      Promise.all([target.deleteEndpoint(name), world.kubectl('delete', 'pod', `${name}-1`, '--wait=false')]);
    const lines: string[] = [];
    for await (const { line } of target.readLogs(name, { follow: true })) {
      lines.push(line);
      deleting ??= removeWithReplica();
    }
    assert.deepEqual(lines, ['ready']);
    await deleting;
  });

  test('dropped connections lose and double nothing', async (t) => {
    const proxy = await openProxy(t);
    const { target, name, replica } = await openScene(t, cluster, (world) => proxy.kubeconfig(world));
    await replica(`${name}-1`, count(1500, 'sleep 0.004;'));
    let cuts = 0;
    const lines = await follow(
      target,
      name,
      (all) => all.at(-1)?.line === 'end',
      {},
      ({ line }) => {
        if (Number(line) % 300 === 0) cuts += proxy.cut();
      },
    );
    assert.ok(cuts >= 5, `${cuts} connections were cut`);
    assert.deepEqual(texts(lines), [...numbers(1, 1500), 'end']);
  });

  test('what the node rotates while it is followed is told whole; where it rotated lines away unread, that is said', async (t) => {
    const proxy = await openProxy(t);
    const { target, name, replica, world } = await openScene(t, cluster, (opened) => proxy.kubeconfig(opened));
    await replica(`${name}-1`, countForEver({ lineBytes: 1000, at: 2500 }));
    const firstKept = async () => {
      const begin = await world.tryKubectl('logs', `${name}-1`, '--limit-bytes=20');
      return Number.parseInt(begin.stdout, 10);
    };
    const told: string[] = [];
    const leave = new AbortController();
    t.after(async () => leave.abort());
    const following = (async () => {
      const lines = target.readLogs(name, { follow: true }, leave.signal);
      for await (const { line } of lines) told.push(line.slice(0, line.indexOf(' ')));
    })();

    for (const time of ['once', 'twice']) {
      const before = told.length;
      const first = await eventually(`the node has rotated the log ${time}`, async () => {
        const kept = await firstKept();
        return kept > before + 1 && kept;
      });
      await eventually('what it wrote since has come', async () => told.length > first);
    }
    proxy.shut(true);
    await eventually('it rotates unread lines away', async () => (await firstKept()) > told.length + 1);
    proxy.shut(false);
    const isTold = () => told.indexOf('[aksml:');
    await eventually('lines come again', async () => isTold() !== -1 && told.length > isTold() + 100);
    leave.abort();
    await following;

    const [gap, last] = [isTold(), Number(told.at(-1))];
    const next = last - (told.length - gap - 2);
    assert.ok(next > gap + 1, `${gap}, then ${next}`);
    assert.deepEqual(told, [...numbers(1, gap), '[aksml:', ...numbers(next, last)]);
  });
}

/** Stands before the API server, so that its connections can be cut. */
async function openProxy(t: { after(work: () => Promise<void>): void }) {
  const open = new Set<Socket>();
  let isShut = false;
  let upstream = new URL('https://127.0.0.1');
  const server = createServer((client) => {
    if (isShut) {
      client.destroy();
      return;
    }
    const remote = connect({ host: upstream.hostname, port: Number(upstream.port) });
    for (const socket of [client, remote]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        remote.destroy();
      });
    }
    client.pipe(remote).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  /** How many were cut. */
  const cut = (): number => {
    const count = open.size;
    for (const socket of open) socket.destroy();
    return count;
  };
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    kubeconfig: async (world: ClusterWorld) => {
      const config = JSON.parse(await world.kubectl('config', 'view', '--raw', '--output', 'json'));
      upstream = new URL(config.clusters[0].cluster.server);
      config.clusters[0].cluster['tls-server-name'] = 'kubernetes';
      config.clusters[0].cluster.server = `https://127.0.0.1:${port}`;
      const path = join(world.home, '..', 'proxied');
      await writeFile(path, JSON.stringify(config), { mode: 0o600 });
      return path;
    },
    cut,
    /** Cut, and from then on refused, or let through again. */
    shut: (shut: boolean) => {
      isShut = shut;
      if (shut) cut();
    },
  };
}
