import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGENT_TOOLS, type AskEngine, inputSchemaOf } from '../../src/agent/agent.ts';
import { withoutSecrets } from '../../src/agent/description.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';

const KEY = 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRkdI';

const failed = {
  metadata: { name: 'diabetes' },
  spec: { auth: 'key', versions: [{ name: 'diabetes', models: ['diabetes:1'] }] },
  status: {
    state: 'Failed',
    versions: [
      {
        name: 'diabetes',
        state: 'Failed',
        availableReplicas: 0,
        desiredReplicas: 1,
        replicas: [{ id: 'diabetes-1', state: 'failed', restarts: 3 }],
        error: {
          code: 'UserScriptInitFailed',
          message: 'init() raised KeyError.',
          remedy: 'Set the variable.',
          logTail: ['Traceback (most recent call last):', `KeyError: password=${KEY}`],
        },
      },
    ],
  },
} as unknown as Endpoint;

const ask: AskEngine = async (method) => {
  const answers: Readonly<Record<string, unknown>> = {
    'endpoint.get': failed,
    'endpoint.list': [failed],
    'model.list': [],
  };
  return answers[method] as never;
};
const call = { ask, folder: '/project', signal: AbortSignal.timeout(60_000) };
const tool = (name: string) => AGENT_TOOLS.find((candidate) => candidate.name === name);

test('the cause of a failure is told with what to do, and without what looks like a secret', async () => {
  const told = (await tool('aksml_troubleshoot')?.run({ name: 'diabetes' }, call)) ?? '';
  assert.match(told, /UserScriptInitFailed: init\(\) raised KeyError\.\nWhat to do: Set the variable\./);
  assert.match(told, /Replica diabetes-1: failed, 3 restarts/);
  assert.doesNotMatch(told, new RegExp(KEY));
});

test('an empty list says so, and a wrong argument is named', async () => {
  assert.equal(await tool('aksml_list')?.run({ kind: 'models' }, call), 'There are no models.');
  await assert.rejects(async () => tool('aksml_list')?.run({ kind: 'keys' }, call), /kind: Invalid type/);
});

test('only a deployment changes something, and asks first', () => {
  const asking = AGENT_TOOLS.filter(({ confirmation }) => confirmation !== undefined).map(({ name }) => name);
  assert.deepEqual(asking, ['aksml_deploy']);
});

test('every tool describes its input to clients', () => {
  for (const each of AGENT_TOOLS) {
    const schema = inputSchemaOf(each) as {
      readonly type: string;
      readonly properties: Record<string, { description?: string }>;
    };
    assert.equal(schema.type, 'object', each.name);
    for (const [key, property] of Object.entries(schema.properties))
      assert.ok(property.description, `${each.name}.${key}`);
  }
});

test('what looks like a credential is left out of a log line, what does not stays', () => {
  const cases: Readonly<Record<string, string>> = {
    'Authorization: Bearer abcdefgh12345678': 'Authorization: Bearer ***',
    'GET https://user:pass@example.com/x': 'GET https://***@example.com/x',
    'SECRET_KEY=abc123 other': 'SECRET_KEY=*** other',
    [`key ${KEY}`]: 'key ***',
    'token eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.': 'token ***',
    '  File "/var/azureml-app/source/score.py", line 12, in init':
      '  File "/var/azureml-app/source/score.py", line 12, in init',
    "FileNotFoundError: [Errno 2] No such file or directory: 'azureml-models/diabetes/1/diabetes.pkl'":
      "FileNotFoundError: [Errno 2] No such file or directory: 'azureml-models/diabetes/1/diabetes.pkl'",
    'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef is the image':
      'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef is the image',
  };
  for (const [line, expected] of Object.entries(cases)) assert.equal(withoutSecrets(line), expected);
});
