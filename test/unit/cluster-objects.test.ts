import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCurrent, marked, replacement } from '../../src/cluster/controller/current.ts';
import {
  deployment,
  desiredObjects,
  IN_PLACE_ANNOTATION,
  keysSecret,
  RENDERING_ANNOTATION,
  specRevision,
} from '../../src/cluster/controller/objects.ts';
import {
  cpuQuantity,
  graceSeconds,
  memoryQuantity,
  podTemplate,
  templateKey,
} from '../../src/cluster/controller/pod-template.ts';
import { serviceName } from '../../src/cluster/names.ts';
import type { VersionSpec } from '../../src/contract/endpoint.ts';
import type { Deployment, Service } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

const REST = { replicas: 2, inPlace: false };

function container(version: VersionSpec = clusterVersion()) {
  const [first] = podTemplate(clusterEndpoint({ versions: [version] }), version).spec?.containers ?? [];
  assert.ok(first);
  return first;
}

test('cpu and memory are written as the API server writes them', () => {
  const cpus: readonly (readonly [number, string])[] = [
    [0.1, '100m'],
    [0.0001, '1m'],
    [1, '1'],
    [1.5, '1500m'],
    [2.0004, '2'],
  ];
  for (const [cpu, text] of cpus) assert.equal(cpuQuantity(cpu), text);
  const memories: readonly (readonly [number, string])[] = [
    [0.5, '512Mi'],
    [1, '1Gi'],
    [1.5, '1536Mi'],
    [0.1, '103Mi'],
    [1024, '1Ti'],
    [0.0001, '1Mi'],
  ];
  for (const [gigabytes, text] of memories) assert.equal(memoryQuantity(gigabytes), text);
});

test('names of Services are DNS labels and differ where joined names would meet', () => {
  const long = 'a'.repeat(32);
  for (const [endpoint, version] of [
    ['web', 'main'],
    [long, long],
  ] as const) {
    assert.match(serviceName(endpoint, version), /^[a-z]([-a-z0-9]{0,61}[a-z0-9])$/);
  }
  assert.notEqual(serviceName('a-b', 'c'), serviceName('a', 'b-c'));
});

test('a replica is given what the configuration says', () => {
  const resources = { cpu: 0.5, memoryInGB: 1, cpuLimit: 2, memoryInGBLimit: 4, gpu: 1, gpuResource: 'amd.com/gpu' };
  const secretVariables = [{ name: 'PASSWORD', secret: 'mine', key: 'password' }];
  const scoring = container(clusterVersion({ resources, secretVariables, maxConcurrentRequestsPerContainer: 4 }));
  assert.deepEqual(scoring.resources, {
    requests: { cpu: '500m', memory: '1Gi', 'amd.com/gpu': '1' },
    limits: { cpu: '2', memory: '4Gi', 'amd.com/gpu': '1' },
  });
  const env = new Map(scoring.env?.map((variable) => [variable.name, variable.value ?? variable.valueFrom]));
  assert.equal(env.get('WORKER_COUNT'), '4');
  assert.equal(env.get('SCORING_TIMEOUT_MS'), '61000');
  assert.deepEqual(env.get('PASSWORD'), { secretKeyRef: { name: 'mine', key: 'password' } });
  assert.equal(
    container(clusterVersion({ resources: { cpu: 1, memoryInGB: 1, gpu: 0 } })).resources?.limits,
    undefined,
  );
});

test('a replica has all the time of a scoring call between the order to end and its end', () => {
  for (const scoringTimeoutMs of [1, 60_000, 3_600_000]) {
    const preStop = container(clusterVersion({ scoringTimeoutMs })).lifecycle?.preStop?.sleep?.seconds ?? 0;
    assert.ok(graceSeconds({ scoringTimeoutMs }) >= preStop + scoringTimeoutMs / 1000);
  }
});

test('init() may take as long as it likes, and is asked for by the second', () => {
  const { startupProbe, readinessProbe, livenessProbe } = container();
  assert.equal(startupProbe, undefined, 'with one, readiness is asked for a period later');
  assert.equal(readinessProbe?.periodSeconds, 1);
  assert.equal(readinessProbe?.initialDelaySeconds, undefined);
  assert.equal(livenessProbe?.initialDelaySeconds, 310);
  assert.equal(livenessProbe?.httpGet?.port, 'health');
  const routes = {
    port: 8000,
    scoringRoute: '/v2/models/m/infer',
    livenessRoute: '/v2/health/live',
    readinessRoute: '/v2/health/ready',
  };
  const custom = container(
    clusterVersion({ container: { ...routes, image: 'triton', command: ['serve', '--port={port}'] } }),
  );
  assert.deepEqual(custom.command, ['serve', '--port=8000']);
  assert.ok((custom.startupProbe?.failureThreshold ?? 0) > 24 * 3600);
  assert.equal(custom.readinessProbe?.httpGet?.path, '/v2/health/ready');
  assert.equal(custom.livenessProbe?.httpGet?.path, '/v2/health/live');
  assert.equal(custom.livenessProbe?.httpGet?.port, 'scoring');
});

