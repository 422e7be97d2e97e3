import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { openWorld, type World, writeProject } from './world.ts';

const command = join(import.meta.dirname, '..', '..', 'bin', 'aksml.js');

interface Connected {
  readonly questions: string[];
  call(name: string, args: object): Promise<{ readonly text: string; readonly isError: boolean }>;
}

/** `answer`: what the person says when asked; absent: this client cannot ask. */
async function connect(t: TestContext, world: World, answer?: 'accept' | 'decline'): Promise<Connected> {
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
  const client = new Client({ name: 'test', version: '1' }, { capabilities });
  const questions: string[] = [];
  if (answer !== undefined) {
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      questions.push(params.message);
      return answer === 'accept' ? { action: 'accept', content: { deploy: true } } : { action: 'decline' };
    });
  }
  const env = Object.fromEntries(
    Object.entries(world.environment).filter(([, value]) => value !== undefined),
  ) as Record<string, string>;
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [command, 'mcp'],
      cwd: world.project,
      env,
      stderr: 'inherit',
    }),
  );
  t.after(() => client.close());
  return {
    questions,
    call: async (name, args) => {
      const result = await client.callTool({ name, arguments: { ...args } });
      const [content] = result.content;
      assert.equal(content?.type, 'text');
      return { text: content.text, isError: result.isError === true };
    },
  };
}

const DEPLOYMENT = {
  name: 'asked',
  models: ['weights:1'],
  inferenceConfigFile: 'inferenceconfig.json',
  deploymentConfigFile: 'deploymentconfig.json',
};

test('a language model plans, deploys once the person has agreed, and finds the cause of what breaks', async (t) => {
  const world = await openWorld();
  t.after(() => world.close());
  await writeProject(world);
  const registered = await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  assert.equal(registered.code, 0, registered.stderr);

  const willing = await connect(t, world, 'accept');
  assert.match((await willing.call('aksml_plan', DEPLOYMENT)).text, /Would create the service asked on local/);
  assert.match((await willing.call('aksml_list', { kind: 'endpoints' })).text, /There are no endpoints/);
  const deployed = await willing.call('aksml_deploy', DEPLOYMENT);
  assert.match(deployed.text, /^asked: Healthy, scoring URI http:\/\/127\.0\.0\.1/, deployed.text);
  assert.equal(willing.questions.length, 1);
  assert.match(willing.questions[0] ?? '', /Would create the service asked/);
  const keys = (await world.aksml('service', 'get-keys', '-n', 'asked', '-o', 'json')).json<{ primaryKey: string }>();
  const listed = await willing.call('aksml_list', { kind: 'endpoints' });
  assert.ok(!listed.text.includes(keys.primaryKey));

  await world.write(
    'source/score.py',
    'def init():\n    raise ValueError("no weights")\n\ndef run(data):\n    return 1\n',
  );
  const broken = await willing.call('aksml_deploy', { ...DEPLOYMENT, overwrite: true });
  assert.equal(broken.isError, true);
  const cause = await willing.call('aksml_troubleshoot', { name: 'asked' });
  assert.match(cause.text, /UserScriptInitFailed/);
  assert.match(cause.text, /ValueError: no weights/);
});

test('nothing is deployed when the person declines, or cannot be asked', async (t) => {
  const world = await openWorld();
  t.after(() => world.close());
  await writeProject(world);
  await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  const unwilling = await connect(t, world, 'decline');
  assert.match((await unwilling.call('aksml_deploy', DEPLOYMENT)).text, /declined; nothing was deployed/);
  const mute = await connect(t, world);
  const refused = await mute.call('aksml_deploy', DEPLOYMENT);
  assert.equal(refused.isError, true);
  assert.match(refused.text, /cannot ask the person/);
  assert.match((await mute.call('aksml_list', { kind: 'endpoints' })).text, /There are no endpoints/);
});
