import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import tar from 'tar-stream';
import { AksmlError } from '../../src/contract/error.ts';
import { resolveModels } from '../../src/engine/endpoints/models.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { materializeModel, modelLayer } from '../../src/engine/models/materialize.ts';
import { readModelMetadata, writeModelMetadata } from '../../src/engine/models/metadata-file.ts';
import {
  deleteModel,
  downloadModel,
  getModel,
  listModels,
  type ModelStore,
  type RegisterRequest,
  registerModel,
  updateModel,
} from '../../src/engine/models/models.ts';
import { serializeModel } from '../../src/engine/models/serialize.ts';
import { gc } from '../../src/engine/registry/gc.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';

interface World {
  readonly store: ModelStore;
  /** The user's project, which is also the current folder. */
  readonly cwd: string;
  readonly folder: string;
  write(path: string, content: string): Promise<void>;
  register(name: string, path: string, more?: Partial<RegisterRequest>): ReturnType<typeof registerModel>;
}

async function makeWorld(t: { after(work: () => Promise<void>): void }): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), 'aksml-models-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: join(root, 'home') });
  const folder = join(home.workspaces, 'demo');
  const cwd = join(root, 'project');
  await mkdir(cwd);
  const store = { home, registry: openLayout(home, folder), clock: () => new Date(), user: 'ada' };
  return {
    store,
    cwd,
    folder,
    write: async (path, content) => {
      await mkdir(join(cwd, path, '..'), { recursive: true });
      await writeFile(join(cwd, path), content);
    },
    register: (name, path, more) => registerModel(store, { name, path, cwd, ...more }),
  };
}

const isCode =
  (code: string) =>
  (error: unknown): boolean => {
    if (AksmlError.is(error, code)) return true;
    throw error;
  };
const notUsed = { usedBy: async () => [] };

test('a model keeps everything it was registered with, and gets the next version each time', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('outputs/model.pkl', 'weights');
  const { model, notices, reused } = await register('Diabetes', 'outputs/model.pkl', {
    description: 'first',
    tags: { area: 'health' },
    properties: { auc: '0.9' },
    framework: 'scikitlearn',
    frameworkVersion: '1.5',
    resourceRequirements: { cpu: 0.5, memoryInGB: 1 },
    runId: 'run-1',
    experimentName: 'trial',
  });
  assert.deepEqual(
    [model.id, model.framework, model.basename, model.fileCount],
    ['Diabetes:1', 'ScikitLearn', 'model.pkl', 1],
  );
  assert.deepEqual(notices, []);
  assert.equal(reused, false);
  assert.deepEqual(await getModel(store, 'Diabetes:1'), model);
  const second = await register('Diabetes', 'outputs/model.pkl');
  assert.equal(second.model.id, 'Diabetes:2');
  assert.equal(second.reused, true, 'the same files are not stored twice');
  assert.equal((await getModel(store, 'Diabetes')).version, 2);
  assert.equal((await getModel(store, 'Diabetes', '1')).version, 1);
  assert.deepEqual(
    (await listModels(store)).map(({ id }) => id),
    ['Diabetes:2', 'Diabetes:1'],
  );
});

test('the record of a model is read from the registry once, however often it is deployed', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.txt', 'x');
  const { model } = await register('m', 'm.txt');
  const { registry } = store;
  const read: string[] = [];
  const counting = {
    getManifest: registry.getManifest.bind(registry),
    getBlob: (repository, digest, signal) => {
      read.push(repository);
      return registry.getBlob(repository, digest, signal);
    },
  } satisfies Partial<Registry> as unknown as Registry;
  for (const _time of [1, 2, 3]) assert.deepEqual(await getModel({ ...store, registry: counting }, 'm:1'), model);
  assert.deepEqual(read, ['models/m']);
});

test('equal trees are stored once, whatever their names, dates and order', async (t) => {
  const { cwd, folder, register, write } = await makeWorld({ after: (work) => t.after(work) });
  for (const root of ['one', 'two']) {
    for (const name of root === 'one' ? ['b', 'a', 'sub/c'] : ['sub/c', 'a', 'b'])
      await write(`${root}/m/${name}`, name);
  }
  await utimes(join(cwd, 'two/m/a'), 1, 1);
  await mkdir(join(cwd, 'two/m/empty'));
  const first = await register('one', 'one/m');
  await rm(join(folder, '..', '..', 'cache'), { recursive: true });
  const second = await register('two', 'two/m/');
  assert.equal(second.model.treeDigest, first.model.treeDigest);
  const tars = (await readdir(join(folder, 'blobs/sha256'))).map((name) => stat(join(folder, 'blobs/sha256', name)));
  assert.equal((await Promise.all(tars)).filter(({ size }) => size > 4096).length, 1);
});

