import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findDaemon, killProcesses, markedProcesses, startDaemon } from '../../scripts/cluster/daemon.ts';
import { placeAt } from '../../scripts/cluster/place.ts';

const skip = process.platform === 'linux' ? false : 'daemons are found in /proc';
const SLEEPER = { name: 'sleeper', command: 'sleep', args: ['1000'] };

test('a daemon of the test cluster is started once, found again after its starter was killed, and told from others', {
  skip,
}, async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'aksml-daemon-'));
  const [place, other] = ['a', 'b'].map((name) => placeAt(join(root, name), root, { address: '127.0.0.1', port: 1 }));
  assert.ok(place !== undefined && other !== undefined);
  t.after(async () => {
    for (const each of [place, other]) await killProcesses((await markedProcesses(each)).map(({ pid }) => pid));
    await rm(root, { recursive: true, force: true });
  });
  const starter = `
    import { mkdirSync } from 'node:fs';
    import { startDaemon } from ${JSON.stringify(join(import.meta.dirname, '../../scripts/cluster/daemon.ts'))};
    import { placeAt } from ${JSON.stringify(join(import.meta.dirname, '../../scripts/cluster/place.ts'))};
    const [root, cache] = ${JSON.stringify([place.root, root])};
    mkdirSync(root, { recursive: true });
    await startDaemon(placeAt(root, cache, { address: '127.0.0.1', port: 1 }), ${JSON.stringify(SLEEPER)});
    process.kill(process.pid, 'SIGKILL');
  `;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', starter], { stdio: 'inherit' });
  assert.equal(signal, 'SIGKILL');
  const pid = await findDaemon(place, SLEEPER);
  assert.ok(pid !== undefined, 'it runs on');
  assert.equal(await startDaemon(place, SLEEPER), false);
  assert.equal(await findDaemon(other, SLEEPER), undefined);
  await killProcesses([pid]);
  assert.deepEqual(await markedProcesses(place), []);
});
