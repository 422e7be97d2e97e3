import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ANSWER, DEPLOY, openWorld, type World, writeProject } from '../local/world.ts';
import { registryPrograms } from './distribution.ts';
import { startDockerRegistry } from './docker-registry.ts';

type Cleanup = { after(work: () => Promise<void>): void };

/** ann / correct horse, bcrypt. */
const HTPASSWD = 'ann:$2b$04$hkmVbxu1jwD6.3F/00iKzusAU5Yi1BbnDzOKtbPrHk4irDtwq0Oja\n';

/** A machine whose user is, or is not, logged in to the registry. */
async function openMachine(t: Cleanup, host: string, password?: string): Promise<World> {
  const world = await openWorld();
  t.after(() => world.close());
  const docker = join(world.project, '..', 'docker');
  await mkdir(docker);
  const auth = password === undefined ? {} : { [host]: { auth: Buffer.from(`ann:${password}`).toString('base64') } };
  await writeFile(join(docker, 'config.json'), JSON.stringify({ auths: auth }));
  world.environment['DOCKER_CONFIG'] = docker;
  return world;
}

for (const program of await registryPrograms()) {
  const name = `a team shares a workspace in ${program.name}`;
  if ('skip' in program) {
    test(name, { skip: program.skip }, () => {});
    continue;
  }
  test(name, async (t) => {
    const running = await startDockerRegistry(program.command, { htpasswd: HTPASSWD });
    t.after(() => running.stop());
    const registry = `${running.host}/team`;
    const create = ['workspace', 'create', '-w', 'team', '--registry', registry];
    const team = ['-w', 'team', '-g', 'any'];

    const stranger = await openMachine(t, running.host);
    const refused = await stranger.aksml(...create);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /docker login/);
    assert.deepEqual((await stranger.aksml('workspace', 'list')).json(), [], 'nothing was made');

    const ann = await openMachine(t, running.host, 'correct horse');
    await succeeds(ann, ...create);
    await writeProject(ann);
    const register = (...more: string[]) => ['model', 'register', '-n', 'weights', '-p', 'model', ...team, ...more];
    await succeeds(ann, ...register('--tag', 'stage=test'));
    await ann.write('environment/azureml_environment.json', JSON.stringify({ name: 'bare', version: null }));
    await succeeds(ann, 'environment', 'register', '-d', 'environment', ...team);
    await succeeds(ann, ...DEPLOY, '-n', 'shared', '-m', 'weights:1', ...team);
    await ann.write('source/score.py', ANSWER(2));
    await succeeds(ann, ...DEPLOY, '-n', 'shared', '-m', 'weights:1', '--overwrite', ...team);

    const ben = await openMachine(t, running.host, 'correct horse');
    await succeeds(ben, ...create);
    const list = async (world: World) =>
      (await succeeds(world, 'model', 'list', ...team)).json<{ id: string; tags: unknown }[]>();
    assert.deepEqual(
      (await list(ben)).map(({ id, tags }) => [id, tags]),
      [['weights:1', { stage: 'test' }]],
    );
    await succeeds(ben, 'model', 'update', '-i', 'weights:1', '--remove-tag', 'stage', ...team);
    assert.deepEqual((await list(ann))[0]?.tags, {});
    await succeeds(ben, 'model', 'download', '-i', 'weights:1', '-t', 'downloaded', ...team);
    assert.equal(await readFile(join(ben.project, 'downloaded', 'model', 'weights.txt'), 'utf8'), '42\n');
    const environments = (await succeeds(ben, 'environment', 'list', ...team)).json<{ name: string }[]>();
    assert.deepEqual(
      environments.map((environment) => environment.name),
      ['bare'],
    );

    const history = (await succeeds(ben, 'service', 'history', '-n', 'shared', ...team)).json<{ number: number }[]>();
    assert.deepEqual(
      history.map(({ number }) => number),
      [2, 1],
    );
    const diff = await succeeds(ben, 'service', 'diff', '1', '2', '-n', 'shared', ...team);
    assert.match(diff.stdout, /score\.py/);
    await succeeds(ben, 'service', 'checkout', '1', 'restored', '-n', 'shared', ...team);
    assert.match(await readFile(join(ben.project, 'restored', 'score.py'), 'utf8'), /"answer": 1/);

    await ben.write('model/weights.txt', '43\n');
    await Promise.all([ann, ben].map((world) => succeeds(world, ...register())));
    const ids = (await list(ann)).map(({ id }) => id);
    assert.equal(new Set(ids).size, 3, ids.join(', '));
    await succeeds(ben, 'model', 'delete', '-i', ids[0] ?? '', ...team);
    assert.equal((await list(ann)).length, 2);
  });
}

async function succeeds(world: World, ...args: readonly string[]) {
  const outcome = await world.aksml(...args);
  assert.equal(outcome.code, 0, `aksml ${args.join(' ')}\n${outcome.stdout}\n${outcome.stderr}`);
  return outcome;
}
