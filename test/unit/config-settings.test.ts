import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEPLOYMENT_KEYS } from '../../src/contract/configuration/deployment-keys.ts';
import type { DeploymentSpec } from '../../src/contract/deployment.ts';
import {
  effectiveSettings,
  mergeMirror,
  mergeSettings,
  validateUpdate,
} from '../../src/engine/config/configuration.ts';
import { editorSchema } from '../../src/engine/config/editor-schema.ts';
import { configurationSchema, type JsonSchema } from '../../src/engine/config/schema.ts';
import { coldStartMs } from '../../src/serving/replicas.ts';

const AKS: DeploymentSpec = { computeType: 'aks' };

test("what is not given gets v1's server defaults", () => {
  assert.deepEqual(effectiveSettings(AKS), {
    auth: 'key',
    appInsightsEnabled: false,
    dataCollection: false,
    scale: { kind: 'auto', minReplicas: 1, maxReplicas: 10, targetUtilization: 70, refreshPeriodInSeconds: 1 },
    resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0 },
    scoringTimeoutMs: 60000,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 500,
    livenessProbe: {
      periodSeconds: 10,
      initialDelaySeconds: 310,
      timeoutSeconds: 2,
      successThreshold: 1,
      failureThreshold: 3,
    },
  });
});

test('defaults depend on the compute type, on the model, and on what is given beside them', () => {
  assert.equal(effectiveSettings({ computeType: 'local' }).auth, 'none');
  assert.equal(effectiveSettings({ computeType: 'aci' }).auth, 'none');
  assert.deepEqual(effectiveSettings({ computeType: 'aci' }).scale, { kind: 'fixed', replicas: 1 });
  assert.equal(effectiveSettings({ computeType: 'aci', authEnabled: true }).auth, 'key');
  assert.equal(effectiveSettings({ ...AKS, tokenAuthEnabled: true }).auth, 'token');
  assert.equal(effectiveSettings(AKS, { cpu: 2, memoryInGB: 4 }).resources.cpu, 2);
  assert.equal(effectiveSettings({ ...AKS, cpu: 1 }, { cpu: 2 }).resources.cpu, 1);
  assert.equal(effectiveSettings({ ...AKS, cpuLimit: 0.05 }).resources.cpu, 0.05);
  assert.deepEqual(effectiveSettings({ ...AKS, numReplicas: 3 }).scale, { kind: 'fixed', replicas: 3 });
  const many = effectiveSettings({ ...AKS, autoscaleEnabled: true, minReplicas: 20 }).scale;
  assert.ok(many.kind === 'auto' && many.maxReplicas === 20);
});

const UPDATES: readonly (readonly [
  what: string,
  changes: Partial<DeploymentSpec>,
  current: Partial<DeploymentSpec>,
  codes: readonly string[],
])[] = [
  ['cpu alone', { cpu: 1 }, {}, []],
  ['cpu above the present limit', { cpu: 3 }, { cpu: 1, cpuLimit: 2 }, ['cpu.aboveCurrentLimit']],
  ['cpu with a new limit', { cpu: 3, cpuLimit: 4 }, { cpu: 1, cpuLimit: 2 }, []],
  ['a limit below the present memory', { memoryInGBLimit: 1 }, { memoryInGB: 2 }, ['memoryInGBLimit.belowMemory']],
  ['a limit of zero', { cpuLimit: 0 }, {}, ['cpuLimit.notPositive', 'cpuLimit.belowCpu']],
  ['more replicas without saying autoscale', { maxReplicas: 20 }, {}, ['maxReplicas.withoutAutoscale']],
  ['more replicas', { autoscaleEnabled: true, maxReplicas: 20 }, {}, []],
  ['autoscale off without a number', { autoscaleEnabled: false }, {}, ['autoscale.offWithoutNumReplicas']],
  ['tokens while keys are on', { tokenAuthEnabled: true }, {}, ['auth.keyStillOn']],
  ['tokens instead of keys', { tokenAuthEnabled: true, authEnabled: false }, {}, []],
  ['keys while tokens are on', { authEnabled: true }, { tokenAuthEnabled: true }, ['auth.tokenStillOn']],
  ['both', { authEnabled: true, tokenAuthEnabled: true }, {}, ['auth.bothKeyAndToken']],
];

for (const [what, changes, current, codes] of UPDATES) {
  test(`an update is judged as v1 did: ${what}`, () => {
    const settings = effectiveSettings({ ...AKS, ...current });
    const problems = validateUpdate({ ...AKS, ...changes }, { settings });
    assert.deepEqual(
      problems.map(({ code }) => code),
      codes,
    );
  });
}

