import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { CertificateKeeper } from '../../src/cluster/controller/certificate-keeper.ts';
import { ACME_CERTIFICATE_SECRET } from '../../src/cluster/names.ts';
import { routerSecrets } from '../../src/cluster/router/table-facts.ts';
import { listWatch } from '../../src/kube/list-watch.ts';
import { CONFIG_MAPS, PODS, SECRETS, type Secret } from '../../src/kube/resource.ts';
import { startRouter } from '../router/test-router.ts';
import { type ControllerWorld, openControllerWorld } from './controller-world.ts';
import { pebblePrograms, startPebble } from './pebble.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
const program = await haproxyProgram();
const skip = 'skip' in cluster ? cluster.skip : typeof program === 'string' ? undefined : program.skip;
if (skip !== undefined || 'skip' in cluster) test('certificates of an ACME server', { skip: skip ?? true }, () => {});
else suite(cluster);

const OPTIONS = { fieldManager: 'test', force: true };

/** What the keeper takes for a router's pod: no node runs it, and its address is this machine's. */
async function putRouterPod({ kube, namespace }: ControllerWorld): Promise<void> {
  const labels = { 'app.kubernetes.io/managed-by': 'aksml', 'app.kubernetes.io/name': 'aksml-fe' };
  const name = { name: 'router', namespace };
  const container = {
    name: 'router',
    image: 'none',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  await kube.apply(
    PODS,
    {
      metadata: { ...name, labels },
      spec: {
        containers: [container],
        nodeSelector: { none: 'there' },
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      },
    },
    OPTIONS,
  );
  const status = { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }], conditions: [{ type: 'Ready', status: 'True' }] };
  await kube.patch(PODS, name, { status }, { fieldManager: 'test', subresource: 'status' });
}

function suite(where: Cluster): void {
  test('the leader gets a certificate by answering through the routers, renews it in time and on request, and gets another for other hosts', async (t) => {
    const programs = await pebblePrograms();
    if (typeof programs !== 'string') return t.skip(programs.skip);
    const pebble = await startPebble(t, programs);
    const world = await openControllerWorld(t, where);
    const { kube, namespace } = world;
    const stop = new AbortController();
    const { router, remove } = await startRouter({ port: pebble.httpPort });
    const secrets = new Map<string, Secret>();
    const feeding = (async () => {
      for await (const event of listWatch(
        kube,
        SECRETS,
        { namespace, labelSelector: 'aksml.dev/router' },
        stop.signal,
      )) {
        const objects = event.type === 'listed' ? event.objects : event.type === 'changed' ? [event.object] : [];
        for (const secret of objects) secrets.set(secret.metadata.name, secret);
        await router.configure({ endpoints: [], routers: [] }, routerSecrets([...secrets.values()]));
      }
    })();
    await putRouterPod(world);
    const wish = (hosts: readonly string[], renewal?: string) =>
      kube.apply(
        CONFIG_MAPS,
        {
          metadata: { name: 'aksml-fe', namespace },
          data: {
            'acme.json': JSON.stringify({ hosts, directory: pebble.directory, email: 'ops@example.com', renewal }),
          },
        },
        OPTIONS,
      );
    let now = new Date();
    const warned: string[] = [];
    const keeper = () =>
      new CertificateKeeper({
        kube,
        namespace,
        beforeWrite: () => undefined,
        clock: () => now,
        log: () => undefined,
        warn: (error) => warned.push(String(error)),
        routerPort: pebble.httpPort,
        retryMs: 500,
      });
    const leading = new AbortController();
    const keeping = keeper().run(leading.signal);
    t.after(async () => {
      stop.abort();
      leading.abort();
      await Promise.all([feeding, keeping]);
      await remove();
    });
    const certificate = async () => {
      const secret = await kube.find(SECRETS, { namespace, name: ACME_CERTIFICATE_SECRET });
      const text = secret?.data?.['tls.crt'];
      return text === undefined ? undefined : new X509Certificate(Buffer.from(text, 'base64'));
    };
    const issued = (what: string, isIt: (one: X509Certificate) => boolean) =>
      eventually(
        what,
        async () => {
          const found = await certificate();
          return found !== undefined && isIt(found) && found;
        },
        { describe: async () => warned },
      );

    await wish(['a.example.com']);
    const first = await issued('there is a certificate', () => true);
    assert.equal(first.checkHost('a.example.com'), 'a.example.com');
    await wish(['a.example.com', 'b.example.com']);
    const both = await issued('it is for both hosts', (one) => one.checkHost('b.example.com') !== undefined);
    await wish(['a.example.com', 'b.example.com'], 'now');
    const second = await issued('it is renewed on request', (one) => one.serialNumber !== both.serialNumber);

    leading.abort();
    await keeping;
    const life = Date.parse(second.validTo) - Date.parse(second.validFrom);
    const next = new AbortController();
    now = new Date(Date.parse(second.validFrom) + life * 0.7);
    const again = keeper().run(next.signal);
    t.after(async () => {
      next.abort();
      await again;
    });
    await issued('it is renewed', (one) => one.serialNumber !== second.serialNumber);
    const account = await kube.find(SECRETS, { namespace, name: 'aksml-fe-acme-account' });
    assert.equal(account?.metadata.labels?.['aksml.dev/router'], 'account');
    assert.deepEqual(routerSecrets([account ?? assert.fail()]).certificates, []);
  });
}
