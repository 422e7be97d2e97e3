import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AccessLog } from '../../src/local/gateway-log.ts';

test('the access log never grows beyond its size, keeps one older part, and is for the user alone', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'aksml-log-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const path = join(root, 'logs', 'gateway.log');
  for (let part = 0; part < 5; part += 1) {
    const log = new AccessLog(path, 1000);
    for (let line = 0; line < 5; line += 1) log.note(`part ${part}, line ${line}, ${'x'.repeat(50)}`);
    await log.close();
  }
  for (const file of [path, `${path}.1`]) {
    const { size, mode } = await stat(file);
    assert.ok(size <= 1000, `${file} has ${size} bytes`);
    if (process.platform !== 'win32') assert.equal(mode & 0o077, 0);
  }
  assert.match(await readFile(path, 'utf8'), /part 4, line 4/);
});
