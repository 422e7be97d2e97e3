import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
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
  test('what real routers tell scales a version, wakes it for its first request, and is asked for as clients ask', async (t) => {
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
  });
}

async function ask(target: ComputeTarget, name: string, secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const answer = await target.request(await target.getEndpoint(name), { route: 'score', headers, body: '[1]' });
  await answer.text();
  return answer.status;
}
