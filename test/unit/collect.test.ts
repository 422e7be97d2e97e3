import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { clearCaches, collectEnvironments, FreedBytes } from '../../src/engine/environments/collect.ts';
import { MARKER, readInstalled, useInstalled, writeInstalled } from '../../src/engine/environments/store.ts';
import { type Home, openHome } from '../../src/home/home.ts';
import { acquireLock } from '../../src/home/lock.ts';

const HOUR = 3_600_000;

async function openWorld(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'aksml-collect-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: root });
  const put = async (path: string, content = 'x'.repeat(1000)) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  };
  return {
    home,
    put,
    /** An environment as it is after an installation `age` hours ago. */
    install: async (hash: string, age: number) => {
      const python = join(home.environments, hash, 'venv-1', 'bin', 'python');
      await put(join('environments', hash, 'venv-1', 'bin', 'python'));
      const createdTime = new Date(0).toISOString();
      await writeInstalled(home, { hash, python, pythonVersion: '3.11.1', lock: [], createdTime });
      await makeOlder(join(home.environments, hash), age);
    },
    collect: async (live: readonly string[] = [], dryRun = false) => {
      const freed = new FreedBytes();
      const count = await collectEnvironments(home, new Set(live), { clock: () => new Date(), dryRun, freed });
      return { count, bytes: freed.bytes };
    },
    clear: async (dryRun = false) => {
      const freed = new FreedBytes();
      const count = await clearCaches(home, { clock: () => new Date(), dryRun, freed });
      return { count, bytes: freed.bytes };
    },
  };
}

async function makeOlder(folder: string, hours: number): Promise<void> {
  const time = new Date(Date.now() - hours * HOUR);
  for (const name of await readdir(folder, { recursive: true })) await utimes(join(folder, name), time, time);
  await utimes(folder, time, time);
}

const isThere = async (home: Home, hash: string) => (await readInstalled(home, hash)) !== undefined;

test('an environment goes when nothing that lives needs it and nothing has used it for an hour', async (t) => {
  const { home, install, collect } = await openWorld(t);
  await install('live', 48);
  await install('idle', 48);
  await install('young', 0);
  const planned = await collect(['live'], true);
  assert.equal(planned.count, 1);
  assert.ok(await isThere(home, 'idle'), 'a dry run removes nothing');
  assert.deepEqual(await collect(['live']), planned, 'and says what the real one does');
  assert.ok(planned.bytes > 1000);
  assert.deepEqual((await readdir(home.environments)).sort(), ['live', 'young']);
  assert.deepEqual(await collect(['live']), { count: 0, bytes: 0 });
});

test('an environment that has just been found installed is spared', async (t) => {
  const { home, install, collect } = await openWorld(t);
  await install('reused', 48);
  assert.ok(await useInstalled(home, 'reused'));
  assert.equal((await collect()).count, 0);
});

test('an environment that is being installed is spared', async (t) => {
  const { home, install, collect } = await openWorld(t);
  await install('busy', 48);
  const lock = await acquireLock(home, 'environment-busy');
  assert.equal((await collect()).count, 0);
  lock.release();
  assert.equal((await collect()).count, 1);
});

test('unfinished attempts and what a killed collection left go; what was resolved stays', async (t) => {
  const { home, put, install, collect } = await openWorld(t);
  await install('live', 48);
  await put('environments/live/venv-0/bin/python');
  await put('environments/unfinished/venv-1/bin/python');
  await put('environments/.removed-1/venv-1/bin/python');
  await put('environments/locks/key.json', '{}');
  await makeOlder(home.environments, 48);
  await collect(['live']);
  assert.deepEqual((await readdir(home.environments)).sort(), ['live', 'locks']);
  assert.deepEqual((await readdir(join(home.environments, 'live'))).sort(), [MARKER, 'venv-1']);
  assert.ok(await isThere(home, 'live'));
  assert.equal(await readFile(join(home.environments, 'locks', 'key.json'), 'utf8'), '{}');
});

test('the caches go on request, but for what another process works with', async (t) => {
  const { home, put, clear } = await openWorld(t);
  await put('cache/uv/archive/package.py');
  await put('cache/snapshots/a.json');
  await put('cache/environment-key/requirements.in');
  const lock = await acquireLock(home, 'environment-key');
  assert.equal((await clear()).count, 1);
  assert.deepEqual((await readdir(home.cache)).sort(), ['environment-key', 'uv']);
  lock.release();
  assert.deepEqual(await clear(true), { count: 2, bytes: 2000 });
  assert.deepEqual(await clear(), { count: 2, bytes: 2000 });
  assert.deepEqual(await readdir(home.cache), []);
});

test('bytes that have a name elsewhere are not freed until that goes, too', async (t) => {
  const { home, put, install } = await openWorld(t);
  await install('idle', 48);
  await put('cache/uv/package.py');
  await link(join(home.cache, 'uv', 'package.py'), join(home.environments, 'idle', 'venv-1', 'package.py'));
  await makeOlder(join(home.environments, 'idle'), 48);
  for (const dryRun of [true, false]) {
    const freed = new FreedBytes();
    const options = { clock: () => new Date(), dryRun, freed };
    await collectEnvironments(home, new Set(), options);
    const before = freed.bytes;
    await clearCaches(home, options);
    assert.equal(freed.bytes - before, 1000, dryRun ? 'planned' : 'done');
  }
});
