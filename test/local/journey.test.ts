import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ANSWER, DEPLOY, openWorld, type World, writeProject } from './world.ts';

interface Service {
  readonly state: string;
  readonly scoringUri: string;
  readonly revision: number;
  readonly authEnabled: boolean;
}

describe('the life of a service on this machine', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await writeProject(world);
  });
  after(() => world.close());

  test('a model is registered and deployed from its v1 files', async () => {
    const registered = await world.aksml(
      'model',
      'register',
      '-n',
      'weights',
      '-p',
      'model',
      '--tag',
      'stage=test',
      '-o',
      'json',
    );
    assert.equal(registered.code, 0, registered.stderr);
    assert.equal(registered.json()['id'], 'weights:1');

    const plan = await world.aksml(...DEPLOY, '-n', 'journey', '-m', 'weights:1', '--dry-run', '-o', 'json');
    assert.equal(plan.code, 0, plan.stderr);
    assert.equal(plan.json()['action'], 'create');

    const deployed = await world.aksml(...DEPLOY, '-n', 'journey', '-m', 'weights:1', '-o', 'json');
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.equal(deployed.json<Service>().state, 'Healthy');
  });

  test('it scores with its key, and refuses without', async () => {
    const run = await world.aksml('service', 'run', '-n', 'journey', '-d', '{"rows": [1, 2]}', '-o', 'json');
    assert.deepEqual(run.json(), { answer: 1, weights: '42', sent: { rows: [1, 2] } });
    const { scoringUri } = (await world.aksml('service', 'show', '-n', 'journey', '-o', 'json')).json<Service>();
    assert.equal((await fetch(scoringUri, { method: 'POST', body: '{}' })).status, 401);
  });

  test('a page of an allowed origin may ask before it scores, another may not', async () => {
    const { scoringUri } = (await world.aksml('service', 'show', '-n', 'journey', '-o', 'json')).json<Service>();
    const allowed = async (origin: string) =>
      (
        await fetch(scoringUri, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
      ).headers.get('access-control-allow-origin');
    assert.equal(await allowed('https://app.example'), 'https://app.example');
    assert.equal(await allowed('https://elsewhere.example'), null);
  });

  test('its keys are stable across a redeploy, and one is regenerated at a time', async () => {
    const keys = async () =>
      (await world.aksml('service', 'get-keys', '-n', 'journey', '-o', 'json')).json<Record<string, string>>();
    const before = await keys();
    await world.aksml('service', 'regen-key', '-n', 'journey', '-k', 'Secondary', '-s', 'a-key-of-my-own');
    assert.deepEqual(await keys(), { ...before, secondaryKey: 'a-key-of-my-own' });
  });

  test('a code change is redeployed as the next revision, with the same keys', async () => {
    const before = (await world.aksml('service', 'get-keys', '-n', 'journey', '-o', 'json')).stdout;
    await world.write('source/score.py', ANSWER(2));
    const refused = await world.aksml(...DEPLOY, '-n', 'journey', '-m', 'weights:1', '-o', 'json');
    assert.equal(refused.code, 2, 'without --overwrite');
    assert.match(refused.stderr, /--overwrite/);

    const deployed = await world.aksml(...DEPLOY, '-n', 'journey', '-m', 'weights:1', '--overwrite', '-o', 'json');
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.equal(deployed.json<Service>().revision, 2);
    const run = await world.aksml('service', 'run', '-n', 'journey', '-d', '{}', '-o', 'json');
    assert.equal(run.json()['answer'], 2);
    assert.equal((await world.aksml('service', 'get-keys', '-n', 'journey', '-o', 'json')).stdout, before);
  });

  test('the history says what changed, and the first code can be had back', async () => {
    const history = await world.aksml('service', 'history', '-n', 'journey', '-o', 'json');
    assert.deepEqual(
      history.json<{ number: number }[]>().map(({ number }) => number),
      [2, 1],
    );
    const diff = await world.aksml('service', 'diff', '-n', 'journey', '1', '2');
    assert.match(diff.json<{ code: { patch: string }[] }>().code[0]?.patch ?? '', /^\+ .*"answer": 2/m);
    const checkout = await world.aksml('service', 'checkout', '-n', 'journey', '1', 'first');
    assert.equal(checkout.code, 0, checkout.stderr);
    assert.equal(await readFile(join(world.project, 'first', 'score.py'), 'utf8'), ANSWER(1));
  });

  test('a rollback brings the first answer back', async () => {
    const back = await world.aksml('service', 'rollback', '-n', 'journey', '-o', 'json');
    assert.equal(back.code, 0, back.stderr);
    assert.equal((await world.aksml('service', 'run', '-n', 'journey', '-d', '{}', '-o', 'json')).json()['answer'], 1);
  });

  test('its log holds what init() printed', async () => {
    const logs = await world.aksml('service', 'get-logs', '-n', 'journey', '--num_lines', '1000');
    assert.match(logs.stdout, /the weights are 42/);
  });

  test('a setting alone is updated without a new replica', async () => {
    const replicas = async () =>
      (await world.aksml('service', 'show', '-n', 'journey', '-o', 'json'))
        .json<{ replicas: { id: string }[] }>()
        .replicas.map(({ id }) => id);
    const before = await replicas();
    const updated = await world.aksml(
      'service',
      'update',
      '-n',
      'journey',
      '--mr',
      '2000',
      '--add-tag',
      'owner=me',
      '-o',
      'json',
    );
    assert.equal(updated.code, 0, updated.stderr);
    assert.equal(updated.json()['maxQueueWaitMs'], 2000);
    assert.deepEqual(await replicas(), before);
  });

  test('token authentication replaces keys', async () => {
    const updated = await world.aksml(
      'service',
      'update',
      '-n',
      'journey',
      '-ae',
      'false',
      '--token-auth-enabled',
      'true',
    );
    assert.equal(updated.code, 0, updated.stderr);
    const token = await world.aksml('service', 'get-access-token', '-n', 'journey', '-o', 'json');
    assert.deepEqual(Object.keys(token.json()).sort(), ['accessToken', 'expiryOn', 'refreshAfter', 'tokenType']);
    assert.equal((await world.aksml('service', 'run', '-n', 'journey', '-d', '{}')).code, 0);
  });

  test('a script that fails in init() shows its traceback at once, and what was deployed keeps serving', async () => {
    await world.write(
      'source/score.py',
      'def init():\n    raise ValueError("no such weights")\n\ndef run(data):\n    return data\n',
    );
    const failed = await world.aksml(...DEPLOY, '-n', 'journey', '-m', 'weights:1', '--overwrite', '-o', 'json');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /UserScriptInitFailed/);
    assert.match(failed.stderr, /ValueError: no such weights/);
    const show = (await world.aksml('service', 'show', '-n', 'journey', '-o', 'json')).json<Service>();
    assert.equal(show.state, 'Unhealthy');
    assert.equal((await fetch(show.scoringUri, { method: 'POST' })).status, 401, 'the gateway still answers');
  });

  test('it is deleted, and nothing of it is left', async () => {
    const { scoringUri } = (await world.aksml('service', 'show', '-n', 'journey', '-o', 'json')).json<Service>();
    assert.equal((await world.aksml('service', 'delete', '-n', 'journey', '--yes')).code, 0);
    assert.deepEqual((await world.aksml('service', 'list', '-o', 'json')).json(), []);
    const gone = await fetch(scoringUri, { method: 'POST' }).then(
      (response) => response.status,
      () => 'no listener',
    );
    assert.ok(gone === 404 || gone === 'no listener', String(gone));
  });
});

