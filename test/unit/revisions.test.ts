import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import tar from 'tar-stream';
import { AksmlError } from '../../src/contract/error.ts';
import type { Revision } from '../../src/contract/revision.ts';
import { effectiveSettings } from '../../src/engine/config/effective-settings.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { MEDIA_TYPE, type Registry } from '../../src/engine/registry/registry.ts';
import { checkoutRevision } from '../../src/engine/revisions/checkout.ts';
import { diffRevisions, diffWithWorkingTree } from '../../src/engine/revisions/diff.ts';
import { materializeCode } from '../../src/engine/revisions/materialize.ts';
import { createRevision, getRevision, listRevisions } from '../../src/engine/revisions/revisions.ts';
import { SNAPSHOTS, takeSnapshot } from '../../src/engine/snapshot/snapshot.ts';
import { type Home, openHome } from '../../src/home/home.ts';

interface World {
  readonly folder: string;
  readonly project: string;
  readonly store: { readonly home: Home; readonly registry: Registry };
  write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
  deploy(more?: Partial<Revision>): ReturnType<typeof createRevision>;
}

const DRAFT: Omit<Revision, 'number'> = {
  endpoint: 'diabetes',
  version: 'default',
  createdTime: '2026-01-01T00:00:00.000Z',
  createdBy: 'ada',
  aksmlVersion: '0.1.0',
  models: [{ id: 'ridge:1', treeDigest: `sha256:${'1'.repeat(64)}`, basename: 'ridge.pkl' }],
  environment: {
    definition: {
      environmentVariables: { MODE: 'fast' },
      secretEnvironmentVariables: [],
      python: { userManagedDependencies: false },
      docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
    },
    hash: 'abc',
    pythonVersion: '3.11',
    lock: ['numpy==1.26.4', 'pandas==2.2.0'],
  },
  settings: effectiveSettings({ computeType: 'aks', numReplicas: 1 }),
  git: {},
};

async function makeWorld(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-revisions-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const project = join(folder, 'project');
  const home = openHome({ AKSML_HOME: join(folder, 'home') });
  const store = { home, registry: openLayout(home, join(home.workspaces, 'test')) };
  const write: World['write'] = async (files) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(project, path)), { recursive: true });
      await writeFile(join(project, path), content);
    }
  };
  await write({ 'score.py': 'def run(data):\n    return 1\n' });
  const deploy: World['deploy'] = async (more = {}) => {
    const { code, layer } = await takeSnapshot(store, requestFor(project));
    return createRevision(store, { ...DRAFT, code, ...more }, { layer });
  };
  return { folder, project, store, write, deploy };
}

function requestFor(sourceDirectory: string) {
  return { sourceDirectory, entryScript: 'score.py', namedFiles: [] };
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => AksmlError.is(error, code);
}

test('revisions are numbered, listed with the newest first, and found by number, digest and "latest"', async (t) => {
  const world = await makeWorld(t);
  const first = await world.deploy();
  assert.deepEqual([first.revision.number, first.reused], [1, false]);
  await world.write({ 'score.py': 'def run(data):\n    return 2\n' });
  const second = await world.deploy({ createdTime: '2026-01-02T00:00:00.000Z' });
  await world.deploy({ version: 'blue', createdTime: '2026-01-03T00:00:00.000Z' });

  const listed = await listRevisions(world.store, 'diabetes');
  assert.deepEqual(
    listed.map(({ revision }) => [revision.version, revision.number]),
    [
      ['blue', 1],
      ['default', 2],
      ['default', 1],
    ],
  );
  assert.equal((await listRevisions(world.store, 'diabetes', 'blue')).length, 1);
  assert.deepEqual(await listRevisions(world.store, 'nothing'), []);
  assert.deepEqual(await listRevisions(world.store, 'dia'), []);
  const get = (reference: string | number) => getRevision(world.store, 'diabetes', 'default', reference);
  assert.equal((await get('latest')).digest, second.digest);
  assert.equal((await get(1)).digest, first.digest);
  assert.deepEqual((await get(first.digest)).revision, first.revision);
  for (const reference of [3, 0, -1, 1.5, `sha256:${'0'.repeat(64)}`, 'r2x', '../x', '']) {
    await assert.rejects(get(reference), failsWith('revision.notFound'), String(reference));
  }
  await assert.rejects(getRevision(world.store, 'diabetes', 'green', 'latest'), failsWith('revision.notFound'));
});

