import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portalAddress } from '../../src/cluster/azure-portal.ts';
import { isNewer } from '../../src/cluster/install/install.ts';
import { rollout, troubleOf } from '../../src/cluster/install/rollout.ts';
import { LogMerge } from '../../src/cluster/target/log-merge.ts';
import { adoptFields } from '../../src/cluster/target/ownership.ts';
import { nodeFacts, requestsOf } from '../../src/cluster/target/status.ts';
import { LogPosition } from '../../src/kube/log-position.ts';
import type { Deployment, KubeNode, Pod } from '../../src/kube/resource.ts';

interface Line {
  readonly at: number;
  readonly text: string;
}

const line = (at: number, text: string): Line => ({ at, text });

async function* batches(...all: readonly (readonly Line[])[]): AsyncGenerator<readonly Line[]> {
  yield* all;
}

async function merged(patienceMs: number, ...sources: readonly AsyncIterable<readonly Line[]>[]): Promise<string> {
  const merge = new LogMerge<Line>({ timeOf: ({ at }) => at, patienceMs });
  for (const source of sources) merge.add(source);
  merge.close();
  let told = '';
  for await (const lines of merge.batches()) told += lines.map(({ text }) => text).join('');
  return told;
}

test('logs are merged by time, and each keeps its own order', async () => {
  const first = batches([line(1, 'a'), line(3, 'c')], [line(5, 'e')]);
  const second = batches([line(2, 'b')], [line(4, 'd'), line(6, 'f')]);
  assert.equal(await merged(Number.POSITIVE_INFINITY, first, second), 'abcdef');
  const jumping = batches([line(5, 'x'), line(1, 'y')]);
  assert.equal(await merged(Number.POSITIVE_INFINITY, jumping, batches([line(4, 'a'), line(6, 'b')])), 'axyb');
});

test('a log that is silent does not hold back the others for longer than the patience', async () => {
  const silence = Promise.withResolvers<void>();
  async function* silent() {
    await silence.promise;
    yield [line(1, 'late')];
  }
  const merge = new LogMerge<Line>({ timeOf: ({ at }) => at, patienceMs: 20 });
  merge.add(silent());
  merge.add(batches([line(2, 'now')]));
  merge.close();
  const told: string[] = [];
  for await (const lines of merge.batches()) {
    told.push(...lines.map(({ text }) => text));
    silence.resolve();
  }
  assert.deepEqual(told, ['now', 'late']);
});

test('a log that fails ends the merge with its error, and one that nobody reads is not read from', async () => {
  async function* failing(): AsyncGenerator<readonly Line[]> {
    yield [line(1, 'a')];
    throw new Error('gone');
  }
  await assert.rejects(merged(0, failing()), /gone/);
  let asked = 0;
  async function* endless() {
    for (; ; asked += 1) yield [line(asked, 'x')];
  }
  const merge = new LogMerge<Line>({ timeOf: ({ at }) => at, patienceMs: 0 });
  merge.add(endless());
  let taken = 0;
  for await (const lines of merge.batches()) {
    taken += lines.length;
    if (taken === 3) break;
  }
  assert.ok(asked <= 5, `${asked} batches were made for 3`);
});

const CONNECTIONS: readonly (readonly [string, readonly (readonly string[])[], readonly string[]])[] = [
  ['one connection', [['1Z', '2Z', '2Z', '3.5Z']], ['1Z', '2Z', '2Z', '3.5Z']],
  [
    'the last second comes again',
    [
      ['1.1Z', '1.2Z'],
      ['1.1Z', '1.2Z', '1.3Z'],
    ],
    ['1.1Z', '1.2Z', '1.3Z'],
  ],
  [
    'lines of one instant, some told before',
    [
      ['1.1Z', '1.1Z'],
      ['1.1Z', '1.1Z', '1.1Z'],
    ],
    ['1.1Z', '1.1Z', '1.1Z'],
  ],
  ['fractions without their zeros', [['1.1Z'], ['1.10Z', '1.100000001Z']], ['1.1Z', '1.100000001Z']],
  ['nothing new', [['1.1Z'], ['1.1Z'], ['1.1Z']], ['1.1Z']],
];

