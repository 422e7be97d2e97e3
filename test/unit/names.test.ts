import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followsRule, MODEL_NAME, NAMESPACE, SERVICE_NAME } from '../../src/contract/names.ts';

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