test('a deploy that changes nothing but who, when and git is the newest revision again', async (t) => {
  const world = await makeWorld(t);
  const first = await world.deploy();
  const again = await world.deploy({ createdBy: 'bob', createdTime: '2026-05-05T00:00:00.000Z', git: { branch: 'x' } });
  assert.deepEqual(again, { ...first, reused: true });
  const settings = { ...DRAFT.settings, maxQueueWaitMs: 501 };
  assert.equal((await world.deploy({ settings })).revision.number, 2);
  const rollback = await createRevision(world.store, first.revision);
  assert.deepEqual([rollback.revision.number, rollback.revision.code], [3, first.revision.code]);
});

test('deploys at the same time, from several processes, get numbers of their own', async (t) => {
  const world = await makeWorld(t);
  const { code } = await takeSnapshot(world.store, requestFor(world.project));
  const script = `
    import { openLayout } from '${sourceUrl('engine/registry/layout.ts')}';
    import { createRevision } from '${sourceUrl('engine/revisions/revisions.ts')}';
    const { home, location, draft, who } = JSON.parse(process.argv[1]);
    const store = { registry: openLayout(home, location) };
    await Promise.all([1, 2, 3, 4].map((maxQueueWaitMs) =>
      createRevision(store, { ...draft, settings: { ...draft.settings, maxQueueWaitMs: who * 10 + maxQueueWaitMs } })));`;
  const { home, registry } = world.store;
  const children = [1, 2].map((who) => {
    const input = JSON.stringify({ home, location: registry.location, draft: { ...DRAFT, code }, who });
    return spawn(process.execPath, ['--input-type=module-typescript', '--eval', script, input], { stdio: 'inherit' });
  });
  for (const child of children) if (child.exitCode === null) await once(child, 'exit');
  const numbers = (await listRevisions(world.store, 'diabetes')).map(({ revision }) => revision.number);
  assert.deepEqual(numbers.toSorted(), [1, 2, 3, 4, 5, 6, 7, 8]);
});

function sourceUrl(path: string): string {
  return new URL(`../../src/${path}`, import.meta.url).href;
}

test('passwords, credentials in URLs and secret variables are not stored', async (t) => {
  const world = await makeWorld(t);
  const { definition } = DRAFT.environment;
  const reference = '$' + '{USER_NAME}:$' + '{PASSWORD}';
  const environment = {
    ...DRAFT.environment,
    lock: ['a @ https://user:hunter2@host/a.whl', 'b==1'],
    definition: {
      ...definition,
      environmentVariables: { MODE: 'fast', TOKEN: 'hunter2' },
      secretEnvironmentVariables: ['TOKEN'],
      python: {
        userManagedDependencies: false,
        condaDependencies: {
          channels: ['https://conda.host/t/hunter2/main'],
          dependencies: [],
          pip: ['--index-url https://hunter2@host/simple', `--extra-index-url https://${reference}@host/`],
        },
      },
      docker: { ...definition.docker, baseImageRegistry: { address: 'a.io', username: 'u', password: 'hunter2' } },
    },
  };
  const { revision } = await world.deploy({ environment });
  assert.equal((await world.deploy({ environment })).reused, true);
  assert.ok(!JSON.stringify(revision).includes('hunter2'));
  const python = revision.environment.definition.python.condaDependencies;
  assert.deepEqual(python?.pip, ['--index-url https://host/simple', `--extra-index-url https://${reference}@host/`]);
  assert.deepEqual(revision.environment.definition.docker.baseImageRegistry, { address: 'a.io', username: 'u' });
  const blobs = join(world.store.registry.location, 'blobs', 'sha256');
  for (const blob of await readdir(blobs)) assert.ok(!readFileSync(join(blobs, blob)).includes('hunter2'));
});

