import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { authSecretKey, authSecretName, FRONT_END_NAME, HOP_SECRET, HOP_SECRET_KEY } from '../../src/cluster/names.ts';
import { SECRETS, SERVICE_ACCOUNTS, SERVICES } from '../../src/kube/resource.ts';
import { type ControllerWorld, openControllerWorld, pythonVersion } from './controller-world.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('what routers are told', { skip: cluster.skip }, () => {});
else publishingSuite(cluster);

function publishingSuite(cluster: Cluster): void {
  test('routers are told the hashes of keys and never a key, at once when anybody changes one, and nothing of endpoints that are gone', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const { kube, namespace } = world;
    const first = await world.startController();
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    const told = await untilTold(world, 'web', (entry) => entry !== undefined);
    const keys = { namespace, name: 'web.keys' };
    const { data = {} } = await kube.get(SECRETS, keys);
    assert.deepEqual(told, { keyHashes: [hashOf(data['primaryKey']), hashOf(data['secondaryKey'])] });

    const replaced = Buffer.from('a key of one’s own').toString('base64');
    await kube.patch(SECRETS, keys, { data: { secondaryKey: replaced } }, { fieldManager: 'kubectl' });
    await untilTold(world, 'web', (entry) =>
      same(entry, { keyHashes: [hashOf(data['primaryKey']), hashOf(replaced)] }),
    );

    const shard = { namespace, name: authSecretName('web') };
    await kube.remove(SECRETS, shard);
    await untilTold(world, 'web', (entry) => entry !== undefined);

    // While nobody leads, keys change and another endpoint comes under a name that is gone.
    await first.stop();
    await kube.patch(SECRETS, keys, { data: { primaryKey: replaced } }, { fieldManager: 'kubectl' });
    const stale = Buffer.from('{"keyHashes":["0"]}').toString('base64');
    const gone = neighbourOf('web');
    await kube.patch(SECRETS, shard, { data: { [authSecretKey(namespace, gone)]: stale } }, { fieldManager: 'test' });
    await world.startController();
    await untilTold(world, 'web', (entry) => same(entry, { keyHashes: [hashOf(replaced), hashOf(replaced)] }));
    await untilTold(world, gone, (entry) => entry === undefined);

    const hop = await kube.get(SECRETS, { namespace, name: HOP_SECRET });
    assert.equal(Buffer.from(hop.data?.[HOP_SECRET_KEY] ?? '', 'base64').length, 43);
    await world.kubectl('delete', 'aep', 'web', '--wait=false');
    await untilTold(world, 'web', (entry) => entry === undefined);
  });

  test('the status says where clients reach an endpoint as soon as the front end has an address', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const { kube, namespace } = world;
    await world.startController();
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    assert.equal((await world.untilState('web', 'Healthy')).status?.scoringUri, undefined);
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    const service = await kube.create(
      SERVICES,
      { metadata: { name: FRONT_END_NAME, namespace }, spec: { type: 'ClusterIP', ports } },
      { fieldManager: 'test' },
    );
    const uri = `http://${service.spec?.clusterIP}:80/api/v1/service/web/score`;
    await eventually('the scoring URI is said', async () => (await world.endpoint('web'))?.status?.scoringUri === uri);
    await kube.remove(SERVICES, { namespace, name: FRONT_END_NAME });
    await eventually('it is said no more', async () => (await world.endpoint('web'))?.status?.scoringUri === undefined);
  });

  test('routers are told the subject of tokens, and its successor as soon as it is replaced', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const { kube, namespace } = world;
    await world.startController();
    await world.put({ name: 'web', spec: { auth: 'token', versions: [pythonVersion(cluster)] } });
    await untilTold(world, 'web', (entry) => entry !== undefined);
    const account = { namespace, name: 'web.tokens' };
    const before = await kube.get(SERVICE_ACCOUNTS, account);
    assert.ok(same(await told(world, 'web'), { subjectUid: before.metadata.uid }));
    await kube.remove(SERVICE_ACCOUNTS, account);
    await untilTold(world, 'web', (entry) => entry !== undefined && !same(entry, { subjectUid: before.metadata.uid }));
    const after = await kube.get(SERVICE_ACCOUNTS, account);
    assert.ok(same(await told(world, 'web'), { subjectUid: after.metadata.uid }));

    await world.put({ name: 'web', spec: { auth: 'none', versions: [pythonVersion(cluster)] } });
    await untilTold(world, 'web', (entry) => entry === undefined);
  });
}

/** A name whose entry is in the same Secret. */
function neighbourOf(endpoint: string): string {
  for (let number = 1; ; number += 1) {
    if (authSecretName(`gone-${number}`) === authSecretName(endpoint)) return `gone-${number}`;
  }
}

function hashOf(base64 = ''): string {
  return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function told({ kube, namespace }: ControllerWorld, endpoint: string) {
  const secret = await kube.find(SECRETS, { namespace, name: authSecretName(endpoint) });
  const value = secret?.data?.[authSecretKey(namespace, endpoint)];
  return value === undefined ? undefined : (JSON.parse(Buffer.from(value, 'base64').toString()) as unknown);
}

async function untilTold(
  world: ControllerWorld,
  endpoint: string,
  holds: (entry: unknown) => boolean,
): Promise<unknown> {
  const answer = await eventually(
    `routers know of ${endpoint}`,
    async () => {
      const entry = await told(world, endpoint);
      return holds(entry) ? { entry } : undefined;
    },
    { timeoutMs: 30_000, describe: () => told(world, endpoint) },
  );
  return answer.entry;
}
