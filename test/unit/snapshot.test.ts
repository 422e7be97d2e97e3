import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { chmod, link, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tar from 'tar-stream';
import { AksmlError } from '../../src/contract/error.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';
import { isIgnored, SNAPSHOTS, type SnapshotRequest, takeSnapshot } from '../../src/engine/snapshot/snapshot.ts';
import { type Home, openHome } from '../../src/home/home.ts';

type Files = Readonly<Record<string, string>>;

interface World {
  readonly store: { readonly home: Home; readonly registry: Registry };
  readonly project: string;
  take(request?: Partial<SnapshotRequest>): ReturnType<typeof takeSnapshot>;
  write(files: Files): Promise<void>;
}

/** Long after every file was written, so that none of them counts as changing right now. */
const LATER = { clock: () => new Date(Date.now() + 60_000) };

async function makeWorld(t: TestContext, files: Files = { 'score.py': 'def run(): pass\n' }): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-snapshot-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const project = join(folder, 'project');
  const home = openHome({ AKSML_HOME: join(folder, 'home') });
  const store = { home, registry: openLayout(home, join(home.workspaces, 'test')) };
  const write = async (more: Files) => {
    for (const [path, content] of Object.entries(more)) {
      await mkdir(dirname(join(project, path)), { recursive: true });
      await writeFile(join(project, path), content);
    }
  };
  await write(files);
  const request = { sourceDirectory: project, entryScript: 'score.py', namedFiles: [] };
  return { store, project, write, take: (more = {}) => takeSnapshot(store, { ...request, ...more }, LATER) };
}

interface Entry {
  readonly content: string;
  readonly header: tar.Header;
}

async function readLayer({ store }: World, digest: string): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const extract = tar.extract();
  (await store.registry.getBlob(SNAPSHOTS, digest)).pipe(extract as unknown as NodeJS.WritableStream);
  for await (const entry of extract) {
    const parts: Buffer[] = [];
    for await (const part of entry as AsyncIterable<Buffer>) parts.push(part);
    entries.set(entry.header.name, { content: Buffer.concat(parts).toString(), header: entry.header });
  }
  return entries;
}

function pathsOf(snapshot: Awaited<ReturnType<World['take']>>): string[] {
  return snapshot.files.map(({ path }) => path);
}

async function refusal(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(AksmlError.is(error), String(error));
  assert.equal(error.fault, 'input');
  return error.problems.map(({ code, file, line }) => [code, file, ...(line === undefined ? [] : [line])].join(' '));
}

test('the layer holds the tree below the app root, which code may write to, sorted, without other owners and times', async (t) => {
  const world = await makeWorld(t, { 'score.py': 'a', 'lib/b.py': 'b', 'lib/a.sh': 'c' });
  await chmod(join(world.project, 'lib/a.sh'), 0o700);
  await mkdir(join(world.project, 'outputs'));
  const snapshot = await world.take();
  const entries = await readLayer(world, snapshot.layer.digest);
  const root = 'var/azureml-app/project';
  assert.deepEqual(
    [...entries.keys()],
    [
      ...['var/', 'var/azureml-app/', `${root}/`],
      ...[`${root}/lib/`, `${root}/lib/a.sh`, `${root}/lib/b.py`, `${root}/outputs/`, `${root}/score.py`],
    ],
  );
  for (const [path, { header }] of entries) {
    const owner = path === 'var/azureml-app/' ? 1000 : 0;
    assert.deepEqual([header.uid, header.gid, header.mtime?.getTime()], [owner, owner, 0], path);
  }
  assert.equal(entries.get(`${root}/score.py`)?.header.mode, 0o644);
  assert.equal(entries.get(`${root}/lib/a.sh`)?.header.mode, 0o755);
  assert.equal(entries.get(`${root}/lib/b.py`)?.content, 'b');
  const { digest, size } = snapshot.layer;
  const sourceDirectory = 'project';
  assert.deepEqual(snapshot.code, { digest, size, fileCount: 3, sourceDirectory, entryScript: 'project/score.py' });
});

test('the same tree gives the same digest wherever it lies, and this one on every machine', async (t) => {
  const files = { 'score.py': 'print()\n', 'a/b.txt': 'x'.repeat(2_000_000), [`é/${'n'.repeat(180)}`]: '' };
  const [one, other] = [await makeWorld(t, files), await makeWorld(t, files)];
  utimesSync(join(other.project, 'score.py'), 1, 1);
  const [first, second] = [await one.take(), await other.take()];
  assert.equal(first.layer.digest, second.layer.digest);
  assert.equal(first.layer.digest, 'sha256:2cf209d9c228cf6d6d17044b0769d4366418406f9071155e827a9900a8f2b480');
});

