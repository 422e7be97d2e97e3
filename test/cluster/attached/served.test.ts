import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { podLabels } from '../../../src/cluster/controller/labels.ts';
import { ENDPOINT_LABEL } from '../../../src/cluster/names.ts';
import type { ComputeTarget } from '../../../src/contract/compute-target.ts';
import { pythonVersion } from '../controller-world.ts';
import { eventually, testCluster } from '../world.ts';
import { attachFrontEnd, echoServer, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('endpoints behind a real front end', { skip: cluster.skip }, () => {});
else servedSuite(cluster);

const SCALE = {
  kind: 'auto',
  minReplicas: 0,
  maxReplicas: 3,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
} as const;

function servedSuite(where: Cluster): void {
  test('what real routers tell scales a version, wakes it for its first request, is asked for as clients ask, and they ask replicas that start', async (t) => {
    const world = await openAttachWorld(t, where);
    const { session } = await attachFrontEnd(world, where, 1);
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
      script: echoServer(0.2),
      scale: SCALE,
      maxQueueWaitMs: 20_000,
      scoringTimeoutMs: 20_000,
    });
    await put(keyed, 'key', version);
    await put(tokened, 'token', pythonVersion(where, { script: echoServer(0.2), scoringTimeoutMs: 20_000 }));
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

    const own = `${world.namespace}-o`;
    await put(own, 'key', { ...pythonVersion(where), container: undefined, imageRepository: `${where.registry}/none` });
    await eventually(
      'it has a Service',
      async () => (await world.list('service', `${ENDPOINT_LABEL}=${own}`)).length > 0,
    );
    await world.apply(replicaThatKubeletNeverCallsReady(own, where));
    const { primaryKey: key } = await target.getKeys(own);
    await eventually('its own word counts', async () => (await ask(target, own, key)) === 200);
    await ask(target, own, key, 'unready');
    await eventually('its word is withdrawn', async () => (await ask(target, own, key)) === 503);
  });
}

/** It scores, and answers as the scoring server does when it is asked whether it is ready, until it is sent `unready`. */
function replicaThatKubeletNeverCallsReady(endpoint: string, { baseImage }: Cluster): Record<string, unknown> {
  const server = `
import http.server, threading
ready = True
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        global ready
        if b'unready' in self.rfile.read(int(self.headers.get('content-length', 0))): ready = False
        self.send_response(200 if ready or self.path != '/ready' else 503)
        self.send_header('content-length', '0'); self.end_headers()
    do_GET = do_POST = answer
threading.Thread(target=http.server.HTTPServer(('', 5002), Handler).serve_forever).start()
http.server.HTTPServer(('', 5001), Handler).serve_forever()
`;
  const scoring = {
    name: 'scoring',
    image: baseImage,
    command: ['python3', '-c', server],
    ports: [{ name: 'scoring', containerPort: 5001 }],
    readinessProbe: { exec: { command: ['false'] } },
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'never-called-ready', labels: podLabels(endpoint, 'main') },
    spec: { terminationGracePeriodSeconds: 1, containers: [scoring] },
  };
}

async function ask(target: ComputeTarget, name: string, secret: string, body = '[1]'): Promise<number> {
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const answer = await target.request(await target.getEndpoint(name), { route: 'score', headers, body });
  await answer.text();
  return answer.status;
}
