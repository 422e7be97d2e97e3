import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { RouterScaler } from '../../src/cluster/controller/router-scaler.ts';
import { templateMetadata } from '../../src/cluster/manifests/manifest.ts';
import { partLabels } from '../../src/cluster/names.ts';
import { CONFIG_MAPS, DEPLOYMENTS, EVENTS, PODS } from '../../src/kube/resource.ts';
import { openControllerWorld } from './controller-world.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('scaling of the routers', { skip: cluster.skip }, () => {});
else suite(cluster);

const LIMITS = { minRouters: 1, maxRouters: 2, minCpu: 0.1, maxCpu: 0.2 };
const OPTIONS = { fieldManager: 'test', force: true };

function suite(where: Cluster): void {
  test('busy routers get more CPU while they run, then company, with the rights of the controller', async (t) => {
    const world = await openControllerWorld(t, where);
    const { kube, namespace } = world;
    const named = { name: 'aksml-fe', namespace };
    const labels = partLabels('aksml-fe');
    await kube.apply(CONFIG_MAPS, { metadata: named, data: { 'scale.json': JSON.stringify(LIMITS) } }, OPTIONS);
    const container = {
      name: 'router',
      image: where.baseImage ?? '',
      command: ['sleep', '3600'],
      resources: { requests: { cpu: '20m', memory: '16Mi' }, limits: { cpu: '100m', memory: '64Mi' } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    };
    const securityContext = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };
    await kube.apply(
      DEPLOYMENTS,
      {
        metadata: named,
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: {
            metadata: templateMetadata(labels, {}),
            spec: { terminationGracePeriodSeconds: 0, securityContext, containers: [container] },
          },
        },
      },
      OPTIONS,
    );
    const warned: string[] = [];
    const scaler = new RouterScaler({
      kube: await world.controllerKube(),
      namespace,
      beforeWrite: () => undefined,
      log: () => undefined,
      warn: (error) => warned.push(String(error)),
      periodMs: 100,
    });
    const stop = new AbortController();
    const running = scaler.run(stop.signal);
    const routers = async () => {
      const { items } = await kube.list(PODS, { namespace, labelSelector: 'app.kubernetes.io/name=aksml-fe' });
      return items;
    };
    let names: readonly string[] = [];
    const telling = setInterval(() => {
      const now = performance.now();
      // 95 % of what each has at first, or of twice as much.
      for (const router of names) {
        scaler.heard({ router, time: now, versions: [], cpuSeconds: (now / 1000) * 0.19, routingMs: 0.5 }, now);
      }
    }, 100);
    t.after(async () => {
      clearInterval(telling);
      stop.abort();
      await running;
    });
    const describe = async () => ({
      warned,
      routers: (await routers()).map(({ spec, status }) => [spec?.containers[0]?.resources, status]),
    });
    const resized = await eventually(
      'the kubelet has given the running router twice the CPU',
      async () => {
        const pods = await routers();
        names = pods.map(({ metadata }) => metadata.name);
        const [first] = pods;
        const [state] = first?.status?.containerStatuses ?? [];
        return state?.resources?.limits?.['cpu'] === '200m' && first;
      },
      { describe },
    );
    assert.equal(resized.status?.containerStatuses?.[0]?.restartCount, 0);
    assert.equal(resized.spec?.containers[0]?.resources?.requests?.['cpu'], '40m');
    await eventually('there is another router', async () => (await kube.get(DEPLOYMENTS, named)).spec?.replicas === 2, {
      describe,
    });
    const { items } = await kube.list(EVENTS, { namespace });
    const told = items.filter(({ reason }) => reason === 'RoutersScaled').map(({ message }) => message ?? '');
    assert.equal(
      told.filter((message) => message.startsWith('1 router with up to 0.2 CPU')).length,
      1,
      told.join('\n'),
    );
    assert.equal(told.filter((message) => message.startsWith('2 routers')).length, 1, told.join('\n'));
  });
}
