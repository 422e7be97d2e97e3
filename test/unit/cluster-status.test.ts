import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deriveStatus } from '../../src/cluster/controller/endpoint-status.ts';
import { mustReplaceInPlace, NOTICE_MS, scaleUp } from '../../src/cluster/controller/scheduling.ts';
import { deriveVersion, type VersionFacts } from '../../src/cluster/controller/version-status.ts';
import type { KubeEvent, Pod } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterPod, clusterVersion } from './cluster-samples.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');

function facts(pods: readonly Pod[], more: Partial<VersionFacts> = {}): VersionFacts {
  return {
    version: clusterVersion(),
    template: 'new',
    pods,
    logs: new Map(),
    scaleUp: undefined,
    inPlace: false,
    now: NOW,
    ...more,
  };
}

function unscheduledPod(secondsAgo: number, template = 'new'): Pod {
  const lastTransitionTime = new Date(NOW - secondsAgo * 1000).toISOString();
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message: '0/3 nodes are available.',
    lastTransitionTime,
  };
  const { spec: _onNode, ...pod } = clusterPod(
    'waiting',
    template,
    {},
    { phase: 'Pending', conditions: [condition], containerStatuses: [] },
  );
  return pod;
}

const crashed = {
  restartCount: 2,
  state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 20s' } },
  lastState: { terminated: { exitCode: 3, reason: 'Error', message: 'one\nValueError: no', containerID: 'c' } },
};

const INIT_FAILED = [
  "2026-01-01 00:00:00,000 E [1] azmlinfsrv - User's init function failed",
  '2026-01-01 00:00:00,000 E [1] azmlinfsrv - Encountered Exception: Traceback (most recent call last):',
  '  File "score.py", line 1, in init',
  'ValueError: no model',
];