for (const [what, connections, expected] of CONNECTIONS) {
  test(`no line is lost or told twice: ${what}`, () => {
    const position = new LogPosition();
    const told: string[] = [];
    for (const times of connections) {
      position.resume();
      for (const time of times) {
        // The tables write 1.5Z for 12:00:01.5.
        const [second = '', fraction] = time.replace('Z', '').split('.');
        const whole = `2026-11-26T12:00:0${second}${fraction === undefined ? '' : `.${fraction}`}Z`;
        if (position.take(whole, 1) !== undefined) told.push(time);
      }
    }
    assert.deepEqual(told, expected);
  });
}

test('a log goes on from the second in which it was left', () => {
  const position = new LogPosition('2026-11-26T12:00:01.500Z');
  assert.equal(position.resume(), '2026-11-26T12:00:01.000Z');
  assert.equal(position.take('2026-11-26T12:00:01.400Z', 1), undefined);
  assert.equal(position.take('2026-11-26T14:00:02.25+02:00', 1), 0);
  assert.equal(position.milliseconds, Date.parse('2026-11-26T12:00:02.250Z'));
});

test('aksml takes over what it created and what kubectl wrote, and leaves other tools their fields', () => {
  const entry = (manager: string, operation: string, field: string, subresource?: string) => ({
    manager,
    operation,
    fieldsV1: { [`f:${field}`]: {} },
    ...(subresource === undefined ? {} : { subresource }),
  });
  const controller = entry('aksml-controller', 'Update', 'status', 'status');
  const argo = entry('argocd', 'Apply', 'spec');
  const fields = [
    entry('aksml', 'Apply', 'a'),
    entry('aksml', 'Update', 'b'),
    entry('kubectl-edit', 'Update', 'c'),
    argo,
    controller,
  ];
  const adopted = adoptFields(fields) ?? [];
  assert.deepEqual(adopted.slice(0, 2), [argo, controller]);
  assert.deepEqual(adopted[2]?.fieldsV1, { 'f:a': {}, 'f:b': {}, 'f:c': {} });
  assert.equal(adoptFields(adopted), undefined, 'once is enough');
});

test('versions are told apart by their numbers, and a build from source is never older', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['1.10.0', '1.9.9', true],
    ['1.9.9', '1.10.0', false],
    ['1.0.0', '1.0.0', false],
    ['2.0.0', 'from source', false],
    ['0.0.0-source', '0.1.0', false],
  ];
  for (const [a, b, expected] of cases) assert.equal(isNewer(a, b), expected, `${a} and ${b}`);
});

const node = (name: string, changes: object = {}): KubeNode =>
  ({
    metadata: { name },
    spec: {},
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      allocatable: { cpu: '3800m', memory: '8Gi', 'nvidia.com/gpu': '1' },
      nodeInfo: { architecture: 'amd64' },
    },
    ...changes,
  }) as unknown as KubeNode;

const podOn = (nodeName: string, cpu: string, init?: string): Pod =>
  ({
    metadata: { name: 'p' },
    spec: {
      nodeName,
      containers: [{ resources: { requests: { cpu, memory: '512Mi' } } }],
      ...(init === undefined ? {} : { initContainers: [{ resources: { requests: { cpu: init } } }] }),
    },
  }) as unknown as Pod;

test('a cluster has room where nodes take pods and no pod has asked', () => {
  const cordoned = node('b', { spec: { unschedulable: true } });
  const tainted = node('c', { spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } });
  const facts = nodeFacts([node('a'), cordoned, tainted], [podOn('a', '1', '2'), podOn('b', '3')]);
  assert.deepEqual(facts.nodes, { total: 3, ready: 3 });
  assert.deepEqual(facts.capacity, { cpu: 3.8, memoryInGB: 8, gpu: 1 });
  assert.equal(facts.free?.cpu.toFixed(3), '1.800', 'an init container may ask for more than what follows it');
  assert.deepEqual(facts.architectures, ['amd64']);
  assert.equal(requestsOf(podOn('a', '250m')).cpu, 0.25);
});

