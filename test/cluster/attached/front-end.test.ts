import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { selfSigned } from '../../router/self-signed.ts';
import { pythonVersion } from '../controller-world.ts';
import { eventually, testCluster } from '../world.ts';
import { type AttachWorld, controllerImage, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
const composed = 'skip' in cluster ? '' : await controllerImage(cluster);
if ('skip' in cluster) test('the front end of a cluster', { skip: cluster.skip }, () => {});
else suite(cluster);

const SERVER = `
import http.server, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address
Server(('', int(sys.argv[1])), Handler).serve_forever()
`;

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

async function openFrontEnd(world: AttachWorld, routers: number) {
  const session = await world.session();
  const request = {
    name: 'west',
    cwd: world.project,
    namespaces: [world.namespace],
    purpose: 'DevTest' as const,
    serviceType: 'NodePort' as const,
    registry: world.registry,
    controllerImage: composed,
    routers,
  };
  await session.attach(request, { confirm: async () => undefined });
  const status = await session.targetStatus('west');
  const { frontEnd } = status;
  assert.equal(frontEnd?.state, 'Healthy');
  assert.equal(frontEnd.readyReplicas, routers);
  assert.equal(frontEnd.version, '0.0.0-test');
  const [address = assert.fail('it tells where it is reached')] = frontEnd.addresses ?? [];
  return { session, address };
}

/** An endpoint whose replicas answer what they are sent. */
async function putEcho(
  world: AttachWorld,
  where: Cluster,
  name: string,
  auth: 'key' | 'token',
  versions: readonly Parameters<typeof pythonVersion>[1][] = [{}],
) {
  const usual = { script: SERVER, maxConcurrentRequestsPerContainer: 8, maxQueueWaitMs: 10_000 };
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
    const { session, address } = await openFrontEnd(world, 1);
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

    const left = await session.detach(
      { name: 'west', deleteEndpoints: true, force: false },
      { confirm: async () => undefined },
    );
    assert.deepEqual(left, { left: [] });
    assert.equal(await world.tryKubectl('get', 'namespace', 'aksml-system').then(({ code }) => code), 1);
  });

  test('routers and replicas are replaced, scaled and drained, versions and keys change while ten thousand requests come, and none of them fails', async (t) => {
    const world = await openAttachWorld(t, where);
    const { session, address } = await openFrontEnd(world, 2);
    const name = `${world.namespace}-k`;
    await putEcho(world, where, name, 'key');
    const { target } = await session.engine('west');
    const { primaryKey } = await eventually('it has keys', () => target.getKeys(name).catch(() => undefined));
    const url = scoring(address, name);
    await eventually('it answers', async () => (await post(url, primaryKey).catch(() => undefined))?.status === 200);
    const failures: string[] = [];
    let asked = 0;
    let done = false;
    const client = async () => {
      while (!done || asked < 10_000) {
        asked += 1;
        const answer = await post(url, primaryKey).catch((error: unknown) => ({ status: 0, body: String(error) }));
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
      await eventually('the old routers have gone', async () => {
        const pods = await world.kubectl(
          '--namespace',
          'aksml-system',
          'get',
          'pods',
          '--selector',
          'app.kubernetes.io/name=aksml-fe',
          '--output',
          'name',
        );
        return pods.split('\n').length === 2;
      });
    } finally {
      done = true;
    }
    await Promise.all(clients);
    assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${asked} failed`);
    t.diagnostic(`${asked} requests, ${failures.length} failed`);
  });
}