test('the difference of two revisions is told by file, model, package and key', async (t) => {
  const world = await makeWorld(t);
  await world.write({ 'gone.txt': 'x\n', 'run.sh': '', 'data.bin': Uint8Array.of(0, 1) });
  const first = await world.deploy();
  await rm(join(world.project, 'gone.txt'));
  await chmod(join(world.project, 'run.sh'), 0o755);
  await world.write({
    'score.py': 'def run(data):\n    return 2\n',
    'new/é.txt': 'hi',
    'data.bin': Uint8Array.of(0, 2),
  });
  const second = await world.deploy({
    models: [{ id: 'ridge:2', treeDigest: `sha256:${'2'.repeat(64)}`, basename: 'ridge.pkl' }],
    environment: { ...DRAFT.environment, lock: ['numpy==2.0.0', 'scipy==1.14'], pythonVersion: '3.12' },
    settings: {
      ...DRAFT.settings,
      scale: { kind: 'auto', minReplicas: 1, maxReplicas: 4, targetUtilization: 70, refreshPeriodInSeconds: 1 },
    },
    git: { 'azureml.git.commit': 'c0ffee' },
  });
  const diff = await diffRevisions(world.store, first.revision, second.revision);
  assert.deepEqual(
    diff.code.map(({ kind, path, before, after }) => [kind, path, before, after]),
    [
      ['changed', 'data.bin', 2, 2],
      ['removed', 'gone.txt', 2, undefined],
      ['added', 'new/é.txt', undefined, 2],
      ...(process.platform === 'win32' ? [] : [['changed', 'run.sh', 0, 0]]),
      ['changed', 'score.py', 28, 28],
    ],
  );
  const patches = new Map(diff.code.map(({ path, patch }) => [path, patch]));
  assert.equal(
    patches.get('score.py'),
    '--- a/score.py\n+++ b/score.py\n@@ -1,2 +1,2 @@\n def run(data):\n-    return 1\n+    return 2\n',
  );
  assert.equal(patches.get('data.bin'), undefined);
  assert.equal(patches.get('run.sh'), undefined);
  assert.match(patches.get('new/é.txt') ?? '', /^--- \/dev\/null\n\+\+\+ .*\n@@ -0,0 \+1,1 @@\n\+hi\n/);
  assert.deepEqual(diff.models, [{ path: 'ridge', before: 'ridge:1', after: 'ridge:2' }]);
  assert.deepEqual(diff.environment, {
    definition: [{ path: 'pythonVersion', before: '3.11', after: '3.12' }],
    lock: [
      { path: 'numpy', before: 'numpy==1.26.4', after: 'numpy==2.0.0' },
      { path: 'pandas', before: 'pandas==2.2.0' },
      { path: 'scipy', after: 'scipy==1.14' },
    ],
  });
  assert.deepEqual(
    diff.settings.map(({ path }) => path),
    ['kind', 'maxReplicas', 'minReplicas', 'refreshPeriodInSeconds', 'replicas', 'targetUtilization'].map(
      (key) => `scale.${key}`,
    ),
  );
  assert.deepEqual(diff.git, [{ path: 'azureml.git.commit', after: 'c0ffee' }]);

  const nothing = { code: [], models: [], environment: { definition: [], lock: [] }, settings: [], git: [] };
  assert.deepEqual(await diffRevisions(world.store, second.revision, second.revision), nothing);
});

test('the difference to the working tree is what a deploy would change', async (t) => {
  const world = await makeWorld(t);
  const { revision } = await world.deploy();
  assert.deepEqual(await diffWithWorkingTree(world.store, revision, requestFor(world.project)), []);
  await world.write({
    'score.py': 'def run(data):\n    return 3\n',
    'ignored.txt': '',
    '.amlignore': 'ignored.txt\n.amlignore',
  });
  const [change, ...others] = await diffWithWorkingTree(world.store, revision, requestFor(world.project));
  assert.match(change?.patch ?? '', /- {4}return 1\n\+ {4}return 3/);
  assert.deepEqual(others, []);
});

