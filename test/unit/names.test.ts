import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  firstFree,
  followsRule,
  MODEL_NAME,
  NAMESPACE,
  SERVICE_NAME,
  serviceNameFrom,
} from '../../src/contract/names.ts';

const CASES = [
  [SERVICE_NAME, 'my-service', true],
  [SERVICE_NAME, 'ab', false],
  [SERVICE_NAME, 'trailing-', false],
  [SERVICE_NAME, `a${'b'.repeat(31)}`, true],
  [SERVICE_NAME, `a${'b'.repeat(32)}`, false],
  [SERVICE_NAME, 'newline\n', false],
  [MODEL_NAME, 'Model_1.0-rc', true],
  [MODEL_NAME, '_model', false],
  [NAMESPACE, 'x', true],
  [NAMESPACE, '-x', false],
] as const;

for (const [rule, name, accepted] of CASES) {
  test(`${rule.what} ${JSON.stringify(name)} is ${accepted ? 'accepted' : 'refused'}`, () => {
    assert.equal(followsRule(rule, name), accepted);
  });
}

test('a service is named as near to a text as the rule allows', () => {
  const cases: Readonly<Record<string, string>> = {
    'Ridge model': 'ridge-model',
    '2024_credit.v2': 'credit-v2',
    'a---': 'a',
    模型: '',
    [`m${'x'.repeat(40)}`]: `m${'x'.repeat(26)}`,
    'Modèle d’été': 'modele-d-ete',
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(serviceNameFrom(text, 5), expected);
  assert.equal(firstFree('ridge', new Set(['ridge', 'ridge-2'])), 'ridge-3');
});