describe('an endpoint with versions', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await writeProject(world);
    await world.write(
      'deploymentconfig.json',
      JSON.stringify({ computeType: 'AksEndpoint', numReplicas: 1, versionName: 'blue', trafficPercentile: 20 }),
    );
    await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  });
  after(() => world.close());

  const show = async () =>
    (await world.aksml('endpoint', 'realtime', 'show', '-n', 'rollout', '-o', 'json')).json<{
      scoringUri: string;
      versions: Record<string, { effectiveTrafficPercentile: number; isDefault: boolean; versionType: string | null }>;
    }>();
  const shares = async () =>
    Object.fromEntries(
      Object.entries((await show()).versions).map(([name, version]) => [name, version.effectiveTrafficPercentile]),
    );

  test('the first version is the default and gets everything', async () => {
    const deployed = await world.aksml(...DEPLOY, '-n', 'rollout', '-m', 'weights');
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.deepEqual(await shares(), { blue: 100 });
    assert.match((await show()).scoringUri, /\/api\/v1\/endpoint\/rollout\/score$/);
  });

  test('a second version takes its percentage, and a header picks it', async () => {
    await world.write('source/score.py', ANSWER(2));
    await world.write('version.json', JSON.stringify({ computeType: 'aksendpoint', numReplicas: 1 }));
    const created = await world.aksml(
      ...['endpoint', 'realtime', 'create-version', '-n', 'rollout', '--vn', 'green', '-m', 'weights'],
      ...['-ic', 'inferenceconfig.json', '-dc', 'version.json', '--tp', '10', '-cvt', 'false'],
    );
    assert.equal(created.code, 0, created.stderr);
    assert.deepEqual(await shares(), { blue: 90, green: 10 });

    const { primaryKey } = (await world.aksml('endpoint', 'realtime', 'get-keys', '-n', 'rollout', '-o', 'json')).json<{
      primaryKey: string;
    }>();
    const picked = await fetch((await show()).scoringUri, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${primaryKey}`,
        'azureml-model-deployment': 'green',
        'content-type': 'application/json',
      },
      body: '{}',
    });
    assert.equal(((await picked.json()) as { answer: number }).answer, 2);
  });

  test('another default takes the remainder', async () => {
    const updated = await world.aksml(
      'endpoint',
      'realtime',
      'update-version',
      '-n',
      'rollout',
      '--vn',
      'green',
      '--tp',
      '40',
      '--is-default',
      'true',
    );
    assert.equal(updated.code, 0, updated.stderr);
    assert.deepEqual(await shares(), { blue: 20, green: 80 });
    const { versions } = await show();
    assert.deepEqual([versions['blue']?.isDefault, versions['green']?.isDefault], [false, true]);
  });

  test('what all versions of an endpoint share can be changed as of a service; for the rest a version is to be named', async () => {
    const update = ['service', 'update', '-n', 'rollout'];
    const shared = await world.aksml(...update, '--requests-per-second', '6', '-o', 'json');
    assert.equal(shared.code, 0, shared.stderr);
    const shown = await world.aksml('service', 'show', '-n', 'rollout', '-o', 'yaml');
    assert.match(shown.stdout, /requestsPerSecond: 6/);
    const own = await world.aksml(...update, '--requests-per-second', '6', '--num-replicas', '2');
    assert.equal(own.code, 2);
    assert.match(own.stderr, /has several versions.*--version-name of "aksml endpoint realtime update-version": /s);
  });

  test('the default version cannot be deleted, another can', async () => {
    const refused = await world.aksml(
      'endpoint',
      'realtime',
      'delete-version',
      '-n',
      'rollout',
      '--vn',
      'green',
      '--yes',
    );
    assert.equal(refused.code, 2, refused.stderr);
    const deleted = await world.aksml(
      'endpoint',
      'realtime',
      'delete-version',
      '-n',
      'rollout',
      '--vn',
      'blue',
      '--yes',
    );
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.deepEqual(await shares(), { green: 100 });
  });

  test('percentages above a hundred in all are refused before anything is built', async () => {
    const refused = await world.aksml(
      ...['endpoint', 'realtime', 'create-version', '-n', 'rollout', '--vn', 'red', '-m', 'weights'],
      ...['-ic', 'inferenceconfig.json', '-dc', 'version.json', '--tp', '101'],
    );
    assert.equal(refused.code, 2, refused.stderr);
  });

  test('a percentage above a hundred is one error, whatever follows from it', async () => {
    const refused = await world.aksml(
      ...['endpoint', 'realtime', 'update-version', '-n', 'rollout', '--vn', 'green', '--tp', '101'],
    );
    assert.match(refused.stderr, /^Error: --traffic-percentile must be 0 to 100, but is 101\..*\n$/);
  });

  test('a default version that is to be none stays it, and the command says so', async () => {
    const update = ['endpoint', 'realtime', 'update-version', '-n', 'rollout', '--vn', 'green'];
    const updated = await world.aksml(...update, '--is-default', 'false');
    assert.match(updated.stderr, /green stays the default version of rollout.*--is-default true/s);
  });

  test('an update, too, says what has no effect on this machine', async () => {
    const updated = await world.aksml(
      ...['endpoint', 'realtime', 'update-version', '-n', 'rollout', '--vn', 'green', '--auto-rollout', '5,50'],
    );
    assert.equal(updated.code, 0, updated.stderr);
    assert.match(updated.stderr, /On the compute target local, rollout has no effect/);
    const shared = await world.aksml('endpoint', 'realtime', 'update', '-n', 'rollout', '--requests-per-second', '5');
    assert.match(shared.stderr, /On the compute target local, frontEnd.requestsPerSecond has no effect/);
  });

  test('an update that changes nothing is refused', async () => {
    const nothing = await world.aksml('endpoint', 'realtime', 'update', '-n', 'rollout');
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /Nothing to change was given/);
  });

  test('a setting that is refused is not told to be missing, too', async () => {
    const refused = await world.aksml(
      ...['endpoint', 'realtime', 'update-version', '-n', 'rollout', '--vn', 'green', '--auto-rollout', '50,25'],
    );
    assert.match(refused.stderr, /^Error: --auto-rollout must be ascending percentages.*\n$/);
  });
});
