import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointStatus, RolloutStatus, VersionSpec, VersionStatus } from '../../src/contract/endpoint.ts';
import { presentTraffic, rolloutKey } from '../../src/serving/rollout.ts';
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
