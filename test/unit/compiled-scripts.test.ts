import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';

const MODULE = JSON.stringify(new URL('../../src/launch/compiled-scripts.ts', import.meta.url).href);

/** Each run is a process of its own, as the command is. */
async function openScript(t: TestContext) {
  const parent = await mkdtemp(join(tmpdir(), 'aksml-compiled-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const root = join(parent, 'home');
  const folder = join(root, 'cache', 'compiled');
  const script = join(parent, 'script.cjs');
  const options = JSON.stringify({ root, folder });
  const code = `import { CompiledScripts } from ${MODULE}; new CompiledScripts(${options}).run(${JSON.stringify(script)}, 'greet');`;
  return {
    root,
    write: (text: string) => writeFile(script, text),
    run: async (...flags: readonly string[]) => {
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '--eval', code]);
      return stdout;
    },
    kept: async () => {
      const names = await readdir(folder, { recursive: true }).catch(() => []);
      return names.filter((name) => name.endsWith('greet')).map((name) => join(folder, name));
    },
  };
}

const GREET =
  "function greet(who) { return 'Hello ' + who; }\nconsole.log(greet(require('node:path').basename(__filename)));\n";

test('a script runs the same from what was compiled before, and a script in its place runs instead', async (t) => {
  const { root, write, run, kept } = await openScript(t);
  await mkdir(root);
  await write(GREET);
  assert.equal(await run(), 'Hello script.cjs\n');
  const [first] = await kept();
  assert.ok(first);
  const compiled = await readFile(first);
  assert.equal(await run(), 'Hello script.cjs\n');
  assert.deepEqual(await readFile(first), compiled);
  await write(GREET.replace('Hello', 'Adieu'));
  assert.equal(await run(), 'Adieu script.cjs\n');
  const now = await kept();
  assert.equal(now.length, 1);
  assert.notEqual(now[0], first);
});

test('what was called once is kept, however long ago that was', async (t) => {
  const { root, write, run, kept } = await openScript(t);
  await mkdir(root);
  await write(`${GREET}gc();\n`);
  await run('--expose-gc', '--stress-flush-code');
  const [file] = await kept();
  assert.ok(file);
  assert.ok((await readFile(file)).includes('Hello '));
});

test('what was kept and is damaged is not used, and kept anew', async (t) => {
  const { root, write, run, kept } = await openScript(t);
  await mkdir(root);
  await write(GREET);
  await run();
  const [file] = await kept();
  assert.ok(file);
  const compiled = await readFile(file);
  for (const damaged of [Buffer.alloc(0), compiled.subarray(0, 100), Buffer.from(compiled.map((byte) => byte ^ 1))]) {
    await writeFile(file, damaged);
    assert.equal(await run(), 'Hello script.cjs\n');
    assert.equal((await readFile(file)).length, compiled.length);
  }
});

test('nothing is kept of a run that failed, nor before there is a home', async (t) => {
  const { root, write, run, kept } = await openScript(t);
  await write(GREET);
  await run();
  assert.deepEqual(await kept(), []);
  await mkdir(root);
  await write(`${GREET}process.exitCode = 1;\n`);
  await assert.rejects(run());
  assert.deepEqual(await kept(), []);
});
