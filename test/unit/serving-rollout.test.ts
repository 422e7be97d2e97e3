import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  EndpointState,
  EndpointStatus,
  RolloutStatus,
  VersionSpec,
  VersionStatus,
} from '../../src/contract/endpoint.ts';
import {
  NO_EVIDENCE,
  nextRollout,
  presentTraffic,
  type RolloutEvidence,
  rolloutKey,
} from '../../src/serving/rollout.ts';
import { effectiveShares } from '../../src/serving/traffic.ts';
import { clusterVersion } from './cluster-samples.ts';

const POLICY = { steps: [5, 25], intervalSeconds: 60, maxErrorPercent: 1 };
const OLD = clusterVersion({ name: 'old', isDefault: true });

test('a version with a rollout policy gets what its step allows, and the rest stays where it was', () => {
  const share = clusterVersion({ name: 'new', isDefault: false, trafficPercentile: 50, rollout: POLICY });
  const whole = clusterVersion({ name: 'new', isDefault: true, rollout: POLICY });
  const before = { ...OLD, isDefault: false };
  const cases: readonly {
    readonly what: string;
    readonly versions: readonly VersionSpec[];
    readonly rollout?: Partial<RolloutStatus>;
    readonly last?: string;
    readonly expected: Readonly<Record<string, number>>;
  }[] = [
    { what: 'not begun', versions: [OLD, share], expected: { old: 100, new: 0 } },
    { what: 'the first step', versions: [OLD, share], rollout: { step: 0 }, expected: { old: 95, new: 5 } },
    { what: 'the second step', versions: [OLD, share], rollout: { step: 1 }, expected: { old: 75, new: 25 } },
    { what: 'promoted', versions: [OLD, share], rollout: { phase: 'Promoted' }, expected: { old: 50, new: 50 } },
    {
      what: 'rolled back',
      versions: [OLD, share],
      rollout: { phase: 'RolledBack', step: 1 },
      expected: { old: 100, new: 0 },
    },
    {
      what: 'a step beyond what the spec gives',
      versions: [OLD, { ...share, trafficPercentile: 10 }],
      rollout: { step: 1 },
      expected: { old: 90, new: 10 },
    },
    {
      what: 'the state of another rollout',
      versions: [OLD, share],
      rollout: { step: 1, key: 'another' },
      expected: { old: 100, new: 0 },
    },
    { what: 'a new default', versions: [before, whole], rollout: { step: 1 }, expected: { old: 75, new: 25 } },
    {
      what: 'a new default that is promoted',
      versions: [before, whole],
      rollout: { phase: 'Promoted' },
      expected: { old: 0, new: 100 },
    },
    {
      what: 'a default that is in charge already has nobody to leave traffic to',
      versions: [before, whole],
      last: 'new',
      expected: { old: 0, new: 100 },
    },
    { what: 'a version alone', versions: [whole], last: 'gone', expected: { new: 100 } },
  ];
  for (const { what, versions, rollout, last = 'old', expected } of cases) {
    const status = statusOf(versions, last, rollout);
    assert.deepEqual(Object.fromEntries(effectiveShares(presentTraffic({ versions }, status))), expected, what);
  }
});

function statusOf(
  versions: readonly VersionSpec[],
  defaultVersion: string,
  rollout: Partial<RolloutStatus> | undefined,
): Pick<EndpointStatus, 'versions' | 'defaultVersion'> {
  return {
    defaultVersion,
    versions: versions.map((version): VersionStatus => {
      const state = { phase: 'Progressing', step: 0, since: '', message: '', key: rolloutKey(version) } as const;
      return {
        name: version.name,
        state: 'Healthy',
        desiredReplicas: 1,
        updatedReplicas: 1,
        availableReplicas: 1,
        effectiveTraffic: 0,
        replicas: [],
        ...(rollout === undefined || version.rollout === undefined ? {} : { rollout: { ...state, ...rollout } }),
      };
    }),
  };
}