test('a single script is packed alone', async (t) => {
  const world = await makeWorld(t, { 'score.py': 'a', 'other.py': 'b', '.amlignore': '*' });
  const { sourceDirectory: _, ...request } = { sourceDirectory: '', namedFiles: [] };
  const script = join(world.project, 'score.py');
  const take = () => takeSnapshot(world.store, { ...request, entryScript: script }, LATER);
  const snapshot = await take();
  const { digest, size } = snapshot.layer;
  assert.deepEqual(snapshot.code, { digest, size, fileCount: 1, entryScript: 'score.py' });
  assert.deepEqual(
    [...(await readLayer(world, digest)).keys()],
    ['var/', 'var/azureml-app/', 'var/azureml-app/score.py'],
  );
  assert.equal((await take()).reused, true);
});

test('an unchanged tree is not read again; any change is', async (t) => {
  const world = await makeWorld(t, { 'score.py': 'one', 'lib/a.py': 'a' });
  const first = await world.take();
  assert.equal(first.reused, false);
  const again = await world.take();
  assert.deepEqual({ ...again, reused: false }, first);
  assert.equal(again.reused, true);

  const changes: Readonly<Record<string, () => unknown>> = {
    'the same size and time': () => {
      writeFileSync(join(world.project, 'score.py'), 'two');
      utimesSync(join(world.project, 'score.py'), 1, 1);
    },
    'a new file': () => writeFileSync(join(world.project, 'new.py'), ''),
    'a new empty folder': () => mkdir(join(world.project, 'empty')),
    'an executable bit': () => chmod(join(world.project, 'score.py'), 0o755),
    'a rename': () => renameSync(join(world.project, 'new.py'), join(world.project, 'old.py')),
    'an ignore rule': () => writeFileSync(join(world.project, '.amlignore'), 'old.py'),
  };
  const digests = new Set([first.layer.digest]);
  for (const [change, make] of Object.entries(changes)) {
    await make();
    const snapshot = await world.take();
    assert.equal(snapshot.reused, false, change);
    assert.ok(!digests.has(snapshot.layer.digest), change);
    digests.add(snapshot.layer.digest);
    assert.equal((await world.take()).reused, true, change);
  }
});

test('a file that changes within the tick of the clock in which it was read is read again', async (t) => {
  const world = await makeWorld(t);
  const { mtimeMs } = await import('node:fs').then(({ statSync }) => statSync(join(world.project, 'score.py')));
  const request = { sourceDirectory: world.project, entryScript: 'score.py', namedFiles: [] };
  const sameTick = { clock: () => new Date(mtimeMs) };
  await takeSnapshot(world.store, request, sameTick);
  assert.equal((await takeSnapshot(world.store, request, sameTick)).reused, false);
});

test('a damaged memory of earlier snapshots, or a lost layer, costs only time', async (t) => {
  const world = await makeWorld(t);
  const first = await world.take();
  const cache = join(world.store.home.cache, 'snapshots');
  for (const damage of ['', '{"format":1}', '\0', '[]', 'null']) {
    for (const name of await readdir(cache)) await writeFile(join(cache, name), damage);
    const snapshot = await world.take();
    assert.deepEqual([snapshot.reused, snapshot.layer], [false, first.layer]);
  }
  await rm(join(world.store.registry.location, 'blobs', 'sha256', first.layer.digest.slice('sha256:'.length)));
  const snapshot = await world.take();
  assert.deepEqual([snapshot.reused, snapshot.layer], [false, first.layer]);
});

test('the ignore file decides, and what it left out is told', async (t) => {
  const files = { 'score.py': '', 'a.log': '12345', 'logs/x': '', 'logs/y': '', 'lib/.amlignore': '*' };
  const world = await makeWorld(t, { ...files, '.gitignore': '*.log\nlogs' });
  const byGit = await world.take();
  assert.deepEqual(pathsOf(byGit), ['.gitignore', 'lib/.amlignore', 'score.py']);
  assert.deepEqual(byGit.ignored, { count: 2, bytes: 5, examples: ['a.log', 'logs/'], file: '.gitignore' });
  assert.equal(await isIgnored(world.project, 'logs/x'), true);

  await world.write({ '.amlignore': 'lib/' });
  const byAml = await world.take();
  assert.deepEqual(pathsOf(byAml), ['.amlignore', '.gitignore', 'a.log', 'logs/x', 'logs/y', 'score.py']);
  assert.equal(await isIgnored(world.project, './logs/x'), false);
  assert.equal(await isIgnored(world.project, 'lib/x'), true);
});

test('an ignore file with a byte order mark, or in UTF-16, is read as it was meant', async (t) => {
  const world = await makeWorld(t, { 'score.py': '', 'a.log': '' });
  for (const bytes of [Buffer.from('\ufeff*.log'), Buffer.from('\ufeff*.log\r\n', 'utf16le')]) {
    writeFileSync(join(world.project, '.amlignore'), bytes);
    assert.deepEqual(pathsOf(await world.take()), ['.amlignore', 'score.py']);
  }
});

