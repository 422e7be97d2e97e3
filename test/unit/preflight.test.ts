import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint, VersionSpec } from '../../src/contract/endpoint.ts';
import type { Model } from '../../src/contract/model.ts';
import { effectiveSettings } from '../../src/engine/config/effective-settings.ts';
import type { ClusterFacts } from '../../src/engine/endpoints/cluster-facts.ts';
import { type PreflightFacts, preflight } from '../../src/engine/endpoints/preflight.ts';

const GIB = 1024 ** 3;

const MODEL: Model = {
  id: 'diabetes:1',
  name: 'diabetes',
  version: 1,
  framework: 'Custom',
  tags: {},
  properties: {},
  basename: 'diabetes.pkl',
  isFolder: false,
  isMlflow: false,
  treeDigest: `sha256:${'0'.repeat(64)}`,
  size: 1,
  fileCount: 1,
  createdTime: '2026-01-01T00:00:00.000Z',
  modifiedTime: '2026-01-01T00:00:00.000Z',
  createdBy: 'someone',
};

const GOOD: PreflightFacts = {
  name: 'diabetes',
  versionName: 'diabetes',
  targetKind: 'local',
  current: undefined,
  overwrite: false,
  models: [MODEL],
  unregistered: [],
  configuration: {
    valid: true,
    inference: {
      entryScript: 'score.py',
      sourceDirectory: '/project',
      environment: { kind: 'registered', name: 'sklearn' },
      namedFiles: ['score.py'],
    },
  },
  deployment: { computeType: 'aks' },
  settings: effectiveSettings({ computeType: 'aks', numReplicas: 1 }),
  machine: { totalMemory: 8 * GIB, disk: { home: '/home/ada/.aksml', freeBytes: 5 * GIB } },
};

const WITHOUT_SCRIPT: PreflightFacts = { ...GOOD, configuration: { valid: true } };
const CONTAINER = {
  image: 'tensorflow/serving',
  port: 8501,
  scoringRoute: '/',
  livenessRoute: '/',
  readinessRoute: '/',
};

const CASES: readonly (readonly [string, PreflightFacts, readonly string[]])[] = [
  ['a plain deployment has no problem', GOOD, []],
  ['a model that is not there is told once', { ...WITHOUT_SCRIPT, models: [], lacksModel: true }, []],
  ['a port for the debugger that is none', { ...GOOD, debugPort: 99_999 }, ['debug.portOutOfRange']],
  [
    'ports that another program has',
    {
      ...GOOD,
      debugPort: 5678,
      deployment: { computeType: 'local', port: 6789 },
      closedPorts: new Map([
        [5678, 'another program has it'],
        [6789, 'another program has it'],
      ]),
    },
    ['debug.portTaken', 'port.taken'],
  ],
  [
    'what only the front end of a cluster does has no effect here',
    { ...GOOD, settings: { ...GOOD.settings, frontEnd: { stickiness: 'session' } } },
    ['frontEnd.noEffect'],
  ],
  [
    'a name that v1 refused is refused',
    { ...GOOD, name: 'Diabetes', versionName: 'Diabetes' },
    ['serviceName.invalid'],
  ],
  ['a version name follows the same rule', { ...GOOD, versionName: 'v1_' }, ['versionName.invalid']],
  [
    'a version name that the configuration was refused for is not refused twice',
    { ...GOOD, versionName: 'v1_', configuration: { valid: false } },
    [],
  ],
  ['an existing service needs overwrite', { ...GOOD, current: endpoint(['diabetes']) }, ['service.exists']],
  ['with overwrite it is replaced', { ...GOOD, current: endpoint(['diabetes']), overwrite: true }, []],
  [
    'a deploy never removes other versions',
    { ...GOOD, current: endpoint(['diabetes', 'candidate']), overwrite: true },
    ['endpoint.hasVersions'],
  ],
  ['1,000 models fit', { ...GOOD, models: [], unregistered: paths(1000) }, []],
  ['1,001 do not', { ...GOOD, models: [MODEL], unregistered: paths(1000) }, ['models.tooMany']],
  ['a model is given once', { ...GOOD, models: [MODEL, MODEL] }, ['models.duplicate']],
  ['a custom model needs a scoring script', WITHOUT_SCRIPT, ['inferenceConfig.missing']],
  ['a scikit-learn model does not', { ...WITHOUT_SCRIPT, models: [{ ...MODEL, framework: 'ScikitLearn' }] }, []],
  ['an MLflow model does not', { ...WITHOUT_SCRIPT, models: [{ ...MODEL, isMlflow: true }] }, []],
  ['the folder of an MLflow model does not', { ...WITHOUT_SCRIPT, models: [], unregistered: [{ isMlflow: true }] }, []],
  ['a script that was refused is not missing, too', { ...GOOD, configuration: { valid: false } }, []],
  [
    'this machine runs commands, not images',
    { ...WITHOUT_SCRIPT, deployment: { computeType: 'aks', container: CONTAINER } },
    ['container.noCommand'],
  ],
  ['no model and no script is nothing', { ...WITHOUT_SCRIPT, models: [] }, ['inferenceConfig.missing']],
  [
    'more memory than the machine has is told',
    { ...GOOD, settings: { ...GOOD.settings, scale: { kind: 'fixed', replicas: 20 } } },
    ['memory.exceedsMachine'],
  ],
  [
    'a disk that is nearly full is told',
    { ...GOOD, machine: { ...GOOD.machine, disk: { home: '/home/ada/.aksml', freeBytes: 5 * GIB - 1 } } },
    ['disk.low'],
  ],
  [
    'limits are not enforced on local',
    { ...GOOD, settings: { ...GOOD.settings, resources: { ...GOOD.settings.resources, cpuLimit: 1 } } },
    ['limits.notEnforced'],
  ],
  [
    'data is not collected on local',
    { ...GOOD, settings: { ...GOOD.settings, dataCollection: true } },
    ['dataCollection.noEffect'],
  ],
  [
    'Application Insights needs its key',
    {
      ...WITHOUT_SCRIPT,
      models: [{ ...MODEL, framework: 'Onnx' }],
      settings: { ...GOOD.settings, appInsightsEnabled: true },
    },
    ['appInsights.noKey'],
  ],
  [
    'a namespace has no effect on local',
    { ...GOOD, deployment: { computeType: 'aks', namespace: 'ml' } },
    ['namespace.noEffect'],
  ],
];

