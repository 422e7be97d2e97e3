import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { desiredObjects } from '../../src/cluster/controller/objects.ts';
import { clusterManifests } from '../../src/cluster/manifests.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { KubeClient } from '../../src/kube/kube.ts';
import { DEPLOYMENTS, ENDPOINTS, PODS, type Pod } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterVersion, frontEndSettings } from '../unit/cluster-samples.ts';
import { endpointOf, openControllerWorld } from './controller-world.ts';
import { testCluster } from './world.ts';

const SUITE = join(import.meta.dirname, '..', '..', '..', 'shared', 'fixtures', 'suites', 'pss-pod-security-admission');

const MINIMAL = {
  name: 'main',
  isDefault: true,
  image: `sha256:${'a'.repeat(64)}`,
  imageRepository: 'registry.example/x',
};
const AUTO = { kind: 'auto', minReplicas: 3, maxReplicas: 2, targetUtilization: 70, refreshPeriodInSeconds: 1 };
const OTHER = { ...MINIMAL, name: 'next', isDefault: false };

const cluster = await testCluster();
if ('skip' in cluster) test('the Endpoint resource', { skip: cluster.skip }, () => {});
else resourceSuite(cluster);

function resourceSuite(cluster: Cluster): void {
  const specs: readonly {
    readonly what: string;
    readonly spec: object;
    readonly name?: string;
    readonly refusal?: RegExp;
  }[] = [
    { what: 'one version by its image', spec: { versions: [MINIMAL] } },
    { what: 'no version', spec: { versions: [] }, refusal: /should have at least 1 items/ },
    {
      what: 'no default version',
      spec: { versions: [{ ...MINIMAL, isDefault: false }] },
      refusal: /exactly one version has isDefault: true/,
    },
    {
      what: 'two default versions',
      spec: { form: 'endpoint', versions: [MINIMAL, { ...OTHER, isDefault: true }] },
      refusal: /exactly one version/,
    },
    {
      what: 'two versions of one name',
      spec: { form: 'endpoint', versions: [MINIMAL, { ...OTHER, name: 'main' }] },
      refusal: /Duplicate value/,
    },
    { what: 'a service with two versions', spec: { versions: [MINIMAL, OTHER] }, refusal: /a service has one version/ },
    {
      what: 'six versions',
      spec: { form: 'endpoint', versions: [MINIMAL, ...[1, 2, 3, 4, 5].map((n) => ({ ...OTHER, name: `next${n}` }))] },
    },
    {
      what: 'seven versions',
      spec: {
        form: 'endpoint',
        versions: [MINIMAL, ...[1, 2, 3, 4, 5, 6].map((n) => ({ ...OTHER, name: `next${n}` }))],
      },
      refusal: /at most 6 items/,
    },
    {
      what: 'percentiles of 100 in tenths',
      spec: {
        form: 'endpoint',
        versions: [
          MINIMAL,
          ...[33.3, 33.3, 33.4].map((trafficPercentile, n) => ({ ...OTHER, name: `next${n}`, trafficPercentile })),
        ],
      },
    },
    {
      what: 'percentiles above 100',
      spec: {
        form: 'endpoint',
        versions: [
          MINIMAL,
          ...[60, 41].map((trafficPercentile, n) => ({ ...OTHER, name: `next${n}`, trafficPercentile })),
        ],
      },
      refusal: /add up to at most 100/,
    },
    {
      what: "the default version's own percentile, which does not count",
      spec: {
        form: 'endpoint',
        versions: [
          { ...MINIMAL, trafficPercentile: 100 },
          { ...OTHER, trafficPercentile: 50 },
        ],
      },
    },
    {
      what: 'two controls',
      spec: {
        form: 'endpoint',
        versions: [
          { ...MINIMAL, type: 'Control' },
          { ...OTHER, type: 'Control' },
        ],
      },
      refusal: /at most one version has the type Control/,
    },
    {
      what: 'fixed scale without replicas',
      spec: { versions: [{ ...MINIMAL, scale: { kind: 'fixed' } }] },
      refusal: /kind fixed needs replicas/,
    },
    {
      what: 'a minimum above the maximum',
      spec: {
        versions: [
          {
            ...MINIMAL,
            scale: AUTO,
          },
        ],
      },
      refusal: /minReplicas is not above maxReplicas/,
    },
    {
      what: 'no replica without requests',
      spec: { versions: [{ ...MINIMAL, scale: { ...AUTO, minReplicas: 0, coldStartSeconds: 30 } }] },
    },
    {
      what: 'everything that the front end does for an endpoint',
      spec: {
        form: 'endpoint',
        stickiness: 'session',
        mirror: { version: 'next', percentile: 2.5 },
        rateLimit: { requestsPerSecond: 100 },
        allowedAddresses: ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'],
        versions: [
          MINIMAL,
          { ...OTHER, rollout: { steps: [5, 50], intervalSeconds: 60, maxErrorPercent: 0.5, maxP99Ms: 800 } },
        ],
      },
    },
    {
      what: 'a mirror to a version that there is not',
      spec: { mirror: { version: 'next', percentile: 10 }, versions: [MINIMAL] },
      refusal: /mirror.version is one of the versions/,
    },
    {
      what: 'an address that is none',
      spec: { allowedAddresses: ['10.0.0.256'], versions: [MINIMAL] },
      refusal: /allowedAddresses\[0\].* should match/,
    },
    {
      what: 'a rollout that goes back and forth',
      spec: { versions: [{ ...MINIMAL, rollout: { steps: [50, 5], intervalSeconds: 60, maxErrorPercent: 1 } }] },
      refusal: /the steps ascend/,
    },
    {
      what: 'a limit below the request',
      spec: { versions: [{ ...MINIMAL, resources: { cpu: 1, cpuLimit: 0.5 } }] },
      refusal: /cpuLimit is not below cpu/,
    },
    {
      what: 'no place to pull the image from',
      spec: { versions: [{ ...MINIMAL, imageRepository: undefined }] },
      refusal: /imageRepository says/,
    },
    {
      what: 'a tag instead of a digest',
      spec: { versions: [{ ...MINIMAL, image: 'x:latest' }] },
      refusal: /should match/,
    },
    {
      what: 'a field that there is not',
      spec: { versions: [{ ...MINIMAL, replicas: 3 }] },
      refusal: /unknown field "spec.versions\[0\].replicas"/,
    },
    {
      what: 'a name that v1 would refuse',
      spec: { versions: [MINIMAL] },
      name: 'a.b',
      refusal: /3 to 32 lower-case letters/,
    },
  ];

  test('the API server itself takes and refuses what an Endpoint may say', async (t) => {
    const { kube, namespace } = await openControllerWorld(t, cluster);
    for (const { what, spec, name = 'web', refusal } of specs) {
      const attempt = kube.create(ENDPOINTS, endpointOf({ name, spec: { ...spec } }, namespace), {
        fieldManager: 'test',
        dryRun: true,
      });
      if (refusal === undefined) await attempt;
      else await assert.rejects(attempt, refusal, what);
    }
  });

  test('what is left out has the defaults of v1', async (t) => {
    const { kube, namespace } = await openControllerWorld(t, cluster);
    const wish = endpointOf({ name: 'web', spec: { versions: [MINIMAL] } }, namespace);
    const { spec } = await kube.create(ENDPOINTS, wish, { fieldManager: 'test', dryRun: true });
    const [version] = spec.versions;
    assert.deepEqual(
      [
        spec.form,
        spec.computeType,
        spec.auth,
        version?.scoringTimeoutMs,
        version?.maxQueueWaitMs,
        version?.resources.cpu,
      ],
      ['service', 'aks', 'key', 60_000, 500, 0.1],
    );
    assert.deepEqual(version?.scale, {
      kind: 'auto',
      minReplicas: 1,
      maxReplicas: 10,
      targetUtilization: 70,
      refreshPeriodInSeconds: 1,
    });
  });

  test('what v1 kept as it was cannot be changed', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const put = (spec: object) =>
      world.put({ name: 'web', spec: { versions: [MINIMAL], properties: { a: '1' }, ...spec } });
    await put({});
    await put({ properties: { a: '1', b: '2' } });
    await assert.rejects(put({ properties: { a: '2', b: '2' } }), /a property stays as it was set/);
    await assert.rejects(put({ properties: { b: '2' } }), /a property stays as it was set/);
    await assert.rejects(put({ form: 'endpoint', properties: { a: '1', b: '2' } }), /a service stays a service/);
  });

  const skip = existsSync(SUITE) ? false : 'the Pod Security suite is not beside the checkout';
  test('every pod of ours passes the evaluator of the restricted standard, which judges its own suite rightly', {
    skip,
  }, async (t) => {
    const { kube, namespace } = await openControllerWorld(t, cluster);
    for (const verdict of ['fail', 'pass'] as const) {
      for await (const path of glob(join(SUITE, verdict, '*.yaml'))) {
        const pod: Pod = parse(await readFile(path, 'utf8'));
        const judged = await judge(kube, namespace, pod);
        assert.equal(judged, verdict, basename(path));
      }
    }
    for (const [what, pod] of ourPods()) assert.equal(await judge(kube, namespace, pod), 'pass', what);
  });
}