test('what the configuration names is packed whatever the rules say, with a warning', async (t) => {
  const world = await makeWorld(t, {
    'score.py': '',
    'conf/env.yml': '',
    'conf/other.yml': '',
    '.amlignore': '\n*.yml\n*.py\nconf/',
  });
  const snapshot = await world.take({ namedFiles: ['./conf/env.yml', '../outside.yml'] });
  assert.deepEqual(pathsOf(snapshot), ['.amlignore', 'conf/env.yml', 'score.py']);
  assert.deepEqual(
    snapshot.problems.map(({ severity, code, file, line }) => [severity, code, file, line]),
    [
      ['warning', 'snapshot.namedFileIgnored', '.amlignore', 4],
      ['warning', 'snapshot.namedFileIgnored', '.amlignore', 3],
    ],
  );
});

test('links are read through, and those that lead nowhere or back are refused together', async (t) => {
  const world = await makeWorld(t, { 'score.py': 'a', 'lib/b.py': 'b' });
  const outside = join(world.project, '..', 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'c.py'), 'c');
  symlinkSync('score.py', join(world.project, 'alias.py'));
  symlinkSync(outside, join(world.project, 'linked'));
  await link(join(world.project, 'score.py'), join(world.project, 'hard.py'));
  const snapshot = await world.take();
  assert.deepEqual(pathsOf(snapshot), ['alias.py', 'hard.py', 'lib/b.py', 'linked/c.py', 'score.py']);
  const entries = await readLayer(world, snapshot.layer.digest);
  assert.equal(entries.get('var/azureml-app/project/alias.py')?.content, 'a');
  await writeFile(join(outside, 'c.py'), 'd');
  assert.equal((await world.take()).reused, false, 'a change behind a link counts');

  symlinkSync('nowhere', join(world.project, 'broken'));
  symlinkSync('self', join(world.project, 'self'));
  symlinkSync('..', join(world.project, 'lib', 'up'));
  symlinkSync('../..', join(world.project, 'lib', 'above'));
  assert.deepEqual(await refusal(world.take()), [
    'snapshot.brokenLink broken',
    'snapshot.linkLoop lib/above/project',
    'snapshot.linkLoop lib/up',
    'snapshot.linkLoop self',
  ]);
  await world.write({ '.amlignore': 'broken\nself\nup\nabove\n' });
  assert.equal((await world.take()).ignored.count, 4);
});

test("aksml's own files are left out when they lie in the source directory", async (t) => {
  const world = await makeWorld(t);
  const home = openHome({ AKSML_HOME: join(world.project, 'state', 'aksml') });
  const store = { home, registry: openLayout(home, join(home.workspaces, 'test')) };
  const request = { sourceDirectory: world.project, entryScript: 'score.py', namedFiles: [] };
  await mkdir(home.root, { recursive: true });
  const first = await takeSnapshot(store, request, LATER);
  assert.deepEqual(
    first.problems.map(({ severity, code, file }) => [severity, code, file]),
    [['notice', 'snapshot.ownHome', 'state/aksml']],
  );
  const again = await takeSnapshot(store, request, LATER);
  assert.deepEqual([again.reused, again.layer], [true, first.layer]);
});

test('faulty rules and a missing entry script are refused together', async (t) => {
  const world = await makeWorld(t, { 'other.py': '', '.amlignore': 'a\\\n' });
  assert.deepEqual(await refusal(world.take()), [
    'ignore.badPattern .amlignore 1',
    'snapshot.entryScriptMissing score.py',
  ]);
  const alone = { entryScript: join(world.project, 'gone', 'score.py'), namedFiles: [] };
  assert.deepEqual(await refusal(takeSnapshot(world.store, alone)), ['snapshot.entryScriptMissing score.py']);
  const gone = world.take({ sourceDirectory: join(world.project, 'gone') });
  await assert.rejects(gone, (error) => AksmlError.is(error, 'snapshot.sourceMissing'));
});

test('a socket is left out with a warning', { skip: process.platform === 'win32' && 'Windows has none' }, async (t) => {
  const world = await makeWorld(t);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(world.project, 'socket'), resolve));
  t.after(() => server.close());
  const snapshot = await world.take();
  assert.deepEqual(pathsOf(snapshot), ['score.py']);
  assert.deepEqual(
    snapshot.problems.map(({ code, file }) => [code, file]),
    [['snapshot.specialFile', 'socket']],
  );
});