for (const [sentence, facts, codes] of CASES) {
  test(`preflight: ${sentence}`, () => {
    assert.deepEqual(
      preflight(facts).map(({ code }) => code),
      codes,
    );
  });
}

function paths(count: number): PreflightFacts['unregistered'] {
  return Array.from({ length: count }, () => ({ isMlflow: false }));
}

function endpoint(names: readonly string[]): Endpoint {
  return {
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name: 'diabetes' },
    spec: {
      form: 'service',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      versions: names.map(version),
    },
  };
}

function version(name: string, index: number): VersionSpec {
  const { auth: _auth, appInsightsEnabled: _insights, ...settings } = GOOD.settings;
  return {
    ...settings,
    name,
    isDefault: index === 0,
    tags: {},
    properties: {},
    revision: `sha256:${'1'.repeat(64)}`,
    revisionNumber: 1,
    image: `sha256:${'2'.repeat(64)}`,
    models: [],
    environment: { hash: '' },
    createdTime: '2026-01-01T00:00:00.000Z',
    updatedTime: '2026-01-01T00:00:00.000Z',
  };
}

const CLUSTER: ClusterFacts = {
  record: {
    name: 'west',
    kind: 'kubernetes',
    purpose: 'FastProd',
    clusterId: 'id',
    server: 'https://west',
    namespace: 'ml',
    otherNamespaces: ['team'],
    attachedTime: '2026-11-26T12:00:00.000Z',
    attachedBy: 'ada',
    aksmlVersion: '0.1.0',
  },
  status: {
    reachable: true,
    nodes: { total: 3, ready: 3 },
    architectures: ['amd64'],
    capacity: { cpu: 12, memoryInGB: 48, gpu: 1 },
    free: { cpu: 2, memoryInGB: 4, gpu: 1 },
    controller: { state: 'Healthy', replicas: 2, readyReplicas: 2 },
  },
};

function onCluster(changes: Partial<PreflightFacts>, status: Partial<ClusterFacts['status']> = {}): PreflightFacts {
  const cluster = { ...CLUSTER, status: { ...CLUSTER.status, ...status } };
  return { ...GOOD, targetKind: 'kubernetes', cluster, ...changes };
}

const { settings } = GOOD;
const WITHOUT_NODES = {
  nodes: undefined,
  capacity: undefined,
  free: undefined,
  architectures: undefined,
} as unknown as Partial<ClusterFacts['status']>;
const placed = (namespace: string) =>
  ({ metadata: { name: 'diabetes', namespace }, spec: { versions: [] } }) as unknown as Endpoint;

const ON_CLUSTER: readonly (readonly [string, PreflightFacts, readonly string[]])[] = [
  ['what fits', onCluster({}), []],
  ['a namespace that is served', onCluster({ deployment: { computeType: 'aks', namespace: 'team' } }), []],
  [
    'a namespace that is not',
    onCluster({ deployment: { computeType: 'aks', namespace: 'other' } }),
    ['error namespace.notServed'],
  ],
  [
    'a move',
    onCluster({ current: placed('ml'), overwrite: true, deployment: { computeType: 'aks', namespace: 'team' } }),
    ['error namespace.fixed'],
  ],
  ['a local web service', onCluster({ deployment: { computeType: 'local' } }), ['error computeType.local']],
  [
    'more replicas than there is room for',
    onCluster({ settings: { ...settings, scale: { kind: 'fixed', replicas: 21 } } }),
    ['warning cluster.noRoom'],
  ],
  [
    'a GPU too many',
    onCluster({ settings: { ...settings, resources: { ...settings.resources, gpu: 2 } } }),
    ['warning cluster.noGpu'],
  ],
  [
    'a GPU of another make',
    onCluster({ settings: { ...settings, resources: { ...settings.resources, gpu: 2, gpuResource: 'amd.com/gpu' } } }),
    [],
  ],
  [
    'FastProd below 12 vCPUs',
    onCluster({}, { capacity: { cpu: 11.9, memoryInGB: 48, gpu: 0 } }),
    ['warning computeTarget.small'],
  ],
  [
    'a controller that is gone',
    onCluster({}, { controller: { state: 'Missing', replicas: 0, readyReplicas: 0 } }),
    ['error computeTarget.unhealthy'],
  ],
  ['a cluster whose nodes one may not see', onCluster({}, WITHOUT_NODES), []],
];

for (const [what, facts, expected] of ON_CLUSTER) {
  test(`preflight on a cluster: ${what}`, () => {
    assert.deepEqual(
      preflight(facts).map(({ severity, code }) => `${severity} ${code}`),
      expected,
    );
  });
}
