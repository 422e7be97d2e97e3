import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import tar from 'tar-stream';
import { runCommand } from '../../src/engine/environments/command.ts';
import { type Interpreter, interpreters } from '../../src/engine/environments/python.ts';
import { compileModules } from '../../src/engine/images/bytecode.ts';
import { type LayerEntry, packEntries } from '../../src/engine/images/layer.ts';
import { ENVIRONMENT_FOLDER } from '../../src/engine/images/venv-entries.ts';

const MODULES: Readonly<Record<string, string>> = {
  'shop/__init__.py': 'from shop.colours import known\n',
  // The order of a set of names changes from process to process.
  'shop/colours.py': `def known(colour):\n    return colour in {${[...'abcdefghij'].map((name) => `"${name}"`).join(', ')}}\n`,
  'shop/template.py': 'class {{ name }}:\n    pass\n',
  'shop/tests/test_colours.py': 'from shop import known\n',
};

test('modules are compiled for every Python, which takes them, and equal ones give equal bytes', async (t) => {
  const pythons = new Map<string, Interpreter>();
  const search = { environment: process.env, platform: platform(), run: runCommand, managedFolders: [] };
  for await (const python of interpreters(search)) {
    const minor = python.parts.slice(0, 2).join('.');
    if (!pythons.has(minor)) pythons.set(minor, python);
  }
  assert.ok(pythons.size > 0, 'aksml needs a Python');
  for (const [minor, { path }] of pythons) {
    const here = await compile(t, path, minor, { PYTHONHASHSEED: '1' });
    const elsewhere = await compile(t, path, minor, { PYTHONHASHSEED: '2' });
    assert.ok(here.packed.equals(elsewhere.packed), minor);

    const files = await filesOf(here.packed);
    const tag = `cpython-${minor.replace('.', '')}`;
    const site = `${ENVIRONMENT_FOLDER}/lib/python${minor}/site-packages`;
    const names = ['__init__', 'colours'].map((name) => `${site}/shop/__pycache__/${name}.${tag}.pyc`);
    assert.deepEqual([...files.keys()], names);

    const root = join(here.folder, 'image');
    for (const [name, content] of files) {
      const file = join(root, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    for (const name of ['__init__.py', 'colours.py']) {
      const file = join(root, site, 'shop', name);
      await writeFile(file, MODULES[`shop/${name}`] ?? '');
      await utimes(file, 0, 0);
    }
    const told = await runCommand({
      command: path,
      args: ['-v', '-S', '-c', 'import shop; print(shop.known("a"))'],
      env: { ...process.env, PYTHONPATH: join(root, site), PYTHONDONTWRITEBYTECODE: '1' },
    });
    assert.equal(told.stdout.trim(), 'True', told.stderr);
    assert.equal(told.stderr.match(/shop.*\.pyc matches /g)?.length, 2, `Python ${minor} compiled again`);
  }
});

async function compile(t: TestContext, python: string, minor: string, variables: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-bytecode-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const entries = await Promise.all(
    Object.entries(MODULES).map(async ([name, content]): Promise<LayerEntry> => {
      const source = join(folder, 'packages', name);
      await mkdir(dirname(source), { recursive: true });
      await writeFile(source, content);
      const path = `${ENVIRONMENT_FOLDER}/lib/python${minor}/site-packages/${name}`;
      return { kind: 'file', path, executable: false, content: { source, size: content.length } };
    }),
  );
  const compiler = { python, env: { ...process.env, ...variables }, run: runCommand };
  const compiled = await compileModules(compiler, entries, { minor }, join(folder, 'compiled'));
  assert.ok(compiled);
  return { packed: await buffer(packEntries(compiled)), folder };
}

async function filesOf(packed: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const extract = tar.extract();
  Readable.from([packed]).pipe(extract as unknown as NodeJS.WritableStream);
  for await (const entry of extract) {
    if (entry.header.type === 'file') files.set(entry.header.name, await buffer(entry as unknown as Readable));
    else entry.resume();
  }
  return files;
}