test('deployed code comes back as it was, naughty names and contents included', async (t) => {
  const fixture = fileURLToPath(new URL('../../../shared/fixtures/suites/blns/blns.json', import.meta.url));
  if (!existsSync(fixture)) t.diagnostic('no Big List of Naughty Strings here: only the names below were tried');
  const strings = existsSync(fixture) ? (JSON.parse(await readFile(fixture, 'utf8')) as string[]) : [];
  const own = [
    '-rf',
    '--',
    'a\nb',
    'caf\u00e9',
    'cafe\u0301',
    ' ',
    'a ',
    '.hidden',
    '..a',
    'x'.repeat(200),
    '😀',
    '\\',
    'a:b',
    '~',
    '%2e%2e',
  ];
  const isName = (name: string) =>
    !['', '.', '..'].includes(name) && !/[/\0]/.test(name) && name.isWellFormed() && Buffer.byteLength(name) <= 255;
  const names = process.platform === 'linux' ? [...new Set([...own, ...strings])].filter(isName) : ['a b', '-rf', 'é'];
  const world = await makeWorld(t);
  await world.write(Object.fromEntries(names.map((name) => [`names/${name}`, name])));
  await world.write(Object.fromEntries(strings.map((content, index) => [`contents/${index}`, content])));
  await world.write({ [`${'deep/'.repeat(60)}file`]: 'deep', 'empty.txt': '' });
  await mkdir(join(world.project, 'folder', 'empty'), { recursive: true });
  await chmod(join(world.project, 'score.py'), 0o755);

  const { revision } = await world.deploy();
  const out = join(world.folder, 'out');
  assert.equal(await checkoutRevision(world.store, revision, out), out);
  const paths = (folder: string) => readdir(folder, { recursive: true }).then((found) => found.sort());
  assert.deepEqual(await paths(out), await paths(world.project));
  for (const path of await paths(out)) {
    const [was, is] = [await stat(join(world.project, path)), await stat(join(out, path))];
    assert.equal(is.isFile(), was.isFile(), path);
    if (!was.isFile()) continue;
    assert.ok(readFileSync(join(out, path)).equals(readFileSync(join(world.project, path))), path);
    assert.equal(is.mode & 0o100, was.mode & 0o100, path);
  }
  assert.deepEqual(await diffWithWorkingTree(world.store, revision, requestFor(world.project)), []);
});

test('a checkout asks before it replaces, keeps other files, and follows no link', async (t) => {
  const world = await makeWorld(t);
  await world.write({ 'lib/a.py': 'a', 'lib/b.py': 'b' });
  const { revision } = await world.deploy();
  const out = join(world.folder, 'out');
  const outside = join(world.folder, 'outside');
  await mkdir(out);
  await mkdir(outside);
  await writeFile(join(out, 'mine.txt'), 'mine');
  await writeFile(join(outside, 'target.py'), 'untouched');
  symlinkSync(outside, join(out, 'lib'));
  symlinkSync(join(outside, 'target.py'), join(out, 'score.py'));
  await assert.rejects(checkoutRevision(world.store, revision, out), failsWith('checkout.notEmpty'));
  assert.deepEqual((await readdir(out)).sort(), ['lib', 'mine.txt', 'score.py']);

  await checkoutRevision(world.store, revision, out, { overwrite: true });
  assert.deepEqual((await readdir(out)).sort(), ['lib', 'mine.txt', 'score.py']);
  assert.deepEqual((await readdir(join(out, 'lib'))).sort(), ['a.py', 'b.py']);
  assert.deepEqual(await readdir(outside), ['target.py']);
  assert.equal(await readFile(join(outside, 'target.py'), 'utf8'), 'untouched');

  await rm(join(out, 'score.py'));
  await mkdir(join(out, 'score.py', 'kept'), { recursive: true });
  const blocked = checkoutRevision(world.store, revision, out, { overwrite: true });
  await assert.rejects(blocked, failsWith('checkout.inTheWay'));
  await assert.rejects(
    checkoutRevision(world.store, revision, join(out, 'mine.txt')),
    failsWith('checkout.notAFolder'),
  );
  const { code: _, ...without } = revision;
  await assert.rejects(checkoutRevision(world.store, without, join(world.folder, 'x')), failsWith('checkout.noCode'));
});