const tells: readonly {
  readonly when: string;
  readonly facts: VersionFacts;
  readonly state: string;
  readonly code?: string;
  readonly says?: RegExp;
}[] = [
  { when: 'its pod is ready', facts: facts([clusterPod('a', 'new', { ready: true })]), state: 'Healthy' },
  { when: 'there is no pod yet', facts: facts([]), state: 'Transitioning' },
  ...[
    { kind: 'fixed', replicas: 2 } as const,
    { kind: 'auto', minReplicas: 2, maxReplicas: 3, targetUtilization: 70, refreshPeriodInSeconds: 1 } as const,
  ].map((scale) => ({
    when: `more replicas are asked for (${scale.kind}) than the Deployment that is known has`,
    facts: facts([clusterPod('a', 'new', { ready: true })], {
      version: clusterVersion({ scale }),
      deployment: { metadata: { name: 'web.main' }, spec: { replicas: 1, selector: {}, template: {} } },
    }),
    state: 'Transitioning',
  })),
  {
    when: 'init() runs',
    facts: facts([clusterPod('a', 'new', { state: { running: { startedAt: '2026-01-01T00:59:00Z' } } })]),
    state: 'Transitioning',
    says: /init\(\) has been running since 2026-01-01T00:59:00Z/,
  },
  {
    when: 'the container crashes again and again',
    facts: facts([clusterPod('a', 'new', crashed)]),
    state: 'Failed',
    code: 'DeploymentCrashLoopBackOff',
    says: /ValueError: no/,
  },
  {
    when: 'it crashed and runs again, but is not ready yet',
    facts: facts([clusterPod('a', 'new', { ...crashed, state: { running: {} } })]),
    state: 'Failed',
    code: 'DeploymentCrashLoopBackOff',
  },
  {
    when: 'it crashed once and is ready again',
    facts: facts([clusterPod('a', 'new', { ...crashed, state: { running: {} }, ready: true })]),
    state: 'Healthy',
  },
  {
    when: 'the new one crashes while the old one serves',
    facts: facts([clusterPod('a', 'old', { ready: true }), clusterPod('b', 'new', crashed)]),
    state: 'Unhealthy',
    code: 'DeploymentCrashLoopBackOff',
  },
  {
    when: 'only an old one that goes has failed',
    facts: facts([clusterPod('a', 'new', { ready: true }), clusterPod('b', 'old', crashed)]),
    state: 'Healthy',
  },
  {
    when: "the script's init() raised, by its log",
    facts: facts([clusterPod('a', 'new', crashed)], {
      logs: new Map([['uid-of-a', { lines: INIT_FAILED }]]),
    }),
    state: 'Failed',
    code: 'UserScriptInitFailed',
    says: /ValueError: no model/,
  },
  {
    when: 'it crashes so often that its node has thrown the log away',
    facts: facts([clusterPod('a', 'new', crashed)], { logs: new Map([['uid-of-a', { lines: [] }]]) }),
    state: 'Failed',
    code: 'DeploymentCrashLoopBackOff',
    says: /ValueError: no/,
  },
  {
    when: 'its container has just ended and the log may not be complete',
    facts: facts([clusterPod('a', 'new', crashed)], { logs: new Map([['uid-of-a', { settlesIn: 1000 }]]) }),
    state: 'Transitioning',
    says: /its log is being read/,
  },
  {
    when: 'its container has ended once more',
    facts: facts([clusterPod('a', 'new', crashed)], {
      logs: new Map([['uid-of-a', { settlesIn: 1000, lines: INIT_FAILED }]]),
    }),
    state: 'Failed',
    code: 'UserScriptInitFailed',
  },
  {
    when: 'it ran out of memory',
    facts: facts([clusterPod('a', 'new', { state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } })]),
    state: 'Failed',
    code: 'PodOutOfMemory',
  },
  {
    when: 'its image cannot be pulled',
    facts: facts([
      clusterPod('a', 'new', {
        state: { waiting: { reason: 'ImagePullBackOff', message: 'manifest unknown: not found' } },
      }),
    ]),
    state: 'Failed',
    code: 'ImagePullLoopBackOff',
    says: /deploy again, which pushes it anew/,
  },
  {
    when: 'a pull failed by chance and is tried again',
    facts: facts([clusterPod('a', 'new', { state: { waiting: { reason: 'ErrImagePull', message: 'i/o timeout' } } })]),
    state: 'Transitioning',
    says: /i\/o timeout/,
  },
  {
    when: 'a Secret is missing',
    facts: facts([
      clusterPod('a', 'new', {
        state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "x" not found' } },
      }),
    ]),
    state: 'Failed',
    code: 'InvalidDeploymentSpec',
  },
  {
    when: 'a node did not get a Secret in time, and asks again',
    facts: facts([
      clusterPod('a', 'new', {
        state: {
          waiting: {
            reason: 'CreateContainerConfigError',
            message: 'failed to sync secret cache: timed out waiting for the condition',
          },
        },
      }),
    ]),
    state: 'Transitioning',
    says: /is being set up/,
  },
  {
    when: 'no node takes it since a moment',
    facts: facts([unscheduledPod(1)]),
    state: 'Transitioning',
    says: /0\/3 nodes/,
  },
  {
    when: 'no node takes it',
    facts: facts([unscheduledPod(60)]),
    state: 'Unschedulable',
    code: 'PodUnschedulable',
    says: /0\/3 nodes/,
  },
  {
    when: 'a node is being added for it',
    facts: facts([unscheduledPod(600)], { scaleUp: { state: 'adding', message: 'pool1 1->2' } }),
    state: 'Transitioning',
    says: /autoscaler is adding \(pool1 1->2\)/,
  },
  {
    when: 'the autoscaler has refused',
    facts: facts([unscheduledPod(1)], { scaleUp: { state: 'refused', message: 'max node group size reached' } }),
    state: 'Unschedulable',
    code: 'PodUnschedulable',
    says: /max node group size reached/,
  },
  {
    when: 'the namespace has no quota left',
    facts: facts([], { deployment: failedDeployment('pods "x" is forbidden: exceeded quota: q') }),
    state: 'Unschedulable',
    code: 'PodUnschedulable',
  },
  {
    when: 'a policy forbids its pods',
    facts: facts([], { deployment: failedDeployment('admission webhook "x" denied the request') }),
    state: 'Failed',
    code: 'InvalidDeploymentSpec',
  },
];

function failedDeployment(message: string): NonNullable<VersionFacts['deployment']> {
  const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }];
  const spec = { replicas: 1, selector: {}, template: {} };
  return { metadata: { name: 'web.main' }, spec, status: { conditions } };
}

for (const { when, facts: known, state, code, says } of tells) {
  test(`a version is ${state} when ${when}`, () => {
    const { status } = deriveVersion(known);
    assert.equal(status.state, state);
    assert.equal(status.error?.code, code);
    if (says) assert.match(JSON.stringify(status), says);
  });
}

test('the autoscaler counts as adding a node by its newest word, for as long as a node may take', () => {
  const event = (reason: string, minutesAgo: number): KubeEvent => ({
    metadata: { name: reason },
    involvedObject: {},
    reason,
    message: reason,
    lastTimestamp: new Date(NOW - minutesAgo * 60_000).toISOString(),
  });
  assert.equal(scaleUp([], NOW), undefined);
  assert.equal(
    scaleUp([event('TriggeredScaleUp', 3), event('NotTriggerScaleUp', 5), event('FailedScheduling', 0)], NOW)?.state,
    'adding',
  );
  assert.equal(scaleUp([event('TriggeredScaleUp', 5), event('NotTriggerScaleUp', 3)], NOW)?.state, 'refused');
  assert.equal(scaleUp([event('Nominated', 3)], NOW)?.state, 'adding');
  assert.equal(scaleUp([event('TriggeredScaleUp', 16)], NOW), undefined);
});