test('the layer is a plain deterministic tar below the app root, which the listing describes', async (t) => {
  const { cwd, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m/run.sh', 'echo');
  await write(`m/${'long/'.repeat(40)}näme.bin`, 'x');
  await chmod(join(cwd, 'm/run.sh'), 0o755);
  const { model } = await register('m', 'm');
  const { layer, folder, files } = await modelLayer(store, model);
  assert.equal(folder, `var/azureml-app/.aksml/models/${model.treeDigest.slice(7)}`);
  const extract = tar.extract();
  extract.end(await buffer(await store.registry.getBlob('models/m', layer.digest)));
  const seen: string[] = [];
  for await (const entry of extract) {
    const { name, mode, mtime, uid, gid, type, size } = entry.header;
    assert.deepEqual([mtime?.getTime(), uid, gid], [0, 0, 0], name);
    if (type === 'file') seen.push(`${mode.toString(8)} ${size} ${name}`);
    entry.resume();
  }
  assert.deepEqual(
    seen,
    files.map((file) => `${file.executable ? '755' : '644'} ${file.size} ${folder}/${file.path}`),
  );
});

test('links are read through; what cannot be a model is refused with its reason', async (t) => {
  const { cwd, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('data/weights.bin', 'weights');
  await mkdir(join(cwd, 'linked'));
  await symlink(join(cwd, 'data/weights.bin'), join(cwd, 'linked/file.bin'));
  await symlink(join(cwd, 'data'), join(cwd, 'linked/folder'));
  const { model } = await register('linked', 'linked');
  assert.equal(model.fileCount, 2);
  const placed = await downloadModel(store, model.id, join(cwd, 'out'));
  assert.equal(await readFile(join(placed, 'folder/weights.bin'), 'utf8'), 'weights');

  await mkdir(join(cwd, 'empty/inner'), { recursive: true });
  await assert.rejects(register('m', 'empty'), isCode('model.emptyFolder'));
  await assert.rejects(register('m', 'absent.pkl'), isCode('model.pathMissing'));
  await symlink('nowhere', join(cwd, 'linked/broken'));
  await assert.rejects(register('m', 'linked'), isCode('model.pathMissing'));
  await rm(join(cwd, 'linked/broken'));
  await symlink('..', join(cwd, 'linked/loop'));
  await assert.rejects(register('m', 'linked'), isCode('model.badFile'));
  if (process.platform !== 'win32') {
    spawnSync('mkfifo', [join(cwd, 'data/pipe')]);
    await assert.rejects(register('m', 'data'), isCode('model.badFile'));
  }
  assert.deepEqual(await listModels(store, { name: 'm' }), []);
});

test('v1’s rules on names, frameworks and resources hold; a path outside the folder is only remarked upon', async (t) => {
  const { cwd, register, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'x');
  for (const name of ['', '-m', 'm:1', 'a/b', 'x'.repeat(256), 'm\n']) {
    await assert.rejects(register(name, 'm.pkl'), isCode('model.badName'), name);
  }
  await assert.rejects(register('m', 'm.pkl', { frameworkVersion: '1' }), isCode('model.badFramework'));
  await assert.rejects(register('m', 'm.pkl', { framework: 'sklearn' }), isCode('model.badFramework'));
  await assert.rejects(register('m', 'm.pkl', { resourceRequirements: { cpu: -1 } }), isCode('model.badResources'));
  await writeFile(join(cwd, '..', 'outside.pkl'), 'x');
  const { notices } = await register('m', '../outside.pkl', { resourceRequirements: { cpu: 0 } });
  assert.deepEqual(
    notices.map(({ code }) => code),
    ['model.outsideFolder'],
  );
});

test('naughty strings are refused as names by rule and kept exactly as tags, properties and descriptions', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  const fixture = new URL('../../../shared/fixtures/suites/blns/blns.json', import.meta.url);
  const strings: string[] = await readFile(fixture, 'utf8').then(JSON.parse, () => undefined);
  if (!strings) return t.skip('the fixtures with naughty strings are not here');
  await write('m.pkl', 'x');
  const tags = Object.fromEntries(strings.map((text) => [text, text]));
  for (const description of ['', ...strings.slice(0, 3), strings.join('\n')]) {
    const { model } = await register('naughty', 'm.pkl', { description, tags, properties: tags });
    const read = await getModel(store, model.id);
    assert.equal(read.description, description);
    assert.deepEqual(Object.entries(read.tags), Object.entries(tags));
    assert.deepEqual(Object.entries(read.properties), Object.entries(tags));
  }
  const named = strings.filter((text) => !/^[a-zA-Z0-9][\w.-]{0,254}$/.test(text));
  for (const name of named) await assert.rejects(register(name, 'm.pkl'), isCode('model.badName'));
  for (const name of named.slice(0, 20)) await assert.rejects(getModel(store, name), isCode('model.notFound'));
});

test('models are found by tag, property, run, dataset and latest version', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'x');
  await register('a', 'm.pkl', { tags: { stage: 'test' }, runId: 'r1' });
  await register('a', 'm.pkl', { tags: { stage: 'prod' }, sampleInputDatasetId: 'd1' });
  await register('b', 'm.pkl', { properties: { auc: '1' } });
  const ids = async (filter: Parameters<typeof listModels>[1]): Promise<string[]> =>
    (await listModels(store, filter)).map(({ id }) => id);
  assert.deepEqual(await ids({ tags: [['stage']] }), ['a:2', 'a:1']);
  assert.deepEqual(await ids({ tags: [['stage', 'test']] }), ['a:1']);
  assert.deepEqual(await ids({ tags: [['toString']] }), []);
  assert.deepEqual(await ids({ properties: [['auc', '1']] }), ['b:1']);
  assert.deepEqual(await ids({ runId: 'r1' }), ['a:1']);
  assert.deepEqual(await ids({ datasetId: 'd1' }), ['a:2']);
  assert.deepEqual(await ids({ latest: true }), ['a:2', 'b:1']);
  assert.deepEqual(await ids({ name: 'a' }), ['a:2', 'a:1']);
});

