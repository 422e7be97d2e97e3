import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { lendEnvironments } from './shared-home.ts';
import { eventually, gone } from './supervisor-world.ts';
import { ANSWER, DEPLOY, type Outcome, openWorld, outcomeOf, type World, writeProject } from './world.ts';

interface Shown {
  readonly state: string;
  readonly scoringUri: string;
  readonly replicas: readonly { readonly pid: number; readonly restarts: number }[];
}

/** A world with a uv, in which the model `weights:1` is registered. */
async function openFaultyWorld(variables: NodeJS.ProcessEnv = {}): Promise<World> {
  const world = await openWorld(variables);
  await lendEnvironments(world.home);
  // Only uv is lent: what is damaged here must be this world's own.
  await rm(join(world.home, 'environments'), { recursive: true, force: true });
  await writeProject(world);
  succeeded(await world.aksml('model', 'register', '-n', 'weights', '-p', 'model'));
  return world;
}

function succeeded(outcome: Outcome): Outcome {
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome;
}

function failedClearly(outcome: Outcome, what: RegExp, code = 1): void {
  assert.equal(outcome.code, code, outcome.stderr);
  assert.match(outcome.stderr, what);
  assert.doesNotMatch(outcome.stderr, /^ {4}at /m, 'a stack trace');
  assert.doesNotMatch(outcome.stderr, /--debug and report/, 'a failure without a name');
}

const deployment = (name: string, ...more: readonly string[]) =>
  [...DEPLOY, '-n', name, '-m', 'weights:1', '--overwrite', '-o', 'json', ...more] as const;

async function shown(world: World, name: string): Promise<Shown> {
  return succeeded(await world.aksml('service', 'show', '-n', name, '-o', 'json')).json<Shown>();
}

async function answerOf(world: World, name: string): Promise<unknown> {
  return succeeded(await world.aksml('service', 'run', '-n', name, '-d', '{}', '-o', 'json')).json()['answer'];
}

/** Ends the command as soon as its progress says this. */
async function killAt(world: World, label: RegExp, ...args: readonly string[]): Promise<void> {
  const child = world.start(...args);
  const closed = once(child, 'close');
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (label.test(said)) child.kill('SIGKILL');
  });
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', said);
}

async function unfinished(world: World): Promise<string[]> {
  const names = await readdir(world.home, { recursive: true });
  return names.filter((name) => !name.includes('site-packages') && /(^|[\\/])\.aksml-\d+-|\.tmp$/.test(name));
}

