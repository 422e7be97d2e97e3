import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { Informer } from '../../src/kube/informer.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import { electLeader } from '../../src/kube/lease.ts';
import { followPodLog } from '../../src/kube/pod-log.ts';
import { connectToPod } from '../../src/kube/port-forward.ts';
import { CONFIG_MAPS, type ConfigMap } from '../../src/kube/resource.ts';
import { type Fault, openApiProxy } from './api-proxy.ts';
import { type ClusterWorld, eventually, openClusterWorld, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('the Kubernetes client', { skip: cluster.skip }, () => {});
else kubeSuite(cluster);

type TestContext = Parameters<typeof openClusterWorld>[0];

async function connect(t: TestContext, kubeconfig: string): Promise<KubeClient> {
  const environment = { variables: {}, consent: async () => false, untrustedFolders: [] };
  const kube = await openKube({ paths: [kubeconfig] }, environment);
  t.after(() => kube.close());
  return kube;
}

function configMap(namespace: string, name: string, value: string): ConfigMap {
  return { metadata: { name, namespace }, data: { value } };
}

const FIELD_MANAGER = 'test';

function kubeSuite(cluster: Cluster): void {
  const faults: Readonly<Record<string, { readonly times: number; readonly fault: Fault }>> = {
    'had forgotten its state': { times: 1, fault: { kind: 'refuse', status: 410, reason: 'Expired' } },
    'was broken': { times: 3, fault: { kind: 'refuse', status: 500, reason: 'InternalError' } },
    'was busy': {
      times: 3,
      fault: { kind: 'refuse', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
    },
    'was away': { times: 3, fault: { kind: 'drop' } },
  };

  for (const [name, { times, fault }] of Object.entries(faults)) {
    test(`an informer is right again after its watches were cut and the API server ${name}`, async (t) => {
      const world = await openClusterWorld(t, cluster);
      const { namespace } = world;
      const direct = await connect(t, world.kubeconfig);
      const proxy = await openApiProxy(t, world);
      const informer = new Informer(await connect(t, proxy.kubeconfig), CONFIG_MAPS, { query: { namespace } });
      const ending = new AbortController();
      const running = informer.run(ending.signal);
      t.after(async () => {
        ending.abort();
        await running;
      });
      for (const name of ['stays', 'changes', 'goes'])
        await direct.apply(CONFIG_MAPS, configMap(namespace, name, 'old'), { fieldManager: FIELD_MANAGER });
      await eventually('the informer has all', async () => informer.get(`${namespace}/goes`) !== undefined);

      let refused = 0;
      proxy.judge = ({ path }) => {
        if (!path.endsWith('/configmaps') || refused === times) return undefined;
        refused += 1;
        return fault;
      };
      proxy.cut();
      await direct.apply(CONFIG_MAPS, configMap(namespace, 'changes', 'new'), { fieldManager: FIELD_MANAGER });
      await direct.apply(CONFIG_MAPS, configMap(namespace, 'comes', 'new'), { fieldManager: FIELD_MANAGER });
      await direct.remove(CONFIG_MAPS, { namespace, name: 'goes' });

      const seen = () => new Map([...informer.list()].map((object) => [object.metadata.name, object.data?.['value']]));
      await eventually('the informer is right', async () => !seen().has('goes') && seen().get('comes') === 'new', {
        describe: async () => [...seen()],
      });
      assert.equal(seen().get('changes'), 'new');
      assert.equal(seen().get('stays'), 'old');
      assert.equal(refused, times, 'the fault was met');
    });
  }

  test('a log is followed through dropped connections without a line lost or doubled', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const lines = 3000;
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
    // The last one is too long to be held.
    const code = `import time\nfor i in range(${lines}):\n  print(i, flush=True)\n  time.sleep(0.001)\nprint(*range(400000))`;
    await startPython(world, code);
    const proxy = await openApiProxy(t, world);
    const kube = await connect(t, proxy.kubeconfig);
    const read: string[] = [];
    const pod = { name: 'python', namespace: world.namespace };
    let cuts = 0;
    for await (const batch of followPodLog(kube, { pod, container: 'python' }, neverAborted())) {
      read.push(...batch.map(({ line }) => line));
      if (read.length < Math.min((cuts + 1) * 500, lines + 1)) continue;
      cuts += 1;
      proxy.cut();
    }
    assert.deepEqual(read.slice(0, lines), numbers(lines).map(String));
    const pieces = read.slice(lines);
    assert.equal(pieces.join(''), numbers(400_000).join(' '));
    assert.equal(pieces.length, 3, 'three pieces of a MiB each');
    assert.ok(proxy.requests.filter(({ path }) => path.endsWith('/log')).length > 3, 'it connected again');
  });

  test('a port of a pod is reached through the API server', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const code = 'from http.server import *\nThreadingHTTPServer(("", 8080), SimpleHTTPRequestHandler).serve_forever()';
    await startPython(world, code);
    await world.kubectl('wait', 'pod/python', '--for=condition=Ready', '--timeout=120s');
    const kube = await connect(t, world.kubeconfig);
    const pod = { name: 'python', namespace: world.namespace };
    const status = await eventually('the server listens', async () => {
      const stream = await connectToPod(kube, pod, 8080);
      const asked = request({ createConnection: () => stream, path: '/' });
      const answered = once(asked, 'response').catch(() => undefined);
      asked.end();
      const [answer] = (await answered) ?? [];
      if (answer === undefined) return undefined;
      return { code: answer.statusCode, body: await text(answer) };
    });
    assert.equal(status.code, 200);
    assert.match(status.body, /Directory listing/);
  });

  test('of two that change an object the second is told, and nothing of it is written', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { namespace } = world;
    const kube = await connect(t, world.kubeconfig);
    const options = { fieldManager: FIELD_MANAGER };
    const first = await kube.create(CONFIG_MAPS, configMap(namespace, 'shared', 'first'), options);
    await kube.replace(CONFIG_MAPS, { ...first, data: { value: 'second' } }, options);
    await assert.rejects(kube.replace(CONFIG_MAPS, { ...first, data: { value: 'third' } }, options), (error) => {
      assert.ok(AksmlError.is(error, 'kube.conflict'), String(error));
      return true;
    });
    const now = await kube.get(CONFIG_MAPS, { namespace, name: 'shared' });
    assert.equal(now.data?.['value'], 'second');
  });

  test('what a service account may not do is named', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const token = await world.kubectl('create', 'token', 'default');
    const proxy = await openApiProxy(t, world, { token });
    const kube = await connect(t, proxy.kubeconfig);
    await assert.rejects(kube.list(CONFIG_MAPS, { namespace: world.namespace }), (error) => {
      assert.ok(AksmlError.is(error, 'kube.forbidden'), String(error));
      assert.match(error.message, /configmaps/);
      return true;
    });
    assert.equal(await kube.mayI({ verb: 'list', resource: CONFIG_MAPS, namespace: world.namespace }), false);
  });

  test('of two candidates one leads, until the API server is away from it alone', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const ending = new AbortController();
    const leading = new Set<string>();
    const proxies = [await openApiProxy(t, world), await openApiProxy(t, world)];
    const running = proxies.map(async (proxy, index) => {
      const identity = `candidate-${index}`;
      const election = {
        lease: { namespace: world.namespace, name: 'leader' },
        identity,
        leaseMs: 3_000,
        renewMs: 2_000,
        retryMs: 300,
        lead: async (signal: AbortSignal) => {
          assert.equal(leading.size, 0, 'nobody else leads');
          leading.add(identity);
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
          leading.delete(identity);
        },
      };
      await electLeader(await connect(t, proxy.kubeconfig), election, ending.signal);
    });
    t.after(async () => {
      ending.abort();
      await Promise.all(running);
    });
    const first = await eventually('one leads', async () => [...leading][0]);
    const proxy = proxies[Number(first.slice(-1))];
    assert.ok(proxy !== undefined);
    proxy.judge = () => ({ kind: 'drop' });
    proxy.cut();
    const second = await eventually('another leads', async () => [...leading].find((name) => name !== first));
    assert.notEqual(second, first);
    assert.deepEqual([...leading], [second]);
  });
}

async function startPython(world: ClusterWorld, code: string): Promise<void> {
  const container = { name: 'python', image: world.cluster.baseImage, command: ['python3', '-c', code] };
  await world.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'python' },
    spec: { terminationGracePeriodSeconds: 0, restartPolicy: 'Never', containers: [container] },
  });
  await eventually('the container has started', async () => {
    const phase = await world.kubectl('get', 'pod', 'python', '--output', 'jsonpath={.status.phase}');
    return phase !== 'Pending';
  });
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