async function judge(kube: KubeClient, namespace: string, pod: Pod): Promise<'pass' | 'fail'> {
  const object = { ...pod, metadata: { ...pod.metadata, name: 'probe', namespace } };
  // Service accounts are judged by another plugin, and are not all there.
  const spec = object.spec && { ...object.spec, serviceAccountName: 'default' };
  try {
    await kube.create(
      PODS,
      { ...object, ...(spec === undefined ? {} : { spec }) },
      { fieldManager: 'test', dryRun: true, unknownFields: 'drop' },
    );
    return 'pass';
  } catch (error) {
    if (/violates PodSecurity "restricted/.test(String(error))) return 'fail';
    // Newer API servers refuse some of the suite's failing pods on other grounds already.
    if (AksmlError.is(error, 'kube.invalid')) return 'fail';
    throw error;
  }
}

function* ourPods(): Generator<readonly [string, Pod]> {
  const custom = {
    image: 'x',
    port: 8000,
    scoringRoute: '/',
    livenessRoute: '/',
    readinessRoute: '/',
    command: ['serve'],
  };
  const versions = {
    'a scoring script': clusterVersion(),
    'a custom container': clusterVersion({ container: custom }),
    'a GPU and a toleration': clusterVersion({
      resources: { cpu: 1, memoryInGB: 1, gpu: 1 },
      tolerations: [{ key: 'sku', operator: 'Exists', effect: 'NoSchedule' }],
      imagePullSecret: 'pull',
      secretVariables: [{ name: 'A', secret: 's', key: 'k' }],
    }),
  };
  for (const [what, version] of Object.entries(versions)) {
    const objects = desiredObjects(clusterEndpoint({ versions: [version] }), () => ({ replicas: 1, inPlace: false }));
    for (const pod of podsOf(objects)) yield [what, pod];
  }
  const manifests = clusterManifests({
    version: '0.0.0',
    image: 'x',
    imagePullSecret: 'pull',
    namespaces: ['team'],
    controllers: 2,
    frontEnd: frontEndSettings(),
  });
  for (const pod of podsOf(manifests)) yield [pod.spec?.containers[0]?.name ?? '', pod];
}

function podsOf(objects: ReturnType<typeof clusterManifests>): readonly Pod[] {
  return objects.flatMap(({ resource, object }) => {
    if (resource.plural !== DEPLOYMENTS.plural || !('spec' in object)) return [];
    const { template } = object.spec as { readonly template: Omit<Pod, 'metadata'> };
    return [{ metadata: { name: 'probe' }, ...(template.spec === undefined ? {} : { spec: template.spec }) }];
  });
}