test('a model that is not there is answered with similar names or with its versions', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'x');
  await register('Sklearn_Diabetes', 'm.pkl');
  const remedy = async (id: string): Promise<string | undefined> => {
    const error = await getModel(store, id).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return AksmlError.is(error, 'model.notFound') ? error.remedy : undefined;
  };
  assert.match((await remedy('sklearn-diabetes')) ?? '', /Sklearn_Diabetes\?/);
  assert.match((await remedy('Sklearn_Diabetes:7')) ?? '', /has the version 1/);
  assert.match((await remedy('../outputs/model.pkl')) ?? '', /register/);
});

test('tags and descriptions change, properties only grow, files and version stay', async (t) => {
  const { register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'x');
  const { model } = await register('m', 'm.pkl', {
    tags: { a: '1', b: '2' },
    properties: { p: '1' },
    resourceRequirements: { cpu: 1, gpu: 1 },
  });
  const updated = await updateModel(store, 'm:1', {
    description: 'new',
    addTags: { b: '3', c: '4' },
    removeTags: ['a', 'unknown'],
    addProperties: { q: '2' },
    resourceRequirements: { cpu: 2 },
  });
  assert.deepEqual(updated, await getModel(store, 'm:1'));
  assert.deepEqual(updated, {
    ...model,
    description: 'new',
    tags: { b: '3', c: '4' },
    properties: { p: '1', q: '2' },
    resourceRequirements: { cpu: 2, gpu: 1 },
    modifiedTime: updated.modifiedTime,
  });
  await assert.rejects(updateModel(store, 'm:1', { addProperties: { p: '1' } }), isCode('model.propertyExists'));
  await Promise.all(['x', 'y', 'z'].map((key) => updateModel(store, 'm:1', { addTags: { [key]: key } })));
  assert.deepEqual(Object.keys((await getModel(store, 'm:1')).tags).sort(), ['b', 'c', 'x', 'y', 'z']);
});