describe('processes that are killed, and commands that meet', () => {
  let world: World;
  before(async () => {
    world = await openFaultyWorld();
  });
  after(() => world.close());

  test('a deploying command that is killed at any step is finished by the same command', async () => {
    const steps = [/Preparing the env/, /Placing/, /Packing/, /Composing/, /Handing/, /Waiting/];
    for (const [answer, step] of steps.entries()) {
      await world.write('source/score.py', ANSWER(answer));
      await killAt(world, step, ...deployment('killed'));
      succeeded(await world.aksml(...deployment('killed')));
      assert.equal(await answerOf(world, 'killed'), answer, String(step));
    }
    succeeded(await world.aksml('gc'));
    assert.deepEqual(await unfinished(world), []);
  });

  test('what makes something new and is cut off after the hand-over is waited for by the same command; what has ended is refused', async () => {
    await world.write('endpoint.json', JSON.stringify({ computeType: 'aksendpoint', versionName: 'blue' }));
    const files = ['-ic', 'inferenceconfig.json', '-m', 'weights:1', '-o', 'json'];
    const commands = [
      ['model', 'deploy', '-n', 'begun', '-dc', 'deploymentconfig.json', ...files],
      ['model', 'deploy', '-n', 'pair', '-dc', 'endpoint.json', ...files],
      ['endpoint', 'realtime', 'create-version', '-n', 'pair', '--vn', 'green', '--tp', '10', ...files],
    ];
    for (const words of commands) {
      await killAt(world, /Waiting/, ...words);
      const again = succeeded(await world.aksml(...words));
      assert.match(again.stderr, /Handing \w+ to local: reused, as handed over before/);
      assert.equal(again.json<Shown>().state, 'Healthy');
      failedClearly(await world.aksml(...words), /already (exists|has a version green)/, 2);
    }
    const hopeless = 'def init():\n    raise RuntimeError("no luck")\ndef run(data):\n    return 1\n';
    const words = ['model', 'deploy', '-n', 'hopeless', '-dc', 'deploymentconfig.json', ...files];
    await world.write('source/score.py', hopeless);
    await killAt(world, /Waiting/, ...words);
    await world.write('source/score.py', ANSWER(1));
    failedClearly(await world.aksml(...words), /already exists/, 2);
    await world.write('source/score.py', hopeless);
    failedClearly(await world.aksml(...words), /no luck/);
    failedClearly(await world.aksml(...words), /already exists/, 2);
    await world.write('source/score.py', ANSWER(1));
    for (const name of ['begun', 'hopeless']) succeeded(await world.aksml('service', 'delete', '-n', name, '--yes'));
    succeeded(await world.aksml('endpoint', 'realtime', 'delete', '-n', 'pair', '--yes'));
  });

  test('a service that was stopped with its compute target is shown so, and the deploy that was cut off starts it', async () => {
    const words = ['model', 'deploy', '-n', 'resting', '-ic', 'inferenceconfig.json', '-dc', 'deploymentconfig.json'];
    await killAt(world, /Waiting/, ...words, '-m', 'weights:1');
    succeeded(await world.aksml('local', 'stop', '--yes'));
    assert.match(succeeded(await world.aksml('service', 'list', '-o', 'table')).stdout, /^resting .*\bStopped\b/m);
    assert.match(
      succeeded(await world.aksml('service', 'show', '-n', 'resting', '-o', 'table')).stdout,
      /^State +Stopped$/m,
    );
    const again = succeeded(await world.aksml(...words, '-m', 'weights:1'));
    assert.match(again.stderr, /Handing resting to local: reused, as handed over before/);
    succeeded(await world.aksml('service', 'delete', '-n', 'resting', '--yes'));
  });

  test('of two deploys of one service at once each succeeds or says that the other came first', async () => {
    const both = await Promise.all([world.aksml(...deployment('killed')), world.aksml(...deployment('killed'))]);
    for (const outcome of both) {
      if (outcome.code === 0) continue;
      failedClearly(outcome, /was changed by another command meanwhile|has replaced this one/);
    }
    assert.ok(both.some(({ code }) => code === 0));
    succeeded(await world.aksml(...deployment('killed')));
    assert.equal((await shown(world, 'killed')).state, 'Healthy');
  });

  test('two new services at once both come up', async () => {
    const both = await Promise.all(['left', 'right'].map((name) => world.aksml(...deployment(name))));
    for (const outcome of both) assert.equal(succeeded(outcome).json<Shown>().state, 'Healthy');
    for (const name of ['left', 'right']) succeeded(await world.aksml('service', 'delete', '-n', name, '--yes'));
  });

  test('after supervisor, gateway and replica were killed together, a deploy works as before', async () => {
    const { replicas } = await shown(world, 'killed');
    const { supervisor } = (await world.aksml('local', 'status', '-o', 'json')).json<{
      supervisor: { pid: number; gateway: { pid: number } };
    }>();
    const pids = [supervisor.pid, supervisor.gateway.pid, ...replicas.map(({ pid }) => pid)];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await Promise.all(pids.map((pid) => gone(pid)));
    await world.write('source/score.py', ANSWER(77));
    succeeded(await world.aksml(...deployment('killed')));
    assert.equal(await answerOf(world, 'killed'), 77);
  });

  test('a port in use is named, and the same command succeeds once it is free', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await world.write('ported.json', JSON.stringify({ computeType: 'local', port }));
    const command = ['model', 'deploy', '-ic', 'inferenceconfig.json', '-dc', 'ported.json', '-m', 'weights:1'];
    const again = [...command, '-n', 'ported', '--overwrite', '-o', 'json'];
    failedClearly(await world.aksml(...again), new RegExp(`Port ${port} cannot be opened`), 2);
    other.close();
    succeeded(await world.aksml(...again));
    succeeded(await world.aksml('service', 'delete', '-n', 'ported', '--yes'));
  });

  test('a model whose files vanish while it is registered leaves nothing', async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await world.write(`vanishing/${name}`, '');
      const file = await open(join(world.project, 'vanishing', name), 'r+');
      await file.truncate(128 << 20);
      await file.close();
    }
    await world.write('vanishing/z', 'the last one');
    const child = world.start('model', 'register', '-n', 'vanishing', '-p', 'vanishing');
    child.stderr?.once('data', () => void rm(join(world.project, 'vanishing'), { recursive: true, force: true }));
    const outcome = await outcomeOf(child);
    assert.notEqual(outcome.code, 0);
    failedClearly(outcome, /vanishing/, outcome.code);
    assert.deepEqual(succeeded(await world.aksml('model', 'list', '-n', 'vanishing', '-o', 'json')).json(), []);
  });

  test('what has lost files is made whole by the next deployment', async () => {
    await world.write('source/score.py', ANSWER(5));
    succeeded(await world.aksml(...deployment('killed')));
    const lose = async (...path: readonly string[]) => rm(join(world.home, ...path), { recursive: true });
    const [bundle = ''] = await newest(join(world.home, 'bundles'));
    await lose('bundles', bundle, 'app', 'source');
    const [tree = ''] = await newest(join(world.home, 'models'));
    await lose('models', tree, 'model', 'weights.txt');
    succeeded(await world.aksml('local', 'stop', '--yes'));
    succeeded(await world.aksml(...deployment('killed')));
    assert.equal(await answerOf(world, 'killed'), 5);
    assert.equal(await readFile(join(world.home, 'models', tree, 'model', 'weights.txt'), 'utf8'), '42\n');

    const server = (await readdir(join(world.home, 'environments'), { recursive: true })).find((name) =>
      name.endsWith(join('site-packages', 'azureml_inference_server_http')),
    );
    await lose('environments', server ?? assert.fail('no scoring server'));
    succeeded(await world.aksml('local', 'stop', '--yes'));
    succeeded(await world.aksml(...deployment('killed')));
    assert.equal(await answerOf(world, 'killed'), 5);
  });

  test('damaged records are named, hold up nothing else, and are replaced by the next deployment', async () => {
    const endpoints = join(world.home, 'local', 'endpoints');
    succeeded(await world.aksml('local', 'stop', '--yes'));
    await writeFile(join(endpoints, 'broken.json'), '{"endpoint": {"meta');
    await writeFile(join(world.home, 'local', 'supervisor.json'), `{"pid": ${process.pid}, "port": 1, "token": "x"}`);
    const list = succeeded(await world.aksml('service', 'list', '-o', 'json'));
    assert.equal(list.json<readonly Shown[]>().length, 1);
    assert.match(list.stderr, /"broken" cannot be read/);
    failedClearly(await world.aksml('service', 'show', '-n', 'broken'), /broken\.json is damaged/);

    const secrets = join(world.home, 'local', 'secrets', 'killed.json');
    const kept = await readFile(secrets);
    await writeFile(secrets, '{"keys": MARKER');
    succeeded(await world.aksml('local', 'start'));
    const keys = await world.aksml('service', 'get-keys', '-n', 'killed');
    failedClearly(keys, /killed\.json is damaged/);
    assert.doesNotMatch(keys.stderr, /MARKER/);
    await writeFile(secrets, kept);
    await writeFile(join(world.home, 'local', 'supervisor.json'), 'garbage');
    succeeded(await world.aksml(...deployment('broken')));
    succeeded(await world.aksml(...deployment('killed')));
    succeeded(await world.aksml('local', 'stop', '--yes'));
    await writeFile(join(endpoints, 'broken.json'), '{"endpoint": {"meta');
    const deleted = succeeded(await world.aksml('service', 'delete', '-n', 'broken', '--yes'));
    assert.match(deleted.stderr, /broken\.json is damaged/);
    assert.doesNotMatch(succeeded(await world.aksml('service', 'list')).stderr, /broken/);
    await assert.rejects(access(join(endpoints, 'broken.json')));
  });

  test('a truncated index of the workspace is read from its copy, and whole after the next change', async () => {
    const index = join(world.home, 'workspaces', 'default', 'index.json');
    const kept = await readFile(index, 'utf8');
    await writeFile(index, kept.slice(0, kept.length / 2));
    succeeded(await world.aksml('model', 'show', '-i', 'weights:1'));
    succeeded(await world.aksml('gc'));
    succeeded(await world.aksml('model', 'register', '-n', 'other', '-p', 'model'));
    JSON.parse(await readFile(index, 'utf8'));
    await rm(index);
    succeeded(await world.aksml('model', 'show', '-i', 'other:1'));
    succeeded(await world.aksml('model', 'show', '-i', 'weights:1'));
  });

  test('an index that is damaged like its copy is named, nothing is written over it, and the remedy helps', async () => {
    const folder = join(world.home, 'workspaces', 'default');
    const files = ['index.json', 'index.copy.json'].map((name) => join(folder, name));
    for (const file of files) await writeFile(file, '{"schemaVersion": 2, "mani');
    failedClearly(await world.aksml('model', 'list'), /index\.json is not the index/);
    failedClearly(await world.aksml('model', 'register', '-n', 'other', '-p', 'model'), /index\.json is not the index/);
    await rename(folder, `${folder}-damaged`);
    succeeded(await world.aksml('model', 'register', '-n', 'weights', '-p', 'model'));
    succeeded(await world.aksml('model', 'show', '-i', 'weights:1'));
  });

  test('a scoring script may raise, sleep, leave or get nothing: each has its status, and the next request is answered', async () => {
    await world.write(
      'source/score.py',
      `import os, time
def init():
    pass
def run(data):
    if "raise" in data: raise ValueError("not this")
    if "sleep" in data: time.sleep(60)
    if "leave" in data: os._exit(9)
    return len(data)
`,
    );
    await world.write(
      'deploymentconfig.json',
      // After a 504 the replica is at work a little longer: the next request waits for it.
      JSON.stringify({ computeType: 'aks', numReplicas: 1, scoringTimeoutMs: 1500, maxQueueWaitMs: 60_000 }),
    );
    succeeded(await world.aksml(...deployment('killed')));
    const run = (body: string) => world.aksml('service', 'run', '-n', 'killed', '-d', body);
    failedClearly(await run('raise'), /answered 502/);
    failedClearly(await run('sleep'), /answered 504/);
    await healthyAgain(world);
    failedClearly(await run('leave'), /answered 502/);
    await healthyAgain(world);
    assert.equal(succeeded(await run('')).json<unknown>(), 0);

    const { primaryKey } = (await world.aksml('service', 'get-keys', '-n', 'killed', '-o', 'json')).json<{
      primaryKey: string;
    }>();
    const { scoringUri } = await shown(world, 'killed');
    for (const type of ['', 'text/plain', 'image/png', 'application/json; charset=latin1', 'nonsense']) {
      const headers = { authorization: `Bearer ${primaryKey}`, 'content-type': type };
      const { status } = await fetch(scoringUri, { method: 'POST', headers, body: Buffer.from([0x7b, 0x7d]) });
      assert.equal(status, 200, type);
    }
  });

  test('an init() that hangs can be left with Ctrl+C and deleted', {
    skip: process.platform === 'win32' && 'signals are sent otherwise on Windows',
  }, async () => {
    await world.write(
      'source/score.py',
      'import time\ndef init():\n    time.sleep(3600)\ndef run(data):\n    return 1\n',
    );
    const child = world.start(...deployment('hanging'));
    child.stderr?.on('data', (text) => {
      if (/init\(\) has been running|0\/1 replicas ready/.test(String(text))) child.kill('SIGINT');
    });
    const outcome = await outcomeOf(child);
    assert.equal(outcome.code, 130, outcome.stderr);
    assert.match(outcome.stderr, /goes on without this command/);
    succeeded(await world.aksml('service', 'delete', '-n', 'hanging', '--yes'));
  });

  async function healthyAgain(here: World): Promise<void> {
    await eventually('a healthy service', async () => (await shown(here, 'killed')).state === 'Healthy');
  }
});