test('an update keeps what it does not name', () => {
  const before = effectiveSettings({
    ...AKS,
    cpu: 2,
    autoscaleEnabled: true,
    minReplicas: 3,
    livenessProbe: { timeoutSeconds: 9 },
  });
  const afterwards = mergeSettings(before, {
    ...AKS,
    autoscaleEnabled: true,
    maxReplicas: 30,
    livenessProbe: { periodSeconds: 5 },
  });
  assert.deepEqual(afterwards.scale, {
    kind: 'auto',
    minReplicas: 3,
    maxReplicas: 30,
    targetUtilization: 70,
    refreshPeriodInSeconds: 1,
  });
  assert.equal(afterwards.resources.cpu, 2);
  assert.deepEqual([afterwards.livenessProbe.timeoutSeconds, afterwards.livenessProbe.periodSeconds], [9, 5]);
  assert.deepEqual(mergeSettings(before, { ...AKS, numReplicas: 2 }).scale, { kind: 'fixed', replicas: 2 });
  assert.equal(mergeSettings(before, { ...AKS, authEnabled: false }).auth, 'none');
  assert.equal(mergeSettings(before, AKS).auth, 'key');
});

test('the schema has every key of the table with its help', () => {
  const schema = JSON.stringify(configurationSchema('deploymentconfig'));
  for (const { path, help } of DEPLOYMENT_KEYS) {
    assert.ok(schema.includes(JSON.stringify(path.slice(path.indexOf('.') + 1))), path);
    assert.ok(schema.includes(JSON.stringify(help).slice(1, -1)), help);
  }
  assert.equal(configurationSchema('inferenceconfig')['$schema'], 'https://json-schema.org/draft/2020-12/schema');
});

test('the schema for editors explains and completes, and judges nothing', () => {
  const keywords = new Set<string>();
  const collect = (schema: JsonSchema): void => {
    for (const [keyword, value] of Object.entries(schema)) {
      keywords.add(keyword);
      const below =
        keyword === 'properties'
          ? Object.values(value as JsonSchema)
          : ['items', 'anyOf'].includes(keyword)
            ? [value].flat()
            : [];
      for (const inner of below) collect(inner as JsonSchema);
    }
  };
  collect(editorSchema('inferenceconfig'));
  collect(editorSchema('deploymentconfig'));
  assert.deepEqual([...keywords].sort(), [
    '$schema',
    'anyOf',
    'default',
    'description',
    'examples',
    'items',
    'properties',
    'title',
  ]);
  const { authEnabled } = editorSchema('deploymentconfig')['properties'] as Record<string, JsonSchema>;
  assert.deepEqual(authEnabled?.['examples'], [true, false]);
});

test('what the front end does stays until something else is given, and each part can be switched off', () => {
  const given = effectiveSettings({
    ...AKS,
    autoscaleEnabled: true,
    minReplicas: 0,
    coldStartSeconds: 30,
    stickiness: 'session',
    requestsPerSecond: 50,
    allowedAddresses: ['10.0.0.0/8'],
    rolloutSteps: [5, 50],
    rolloutMaxP99Ms: 800,
  });
  const frontEnd = { stickiness: 'session', rateLimit: { requestsPerSecond: 50 }, allowedAddresses: ['10.0.0.0/8'] };
  const rollout = { steps: [5, 50], intervalSeconds: 60, maxErrorPercent: 1, maxP99Ms: 800 };
  assert.deepEqual([given.frontEnd, given.rollout], [frontEnd, rollout]);
  assert.equal(coldStartMs(given.scale), 30_000);

  const kept = mergeSettings(given, { ...AKS, autoscaleEnabled: true, maxReplicas: 5, rolloutIntervalSeconds: 10 });
  assert.deepEqual([kept.frontEnd, kept.rollout], [frontEnd, { ...rollout, intervalSeconds: 10 }]);
  assert.equal(coldStartMs(kept.scale), 30_000);
  assert.equal(coldStartMs(mergeSettings(given, { ...AKS, autoscaleEnabled: true, minReplicas: 1 }).scale), 0);

  const off = { stickiness: 'none', requestsPerSecond: 0, allowedAddresses: [], rolloutSteps: [] } as const;
  const without = mergeSettings(given, { ...AKS, ...off });
  assert.deepEqual([without.frontEnd, without.rollout], [undefined, undefined]);
});

test('a mirror is one version’s, until that version ends it', () => {
  const present = { version: 'blue', percentile: 5 };
  const change = (version: string, mirrorPercentile?: number) =>
    mergeMirror(present, version, { ...AKS, ...(mirrorPercentile === undefined ? {} : { mirrorPercentile }) });
  assert.deepEqual(change('green'), present);
  assert.deepEqual(change('green', 10), { version: 'green', percentile: 10 });
  assert.deepEqual(change('green', 0), present);
  assert.equal(change('blue', 0), undefined);
});