test('names that are no UTF-8 are refused, unless ignored', {
  skip: process.platform !== 'linux' && 'only Linux has them',
}, async (t) => {
  const world = await makeWorld(t, { 'score.py': '', 'fine-\ufffd.py': '' });
  const bytes = Buffer.concat([Buffer.from(`${world.project}/bad-`), Buffer.from([0xff]), Buffer.from('.txt')]);
  writeFileSync(bytes, '');
  assert.deepEqual(await refusal(world.take()), ['snapshot.badName bad-\ufffd.txt']);
  await world.write({ '.amlignore': '*.txt' });
  assert.deepEqual(pathsOf(await world.take()), ['.amlignore', 'fine-\ufffd.py', 'score.py']);
});

test('a file that may not be read is left out with a warning, the entry script is an error', {
  skip: process.platform === 'win32' && 'Windows has other permissions',
}, async (t) => {
  const world = await makeWorld(t, { 'score.py': '', 'secret.txt': 's' });
  await chmod(join(world.project, 'secret.txt'), 0);
  const script = `
    import { AksmlError } from '${sourceUrl('contract/error.ts')}';
    import { openLayout } from '${sourceUrl('engine/registry/layout.ts')}';
    import { takeSnapshot } from '${sourceUrl('engine/snapshot/snapshot.ts')}';
    import { openHome } from '${sourceUrl('home/home.ts')}';
    const [root, sourceDirectory, entryScript] = process.argv.slice(1);
    const home = openHome({ AKSML_HOME: root });
    const store = { home, registry: openLayout(home, home.workspaces) };
    const told = (list) => list.map(({ code, file }) => code + ' ' + file).join();
    try {
      const { files, problems } = await takeSnapshot(store, { sourceDirectory, entryScript, namedFiles: [] });
      process.stdout.write(files.map(({ path }) => path).join() + ' | ' + told(problems));
    } catch (error) {
      process.stdout.write(AksmlError.is(error) ? told(error.problems) : String(error));
    }`;
  const open = await mkdtemp(join(tmpdir(), 'aksml-snapshot-'));
  t.after(() => rm(open, { recursive: true, force: true }));
  await chmod(open, 0o777);
  await chmod(dirname(world.project), 0o755);
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const run = (entryScript: string) => {
    const args = ['--input-type=module-typescript', '--eval', script, open, world.project, entryScript];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: '/', ...nobody });
    return stdout || stderr;
  };
  assert.equal(run('score.py'), 'score.py | snapshot.unreadableFile secret.txt');
  assert.equal(run('secret.txt'), 'snapshot.entryScriptUnreadable secret.txt');
});

function sourceUrl(path: string): string {
  return new URL(`../../src/${path}`, import.meta.url).href;
}

test("v1's limits are warnings that can be lifted, and ballast is named", async (t) => {
  const many = Object.fromEntries(Array.from({ length: 2001 }, (_, index) => [`data/${index}`, '']));
  const world = await makeWorld(t, {
    'score.py': '',
    '.git/HEAD': '',
    'env/pyvenv.cfg': '',
    'env/lib/node_modules/x': '',
    ...many,
  });
  const codes = async (more: Partial<SnapshotRequest>) =>
    (await world.take(more)).problems.map(({ severity, code, file }) => [severity, code, file ?? '']);
  const ballast = [
    ['warning', 'snapshot.bloat', '.git'],
    ['warning', 'snapshot.bloat', 'env'],
  ];
  assert.deepEqual(await codes({}), [...ballast, ['warning', 'snapshot.tooManyFiles', '']]);
  assert.deepEqual(await codes({ liftLimits: true }), ballast);
});

test('a tree that keeps changing while it is packed is refused, and nothing of it is stored', async (t) => {
  const world = await makeWorld(t, { 'score.py': '', 'a.py': '' });
  const changing: Registry = new Proxy(world.store.registry, {
    get(target, property) {
      if (property !== 'putBlob') return Reflect.get(target, property) as unknown;
      return async (...args: Parameters<Registry['putBlob']>) => {
        await rm(join(world.project, 'a.py'));
        const stored = await target.putBlob(...args).finally(() => writeFile(join(world.project, 'a.py'), ''));
        return stored;
      };
    },
  });
  const request = { sourceDirectory: world.project, entryScript: 'score.py', namedFiles: [] };
  const work = takeSnapshot({ ...world.store, registry: changing }, request);
  await assert.rejects(work, (error) => AksmlError.is(error, 'snapshot.treeChanged') && error.subject === 'a.py');
  assert.deepEqual(await readdir(join(world.store.registry.location, 'blobs', 'sha256')), []);
});

test('a cancelled snapshot stops and stores nothing', async (t) => {
  const world = await makeWorld(t);
  const request = { sourceDirectory: world.project, entryScript: 'score.py', namedFiles: [] };
  const work = takeSnapshot(world.store, request, { signal: AbortSignal.abort() });
  await assert.rejects(work, (error) => AksmlError.isCancelled(error));
  assert.equal(readFileSync(join(world.project, 'score.py'), 'utf8'), 'def run(): pass\n');
});
