import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import type { ComputeTarget } from '../../../src/contract/compute-target.ts';
import { pythonVersion } from '../controller-world.ts';
import { eventually, testCluster } from '../world.ts';
import { controllerImage, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
const image = 'skip' in cluster ? '' : await controllerImage(cluster);
if ('skip' in cluster) test('endpoints behind a real front end', { skip: cluster.skip }, () => {});
else servedSuite(cluster);

/** Answers in a fifth of a second what it was sent. */
const SLOW_ECHO = `
import http.server, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        time.sleep(0.2)
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', int(sys.argv[1])), Handler).serve_forever()
`;
const SCALE = {
  kind: 'auto',
  minReplicas: 0,
  maxReplicas: 3,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
} as const;

function servedSuite(where: Cluster): void {
  test('what real routers tell scales a version, wakes it for its first request, and is asked for as clients ask', async (t) => {
    const world = await openAttachWorld(t, where);
    const session = await world.session();
    const request = {
      name: 'west',
      cwd: world.project,
      namespaces: [world.namespace],
      purpose: 'DevTest' as const,
      serviceType: 'NodePort' as const,
      registry: world.registry,
      controllerImage: image,
      routers: 1,
    };
    await session.attach(request, { confirm: async () => undefined });
    const { target } = await session.engine('west');
    const put = (name: string, auth: 'key' | 'token', version: object) =>
      world.apply({
        apiVersion: 'aksml.dev/v1',
        kind: 'Endpoint',
        metadata: { name, namespace: world.namespace },
        spec: { auth, versions: [version] },
      });
    const [keyed, tokened] = [`${world.namespace}-k`, `${world.namespace}-t`];
    const version = pythonVersion(where, {
      script: SLOW_ECHO,
      scale: SCALE,
      maxQueueWaitMs: 20_000,
      scoringTimeoutMs: 20_000,
    });
    await put(keyed, 'key', version);
    await put(tokened, 'token', pythonVersion(where, { script: SLOW_ECHO, scoringTimeoutMs: 20_000 }));
    await eventually('the scoring URI is said', async () => {
      const { status } = await target.getEndpoint(keyed);
      return /^http:\/\/[\d.]+:\d+\/api\/v1\/service\/.*\/score$/.test(status?.scoringUri ?? '');
    });
    const { primaryKey } = await target.getKeys(keyed);
    await eventually('it answers', async () => (await ask(target, keyed, primaryKey)) === 200);
    assert.equal(await ask(target, keyed, 'wrong'), 401);

    const replicas = async () =>
      await world.kubectl('get', 'deployment', `${keyed}.main`, '-o', 'jsonpath={.spec.replicas}');
    let done = false;
    const statuses: number[] = [];
    const client = async () => {
      while (!done) statuses.push(await ask(target, keyed, primaryKey));
    };
    const clients = Array.from({ length: 6 }, client);
    await eventually('there are as many replicas as there may be', async () => (await replicas()) === '3');
    done = true;
    await Promise.all(clients);
    assert.deepEqual([...new Set(statuses)], [200]);
    const counted = await target.readCounters?.(keyed);
    const [main] = counted?.versions ?? [];
    assert.ok((main?.duration.count ?? 0) >= statuses.length, JSON.stringify(main));

    await world.kubectl('scale', 'deployment', `${keyed}.main`, '--replicas=0');
    await eventually('it has no replica', async () => {
      const { status } = await target.getEndpoint(keyed);
      return status?.versions[0]?.availableReplicas === 0;
    });
    assert.equal(await ask(target, keyed, primaryKey), 200);
    assert.notEqual(await replicas(), '0');

    const token = async () => (await target.getAccessToken(tokened)).accessToken;
    const before = await token();
    await eventually('tokens are taken', async () => (await ask(target, tokened, before)) === 200);
    await target.revokeTokens?.(tokened);
    await eventually('the token is refused', async () => (await ask(target, tokened, before)) === 401);
    const after = await token();
    await eventually('a new one is taken', async () => (await ask(target, tokened, after)) === 200);
  });
}

async function ask(target: ComputeTarget, name: string, secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const answer = await target.request(await target.getEndpoint(name), { route: 'score', headers, body: '[1]' });
  await answer.text();
  return answer.status;
}