test('replicas are replaced when what they run changes, and only then', () => {
  const version = clusterVersion();
  const key = (changed: VersionSpec) => templateKey(podTemplate(clusterEndpoint({ versions: [changed] }), changed));
  const same: readonly Partial<VersionSpec>[] = [
    { trafficPercentile: 50 },
    { tags: { a: 'b' } },
    { revision: `sha256:${'9'.repeat(64)}` },
    { description: 'x' },
    { scale: { kind: 'fixed', replicas: 9 } },
    { maxQueueWaitMs: 1 },
    { livenessProbe: { ...version.livenessProbe, successThreshold: 9 } },
  ];
  for (const change of same) assert.equal(key({ ...version, ...change }), key(version), JSON.stringify(change));
  const different: readonly Partial<VersionSpec>[] = [
    { image: `sha256:${'1'.repeat(64)}` },
    { resources: { cpu: 2, memoryInGB: 1, gpu: 0 } },
    { scoringTimeoutMs: 1 },
    { maxConcurrentRequestsPerContainer: 2 },
    { variablesRevision: 'b' },
    { secretVariables: [{ name: 'A', secret: 's', key: 'k' }] },
    { nodeSelector: { pool: 'gpu' } },
    { imagePullSecret: 'web.pull' },
    { livenessProbe: { ...version.livenessProbe, periodSeconds: 99 } },
    { container: { port: 8000, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' } },
  ];
  for (const change of different) assert.notEqual(key({ ...version, ...change }), key(version), JSON.stringify(change));
});

test('another aksml keeps the replicas that do what is wanted, and puts right what was changed of its own', () => {
  const version = clusterVersion();
  const endpoint = clusterEndpoint({ versions: [version] });
  const made = deployment(endpoint, version, REST);
  const changed = (object: Deployment, rendering: string | undefined): Deployment =>
    ({
      ...object,
      metadata: { ...object.metadata, annotations: { [RENDERING_ANNOTATION]: rendering ?? '' } },
      spec: { ...object.spec, template: { ...object.spec?.template, spec: { containers: [], hostname: 'other' } } },
    }) as Deployment;
  const byAnother = changed(made, 'of-another-aksml');
  assert.deepEqual(
    deployment(endpoint, version, { ...REST, present: byAnother }).spec?.template,
    byAnother.spec?.template,
  );
  const byAnybody = changed(made, made.metadata.annotations?.[RENDERING_ANNOTATION]);
  assert.deepEqual(deployment(endpoint, version, { ...REST, present: byAnybody }), made);
  const next = { ...version, image: `sha256:${'1'.repeat(64)}` };
  assert.deepEqual(
    deployment(endpoint, next, { ...REST, present: byAnother }).spec?.template,
    podTemplate(endpoint, next),
    'a new image is taken by replicas as this aksml makes them',
  );
});

test('a rollout keeps every replica until the new one is ready, but on a full cluster', () => {
  const version = clusterVersion();
  const endpoint = clusterEndpoint({ versions: [version] });
  const surging = deployment(endpoint, version, REST);
  assert.deepEqual(surging.spec?.strategy?.rollingUpdate, { maxSurge: '25%', maxUnavailable: 0 });
  const inPlace = deployment(endpoint, version, { replicas: 2, inPlace: true });
  assert.deepEqual(inPlace.spec?.strategy?.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
  assert.equal(inPlace.metadata.annotations?.[IN_PLACE_ANNOTATION], templateKey(podTemplate(endpoint, version)));
});

test('everything goes with the endpoint, and nothing of it holds a secret but the Secret', () => {
  const version = clusterVersion();
  const endpoint = clusterEndpoint({ versions: [version] });
  const all = [...desiredObjects(endpoint, () => REST), keysSecret(endpoint), specRevision(endpoint)];
  for (const { object } of all) {
    assert.deepEqual(
      object.metadata.ownerReferences?.map(({ uid, controller }) => [uid, controller]),
      [['uid-of-web', true]],
    );
  }
  const [first, second] = [keysSecret(endpoint), keysSecret(endpoint)];
  assert.notDeepEqual(first.object.data, second.object.data);
  assert.equal(Buffer.from(first.object.data?.['primaryKey'] ?? '', 'base64').length, 43);
});

test('what is there is current whatever the API server and others added, and not once anything wanted differs or is no longer wanted', () => {
  const service = (spec: Service['spec'], metadata: Partial<Service['metadata']> = {}): Service => ({
    metadata: { name: 'x', labels: { a: 'b' }, ...metadata },
    ...(spec === undefined ? {} : { spec }),
  });
  const wanted = marked(service({ ports: [{ port: 80 }], externalName: 'y' }));
  const { annotations } = wanted.metadata;
  const added = { annotations: { ...annotations, theirs: 'x' }, uid: '1', resourceVersion: '5' };
  const live = service({ ports: [{ port: 80, protocol: 'TCP' }], externalName: 'y', type: 'ExternalName' }, added);
  assert.ok(isCurrent(wanted, live));
  assert.ok(!isCurrent(wanted, service({ ...live.spec, externalName: 'z' }, added)));
  assert.ok(!isCurrent(wanted, service({ ...live.spec, ports: [{ port: 80 }, { port: 81 }] }, added)));
  assert.ok(!isCurrent(marked(service({ ports: [{ port: 80 }] })), live));

  const written = replacement(wanted, live);
  assert.equal(written.metadata.resourceVersion, '5');
  assert.equal(written.metadata.uid, '1');
  assert.equal(written.metadata.annotations?.['theirs'], 'x');
});