test('a deleted version is gone, its number is not given out again, and its content is freed', async (t) => {
  const { folder, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('old.pkl', 'old'.repeat(10_000));
  await write('new.pkl', 'new'.repeat(10_000));
  const old = await register('m', 'old.pkl');
  await register('m', 'new.pkl');
  await assert.rejects(deleteModel(store, 'm', notUsed), isCode('model.versionMissing'));
  const inUse = deleteModel(store, 'm:2', { usedBy: async () => ['scorer'] });
  await assert.rejects(inUse, (error) => AksmlError.is(error, 'model.inUse') && /scorer/.test(error.message));
  await materializeModel(store, old.model);
  await deleteModel(store, 'm:1', notUsed);
  await deleteModel(store, 'm:2', notUsed);
  await assert.rejects(getModel(store, 'm'), isCode('model.notFound'));
  await assert.rejects(deleteModel(store, 'm:2', notUsed), isCode('model.notFound'));
  assert.deepEqual(await listModels(store, { latest: true }), []);

  const roots = { manifests: new Set<string>(), trees: new Set<string>(), bundles: new Set<string>() };
  const clock = (): Date => new Date(Date.now() + 7_200_000);
  const kept = await gc(store.home, { folder }, { roots: { ...roots, trees: new Set([old.model.treeDigest]) }, clock });
  assert.deepEqual(kept.models, { count: 0, bytes: 0 });
  assert.ok(kept.blobs.bytes > 60_000);
  assert.deepEqual((await gc(store.home, { folder }, { roots, clock })).models, { count: 1, bytes: 30_000 });
  assert.equal((await register('m', 'new.pkl')).model.id, 'm:3');
});

test('a downloaded model is the registered one; an existing file is only replaced when asked', async (t) => {
  const { cwd, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m/MLmodel', 'flavors:');
  await write('m/data/model.pkl', 'weights');
  const { model } = await register('m', 'm');
  assert.equal(model.isMlflow, true);
  const target = join(cwd, 'out');
  assert.equal(await downloadModel(store, 'm', target), join(target, 'm'));
  assert.equal(await readFile(join(target, 'm/data/model.pkl'), 'utf8'), 'weights');
  await writeFile(join(target, 'm/own.txt'), 'mine');
  await assert.rejects(downloadModel(store, 'm:1', target), isCode('model.targetExists'));
  await downloadModel(store, 'm:1', target, { overwrite: true });
  assert.deepEqual((await readdir(join(target, 'm'))).sort(), ['MLmodel', 'data']);
  assert.deepEqual(await readdir(target), ['m']);
});

test('a model is unpacked once for all who ask, read-only, and never from damaged content', async (t) => {
  const { folder, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'weights');
  const { model } = await register('m', 'm.pkl');
  const paths = await Promise.all(Array.from({ length: 5 }, () => materializeModel(store, model)));
  assert.deepEqual([...new Set(paths)], [join(store.home.models, model.treeDigest.slice(7), 'm.pkl')]);
  const [path = ''] = paths;
  assert.equal((await stat(path)).mode & 0o222, 0);
  assert.deepEqual(await readdir(store.home.models), [basename(join(path, '..'))]);

  await rm(store.home.models, { recursive: true });
  const { layer } = await modelLayer(store, model);
  await appendFile(join(folder, 'blobs/sha256', layer.digest.slice(7)), 'x');
  await assert.rejects(materializeModel(store, model), isCode('registry.corrupt'));
  assert.deepEqual(await readdir(store.home.models), []);
});

test('a file that grows, shrinks or vanishes while it is registered stops the registration, and nothing is kept', async (t) => {
  const { cwd, register, store, write } = await makeWorld({ after: (work) => t.after(work) });
  const path = join(cwd, 'm.bin');
  const changes = {
    grows: () => appendFile(path, 'more'),
    shrinks: () => truncate(path, 10),
    'keeps its size': () => writeFile(path, 'other'.repeat(1000)),
    vanishes: () => rm(path),
  };
  for (const [what, change] of Object.entries(changes)) {
    await write('m.bin', 'bytes'.repeat(1000));
    // Between the pass that hashes and the pass that stores.
    const registry = Object.assign(Object.create(store.registry) as Registry, {
      putBlob: async (...call: Parameters<Registry['putBlob']>) => {
        await change();
        return await store.registry.putBlob(...call);
      },
    });
    const registering = registerModel({ ...store, registry }, { name: 'm', path: 'm.bin', cwd });
    await assert.rejects(registering, isCode('model.changed'), what);
  }
  assert.deepEqual(await listModels(store), []);
  await write('m.bin', 'bytes');
  assert.equal((await register('m', 'm.bin')).model.id, 'm:1');
});

test('a command killed while it registers leaves nothing half-made, and the same command again succeeds', async (t) => {
  const { cwd, folder, register, store } = await makeWorld({ after: (work) => t.after(work) });
  await writeFile(join(cwd, 'm.bin'), Buffer.alloc(20 << 20, 7));
  for (const stopAt of ['Reading', 'Storing']) {
    const child = spawnRegistration(store, cwd, stopAt);
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(await listModels(store), []);
  }
  assert.equal((await readdir(join(folder, 'uploads'))).length, 1);
  assert.equal((await register('m', 'm.bin')).model.id, 'm:1');
  const roots = { manifests: new Set<string>(), trees: new Set<string>(), bundles: new Set<string>() };
  const freed = await gc(store.home, { folder }, { roots, clock: () => new Date(Date.now() + 120_000) });
  assert.equal(freed.uploads.count, 1);
  const path = await materializeModel(store, await getModel(store, 'm:1'));
  assert.equal((await stat(path)).size, 20 << 20);
});

test('two processes that register one name at once get versions of their own', async (t) => {
  const { cwd, store, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.bin', 'same');
  const children = [spawnRegistration(store, cwd), spawnRegistration(store, cwd), spawnRegistration(store, cwd)];
  const ids = await Promise.all(children.map(async (child) => (await buffer(child.stdout)).toString('utf8')));
  assert.deepEqual(ids.sort(), ['m:1', 'm:2', 'm:3']);
  assert.equal((await listModels(store)).length, 3);
});

test('registering a large model takes memory that does not grow with it', async (t) => {
  const { cwd, store } = await makeWorld({ after: (work) => t.after(work) });
  await writeFile(join(cwd, 'm.bin'), '');
  await truncate(join(cwd, 'm.bin'), 400 << 20);
  const child = spawnRegistration(store, cwd, undefined, 'process.resourceUsage().maxRSS / 1024');
  const megabytes = Number((await buffer(child.stdout)).toString('utf8'));
  assert.ok(megabytes > 10 && megabytes < 150, `${megabytes} MB were resident`);
});

/** Prints the id, or what `answer` says; with `stopAt`, prints and hangs at the first progress of that kind. */
function spawnRegistration(store: ModelStore, cwd: string, stopAt?: string, answer = 'model.id') {
  const source = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href;
  const stop = `(event) => {
    if (event.detail !== '${stopAt}' || event.type !== 'progress') return;
    process.stdout.write('here');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }`;
  const script = `
    import { registerModel } from '${source('engine/models/models.ts')}';
    import { openLayout } from '${source('engine/registry/layout.ts')}';
    import { writeSync } from 'node:fs';
    const home = ${JSON.stringify(store.home)};
    const store = { home, registry: openLayout(home, ${JSON.stringify(store.registry.location)}), clock: () => new Date(), user: 'ada' };
    const onProgress = ${stopAt === undefined ? 'undefined' : stop.replace('process.stdout.write(', 'writeSync(1, ')};
    const { model } = await registerModel(store, { name: 'm', path: 'm.bin', cwd: ${JSON.stringify(cwd)} }, { onProgress });
    process.stdout.write(String(${answer}));`;
  return spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('a full disk is named, and leaves neither a model nor its pieces', async (t) => {
  const { cwd, folder, register, store } = await makeWorld({ after: (work) => t.after(work) });
  await writeFile(join(cwd, 'm.bin'), Buffer.alloc(8 << 20, 7));
  await mkdir(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
  if (mounted.status !== 0) return t.skip('mounting a small file system needs root');
  try {
    await assert.rejects(register('m', 'm.bin'), (error) => AksmlError.is(error, 'disk.full') && !!error.remedy);
    assert.deepEqual(await listModels(store), []);
    assert.deepEqual(await readdir(join(folder, 'uploads')), []);
    await writeFile(join(cwd, 'm.bin'), Buffer.alloc(1 << 20, 7));
    assert.equal((await register('m', 'm.bin')).model.id, 'm:1');
  } finally {
    spawnSync('umount', [folder]);
  }
});

test('model show prints v1’s members, and metadata files go from register to deploy', async (t) => {
  const { cwd, register, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('m.pkl', 'x');
  const { model } = await register('m', 'm.pkl', { resourceRequirements: { cpu: 1 } });
  const shown = serializeModel(model);
  assert.equal(shown['id'], 'm:1');
  assert.deepEqual(shown['resourceConfiguration'], { cpu: 1, memoryInGB: null, gpu: null });
  assert.match(String(shown['createdTime']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);

  const file = join(cwd, 'model.json');
  await writeModelMetadata(file, model.id, { name: 'ws', resourceGroup: 'rg' });
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
    modelId: 'm:1',
    workspaceName: 'ws',
    resourceGroupName: 'rg',
  });
  assert.equal(await readModelMetadata(file, { name: 'ws' }), 'm:1');
  await assert.rejects(readModelMetadata(file, { name: 'other' }), isCode('model.otherWorkspace'));
  await writeFile(file, '{"modelId": 1}');
  await assert.rejects(readModelMetadata(file, { name: 'ws' }), isCode('model.badMetadataFile'));
});

test('a file that is to be registered with its deployment, and is gone, is missed before anything is done', async () => {
  const { problems, paths } = await resolveModels({} as Engine, [{ path: 'gone.pkl' }], tmpdir());
  assert.deepEqual([problems.map(({ code }) => code), paths], [['model.pathMissing'], []]);
});