test('a rollout goes on while requests go well, goes back when they do not, and waits while nobody can know', () => {
  const fine = { observedMs: 60_000, requests: 200, failed: 1, p99Ms: 80 };
  const cases: readonly {
    readonly what: string;
    readonly version?: Partial<VersionSpec>;
    readonly before?: Partial<RolloutStatus>;
    readonly evidence?: Partial<RolloutEvidence>;
    readonly state?: EndpointState;
    readonly expected: readonly [RolloutStatus['phase'], number] | undefined;
    readonly said?: RegExp;
  }[] = [
    { what: 'no policy', version: { rollout: undefined as never }, expected: undefined },
    { what: 'not served yet', before: { key: 'none' }, state: 'Transitioning', expected: undefined },
    { what: 'begins', before: { key: 'none' }, expected: ['Progressing', 0] },
    {
      what: 'a new spec begins anew',
      before: { key: 'old', phase: 'Promoted', step: 1 },
      expected: ['Progressing', 0],
    },
    { what: 'goes on', expected: ['Progressing', 1], said: /^Gets 25 % of the traffic: .* with 5 % of/ },
    {
      what: 'goes on to less than the step allows',
      version: { trafficPercentile: 20 },
      expected: ['Progressing', 1],
      said: /^Gets 20 % of/,
    },
    { what: 'is done', before: { step: 1 }, expected: ['Promoted', 1] },
    { what: 'has all that the spec gives', version: { trafficPercentile: 5 }, expected: ['Promoted', 0] },
    { what: 'the interval is not over', evidence: { observedMs: 59_000 }, expected: ['Progressing', 0] },
    { what: 'too few requests', evidence: { requests: 19, failed: 0 }, expected: ['Progressing', 0] },
    { what: 'too many fail', evidence: { failed: 3 }, expected: ['RolledBack', 0] },
    {
      what: 'too many fail before the interval is over',
      evidence: { observedMs: 0, failed: 3 },
      expected: ['RolledBack', 0],
    },
    { what: 'one of few fails', evidence: { requests: 30, failed: 1 }, expected: ['Progressing', 0] },
    { what: 'two of few fail', evidence: { requests: 30, failed: 2 }, expected: ['RolledBack', 0] },
    { what: 'too slow', evidence: { p99Ms: 101 }, expected: ['RolledBack', 0] },
    { what: 'a few are slow', evidence: { requests: 99, failed: 0, p99Ms: 101 }, expected: ['Progressing', 0] },
    { what: 'the version fails', state: 'Failed', expected: ['RolledBack', 0] },
    {
      what: 'what was promoted stays',
      before: { phase: 'Promoted' },
      evidence: { failed: 200 },
      expected: ['Promoted', 0],
    },
    { what: 'what went back stays back', before: { phase: 'RolledBack', step: 1 }, expected: ['RolledBack', 1] },
  ];
  const policy = { ...POLICY, maxP99Ms: 100 };
  for (const { what, version: rest, before, evidence, state = 'Healthy', expected, said } of cases) {
    const version = clusterVersion({ name: 'new', isDefault: false, trafficPercentile: 50, rollout: policy, ...rest });
    const versions = [OLD, version];
    const status = statusOf(versions, 'old', undefined);
    const present = { phase: 'Progressing', step: 0, since: '', message: '', key: rolloutKey(version) } as const;
    const next = nextRollout({
      version,
      spec: { versions },
      status,
      state,
      before: { ...present, ...before },
      evidence: { ...fine, ...evidence },
      now: new Date(),
    });
    assert.deepEqual(next && [next.phase, next.step], expected, what);
    if (said !== undefined) assert.match(next?.message ?? '', said, what);
  }
});

test('a default version alone has all of its traffic at once', () => {
  const version = clusterVersion({ rollout: POLICY });
  const facts = {
    version,
    spec: { versions: [version] },
    state: 'Healthy',
    before: undefined,
    now: new Date(),
  } as const;
  const status = statusOf([version], 'main', undefined);
  assert.equal(nextRollout({ ...facts, status, evidence: NO_EVIDENCE })?.phase, 'Promoted');
});