const AKS_NODE =
  'azure:///subscriptions/0b1f/resourceGroups/mc_team_prod_westeurope/providers/Microsoft.Compute/virtualMachineScaleSets/np/virtualMachines/0';
const RESOURCE =
  '/#resource/subscriptions/0b1f/resourceGroups/team/providers/Microsoft.ContainerService/managedClusters/prod/overview';

for (const [what, server, providerID, address] of [
  ['of Azure', 'https://prod-1.hcp.westeurope.azmk8s.io:443', AKS_NODE, `https://portal.azure.com${RESOURCE}`],
  [
    "of Azure's cloud in China",
    'https://p.hcp.chinaeast2.cx.prod.service.azk8s.cn',
    AKS_NODE,
    `https://portal.azure.cn${RESOURCE}`,
  ],
  [
    "of Azure's US government cloud",
    'https://p.hcp.usgovvirginia.cx.aks.containerservice.azure.us',
    AKS_NODE,
    `https://portal.azure.us${RESOURCE}`,
  ],
  [
    'of Azure whose own group cannot be told from that of its nodes',
    'https://prod-1.hcp.westeurope.azmk8s.io:443',
    AKS_NODE.replace('_team_', '_the_team_'),
    'https://portal.azure.com/#resource/subscriptions/0b1f/resourceGroups/mc_the_team_prod_westeurope/overview',
  ],
  [
    'of Azure whose nodes are in a group with a name of its own',
    'https://prod-1.hcp.westeurope.azmk8s.io:443',
    AKS_NODE.replace('mc_team_prod_westeurope', 'nodes-of-prod'),
    'https://portal.azure.com/#resource/subscriptions/0b1f/resourceGroups/nodes-of-prod/overview',
  ],
  ['of another cloud', 'https://1.2.3.4', 'aws:///eu-west-1a/i-0c', undefined],
  ['of none', 'https://1.2.3.4', undefined, undefined],
] as const) {
  test(`where the portal shows a cluster ${what}`, () => {
    const nodes = [node('a', { spec: {} }), node('b', { spec: { providerID } })];
    assert.equal(portalAddress(nodes, server), address);
  });
}

const podIn = (containerStatus: object, conditions: readonly object[] = []): Pod =>
  ({ metadata: { name: 'p' }, status: { conditions, containerStatuses: [containerStatus] } }) as unknown as Pod;

const TROUBLES: readonly (readonly [string, Pod, boolean | undefined])[] = [
  ['it runs', podIn({ state: { running: {} }, restartCount: 0 }), undefined],
  ['it is being created', podIn({ state: { waiting: { reason: 'ContainerCreating' } }, restartCount: 0 }), undefined],
  ['one pull failed', podIn({ state: { waiting: { reason: 'ErrImagePull' } }, restartCount: 0 }), undefined],
  ['pulls fail', podIn({ state: { waiting: { reason: 'ImagePullBackOff' } }, restartCount: 0 }), true],
  [
    'it crashes',
    podIn({
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1 } },
      restartCount: 2,
    }),
    true,
  ],
  [
    'it crashed once',
    podIn({ state: { waiting: {} }, lastState: { terminated: { exitCode: 1 } }, restartCount: 1 }),
    undefined,
  ],
  [
    'no node takes it, until one is added',
    podIn({ restartCount: 0 }, [{ type: 'PodScheduled', status: 'False', message: 'Insufficient cpu' }]),
    false,
  ],
];

for (const [what, pod, final] of TROUBLES) {
  test(`what keeps the controller from running: ${what}`, () => assert.equal(troubleOf(pod)?.final, final));
}

test('a rollout is done when all replicas are of the newest generation', () => {
  const deployment = (status: object): Deployment =>
    ({ metadata: { name: 'd', generation: 2 }, spec: { replicas: 2 }, status }) as unknown as Deployment;
  const full = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  assert.equal(rollout(deployment(full)).done, true);
  assert.equal(rollout(deployment({ ...full, observedGeneration: 1 })).done, false);
  assert.equal(rollout(deployment({ ...full, replicas: 3 })).done, false);
  assert.equal(rollout(deployment({ ...full, availableReplicas: 1 })).done, false);
});
