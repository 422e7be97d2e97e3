import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { EndpointChange, LogLine } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import type { Model } from '../../src/contract/model.ts';
import { EngineClient, type EngineState } from '../../src/extension/engine-client.ts';
import { l10n } from '../../webview-ui/host/l10n.ts';
import { ANSWER, openWorld, type World, writeProject } from './world.ts';

const HOST = join(import.meta.dirname, '..', '..', 'dist', 'engine-host.js');

describe('the engine in its own process, over its pipe', () => {
  let world: World;
  let client: EngineClient;
  const processes: number[] = [];
  const onState = (state: EngineState) => {
    if (state.kind === 'ready') processes.push(state.ready.pid);
  };
  before(async () => {
    world = await openWorld();
    await writeProject(world);
    await addSecretVariable(world);
    client = new EngineClient({
      t: l10n.t,
      spawn: () => spawn(process.execPath, [HOST], { env: world.environment, stdio: 'pipe' }),
      log: (line) => process.stderr.write(`${line}\n`),
      onState,
    });
  });
  after(async () => {
    client.dispose();
    await world.close();
  });
  const target = () => ({ folder: world.project, target: 'local' });
  const endpoint = () => ({ ...target(), name: 'piped' });
  const killEngine = () => process.kill(processes.at(-1) ?? 0, 'SIGKILL');

  test('params that are not valid are refused by name', async () => {
    await assert.rejects(
      client.request('model.get', { folder: world.project } as { folder: string; id: string }),
      (error) => AksmlError.is(error, 'request.invalid') && error.subject === 'id',
    );
  });

  test('a configuration that an editor has not saved is judged as if it were', async () => {
    const params = {
      folder: world.project,
      deploymentConfigFile: 'deploymentconfig.json',
      texts: { 'deploymentconfig.json': '{"computeType": "aks", "numReplicas": "many"}' },
    };
    const { valid, problems } = await client.request('configuration.validate', params);
    assert.equal(valid, false);
    assert.equal(problems[0]?.path, 'numReplicas');
  });

  test('one Python checks the scripts, however often an editor asks', async () => {
    const children = async () => {
      const validated = client.request('configuration.validate', {
        folder: world.project,
        inferenceConfigFile: 'inferenceconfig.json',
      });
      assert.equal((await validated).valid, true);
      const pid = processes.at(-1);
      return readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    };
    const first = await children();
    assert.match(first, /^\d+ $/);
    assert.equal(await children(), first);
  });

  test('a v2 deployment is written as files of v1 beside it, once', async () => {
    const deployment =
      'type: kubernetes\nname: blue\ncode_configuration: {code: ../source, scoring_script: score.py}\n';
    await world.write('v2/deployment.yml', `${deployment}environment: {image: base:1}\n`);
    const params = { folder: world.project, deploymentFile: join(world.project, 'v2', 'deployment.yml') };
    const { files } = await client.request('configuration.import', params);
    assert.deepEqual(
      files,
      ['inferenceconfig.json', 'deploymentconfig.json'].map((name) => join(world.project, 'v2', name)),
    );
    const [inferenceConfigFile, deploymentConfigFile] = files;
    const written = { folder: world.project, inferenceConfigFile, deploymentConfigFile };
    assert.deepEqual(
      (await client.request('configuration.validate', written)).problems.filter(({ severity }) => severity === 'error'),
      [],
    );
    await assert.rejects(client.request('configuration.import', params), (error) =>
      AksmlError.is(error, 'file.exists'),
    );
  });

  test('a cluster whose kubeconfig is not there is refused, and the targets are what they were', async () => {
    const kubeconfig = join(world.project, 'no-such-kubeconfig');
    await assert.rejects(
      client.request('target.planAttach', { folder: world.project, name: 'prod', kubeconfig }),
      (error) => AksmlError.is(error) && error.fault === 'input' && error.message.includes(kubeconfig),
    );
    const targets = await client.request('target.list', { folder: world.project });
    assert.deepEqual(
      targets.map(({ listing, status }) => [listing.name, status?.reachable]),
      [['local', true]],
    );
  });

  test('a model is registered and deployed, seen by who watches', async () => {
    const models = watched<readonly Model[]>();
    const changes = watched<readonly EndpointChange[]>();
    const watches = [
      client.subscribe('model.watch', { folder: world.project }, { onEvent: models.push }),
      client.subscribe('endpoint.watch', target(), { onEvent: changes.push }),
    ];
    await changes.until((batch) => batch.some(({ type }) => type === 'synced'));
    await client.request('model.register', {
      folder: world.project,
      name: 'weights',
      path: join(world.project, 'model'),
    });
    await models.until((list) => list.some(({ id }) => id === 'weights:1'));

    const events: ProgressEvent[] = [];
    const made = await client.request(
      'deployment.deploy',
      {
        ...endpoint(),
        models: ['weights:1'],
        inferenceConfigFile: 'inferenceconfig.json',
        deploymentConfigFile: 'deploymentconfig.json',
      },
      { onEvent: (event) => events.push(event) },
    );
    assert.equal(made.status?.state, 'Healthy');
    const stages = events.flatMap((event) => (event.type === 'done' ? event.stage : []));
    assert.deepEqual(stages.slice(-2), ['apply', 'watch']);
    await changes.until((batch) =>
      batch.some((change) => change.type === 'changed' && change.endpoint.status?.state === 'Healthy'),
    );
    for (const watch of watches) watch.dispose();
  });

  test('it scores, tells its figures, and gives its log', async () => {
    const samples = watched<{ readonly versions: readonly { readonly requestsPerSecond: object }[] }>();
    const figures = client.subscribe('endpoint.metrics', { ...endpoint(), intervalMs: 250 }, { onEvent: samples.push });
    await samples.until(() => true);
    const answer = await client.request('endpoint.run', { ...endpoint(), body: '{}' });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).answer, 1);
    await samples.until(({ versions }) => '200' in (versions[0]?.requestsPerSecond ?? {}));
    figures.dispose();

    const lines = watched<readonly LogLine[]>();
    const ended = Promise.withResolvers<void>();
    client.subscribe('endpoint.logs', endpoint(), { onEvent: lines.push, onEnd: ended.resolve });
    await lines.until((batch) => batch.some(({ line }) => line.includes('the weights are 42')));
    await ended.promise;
  });

  test('a model is measured with the requests of a file', async () => {
    await world.write('requests.jsonl', '{}\n');
    const [model] = await client.request('model.list', { folder: world.project });
    const made = await client.request('model.profile', {
      folder: world.project,
      name: 'measured',
      models: [model?.id ?? ''],
      input: join(world.project, 'requests.jsonl'),
      inferenceConfigFile: 'inferenceconfig.json',
    });
    assert.equal(made.state, 'Succeeded', made.error?.message);
    assert.ok((made.recommendedCpu ?? 0) > 0);
  });

  test('tokens of this machine cannot be revoked, which is said', async () => {
    await assert.rejects(client.request('token.revoke', endpoint()), (error) =>
      AksmlError.is(error, 'auth.tokensStay'),
    );
  });

  test('a cancelled deploy says that nothing has changed', async () => {
    const abort = new AbortController();
    await world.write('source/score.py', answerWithPassword(2));
    const deploying = client.request(
      'deployment.deploy',
      { ...endpoint(), models: ['weights'], inferenceConfigFile: 'inferenceconfig.json', overwrite: true },
      { signal: abort.signal, onEvent: () => abort.abort() },
    );
    await assert.rejects(deploying, (error) => AksmlError.isCancelled(error));
    const { body } = await client.request('endpoint.run', { ...endpoint(), body: '{}' });
    assert.equal(JSON.parse(body).answer, 1);
  });

  test('killed in the middle of a deploy, it is started again and the deploy goes on, as do the streams', async () => {
    const changes = watched<readonly EndpointChange[]>();
    const watch = client.subscribe('endpoint.watch', target(), { onEvent: changes.push });
    await changes.until((batch) => batch.some(({ type }) => type === 'synced'));
    const killed = new Set<string>();
    const kill = (when: string) => {
      if (killed.has(when)) return;
      killed.add(when);
      changes.forget();
      killEngine();
    };
    const deployed = await client.request(
      'deployment.deploy',
      {
        ...endpoint(),
        models: [{ path: join(world.project, 'model'), name: 'by-path' }],
        inferenceConfigFile: 'inferenceconfig.json',
        overwrite: true,
      },
      {
        onEvent: (event) => {
          if (event.type === 'problem' && event.problem.code === 'model.registered') kill('registered');
          if (event.type === 'done' && event.stage === 'apply') kill('applied');
        },
      },
    );
    assert.deepEqual([...killed], ['registered', 'applied']);
    assert.equal(deployed.status?.state, 'Healthy');
    assert.equal(JSON.parse((await client.request('endpoint.run', { ...endpoint(), body: '{}' })).body).answer, 2);
    await changes.until((batch) => batch.some(({ type }) => type === 'synced'));
    watch.dispose();
    assert.equal(processes.length, 3);
    const models = await client.request('model.list', { folder: world.project, name: 'by-path' });
    assert.deepEqual(
      models.map(({ id }) => id),
      ['by-path:1'],
    );
  });

  test('its history can be read and compared with the folder, file by file', async () => {
    const revisions = await client.request('revision.list', endpoint());
    assert.deepEqual(
      revisions.map(({ number, current }) => ({ number, current })),
      [
        { number: 2, current: true },
        { number: 1, current: false },
      ],
    );
    assert.ok(revisions[0]?.changed.includes('code'));
    const first = { ...endpoint(), versionName: 'piped', revision: 1 };
    assert.deepEqual(
      (await client.request('revision.files', first)).map(({ path }) => path),
      ['score.py'],
    );
    const { content } = await client.request('revision.readFile', { ...first, path: 'score.py' });
    assert.equal(Buffer.from(content, 'base64').toString(), answerWithPassword(1));
    const { code } = await client.request('revision.diffFolder', { ...first, with: join(world.project, 'source') });
    assert.match(code[0]?.patch ?? '', /^\+ .*"answer": 2/m);
  });

  test('a deleted endpoint can be had back, with its keys and secret variables', async () => {
    const { primaryKey } = await client.request('key.get', endpoint());
    const { unrestorable } = await client.request('endpoint.planDelete', endpoint());
    assert.deepEqual(unrestorable, []);
    const before: Endpoint = await client.request('endpoint.get', endpoint());
    await client.request('endpoint.delete', endpoint());
    await assert.rejects(client.request('endpoint.get', endpoint()), (error) =>
      AksmlError.is(error, 'service.notFound'),
    );
    const changes = watched<readonly EndpointChange[]>();
    const watch = client.subscribe('endpoint.watch', endpoint(), { onEvent: changes.push });
    const { newKeys } = await client.request('endpoint.restore', { ...target(), endpoint: before });
    assert.equal(newKeys, false);
    await changes.until((batch) =>
      batch.some((change) => 'endpoint' in change && change.endpoint.status?.state === 'Healthy'),
    );
    watch.dispose();
    assert.equal((await client.request('key.get', endpoint())).primaryKey, primaryKey);
    const answer = await client.request('endpoint.run', { ...endpoint(), body: '{}' });
    assert.equal(JSON.parse(answer.body).password, PASSWORD.length);
  });

  test('what is not to be undone any more is forgotten, and an undo names the variables that it lacks', async () => {
    for (const forget of [
      async (before: Endpoint) => client.request('endpoint.forgetDeleted', { endpoint: before }),
      async () => {
        killEngine();
        await client.request('workspace.list', {});
      },
    ]) {
      const before = await client.request('endpoint.get', endpoint());
      await client.request('endpoint.delete', endpoint());
      const secrets = join(world.home, 'local', 'secrets', 'piped.json');
      assert.equal(existsSync(secrets), false);
      await forget(before);
      await assert.rejects(
        client.request('endpoint.restore', { ...target(), endpoint: before }),
        (error) => AksmlError.is(error, 'secret.notKept') && /PASSWORD/.test(error.message),
      );
      await client.request('deployment.deploy', {
        ...endpoint(),
        models: ['weights'],
        inferenceConfigFile: 'inferenceconfig.json',
      });
    }
  });

  test('it ends with its window', async () => {
    const child = spawn(process.execPath, [HOST], { env: world.environment, stdio: 'pipe' });
    const own = new EngineClient({ t: l10n.t, spawn: () => child, log: () => undefined });
    await own.request('workspace.list', {});
    own.dispose();
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });
});

const PASSWORD = 'a-password-of-nobody';

async function addSecretVariable({ project, write }: World): Promise<void> {
  const config = JSON.parse(await readFile(join(project, 'inferenceconfig.json'), 'utf8'));
  config.environment.environmentVariables.PASSWORD = PASSWORD;
  config.environment.secretEnvironmentVariables = ['PASSWORD'];
  await write('inferenceconfig.json', JSON.stringify(config));
  await write('source/score.py', answerWithPassword(1));
}

/** A scoring script that tells of its secret variable no more than how long it is. */
function answerWithPassword(answer: number): string {
  return `${ANSWER(answer)}

def run(data):
    return {"answer": ${answer}, "password": len(os.environ["PASSWORD"])}
`;
}

/** What a stream has told, to be waited for. */
function watched<T>() {
  let events: T[] = [];
  let told = Promise.withResolvers<void>();
  return {
    push: (event: T) => {
      events.push(event);
      told.resolve();
    },
    forget: () => {
      events = [];
    },
    async until(holds: (event: T) => boolean): Promise<T> {
      while (true) {
        const found = events.find(holds);
        if (found !== undefined) return found;
        await told.promise;
        told = Promise.withResolvers();
      }
    },
  };
}
