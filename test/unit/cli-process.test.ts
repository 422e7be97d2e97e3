import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

async function withHome(work: (start: (...argv: string[]) => ChildProcess) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-cli-'));
  try {
    await work((...argv) =>
      spawn(process.execPath, [MAIN, ...argv], {
        cwd: folder,
        env: { ...process.env, AKSML_HOME: join(folder, 'home') },
        stdio: 'pipe',
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function finished(child: ChildProcess): Promise<{ code: number | null; out: string; error: string }> {
  const { stdout, stderr } = child;
  const [out, error, [code]] = await Promise.all([
    stdout ? text(stdout) : '',
    stderr ? text(stderr) : '',
    once(child, 'close'),
  ]);
  return { code, out, error };
}

test('the process: results go to standard output, everything else does not', async () => {
  await withHome(async (start) => {
    const { code, out, error } = await finished(start('model', 'list'));
    assert.deepEqual({ code, out, error }, { code: 0, out: '[]\n', error: '' });
  });
});

test('the process: what is not there is named, with exit code 2', async () => {
  await withHome(async (start) => {
    const { code, out, error } = await finished(start('model', 'show', '-n', 'nothing'));
    assert.deepEqual([code, out], [2, '']);
    assert.match(error, /^Error: There is no model "nothing"/);
  });
});

test('the process: Ctrl+C cancels, with exit code 130', {
  skip: process.platform === 'win32' && 'signals are sent otherwise on Windows',
}, async () => {
  await withHome(async (start) => {
    const child = start('service', 'run', '-n', 'abc', '-d', '@-', '--debug');
    // Standard input stays open, so that the command waits for it; a first byte shows that it does.
    await new Promise<void>((resolve) => child.stdin?.write('x'.repeat(1 << 20), () => resolve()));
    child.kill('SIGINT');
    const { code, error } = await finished(child);
    assert.equal(code, 130);
    assert.match(error, /^Cancelled: /);
  });
});

test('the process: a reader that leaves early is no error', {
  skip: process.platform === 'win32' && 'pipes close otherwise on Windows',
}, async () => {
  await withHome(async (start) => {
    const child = start('model', 'deploy', '--help');
    child.stdout?.destroy();
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
  });
});
