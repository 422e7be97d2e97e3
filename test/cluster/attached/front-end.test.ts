import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import type { Pod } from '../../../src/kube/resource.ts';
import { selfSigned } from '../../router/self-signed.ts';
import { pythonVersion } from '../controller-world.ts';
import { eventually, testCluster } from '../world.ts';
import { type AttachWorld, attachFrontEnd, echoServer, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('the front end of a cluster', { skip: cluster.skip }, () => {});
else suite(cluster);

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

const keepAlive = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };

async function post(url: string, secret: string | undefined, ca?: string): Promise<Answer> {
  const isTls = url.startsWith('https:');
  const { hostname, port, pathname } = new URL(url);
  const headers = {
    'content-type': 'application/json',
    ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
  };
  const options = { method: 'POST', host: hostname, port, path: pathname, headers };
  return new Promise((resolve, reject) => {
    const request = isTls
      ? httpsRequest({
          ...options,
          agent: keepAlive.https,
          servername: 'score.example.com',
          ...(ca === undefined ? {} : { ca }),
        })
      : httpRequest({ ...options, agent: keepAlive.http });
    request.on('error', reject);
    request.on('response', (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    });
    request.end('[1]');
  });
}

/** An endpoint whose replicas answer what they are sent. */
async function putEcho(
  world: AttachWorld,
  where: Cluster,
  name: string,
  auth: 'key' | 'token',
  versions: readonly Parameters<typeof pythonVersion>[1][] = [{}],
) {
  const usual = { script: echoServer(), maxConcurrentRequestsPerContainer: 8, maxQueueWaitMs: 10_000 };
  await world.apply({
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name, namespace: world.namespace },
    spec: {
      form: 'endpoint',
      auth,
      versions: versions.map((version) => pythonVersion(where, { ...usual, ...version })),
    },
  });
}

async function routerPods(world: AttachWorld): Promise<readonly Pod[]> {
  const which = ['--namespace', 'aksml-system', '--selector', 'app.kubernetes.io/name=aksml-fe'];
  return JSON.parse(await world.kubectl('get', 'pods', ...which, '--output', 'json')).items;
}

function isReady({ status, metadata }: Pod): boolean {
  const ready = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
  return ready === true && metadata.deletionTimestamp === undefined;
}

/** False where a disruption budget forbids it. */
async function evict(world: AttachWorld, { metadata: { name, namespace } }: Pod): Promise<boolean> {
  const file = join(world.project, 'eviction.json');
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  await writeFile(file, JSON.stringify(eviction));
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  const { code, stderr } = await world.tryKubectl('create', '--raw', path, '--filename', file);
  if (code !== 0) assert.match(stderr, /disruption budget/);
  return code === 0;
}

/** All its processes at once, which run on this machine. */
async function killPod({ status }: Pod): Promise<void> {
  const [{ containerID = '' } = assert.fail('it has a container')] = status?.containerStatuses ?? [];
  const id = containerID.replace(/^.*:\/\//, '');
  assert.match(id, /^[0-9a-f]{20,}$/);
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const groups = await Promise.all(
    pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')] as const),
  );
  const own = groups.filter(([, group]) => group.includes(id)).map(([pid]) => pid);
  assert.ok(own.length > 2, 'an agent and its HAProxy');
  for (const pid of own) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It went with the first.
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    }
  }
}

async function routerAddresses(world: AttachWorld): Promise<readonly string[]> {
  const selector = ['--selector', 'app.kubernetes.io/name=aksml-fe'];
  const output = ['--output', 'jsonpath={.items[*].status.podIP}'];
  return (await world.kubectl('get', 'pods', '--namespace', 'aksml-system', ...selector, ...output)).split(' ');
}

/** Whether a pod of the world's namespace can open a connection. */
async function canReach(world: AttachWorld, where: Cluster, address: string, port: number): Promise<boolean> {
  const name = `probe-${port}`;
  const program = `import socket; socket.create_connection(('${address}', ${port}), 5)`;
  const image = `--image=${where.baseImage}`;
  await world.kubectl('run', name, image, '--restart=Never', '--command', '--', 'python3', '-c', program);
  const phase = await eventually('the probe has ended', async () => {
    const said = await world.kubectl('get', 'pod', name, '--output', 'jsonpath={.status.phase}');
    return (said === 'Succeeded' || said === 'Failed') && said;
  });
  return phase === 'Succeeded';
}

