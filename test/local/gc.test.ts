import assert from 'node:assert/strict';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEPLOY, openWorld, type World, writeProject } from './world.ts';

interface Collected {
  readonly bytes: number;
  readonly freed: readonly { readonly place: string; readonly count: number; readonly bytes: number }[];
}

describe('garbage collection', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await writeProject(world);
    await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
    const deployed = await world.aksml(...DEPLOY, '-n', 'kept', '-m', 'weights');
    assert.equal(deployed.code, 0, deployed.stderr);
  });
  after(() => world.close());

  const environments = async () => (await readdir(join(world.home, 'environments'))).filter((name) => name !== 'locks');
  const collect = async (...args: string[]) => {
    const done = await world.aksml('gc', '-o', 'json', ...args);
    assert.equal(done.code, 0, done.stderr);
    const { freed } = done.json<Collected>();
    return (place: string) => freed.find((row) => row.place === place)?.count;
  };
  /** As if everything had been made two hours ago. */
  const age = async () => {
    const time = new Date(Date.now() - 2 * 3_600_000);
    for (const folder of ['environments', 'bundles', 'models']) {
      for (const name of await readdir(join(world.home, folder))) {
        const path = join(world.home, folder, name);
        for (const inner of await readdir(path)) await utimes(join(path, inner), time, time);
        await utimes(path, time, time);
      }
    }
  };

  test('keeps what a service runs from', async () => {
    await age();
    const removed = await collect();
    assert.deepEqual(['environments', 'bundles', 'unpacked models'].map(removed), [0, 0, 0]);
    const run = await world.aksml('service', 'run', '-n', 'kept', '-d', '{}', '-o', 'json');
    assert.equal(run.json()['answer'], 1);
  });

  test('removes it when the service is gone, and the next deploy makes it anew', async () => {
    await world.aksml('service', 'delete', '-n', 'kept', '--yes');
    assert.equal((await collect('--dry-run'))('environments'), 1);
    assert.equal((await environments()).length, 1);
    assert.equal((await collect('--caches'))('environments'), 1);
    assert.deepEqual(await environments(), []);
    const deployed = await world.aksml(...DEPLOY, '-n', 'kept', '-m', 'weights');
    assert.equal(deployed.code, 0, deployed.stderr);
  });
});
