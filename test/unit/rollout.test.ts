import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlannedReplica, planRollout, type RolloutFacts } from '../../src/local/rollout.ts';

const replica = (id: string, image: string, state: 'ready' | 'starting' | 'draining' = 'ready'): PlannedReplica => ({
  id,
  image,
  ready: state !== 'starting',
  draining: state === 'draining',
});

const rule = (
  sentence: string,
  facts: Partial<RolloutFacts>,
  expected: { start?: string[]; drain?: string[]; stop?: string[]; served?: string | undefined },
) =>
  test(sentence, () => {
    const plan = planRollout({
      wanted: { image: 'new', replicas: 2 },
      served: undefined,
      replicas: [],
      exclusive: false,
      ...facts,
    });
    assert.deepEqual(plan, { start: [], drain: [], stop: [], served: facts.served, ...expected });
  });

rule('a first deployment starts all replicas at once', {}, { start: ['new', 'new'] });
rule(
  'new replicas start beside the old ones',
  { served: 'old', replicas: [replica('a', 'old'), replica('b', 'old')] },
  { start: ['new', 'new'] },
);
rule(
  'old replicas stay while one of the new ones is missing',
  {
    served: 'old',
    replicas: [replica('a', 'old'), replica('b', 'old'), replica('c', 'new'), replica('d', 'new', 'starting')],
  },
  {},
);
rule(
  'old replicas drain once all new ones answer',
  {
    served: 'old',
    replicas: [replica('a', 'old'), replica('b', 'old', 'starting'), replica('c', 'new'), replica('d', 'new')],
  },
  { drain: ['a'], stop: ['b'], served: 'new' },
);
rule(
  'an old replica that is gone is replaced while the new ones do not answer',
  { served: 'old', replicas: [replica('a', 'old'), replica('c', 'new', 'starting'), replica('d', 'new', 'starting')] },
  { start: ['old'] },
);
rule(
  'a third image ends the second, which never served, and keeps the first',
  {
    wanted: { image: 'third', replicas: 1 },
    served: 'old',
    replicas: [replica('a', 'old'), replica('b', 'new', 'starting'), replica('c', 'new')],
  },
  { start: ['third'], drain: ['c'], stop: ['b'] },
);
rule(
  'going back to what serves starts nothing',
  {
    wanted: { image: 'old', replicas: 1 },
    served: 'old',
    replicas: [replica('a', 'old'), replica('b', 'new', 'starting')],
  },
  { stop: ['b'], served: 'old' },
);
rule(
  'fewer replicas: first those that are not ready go, then the youngest',
  {
    wanted: { image: 'new', replicas: 1 },
    served: 'new',
    replicas: [replica('a', 'new'), replica('b', 'new', 'starting'), replica('c', 'new')],
  },
  { stop: ['b'], drain: ['c'], served: 'new' },
);
rule(
  'draining replicas are left alone and not counted',
  { served: 'new', replicas: [replica('a', 'new', 'draining'), replica('b', 'new')] },
  { start: ['new'] },
);
rule(
  'a version that goes drains what answers and stops the rest',
  { wanted: undefined, served: 'new', replicas: [replica('a', 'new'), replica('b', 'new', 'starting')] },
  { drain: ['a'], stop: ['b'] },
);
rule(
  'on a fixed port the old replica ends before the new one starts',
  { wanted: { image: 'new', replicas: 1 }, served: 'old', replicas: [replica('a', 'old')], exclusive: true },
  { drain: ['a'] },
);
rule(
  'on a fixed port the new replica starts when the old one is gone',
  { wanted: { image: 'new', replicas: 1 }, served: 'old', replicas: [], exclusive: true },
  { start: ['new'] },
);