const scoring = (address: string, name: string) => `${address}/api/v1/service/${name}/score`;

function suite(where: Cluster): void {
  test('a service of an attached cluster is scored with its key, with a token, and by HTTPS, and nothing is left after a detach', async (t) => {
    const world = await openAttachWorld(t, where);
    const { session, address } = await attachFrontEnd(world, where, 1);
    const [keyed, tokened] = [`${world.namespace}-k`, `${world.namespace}-t`];
    await putEcho(world, where, keyed, 'key');
    await putEcho(world, where, tokened, 'token');
    const { target } = await session.engine('west');
    const { primaryKey } = await eventually('it has keys', () => target.getKeys(keyed).catch(() => undefined));
    const answers = (url: string, secret: string, ca?: string) =>
      eventually(`${url} answers`, async () => {
        const { status, body } = await post(url, secret, ca).catch((error: unknown) => ({
          status: 0,
          body: String(error),
        }));
        return status === 200 && body === '[1]';
      });
    await answers(scoring(address, keyed), primaryKey);
    assert.equal((await post(scoring(address, keyed), 'wrong')).status, 401);
    assert.equal((await post(scoring(address, keyed), undefined)).status, 401);
    const { accessToken } = await eventually('it has tokens', () =>
      target.getAccessToken(tokened).catch(() => undefined),
    );
    await answers(scoring(address, tokened), accessToken);
    assert.equal((await post(scoring(address, keyed), accessToken)).status, 401);

    const [router] = await routerAddresses(world);
    const reached = await Promise.all([8080, 8081, 9090].map((port) => canReach(world, where, router ?? '', port)));
    assert.deepEqual(reached, [true, false, false], 'pods of others score, and cannot pass for a router');

    const { certificate, key } = await selfSigned(['score.example.com']);
    const [certFile, keyFile] = [join(world.project, 'cert.pem'), join(world.project, 'key.pem')];
    await writeFile(certFile, certificate);
    await writeFile(keyFile, key);
    const files = ['--ssl-cert-file', certFile, '--ssl-key-file', keyFile];
    const update = ['computetarget', 'update', 'kubernetes', '-n', 'west'];
    const wrong = await world.aksml(...update, ...files, '--ssl-cname', 'other.example.com');
    assert.match(wrong.stderr, /not for other\.example\.com/);
    const updated = await world.aksml(...update, ...files, '--ssl-cname', 'score.example.com');
    assert.equal(updated.code, 0, updated.stderr);
    assert.doesNotMatch(updated.stderr + updated.stdout, /PRIVATE KEY/);
    const [named = ''] = (await session.targetStatus('west')).frontEnd?.addresses ?? [];
    assert.match(named, /^https:\/\/score\.example\.com:\d+$/);
    const node = new URL(address).hostname;
    const secure = `https://${node}:${new URL(named).port}`;
    await answers(scoring(secure, keyed), primaryKey, certificate);
    await eventually(
      'plain HTTP is redirected',
      async () => (await post(scoring(address, keyed), primaryKey)).status === 308,
    );
    const disabled = await world.aksml(...update, '--ssl-disable');
    assert.equal(disabled.code, 0, disabled.stderr);
    await answers(scoring(address, keyed), primaryKey);

    const budgeted = async () =>
      (await world.kubectl('get', 'pdb', '-n', 'aksml-system', '-o', 'name')).includes('aksml-fe');
    for (const routers of [2, 1]) {
      const resized = await world.aksml(...update, '--routers', String(routers));
      assert.equal(resized.code, 0, resized.stderr);
      await eventually(`${routers} routers work`, async () => (await routerAddresses(world)).length === routers);
      assert.equal(await budgeted(), routers > 1);
      await answers(scoring(address, keyed), primaryKey);
    }

    const left = await session.detach(
      { name: 'west', deleteEndpoints: true, force: false },
      { confirm: async () => undefined },
    );
    assert.deepEqual(left, { left: [] });
    assert.equal(await world.tryKubectl('get', 'namespace', 'aksml-system').then(({ code }) => code), 1);
  });

  test('routers and replicas are replaced, scaled and evicted, versions and keys change while ten thousand requests come, and none of them fails; of a router that is killed only what it had', async (t) => {
    const world = await openAttachWorld(t, where);
    const { session, address } = await attachFrontEnd(world, where, 3);
    const name = `${world.namespace}-k`;
    await putEcho(world, where, name, 'key');
    const { target } = await session.engine('west');
    const { primaryKey } = await eventually('it has keys', () => target.getKeys(name).catch(() => undefined));
    const url = scoring(address, name);
    await eventually('it answers', async () => (await post(url, primaryKey).catch(() => undefined))?.status === 200);
    const failures: string[] = [];
    let lost = 0;
    let asked = 0;
    let hasKilled = false;
    let done = false;
    const client = async () => {
      while (!done || asked < 10_000) {
        asked += 1;
        const answer = await post(url, primaryKey).catch((error: unknown) => ({ status: 0, body: String(error) }));
        // Nobody was there to be asked: the Service has not heard yet of the router that was killed.
        if (hasKilled && answer.body.includes('ECONNREFUSED')) continue;
        if (answer.status !== 200 || answer.body !== '[1]') failures.push(`${answer.status} ${answer.body}`);
      }
    };
    const clients = [client(), client(), client(), client()];
    const restart = async () => {
      await world.kubectl('--namespace', 'aksml-system', 'rollout', 'restart', 'deployment/aksml-fe');
      await world.kubectl('--namespace', 'aksml-system', 'rollout', 'status', 'deployment/aksml-fe', '--timeout=240s');
    };
    try {
      const settled = (what: string, replicas: number) =>
        eventually(what, async () => {
          const status = (await target.getEndpoint(name)).status;
          const ready = (status?.versions ?? []).reduce((sum, version) => sum + version.updatedReplicas, 0);
          const left = (status?.versions ?? []).reduce((sum, version) => sum + version.replicas.length, 0);
          return status?.state === 'Healthy' && ready === replicas && left === replicas;
        });
      const fixed = (replicas: number) => ({ kind: 'fixed' as const, replicas });
      await putEcho(world, where, name, 'key', [{ scale: fixed(3) }]);
      await settled('there are three replicas', 3);
      await putEcho(world, where, name, 'key', [{ scale: fixed(1) }]);
      await settled('there is one replica', 1);
      await putEcho(world, where, name, 'key', [{ resources: { cpu: 0.011, memoryInGB: 0.05, gpu: 0 } }]);
      await settled('the replica is another one', 1);
      const treatment = { name: 'next', isDefault: false };
      for (const trafficPercentile of [30, 70]) {
        await putEcho(world, where, name, 'key', [{}, { ...treatment, trafficPercentile }]);
        await settled(`${trafficPercentile} % go to a second version`, 2);
      }
      await target.regenerateKey(name, 'secondary');
      await putEcho(world, where, name, 'key');
      await settled('the second version has gone', 1);
      await restart();
      const settledRouters = () =>
        eventually('there are three routers that work', async () => {
          const pods = await routerPods(world);
          return pods.length === 3 && pods.every(isReady);
        });
      await settledRouters();

      // As a node that is drained asks for it.
      await putEcho(world, where, name, 'key', [{ scale: fixed(2) }]);
      await settled('there are two replicas', 2);
      const [router] = await routerPods(world);
      assert.ok(await evict(world, router ?? assert.fail('no router')));
      const [first, second] = await world.list<Pod>('pod', `aksml.dev/endpoint=${name}`);
      assert.ok(first && second && (await evict(world, first)));
      assert.equal(await evict(world, second), false, 'one at a time');
      await settled('there are two replicas again', 2);
      await settledRouters();

      const before = { asked, failed: failures.length };
      assert.equal(before.failed, 0, failures.join('\n'));
      const [killed] = await routerPods(world);
      hasKilled = true;
      await killPod(killed ?? assert.fail('no router'));
      await eventually('others go on', async () => asked > before.asked + 1000);
      await settledRouters();
      assert.ok(failures.length <= clients.length, `what was in flight: ${failures.join('\n')}`);
      lost = failures.splice(0).length;
    } finally {
      done = true;
    }
    await Promise.all(clients);
    assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${asked} failed`);
    t.diagnostic(`${asked} requests, none failed; ${lost} were in a router that was killed`);
  });
}
