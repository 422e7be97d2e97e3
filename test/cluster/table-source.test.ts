import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { fetchClusterKeys } from '../../src/cluster/router/cluster-keys.ts';
import type { RoutedEndpoint } from '../../src/cluster/router/routing-table.ts';
import { type RouterOrders, TableSource } from '../../src/cluster/router/table-source.ts';
import { TokenVerifier } from '../../src/cluster/router/token-verifier.ts';
import { SECRETS, SERVICE_ACCOUNTS } from '../../src/kube/resource.ts';
import { until } from '../conformance/http-client.ts';
import { type ControllerWorld, openControllerWorld, pythonVersion } from './controller-world.ts';
import { routerClient } from './router-client.ts';
import { openTcpProxy } from './tcp-proxy.ts';
import { testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('what a router knows of a cluster', { skip: cluster.skip }, () => {});
else tableSuite(cluster);

interface Watched {
  readonly all: RouterOrders[];
  endpoint(name: string): RoutedEndpoint | undefined;
  /** `POD STATE` of the version `main`. */
  replicas(name: string): readonly string[];
}

async function watch(
  t: { after(work: () => Promise<void>): void },
  { kube, namespace }: ControllerWorld,
  through?: string,
): Promise<Watched> {
  const client = await routerClient(t, kube, namespace, through);
  const all: RouterOrders[] = [];
  const source = new TableSource({
    kube: client,
    namespaces: [namespace],
    systemNamespace: namespace,
    self: { name: 'router', address: '10.0.0.1', hopPort: 8081 },
    onOrders: (orders) => all.push(orders),
    onError: () => undefined,
  });
  const stop = new AbortController();
  const ended = source.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
  });
  const endpoint = (name: string) => all.at(-1)?.table.endpoints.find((one) => one.name === name);
  const replicas = (name: string) =>
    (endpoint(name)?.versions.find((version) => version.name === 'main')?.replicas ?? []).map(({ state }) => state);
  return { all, endpoint, replicas };
}

function tableSuite(cluster: Cluster): void {
  test('a router learns of endpoints, replicas and keys with the rights that it is installed with, and keeps what has not changed', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const watched = await watch(t, world);
    await world.put({ name: 'web', spec: { versions: [pythonVersion(cluster)] } });
    await until(() => watched.replicas('web').join() === 'ready', 'web has a replica', 120_000);
    const keys = await world.kube.get(SECRETS, { namespace: world.namespace, name: 'web.keys' });
    const hashes = ['primaryKey', 'secondaryKey'].map((key) =>
      createHash('sha256')
        .update(Buffer.from(keys.data?.[key] ?? '', 'base64'))
        .digest('hex'),
    );
    await until(() => JSON.stringify(watched.endpoint('web')?.auth).includes(hashes[1] ?? '?'), 'its keys are known');
    assert.deepEqual(watched.endpoint('web')?.auth, { mode: 'key', keyHashes: hashes });
    await until(() => watched.all.at(-1)?.secrets.hop[0]?.length === 43, 'the secret of the routers is known');
    assert.deepEqual(watched.all.at(-1)?.table.routers, [{ name: 'router', address: '10.0.0.1', hopPort: 8081 }]);

    await world.untilState('web', 'Healthy');
    const before = watched.endpoint('web');
    await world.put({ name: 'other', spec: { auth: 'none', versions: [pythonVersion(cluster)] } });
    await until(() => watched.replicas('other').join() === 'ready', 'the other has a replica', 120_000);
    assert.equal(watched.endpoint('web'), before, 'what is as it was is not made anew');

    await world.kubectl('delete', 'pod', '--selector=aksml.dev/endpoint=web', '--wait=false');
    await until(() => watched.replicas('web').includes('draining'), 'it drains');
    await until(() => watched.replicas('web').join() === 'ready', 'another has taken its place', 120_000);
    await world.kubectl('delete', 'aep', 'web', '--wait=false');
    await until(() => watched.endpoint('web') === undefined, 'it is gone');
  });

  test('while the API server is away a router keeps what it knows, and learns afterwards what it has missed', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const { hostname, port } = world.kube.transport.server;
    const proxy = await openTcpProxy(t, { host: hostname, port: Number(port) });
    const watched = await watch(t, world, `https://${proxy.host}`);
    await world.put({ name: 'web', spec: { auth: 'none', versions: [pythonVersion(cluster)] } });
    await until(() => watched.replicas('web').join() === 'ready', 'web has a replica', 120_000);
    await world.untilState('web', 'Healthy');
    const orders = watched.all.length;
    proxy.goAwayAfter(0);
    await world.put({ name: 'late', spec: { auth: 'none', versions: [pythonVersion(cluster)] } });
    await world.kubectl('delete', 'aep', 'web', '--wait=false');
    await world.untilState('late', 'Healthy');
    assert.equal(watched.all.length, orders);
    assert.deepEqual(watched.replicas('web'), ['ready']);
    proxy.comeBack();
    await until(() => watched.replicas('late').join() === 'ready' && watched.endpoint('web') === undefined, 'it knows');
  });

  test('tokens of the cluster’s own open the endpoint that they are for, until its ServiceAccount is replaced', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const watched = await watch(t, world);
    await world.put({ name: 'web', spec: { auth: 'token', versions: [pythonVersion(cluster)] } });
    await until(() => watched.endpoint('web')?.auth.mode === 'token', 'the subject is known', 60_000);
    const client = await routerClient(t, world.kube, world.namespace);
    const verifier = new TokenVerifier({
      fetchKeys: (signal) => fetchClusterKeys(client, signal),
      onError: (error) => assert.fail(inspect(error)),
    });
    const auth = () => {
      const present = watched.endpoint('web')?.auth;
      assert.ok(present?.mode === 'token');
      return present;
    };
    const account = { namespace: world.namespace, name: 'web.tokens' };
    const tokenFor = async (audience: string) => {
      const spec = { audiences: [audience], expirationSeconds: 3600 };
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
      const made = await world.kube.createIn<{ readonly status: { readonly token: string } }>(
        SERVICE_ACCOUNTS,
        account,
        'token',
        body,
      );
      return made.status.token;
    };
    const { audience, subjectUid } = auth();
    const token = await tokenFor(audience);
    const expiry = await verifier.verify(audience, subjectUid, token);
    assert.ok(expiry !== undefined && Math.abs(expiry - Date.now() / 1000 - 3600) < 120, String(expiry));
    assert.equal(await verifier.verify(`${audience}2`, subjectUid, token), undefined);
    assert.equal(await verifier.verify(audience, subjectUid, await tokenFor(`${audience}2`)), undefined);

    await world.kube.remove(SERVICE_ACCOUNTS, account);
    await until(
      () => watched.endpoint('web')?.auth.mode === 'token' && auth().subjectUid !== subjectUid,
      'another',
      60_000,
    );
    assert.equal(await verifier.verify(audience, auth().subjectUid, token), undefined);
    assert.ok(await verifier.verify(audience, auth().subjectUid, await tokenFor(audience)));
  });
}
