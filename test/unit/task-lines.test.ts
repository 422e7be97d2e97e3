import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEM_MATCHER, problemLine, taskLine } from '../../src/extension/tasks/task-lines.ts';

test('the problem matcher reads what the task prints', () => {
  const line = problemLine(
    {
      severity: 'error',
      code: 'autoscale.minAboveMax',
      file: 'configs/deploymentconfig.json',
      line: 7,
      message: 'minReplicas: 5 is above [maxReplicas] 3.',
      remedy: 'Lower it.',
    },
    '/project',
  );
  const [, file, number, severity, message, code] = new RegExp(PROBLEM_MATCHER.pattern.regexp).exec(line) ?? [];
  assert.deepEqual(
    [file, number, severity, message, code],
    [
      '/project/configs/deploymentconfig.json',
      '7',
      'error',
      'minReplicas: 5 is above [maxReplicas] 3. Lower it.',
      'autoscale.minAboveMax',
    ],
  );
});

test('stages are told with what was reused, progress in between is not', () => {
  const told = [
    taskLine({ type: 'start', stage: 'image', label: 'Composing the image' }, '/'),
    taskLine({ type: 'done', stage: 'image', reused: true, detail: 'sha256:1234' }, '/'),
    taskLine({ type: 'progress', stage: 'image', done: 1, unit: 'bytes' }, '/'),
  ];
  assert.deepEqual(told, ['> Composing the image', '  image: sha256:1234 (as before)', undefined]);
});
