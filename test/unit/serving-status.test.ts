import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cause, EndpointState } from '../../src/contract/endpoint.ts';
import { endpointState, type ReplicaFacts, type VersionFacts, versionState } from '../../src/serving/status.ts';

const CRASH: Cause = { code: 'UserScriptInitFailed', message: 'init() raised ValueError.' };
const NO_ROOM: Cause = { code: 'PodUnschedulable', message: 'Not enough memory.' };
const MISSING: Cause = { code: 'EnvironmentMissing', message: 'The environment is gone.' };

const ready: ReplicaFacts = { image: 'new', state: 'ready' };
const starting: ReplicaFacts = { image: 'new', state: 'starting' };
const failed: ReplicaFacts = { image: 'new', state: 'failed', error: CRASH };
const old: ReplicaFacts = { image: 'old', state: 'ready' };
const leaving: ReplicaFacts = { image: 'old', state: 'draining' };

function facts(replicas: readonly ReplicaFacts[], rest: Partial<VersionFacts> = {}): VersionFacts {
  return { image: 'new', desiredReplicas: 2, requiredReplicas: 2, replicas, ...rest };
}

const VERSIONS: readonly [string, VersionFacts, EndpointState, Cause | undefined][] = [
  ['nothing there yet', facts([]), 'Transitioning', undefined],
  ['one of two ready', facts([ready, starting]), 'Transitioning', undefined],
  ['all ready', facts([ready, ready]), 'Healthy', undefined],
  ['all ready while old ones finish', facts([ready, ready, leaving]), 'Healthy', undefined],
  ['all ready and an old one still taking requests', facts([ready, ready, old]), 'Transitioning', undefined],
  ['an update under way', facts([old, old, starting]), 'Transitioning', undefined],
  ['the first deployment crashes', facts([failed, starting]), 'Failed', CRASH],
  ['an update crashes and the old version answers', facts([old, old, failed]), 'Unhealthy', CRASH],
  ['one replica of two crashed', facts([ready, failed]), 'Unhealthy', CRASH],
  ['a failed replica beside enough ready ones', facts([ready, ready, failed]), 'Healthy', undefined],
  [
    'an old failure does not speak for the new image',
    facts([starting, { ...failed, image: 'old' }]),
    'Transitioning',
    undefined,
  ],
  ['no room for the first', facts([], { error: NO_ROOM }), 'Unschedulable', NO_ROOM],
  ['no room for an update', facts([old, old], { error: NO_ROOM }), 'Unschedulable', NO_ROOM],
  ['scaling up by load', facts([ready, starting], { requiredReplicas: 1 }), 'Healthy', undefined],
  ['no room to scale up by load', facts([ready], { requiredReplicas: 1, error: NO_ROOM }), 'Healthy', NO_ROOM],
  ['a replica for the load crashes', facts([ready, failed], { requiredReplicas: 1 }), 'Unhealthy', CRASH],
  ['the environment is gone', facts([], { error: MISSING }), 'Failed', MISSING],
  ['the environment is gone and the old version answers', facts([old], { error: MISSING }), 'Unhealthy', MISSING],
];

for (const [sentence, given, state, error] of VERSIONS) {
  test(`version state: ${sentence} → ${state}`, () => {
    const verdict = versionState(given);
    assert.equal(verdict.state, state);
    assert.equal(verdict.error, error);
  });
}

test('version state: counts what is ready and names the image that answers', () => {
  const verdict = versionState(facts([old, old, ready, starting, leaving, failed]));
  assert.equal(verdict.updatedReplicas, 1);
  assert.equal(verdict.availableReplicas, 3);
  assert.equal(verdict.servingImage, 'old');
  assert.equal(versionState(facts([old, ready])).servingImage, 'new');
  assert.equal(versionState(facts([starting])).servingImage, undefined);
});

const ENDPOINTS: readonly [readonly EndpointState[], EndpointState][] = [
  [[], 'Transitioning'],
  [['Healthy'], 'Healthy'],
  [['Healthy', 'Transitioning'], 'Transitioning'],
  [['Failed'], 'Failed'],
  [['Failed', 'Failed'], 'Failed'],
  [['Failed', 'Healthy'], 'Unhealthy'],
  [['Unschedulable'], 'Unschedulable'],
  [['Unschedulable', 'Healthy'], 'Unhealthy'],
  [['Unschedulable', 'Failed'], 'Failed'],
  [['Unhealthy', 'Healthy'], 'Unhealthy'],
  [['Deleting', 'Failed'], 'Deleting'],
];

for (const [states, expected] of ENDPOINTS) {
  test(`endpoint state: ${states.join(' + ') || 'no versions'} → ${expected}`, () => {
    assert.equal(endpointState(states.map((state) => ({ state }))).state, expected);
  });
}

test('endpoint state: carries the first cause', () => {
  assert.equal(endpointState([{ state: 'Healthy' }, { state: 'Failed', error: CRASH }]).error, CRASH);
});
