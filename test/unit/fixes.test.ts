import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEPLOYMENT_KEYS } from '../../src/contract/configuration/deployment-keys.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { fixed, fixesOf } from '../../src/extension/languages/fixes.ts';

interface Case {
  readonly problem: Pick<Problem, 'code' | 'path' | 'suggestion'>;
  readonly text: string;
  /** The file after each fix that is offered. */
  readonly fixed: readonly string[];
}

const CASES: Readonly<Record<string, Case>> = {
  'a key in the wrong case is renamed where it stands, or removed': {
    problem: { code: 'key.unknown', path: 'ComputeType', suggestion: 'computeType' },
    text: '{\n  // kept\n  "ComputeType": "aks"\n}',
    fixed: ['{\n  // kept\n  "computeType": "aks"\n}', '{\n}'],
  },
  'a missing compute type is found under another case': {
    problem: { code: 'computeType.missing', path: 'computeType' },
    text: '{"Compute_Type": "aks"}',
    fixed: ['{"computeType": "aks"}'],
  },
  'a key in the wrong section moves into its own': {
    problem: { code: 'key.unknown', path: 'minReplicas', suggestion: 'autoScaler.minReplicas' },
    text: '{\n  "computeType": "aks",\n  "minReplicas": 2\n}',
    fixed: [
      '{\n  "computeType": "aks",\n  "autoScaler": {\n    "minReplicas": 2\n  }\n}',
      '{\n  "computeType": "aks"\n}',
    ],
  },
  'a key is not renamed to one that is there': {
    problem: { code: 'key.unknown', path: 'gpucores', suggestion: 'gpuCores' },
    text: '{"gpucores": 1, "gpuCores": 2}',
    fixed: ['{\n  "gpuCores": 2\n}'],
  },
  'quotes around a truth value go': {
    problem: { code: 'value.stringBoolean', path: 'authEnabled' },
    text: '{"authEnabled": "True"}',
    fixed: ['{"authEnabled": true}'],
  },
  'quotes around a number go, but not around a word': {
    problem: { code: 'type.TypeError', path: 'containerResourceRequirements.cpu' },
    text: '{"containerResourceRequirements": {"cpu": "0.5"}}',
    fixed: ['{"containerResourceRequirements": {"cpu": 0.5}}'],
  },
  'a word stays': {
    problem: { code: 'type.TypeError', path: 'containerResourceRequirements.cpu' },
    text: '{"containerResourceRequirements": {"cpu": "much"}}',
    fixed: [],
  },
  'one of two bounds gives way': {
    problem: { code: 'autoscale.minAboveMax', path: 'autoScaler.minReplicas' },
    text: '{"autoScaler": {"minReplicas": 5, "maxReplicas": 3}}',
    fixed: [
      '{"autoScaler": {"minReplicas": 5, "maxReplicas": 5}}',
      '{"autoScaler": {"minReplicas": 3, "maxReplicas": 3}}',
    ],
  },
  'a file that is no JSON is left alone': {
    problem: { code: 'key.unknown', path: 'x' },
    text: 'x: 1\n',
    fixed: [],
  },
};

for (const [what, { problem, text, fixed: expected }] of Object.entries(CASES)) {
  test(what, () => {
    const found = fixesOf({ severity: 'warning', message: '', ...problem }, text, DEPLOYMENT_KEYS);
    assert.deepEqual(
      found.map((fix) => fixed(text, fix)),
      expected,
    );
  });
}

test('a missing compute type can be any that there is', () => {
  const problem = { severity: 'error', code: 'computeType.missing', path: 'computeType', message: '' } as const;
  const [first, ...others] = fixesOf(problem, '{}', DEPLOYMENT_KEYS);
  assert.equal(first && fixed('{}', first).replace(/\s/g, ''), '{"computeType":"aks"}');
  assert.equal(others.length, 3);
});