test('a checkout that was killed is finished by the next', async (t) => {
  const world = await makeWorld(t);
  const { revision } = await world.deploy();
  const out = join(world.folder, 'out');
  await mkdir(join(out, `.aksml-999999999-${'0'.repeat(36)}`, 'project'), { recursive: true });
  await writeFile(join(out, 'score.py'), 'half');
  await checkoutRevision(world.store, revision, out);
  assert.deepEqual(await readdir(out), ['score.py']);
  assert.equal(await readFile(join(out, 'score.py'), 'utf8'), 'def run(data):\n    return 1\n');
});

test('code becomes an app root, whole or not at all', async (t) => {
  const world = await makeWorld(t);
  await world.write({ 'lib/a.py': 'a' });
  const { revision } = await world.deploy();
  assert.ok(revision.code);
  const appRoot = join(world.folder, 'app');
  await mkdir(join(appRoot, 'azureml-models'), { recursive: true });
  for (const _ of ['first', 'again']) {
    await materializeCode(world.store, revision.code, appRoot);
    assert.deepEqual((await readdir(appRoot)).sort(), ['azureml-models', 'project']);
    assert.ok(existsSync(join(appRoot, revision.code.entryScript)));
  }
  const blob = join(world.store.registry.location, 'blobs', 'sha256', revision.code.digest.slice('sha256:'.length));
  await writeFile(blob, (await readFile(blob)).fill('x', 600, 610));
  const other = join(world.folder, 'other');
  await mkdir(other);
  await assert.rejects(materializeCode(world.store, revision.code, other));
  assert.deepEqual(await readdir(other), []);
});

const HOSTILE: Readonly<Record<string, Pick<tar.Header, 'name' | 'type'> & { linkname?: string }>> = {
  'leads out by dots': { name: 'var/azureml-app/../../evil', type: 'file' },
  'is absolute': { name: '/var/azureml-app/evil', type: 'file' },
  'lies elsewhere': { name: 'etc/evil', type: 'file' },
  'has an empty part': { name: 'var/azureml-app/p//evil', type: 'file' },
  'is a symbolic link': { name: 'var/azureml-app/p', type: 'symlink', linkname: '/' },
  'is a hard link': { name: 'var/azureml-app/p', type: 'link', linkname: 'score.py' },
  'is a device': { name: 'var/azureml-app/p', type: 'character-device' },
  'is there twice': { name: 'var/azureml-app/score.py', type: 'file' },
};

for (const [sentence, header] of Object.entries(HOSTILE)) {
  test(`a layer is refused, and leaves nothing, when an entry ${sentence}`, async (t) => {
    const world = await makeWorld(t);
    const pack = tar.pack();
    pack.entry({ name: 'var/azureml-app/score.py' }, 'fine');
    pack.entry({ ...header, size: 0 }, '');
    pack.finalize();
    const bytes = Buffer.concat(await Array.fromAsync(pack as AsyncIterable<Uint8Array>));
    const layer = await world.store.registry.putBlob(SNAPSHOTS, bytes, { mediaType: MEDIA_TYPE.layer });
    const target = join(world.folder, 'a', 'b', 'app');
    await mkdir(target, { recursive: true });
    const code = { digest: layer.digest, size: layer.size, fileCount: 2, entryScript: 'score.py' };
    const codes = ['revision.badLayer', 'revision.nameCollision'];
    await assert.rejects(
      materializeCode(world.store, code, target),
      (error) => AksmlError.is(error) && codes.includes(error.code),
    );
    assert.deepEqual(await readdir(join(world.folder, 'a'), { recursive: true }), ['b', join('b', 'app')]);
  });
}