test('a full disk is named, loses nothing, and the same commands work once there is space', async (t) => {
  // The wheel of uv does not fit.
  const disk = await smallDisk(t, 12);
  if (typeof disk === 'string') return t.skip(disk);
  const world = await openWorld({ AKSML_HOME: disk.folder });
  t.after(() => world.close());
  await writeProject(world);
  succeeded(await world.aksml('model', 'register', '-n', 'weights', '-p', 'model'));
  await world.write('large/file', '');
  const file = await open(join(world.project, 'large', 'file'), 'r+');
  await file.truncate(64 << 20);
  await file.close();

  failedClearly(await world.aksml('model', 'register', '-n', 'large', '-p', 'large'), /disk.*is full/);
  succeeded(await world.aksml('model', 'show', '-i', 'weights:1'));
  failedClearly(await world.aksml(...deployment('filled')), /disk.*full|No space left/i);
  assert.deepEqual(succeeded(await world.aksml('service', 'list', '-o', 'json')).json(), []);

  disk.grow(1024);
  succeeded(await world.aksml('model', 'register', '-n', 'large', '-p', 'large'));
  succeeded(await world.aksml(...deployment('filled')));
  succeeded(await world.aksml('local', 'stop', '--yes'));
});

/** Names of the entries of a folder, the one changed last first. */
async function newest(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  const times = new Map(
    await Promise.all(names.map(async (name) => [name, (await stat(join(folder, name))).mtimeMs] as const)),
  );
  return names.sort((a, b) => (times.get(b) ?? 0) - (times.get(a) ?? 0));
}

/** A disk of so many megabytes, or why there is none. */
async function smallDisk(
  t: TestContext,
  megabytes: number,
): Promise<string | { readonly folder: string; grow(megabytes: number): void }> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux, to mount a small disk';
  const folder = await mkdtemp(join(tmpdir(), 'aksml-disk-'));
  const mount = (...args: readonly string[]) => execFileSync('mount', args, { stdio: 'pipe' });
  try {
    mount('-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', folder);
  } catch {
    await rm(folder, { recursive: true });
    return 'a small disk cannot be mounted here';
  }
  t.after(() => {
    execFileSync('umount', ['-l', folder]);
    return rm(folder, { recursive: true, force: true });
  });
  return { folder, grow: (to) => void mount('-o', `remount,size=${to}m`, folder) };
}