test('old replicas make room only where they can, after a minute, and not while a node comes', () => {
  const adding = { state: 'adding', message: '' } as const;
  assert.ok(mustReplaceInPlace([unscheduledPod(61)], 1, undefined, NOW));
  assert.ok(!mustReplaceInPlace([unscheduledPod(59)], 1, undefined, NOW));
  assert.ok(!mustReplaceInPlace([unscheduledPod(61)], 0, undefined, NOW));
  assert.ok(!mustReplaceInPlace([unscheduledPod(61)], 1, adding, NOW));
  assert.ok(!mustReplaceInPlace([clusterPod('a', 'new')], 1, undefined, NOW));
});

test('a pod that waits for a node is looked at again when its notice ends', () => {
  const { recheckMs } = deriveVersion(facts([unscheduledPod(12)]));
  assert.equal(recheckMs, NOTICE_MS - 12_000);
  assert.equal(deriveVersion(facts([])).recheckMs, undefined);
});

test('a status that says nothing new is the one that is there', () => {
  const versions = [deriveVersion(facts([clusterPod('a', 'new', { ready: true })]))];
  const first = deriveStatus({ endpoint: clusterEndpoint(), versions, now: new Date(NOW) });
  const endpoint = clusterEndpoint({}, { status: first });
  assert.equal(deriveStatus({ endpoint, versions, now: new Date(NOW + 1000) }), first);
  const later = deriveStatus({ endpoint, versions: [deriveVersion(facts([]))], now: new Date(NOW + 1000) });
  assert.equal(later.state, 'Transitioning');
  const [before, after] = [first, later].map((status) => status.conditions?.find(({ type }) => type === 'Reconciled'));
  assert.equal(after?.lastTransitionTime, before?.lastTransitionTime);
});

test('a new default gets traffic once it has served; the one before stays in charge until then', () => {
  const blue = clusterVersion({ name: 'blue' });
  const green = clusterVersion({ name: 'green', isDefault: false });
  const at = (version: typeof blue, pods: readonly Pod[]) => deriveVersion(facts(pods, { version }));
  const ready = [clusterPod('a', 'new', { ready: true })];
  const shares = (status: ReturnType<typeof deriveStatus>) =>
    status.versions.map(({ name, effectiveTraffic }) => `${name} ${effectiveTraffic}`);

  const before = deriveStatus({
    endpoint: clusterEndpoint({ versions: [blue, green] }),
    versions: [at(blue, ready), at(green, [])],
    now: new Date(NOW),
  });
  assert.deepEqual(shares(before), ['blue 100', 'green 0']);
  const switched = [
    { ...blue, isDefault: false },
    { ...green, isDefault: true },
  ];
  const endpoint = clusterEndpoint({ versions: switched }, { status: before });
  const starting = deriveStatus({ endpoint, versions: [at(blue, ready), at(green, [])], now: new Date(NOW) });
  assert.deepEqual(shares(starting), ['blue 100', 'green 0']);
  const served = deriveStatus({ endpoint, versions: [at(blue, ready), at(green, ready)], now: new Date(NOW) });
  assert.deepEqual(shares(served), ['blue 0', 'green 100']);
});

test('deletion, a taken name and an obstacle are told as states and conditions', () => {
  const now = new Date(NOW);
  const metadata = { ...clusterEndpoint().metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
  assert.equal(deriveStatus({ endpoint: clusterEndpoint({}, { metadata }), versions: [], now }).state, 'Deleting');
  for (const [deletionTimestamp, state] of [
    [undefined, 'Failed'],
    ['2026-01-01T00:00:00Z', 'Transitioning'],
  ] as const) {
    const other = {
      name: 'web',
      namespace: 'other',
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    };
    const nameTakenBy = clusterEndpoint({}, { metadata: other });
    const taken = deriveStatus({ endpoint: clusterEndpoint(), versions: [], nameTakenBy, now });
    const conflict = taken.conditions?.find(({ type }) => type === 'NameConflict');
    assert.deepEqual([taken.state, taken.error?.message], [state, state === 'Failed' ? conflict?.message : undefined]);
    assert.match(conflict?.message ?? '', /taken in this cluster by other\/web/);
    assert.equal(conflict?.status, 'True');
  }
  const versions = [deriveVersion(facts([clusterPod('a', 'new', { ready: true })]))];
  const obstacle = { reason: 'Forbidden', message: 'may not' };
  const hindered = deriveStatus({ endpoint: clusterEndpoint(), versions, obstacle, now });
  assert.deepEqual(
    [hindered.state, hindered.conditions?.find(({ type }) => type === 'Reconciled')?.reason],
    ['Unhealthy', 'Forbidden'],
  );
});
