import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHome } from '../../src/home/home.ts';
import { acquireLock, tryLock } from '../../src/home/lock.ts';

test('a lock excludes other processes and dies with its holder', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'aksml-lock-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: root });
  const holder = spawn(process.execPath, [
    '--input-type=module-typescript',
    '--eval',
    `import { acquireLock } from '${new URL('../../src/home/lock.ts', import.meta.url).href}';
     await acquireLock(${JSON.stringify(home)}, 'demo');
     process.stdout.write('held');
     setInterval(() => {}, 1000);`,
  ]);
  t.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');

  assert.equal(await tryLock(home, 'demo'), undefined);
  assert.ok(await tryLock(home, 'other'));

  holder.kill('SIGKILL');
  const lock = await acquireLock(home, 'demo', { timeoutMs: 10_000 });
  assert.equal(await tryLock(home, 'demo'), undefined, 'the lock also excludes its own process');
  lock.release();
});
