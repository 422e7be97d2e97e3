import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import tar from 'tar-stream';
import { AksmlError } from '../../src/contract/error.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import { planEnvironment } from '../../src/engine/environments/plan.ts';
import { readBaseImage } from '../../src/engine/images/base-image.ts';
import { chooseBasePython, combineFinds, inspectLayer } from '../../src/engine/images/base-python.ts';
import { packageBuildContext } from '../../src/engine/images/build-context.ts';
import { buildCommand, findBuilder } from '../../src/engine/images/builder.ts';
import { builderLogin } from '../../src/engine/images/builder-login.ts';
import { pinContext } from '../../src/engine/images/context-pin.ts';
import { stepsDockerfile } from '../../src/engine/images/docker-steps.ts';
import { setupFiles } from '../../src/engine/images/dockerfile.ts';
import { findBase } from '../../src/engine/images/image-base.ts';
import type { ImageConfig } from '../../src/engine/images/image-config.ts';
import { findImage } from '../../src/engine/images/image-source.ts';
import { type LayerEntry, packEntries, storeLayer } from '../../src/engine/images/layer.ts';
import { planModelLayers, type StoredModelLayer, storeBucket } from '../../src/engine/images/model-layers.ts';
import { modelDir, modelLinks } from '../../src/engine/images/model-links.ts';
import { packageImage } from '../../src/engine/images/package.ts';
import { consoleScripts, repairRecord } from '../../src/engine/images/venv-entries.ts';
import { registerModel } from '../../src/engine/models/models.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { sha256 } from '../../src/engine/registry/reference.ts';
import { type Manifest, MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';
import { ARCHITECTURE, environmentDefinition, makePackageWorld, writeSmallBase } from '../images/package-world.ts';

const HEX = 'a'.repeat(64);
const isCode = (code: string) => (error: unknown) => AksmlError.is(error, code);

async function temporaryFolder(t: { after(work: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-images-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function membersOf(layer: AsyncIterable<Uint8Array>): Promise<Map<string, tar.Header & { content: string }>> {
  const members = new Map<string, tar.Header & { content: string }>();
  const extract = Readable.from(layer).pipe(
    tar.extract() as unknown as NodeJS.WritableStream,
  ) as unknown as tar.Extract;
  for await (const entry of extract) {
    const content = (await buffer(entry as unknown as Readable)).toString('utf8');
    members.set(entry.header.name, { ...entry.header, content });
  }
  return members;
}

test('models get the layout of v1 by relative links, and AZUREML_MODEL_DIR its meaning for one and for several', () => {
  const model = {
    name: 'm',
    version: 3,
    basename: 'dir',
    treeDigest: `sha256:${HEX}`,
    files: ['dir/a.bin', 'dir/b/c'],
  };
  const file = { name: 'n', version: 1, basename: 'x.pkl', treeDigest: `sha256:${HEX}`, files: ['x.pkl'] };
  const root = 'var/azureml-app';
  assert.equal(modelDir([model]), `/${root}/azureml-models/m/3`);
  assert.deepEqual(modelLinks([model], { single: true }), [
    { path: `${root}/azureml-models/m/3/dir/a.bin`, target: `../../../../.aksml/models/${HEX}/dir/a.bin` },
    { path: `${root}/azureml-models/m/3/dir/b/c`, target: `../../../../../.aksml/models/${HEX}/dir/b/c` },
  ]);
  assert.equal(modelDir([model, file]), `/${root}/azureml-models`);
  const both = modelLinks([model, file], { single: false });
  assert.equal(both.at(-1)?.target, `../../../.aksml/models/${HEX}/x.pkl`);

  assert.deepEqual([modelDir([model], '/models'), modelDir([model, file], '/models')], ['/models', '/models']);
  const mounted = modelLinks([model], { single: true, mountPath: '/models' });
  assert.deepEqual(mounted[0], { path: 'models/dir/a.bin', target: `../../${root}/.aksml/models/${HEX}/dir/a.bin` });
  const several = modelLinks([model, file], { single: false, mountPath: '/models' });
  assert.equal(several.at(-1)?.path, 'models/n/1/x.pkl');
  for (const stray of ['../x', 'dir/../../x', 'other/x', 'dir//x']) {
    assert.throws(
      () => modelLinks([{ ...model, files: [stray] }], { single: true }),
      isCode('registry.corrupt'),
      stray,
    );
  }
});

test('a layer depends on nothing but its entries, and any tar reader can read it', async () => {
  const long = `deep/${'x'.repeat(150)}/ünïcode`;
  const entries: LayerEntry[] = [
    { kind: 'file', path: 'b/run', executable: true, content: Buffer.from('#!') },
    { kind: 'file', path: long, executable: false, content: Buffer.from('long') },
    { kind: 'link', path: 'b/link', target: `../${long}` },
    { kind: 'folder', path: 'home/user', mode: 0o777, owner: 1000 },
  ];
  const packed = await buffer(packEntries(entries));
  assert.ok(packed.equals(await buffer(packEntries(entries.toReversed()))));
  const members = await membersOf(Readable.from([packed]));
  assert.deepEqual(
    [...members.keys()],
    ['b/', 'b/link', 'b/run', 'deep/', `deep/${'x'.repeat(150)}/`, long, 'home/', 'home/user/'],
  );
  assert.equal(members.get('b/run')?.mode, 0o755);
  assert.equal(members.get(long)?.content, 'long');
  assert.equal(members.get('b/link')?.linkname, `../${long}`);
  assert.deepEqual([members.get('home/user/')?.uid, members.get('home/user/')?.mode], [1000, 0o777]);
  assert.ok([...members.values()].every(({ mtime }) => mtime.getTime() === 0));
});

test('a layer that goes through folders of every Linux leaves their permissions', async () => {
  const entries = ['tmp/models/m', 'var/tmp/x', 'root/x', 'opt/x'].map(
    (path): LayerEntry => ({ kind: 'link', path, target: '/x' }),
  );
  const members = await membersOf(packEntries(entries));
  const modes = ['tmp/', 'tmp/models/', 'var/', 'var/tmp/', 'root/', 'opt/'].map((path) => members.get(path)?.mode);
  assert.deepEqual(modes, [0o1777, 0o755, 0o755, 0o1777, 0o700, 0o755]);
});

test('whiteouts take away what lower layers have, at the root all of it, and no file of the user may be one', async (t) => {
  const finds = async (...paths: string[]) => {
    const entries = paths.map(
      (path): LayerEntry => ({ kind: 'file', path, executable: true, content: Buffer.from('') }),
    );
    const layer = await buffer(packEntries(entries));
    const descriptor = { mediaType: MEDIA_TYPE.layer, digest: sha256(layer), size: layer.length };
    return inspectLayer(descriptor, Readable.from([layer]));
  };
  const below = await finds('usr/bin/python3.11', 'opt/x/bin/python3.10');
  const left = async (...whiteouts: string[]) =>
    combineFinds([below, await finds(...whiteouts, 'usr/local/bin/python3.12')]).pythons.map(({ minor }) => minor);
  assert.deepEqual(await left('usr/bin/.wh.python3.11'), ['3.10', '3.12']);
  assert.deepEqual(await left('opt/.wh.x'), ['3.11', '3.12']);
  assert.deepEqual(await left('opt/x/.wh..wh..opq'), ['3.11', '3.12']);
  assert.deepEqual(await left('.wh..wh..opq'), ['3.12']);

  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base);
  const pack = (name: string) =>
    packageImage(world.store, world.request({ base, definition: USER_MANAGED, outputPath: join(world.folder, name) }), {
      format: 'layout',
    });
  await pack('out');
  await mkdir(join(world.folder, 'source', '.wh.lib'), { recursive: true });
  await writeFile(join(world.folder, 'source', '.wh.lib', 'x'), '');
  await assert.rejects(pack('other'), isCode('image.reservedName'));
});

test('compression changes a layer, never its diff id', async (t) => {
  const folder = await temporaryFolder(t);
  const registry = openLayout(openHome({ AKSML_HOME: folder }), join(folder, 'layout'));
  const entries: LayerEntry[] = [{ kind: 'file', path: 'a', executable: false, content: Buffer.alloc(100_000, 'a') }];
  const layers = [];
  for (const compression of ['none', 'gzip', 'zstd'] as const)
    layers.push(await storeLayer(registry, 'x', packEntries(entries), { compression }));
  assert.equal(new Set(layers.map(({ diffId }) => diffId)).size, 1);
  assert.equal(new Set(layers.map(({ descriptor }) => descriptor.digest)).size, 3);
});

test('1,000 models fit: the largest keep their own layers, and adding one changes few others', () => {
  const models = Array.from({ length: 1000 }, (_, index): StoredModelLayer => {
    const digest = `sha256:${((index * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0').padEnd(64, '0')}`;
    return { repository: `models/${index}`, layer: { mediaType: 'm', digest, size: 1000 + index } };
  });
  const plan = planModelLayers(models, 120);
  assert.equal(plan.length, 120);
  assert.equal(plan.flatMap((layer) => (layer.kind === 'own' ? [layer.model] : layer.models)).length, 1000);
  assert.ok(plan.some((layer) => layer.kind === 'own' && layer.model.repository === 'models/999'));
  const small = { repository: 'models/new', layer: { mediaType: 'm', digest: `sha256:${HEX}`, size: 1 } };
  const after = new Set(planModelLayers([...models, small], 120).map((layer) => JSON.stringify(layer)));
  assert.equal(plan.filter((layer) => !after.has(JSON.stringify(layer))).length, 1);
  assert.equal(planModelLayers([small, { ...small, repository: 'models/same' }], 120).length, 1);
});

test('models that share a layer are all in it', async (t) => {
  const folder = await temporaryFolder(t);
  const registry = openLayout(openHome({ AKSML_HOME: folder }), join(folder, 'layout'));
  const models: StoredModelLayer[] = [];
  for (const name of ['one', 'two', 'three']) {
    const entry: LayerEntry = {
      kind: 'file',
      path: `trees/${name}`,
      executable: false,
      content: Buffer.alloc(1000, name),
    };
    const { descriptor } = await storeLayer(registry, `models/${name}`, packEntries([entry]), { compression: 'none' });
    models.push({ repository: `models/${name}`, layer: descriptor });
  }
  const { descriptor } = await storeBucket(registry, models, { registry, repository: 'buckets' });
  const members = await membersOf(await registry.getBlob('buckets', descriptor.digest));
  assert.deepEqual([...members.keys()].sort(), ['trees/', 'trees/one', 'trees/three', 'trees/two']);
});

test('the Python of a base image is the one that its PATH means, among those that fit and were not removed by a later layer', () => {
  const layer = (pythons: string[], removed: string[] = []) => ({ pythons, removed, libc: 'gnu' as const });
  const content = combineFinds([
    layer(['usr/bin/python3.9', 'usr/local/bin/python3.11', 'opt/old/bin/python3.11']),
    layer(['opt/miniconda/bin/python3.11'], ['opt/old']),
  ]);
  assert.deepEqual(
    content.pythons.map(({ path }) => path),
    ['/usr/bin/python3.9', '/usr/local/bin/python3.11', '/opt/miniconda/bin/python3.11'],
  );
  const choose = (path: string, minor?: string) =>
    chooseBasePython(content, path, (there) => minor === undefined || there === minor)?.path;
  assert.equal(choose('/usr/bin:/usr/local/bin'), '/usr/bin/python3.9');
  assert.equal(choose('/opt/miniconda/bin:/usr/local/bin', '3.11'), '/opt/miniconda/bin/python3.11');
  assert.equal(choose('/usr/bin', '3.8'), undefined);
});

test('scripts and records of an installation keep nothing of the machine that it was made on', () => {
  const entryPoints =
    '[console_scripts]\ngunicorn = gunicorn.app.wsgiapp:run\nextra = a.b:C.main [speed]\n[other]\nx = y:z\n';
  assert.deepEqual(consoleScripts(entryPoints), [
    ['gunicorn', 'gunicorn.app.wsgiapp:run'],
    ['extra', 'a.b:C.main'],
  ]);
  assert.equal(
    repairRecord(
      'bin/gunicorn,sha256=abc,1\n../../bin/x,sha256=abc,1\nScripts/y.exe,sha256=d,2\npkg/bin.py,sha256=e,3\n',
    ),
    '../../../bin/gunicorn,,\n../../../bin/x,,\n../../../bin/y,,\npkg/bin.py,sha256=e,3\n',
  );
});

const USER_MANAGED = environmentDefinition({ python: { userManagedDependencies: true, interpreterPath: 'python3' } });

test('an image holds code, models and variables where v1 had them, and no secret', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base);
  const definition = {
    ...USER_MANAGED,
    environmentVariables: {
      ...USER_MANAGED.environmentVariables,
      TOKEN: 'hidden',
      OTHER: `\${secret:OTHER}`,
      PATH: '/own',
    },
    secretEnvironmentVariables: ['TOKEN'],
  };
  const events: ProgressEvent[] = [];
  const outputPath = join(world.folder, 'image');
  const packaged = await packageImage(
    world.store,
    world.request({ base, definition, outputPath, imageName: 'me/factor', imageLabel: '7' }),
    {
      format: 'layout',
      onProgress: (event) => events.push(event),
    },
  );
  assert.equal(packaged.reference, 'me/factor:7');
  const { config, manifest, readLayer } = await openOutput(outputPath);
  const variables = Object.fromEntries((config.config?.Env ?? []).map((entry) => entry.split(/=(.*)/s)));
  assert.deepEqual(variables, {
    PATH: '/own',
    LANG: 'C.UTF-8',
    AML_APP_ROOT: '/var/azureml-app',
    AZUREML_MODEL_DIR: '/var/azureml-app/azureml-models/factor/1',
    AZUREML_ENTRY_SCRIPT: 'source/score.py',
    AZUREML_SOURCE_DIRECTORY: 'source',
    GREETING: 'say "$hello"',
    HOME: '/home/aksml',
  });
  assert.deepEqual(config.config?.Entrypoint, ['python3', '/opt/aksml/serve.py']);
  assert.equal(config.config?.User, '1000');
  assert.equal(config.history?.length, manifest.layers.length);
  assert.equal(config.config?.Labels?.['base'], 'yes');
  assert.ok(events.some((event) => event.type === 'problem' && event.problem.code === 'package.secretLeftOut'));
  const layers = await Promise.all(manifest.layers.slice(1).map(readLayer));
  // A node that has the image before this one takes the top layer alone.
  assert.equal(
    layers.findLastIndex((layer) => layer.has('var/azureml-app/source/score.py')),
    layers.length - 1,
  );
  assert.equal(layers.at(-1)?.get('var/azureml-app/')?.uid, 1000);
  const files = new Map(layers.flatMap((layer) => [...layer]));
  const link = files.get('var/azureml-app/azureml-models/factor/1/factor.txt');
  assert.equal(files.get(join('var/azureml-app/azureml-models/factor/1', link?.linkname ?? ''))?.content, '1.5');
  assert.match(files.get('var/azureml-app/source/score.py')?.content ?? '', /def run/);
  assert.doesNotMatch(JSON.stringify([config, manifest, [...files.values()]]), /hidden|aksml-package-/);
});

test('the same parts give the same image, whatever the machine, the format and the time', async (t) => {
  const digests = [];
  for (const format of ['layout', 'tar'] as const) {
    const world = await makePackageWorld(t);
    const base = join(world.folder, 'base');
    await writeSmallBase(base);
    const request = world.request({ base, definition: USER_MANAGED, outputPath: join(world.folder, 'out') });
    digests.push((await packageImage(world.store, request, { format })).digest);
    digests.push((await packageImage(world.store, request, { format })).digest);
  }
  assert.equal(new Set(digests).size, 1);
});

test('an image that was written is a base image again, from its folder and from its tar', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base);
  for (const format of ['layout', 'tar'] as const) {
    const outputPath = join(world.folder, format);
    const { digest } = await packageImage(world.store, world.request({ base, definition: USER_MANAGED, outputPath }), {
      format,
    });
    for (const name of [outputPath, `oci:${outputPath}:latest`]) {
      const read = await readBaseImage(await findImage(name, { fetch }), [{ os: 'linux', architecture: ARCHITECTURE }]);
      assert.equal(read.digest, digest);
      assert.equal(read.layers.length, 5);
    }
    await assert.rejects(
      findImage(`oci:${outputPath}:other`, { fetch }).then((found) => found.manifest(undefined)),
      isCode('image.ambiguous'),
    );
  }
});

test('a tar of docker save before Docker 25 is an image, with layers that are links and sizes beyond ustar', async (t) => {
  const folder = await temporaryFolder(t);
  const layer = await buffer(packEntries([{ kind: 'file', path: 'a', executable: true, content: Buffer.from('a') }]));
  const config = Buffer.from(
    JSON.stringify({
      architecture: ARCHITECTURE,
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256(layer), sha256(layer)] },
    }),
  );
  const saved = [{ Config: 'c.json', RepoTags: ['localhost/x:1'], Layers: ['one/layer.tar', 'two/layer.tar'] }];
  const pack = tar.pack();
  pack.entry({ name: 'two/layer.tar', type: 'symlink', linkname: '../one/layer.tar' });
  pack.entry({ name: 'one/layer.tar', pax: { size: String(layer.length) } }, layer);
  pack.entry({ name: 'c.json' }, config);
  pack.entry({ name: 'manifest.json' }, JSON.stringify(saved));
  pack.finalize();
  const file = join(folder, 'saved.tar');
  await writeFile(file, await buffer(pack as unknown as Readable));
  const image = await readBaseImage(await findImage(file, { fetch }), [{ os: 'linux', architecture: ARCHITECTURE }]);
  assert.deepEqual(
    image.layers.map(({ diffId, descriptor }) => [diffId, descriptor.digest, descriptor.size]),
    Array.from({ length: 2 }, () => [sha256(layer), sha256(layer), layer.length]),
  );
  assert.ok((await buffer(await image.open(sha256(layer)))).equals(layer));
  await assert.rejects(findImage(`oci:${file}:2`, { fetch }), isCode('image.ambiguous'));
});

test('docker is told to use BuildKit only where it would not by itself, and keeps its contexts with a login', async (t) => {
  const folder = await temporaryFolder(t);
  const builderOf = (stdout: string) =>
    findBuilder(async ({ command }) => ({ exitCode: command === 'docker' ? 0 : 127, stdout, stderr: '' }), {});
  const job = { context: '.', dockerfile: 'F', platform: 'linux/amd64', tag: 't', plainHttp: true, env: {} };
  for (const [version, buildKit] of [
    ['20.10.24 20.10.24\n', '1'],
    ['28.2.2 20.10.24\n', undefined],
  ] as const) {
    const builder = await builderOf(version);
    assert.equal(builder && buildCommand(builder, job).env['DOCKER_BUILDKIT'], buildKit, version);
  }

  const own = join(folder, 'own');
  await mkdir(join(own, 'contexts'), { recursive: true });
  const configuration = { currentContext: 'remote', credsStore: 'keychain', auths: { other: { auth: 'x' } } };
  await writeFile(join(own, 'config.json'), JSON.stringify(configuration));
  const { docker, ...definition } = environmentDefinition();
  const baseImageRegistry = { address: 'https://private.example', username: 'ann', password: 'secret' };
  const definitionWithLogin = { ...definition, docker: { ...docker, baseImageRegistry } };
  const variables = await builderLogin({ DOCKER_CONFIG: own }, definitionWithLogin, folder);
  const auths = { 'private.example': { auth: Buffer.from('ann:secret').toString('base64') } };
  assert.deepEqual(JSON.parse(await readFile(join(variables['DOCKER_CONFIG'] ?? '', 'config.json'), 'utf8')), {
    currentContext: 'remote',
    credHelpers: {},
    auths: { ...configuration.auths, ...auths },
  });
  assert.deepEqual(JSON.parse(await readFile(variables['REGISTRY_AUTH_FILE'] ?? '', 'utf8')), { auths });
  assert.deepEqual(await readdir(join(variables['DOCKER_CONFIG'] ?? '', 'contexts')), []);
});

test('what a build context is known by changes with its files: of a git branch, of a folder, of a file on the web', async (t) => {
  const folder = await temporaryFolder(t);
  const git = (...words: string[]) =>
    promisify(execFile)('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...words]);
  const content = async (locationType: string, location: string, fetched: typeof fetch = fetch) =>
    pinContext({ environment: process.env, fetch: fetched }, { locationType, location, dockerfilePath: 'Dockerfile' });
  await git('init', '--quiet', '--initial-branch', 'main');
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'one');
  await git('tag', '--annotate', 'v1', '--message', 'one');
  const commit = (await git('rev-parse', 'HEAD')).stdout.trim();
  const tagged = await content('git', `${folder}#v1:sub`);
  assert.deepEqual(tagged, {
    location: `${folder}#${commit}:sub`,
    dockerfile: 'Dockerfile',
    content: `${commit}:sub Dockerfile`,
  });
  const branch = await content('git', `${folder}#main`);
  const plain = await content('git', folder);
  assert.deepEqual([branch.content, plain.content], Array(2).fill(`${commit} Dockerfile`));
  await writeFile(join(folder, 'more'), 'more');
  await git('add', '.');
  await git('commit', '--quiet', '--message', 'two');
  assert.notEqual((await content('git', `${folder}#main`)).content, branch.content);
  assert.deepEqual(await content('git', `${folder}#v1:sub`), tagged);
  await assert.rejects(content('git', `${folder}#none`), isCode('image.contextUnreadable'));

  await rm(join(folder, '.git'), { recursive: true });
  const before = await content('storageAccount', folder);
  assert.deepEqual(await content('storageAccount', folder), before);
  assert.equal(before.dockerfile, join(folder, 'Dockerfile'));
  await writeFile(join(folder, 'more'), 'MORE');
  assert.notEqual((await content('storageAccount', folder)).content, before.content);

  const web = (headers: Record<string, string>) =>
    content('storageAccount', 'https://x.example/c.tar?sig=secret', async () => new Response(null, { headers }));
  assert.notEqual((await web({ etag: '"1"' })).content, (await web({ etag: '"2"' })).content);
  await assert.rejects(web({}), (error) => isCode('image.contextUnreadable')(error) && !/secret/.test(String(error)));
});

test('without a base image, packages from PyPI get a Python and those from conda get micromamba, by an install script that takes it', async (t) => {
  const asked: string[] = [];
  const tools = {
    home: openHome({ AKSML_HOME: await temporaryFolder(t) }),
    environment: {},
    clock: () => new Date(),
    version: '0',
    fetch: async (url: string | URL | Request) => {
      asked.push(String(url));
      return new Response(null, { status: 404 });
    },
  };
  for (const dependencies of [['python=3.11'], ['python=3.11', 'r-base']]) {
    const condaDependencies = { channels: ['conda-forge'], dependencies, pip: ['idna'] };
    const definition = environmentDefinition({ python: { userManagedDependencies: false, condaDependencies } });
    const plan = planEnvironment(definition);
    await assert.rejects(findBase(tools, { definition }, plan), isCode('image.notFound'));
    if (plan.installer !== 'conda') continue;
    const lines = stepsDockerfile(definition, plan, 'BASE').trimEnd().split('\n');
    const setup = '/azureml-environment-setup';
    assert.deepEqual(lines, [
      'FROM BASE',
      'USER root',
      `COPY ${setup.slice(1)} ${setup}`,
      `RUN sh ${setup}/install.sh '3.11' conda`,
    ]);
    const files = new Map(setupFiles(plan, definition));
    assert.match(files.get('conda_dependencies.yml') ?? '', /- r-base\n/);
    // A real shell, with a micromamba that tells how it was called.
    const folder = await temporaryFolder(t);
    for (const [name, content] of files) await writeFile(join(folder, name), content);
    await writeFile(join(folder, 'micromamba'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const run = (PATH: string) =>
      promisify(execFile)('sh', [join(folder, 'install.sh'), '3.11', 'conda'], { env: { PATH } });
    const { stdout } = await run(`${folder}:/usr/bin:/bin`);
    assert.equal(
      stdout,
      'create --yes --prefix /azureml-envs/aksml --file conda_dependencies.yml\nclean --all --yes\n',
    );
  }
  assert.match(asked[0] ?? '', /library\/python\/manifests\/3\.11-slim$/);
  assert.match(asked.at(-1) ?? '', /mambaorg\/micromamba\/manifests\/latest$/);
});

test("of an image for several platforms the wanted one is taken, and of Docker's own types the content", async (t) => {
  const folder = await temporaryFolder(t);
  await writeSmallBase(folder);
  const inner = await findImage(folder, { fetch });
  const bytes = await inner.manifest(undefined);
  const docker = JSON.parse(Buffer.from(bytes).toString('utf8'));
  docker.mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
  docker.layers[0].mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
  const entry = (architecture: string) => ({
    digest: sha256(architecture),
    size: 1,
    platform: { os: 'linux', architecture },
  });
  const index = {
    mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifests: [entry('riscv64'), entry(ARCHITECTURE)],
  };
  const asked: (string | undefined)[] = [];
  const source = {
    ...inner,
    manifest: async (digest: string | undefined) => {
      asked.push(digest);
      return Buffer.from(JSON.stringify(digest === undefined ? index : docker));
    },
  };
  const read = await readBaseImage(source, [{ os: 'linux', architecture: ARCHITECTURE }]);
  assert.deepEqual(asked, [undefined, sha256(ARCHITECTURE)]);
  assert.equal(read.layers[0]?.descriptor.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
  asked.length = 0;
  await readBaseImage(source, [
    { os: 'linux', architecture: 's390x' },
    { os: 'linux', architecture: ARCHITECTURE },
    { os: 'linux', architecture: 'riscv64' },
  ]);
  assert.deepEqual(asked, [undefined, sha256(ARCHITECTURE)], 'the first of several that there is');
  await assert.rejects(
    readBaseImage(source, [
      { os: 'linux', architecture: 's390x' },
      { os: 'linux', architecture: 'arm' },
    ]),
    (error) =>
      AksmlError.is(error, 'image.wrongPlatform') &&
      error.message.endsWith(`is for linux/riscv64, linux/${ARCHITECTURE}, not for linux/s390x or linux/arm.`),
  );
});

test('a package that is cancelled leaves nothing, and the next one removes what a killed one left', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base);
  const out = join(world.folder, 'out');
  await mkdir(join(out, `.aksml-999999999-${randomUUID()}`), { recursive: true });
  const request = world.request({ base, definition: USER_MANAGED, outputPath: join(out, 'image') });
  const controller = new AbortController();
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'progress' && event.stage === 'image') controller.abort();
  };
  const cancelled = packageImage(world.store, request, { format: 'tar', onProgress, signal: controller.signal });
  await assert.rejects(cancelled, (error) => AksmlError.isCancelled(error));
  assert.deepEqual(await readdir(out), []);
  await packageImage(world.store, request, { format: 'tar' });
  assert.deepEqual(await readdir(out), ['image']);
});

test('more models than an image may have layers are packaged', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base, { layers: 115 });
  const models = [world.model];
  for (let index = 0; index < 12; index += 1) {
    const path = join(world.folder, `model-${index}.txt`);
    await writeFile(path, `content ${index}`);
    models.push((await registerModel(world.store, { name: `model-${index}`, path, cwd: world.folder })).model);
  }
  const outputPath = join(world.folder, 'image');
  await packageImage(world.store, world.request({ base, models, definition: USER_MANAGED, outputPath }), {
    format: 'layout',
  });
  const { config, manifest, readLayer } = await openOutput(outputPath);
  assert.ok(manifest.layers.length <= 127);
  assert.ok(config.config?.Env?.includes('AZUREML_MODEL_DIR=/var/azureml-app/azureml-models'));
  const files = new Map((await Promise.all(manifest.layers.slice(115).map(readLayer))).flatMap((layer) => [...layer]));
  for (const [index, model] of models.slice(1).entries()) {
    const folder = `var/azureml-app/azureml-models/${model.name}/1`;
    const link = files.get(`${folder}/model-${index}.txt`);
    assert.equal(files.get(join(folder, link?.linkname ?? ''))?.content, `content ${index}`);
  }
});

test('what cannot be packaged is refused with the reason, before anything is written', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  const arm = join(world.folder, 'arm');
  await writeSmallBase(base);
  await writeSmallBase(arm, { architecture: 's390x' });
  const outputPath = join(world.folder, 'out');
  const foreign = join(world.folder, 'foreign');
  await mkdir(foreign);
  await writeFile(join(foreign, 'precious.txt'), 'mine');
  const docker = environmentDefinition().docker;
  const conda = { channels: [], dependencies: ['r-base=4'], pip: [] };
  const table = {
    'image.pythonMissing': { base },
    'image.wrongPlatform': { base: arm },
    'image.badReference': { base: 'NOT AN IMAGE' },
    'package.targetExists': { base, definition: USER_MANAGED, outputPath: foreign },
    'package.needsBuilder': {
      base,
      definition: { ...USER_MANAGED, docker: { ...docker, extraSteps: 'RUN apt-get update' } },
    },
  };
  for (const [code, more] of Object.entries(table)) {
    await assert.rejects(
      packageImage(world.store, world.request({ outputPath, ...more }), { format: 'layout' }),
      isCode(code),
      code,
    );
  }
  const needsConda = environmentDefinition({ python: { userManagedDependencies: false, condaDependencies: conda } });
  await assert.rejects(
    packageImage(world.store, world.request({ base, outputPath, definition: needsConda }), { format: 'tar' }),
    isCode('package.needsBuilder'),
  );
  await assert.rejects(
    packageBuildContext(world.store, world.request({ outputPath: foreign })),
    isCode('package.targetExists'),
  );
  assert.deepEqual(await readdir(foreign), ['precious.txt']);
  assert.ok(!(await readdir(world.folder)).includes('out'));
});

test("a build context has the Dockerfile at its root and v1's layout beside it, and no credentials", async (t) => {
  const world = await makePackageWorld(t);
  const pip = [
    '--extra-index-url https://me:s3cret@feed.example/simple',
    'private-package',
    `git+https://\${GIT_TOKEN}@git.example/x.git`,
  ];
  const definition = environmentDefinition({
    python: {
      userManagedDependencies: false,
      condaDependencies: { channels: ['conda-forge'], dependencies: ['python=3.9', 'scikit-learn=1.2'], pip },
    },
    docker: {
      ...environmentDefinition().docker,
      baseImage: 'team/base:1',
      baseImageRegistry: { address: 'registry.example', username: 'u', password: 'regpass' },
      extraSteps: 'RUN echo extra',
    },
  });
  const outputPath = join(world.folder, 'context');
  for (let run = 0; run < 2; run += 1) {
    const { folder, files } = await packageBuildContext(world.store, world.request({ outputPath, definition }));
    assert.equal(folder, outputPath);
    assert.equal(files, 10);
  }
  const names = (await readdir(outputPath, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
  for (const name of [
    'Dockerfile',
    'azureml-app/source/lib/doubling.py',
    'azureml-app/azureml-models/factor/1/factor.txt',
  ]) {
    assert.ok(names.includes(name), name);
  }
  const text = async (name: string) => readFile(join(outputPath, name), 'utf8');
  const dockerfile = await text('Dockerfile');
  assert.match(dockerfile, /^FROM registry\.example\/team\/base:1\nRUN echo extra\nUSER root$/m);
  assert.match(
    dockerfile,
    /^RUN --mount=type=secret,id=GIT_TOKEN --mount=type=secret,id=netrc,target=\/root\/\.netrc sh \S+ '3\.9'$/m,
  );
  assert.match(dockerfile, /^ENV GREETING="say \\"\\\$hello\\""$/m);
  const requirements = await text('azureml-environment-setup/requirements.txt');
  assert.match(requirements, /^scikit-learn==1\.2\.\*$/m);
  assert.match(requirements, /^git\+https:\/\/\$\{GIT_TOKEN\}@git\.example\/x\.git$/m);
  assert.match(await text('azureml-environment-setup/conda_dependencies.yml'), /- azureml-inference-server-http/);
  for (const name of names.filter((name) => /Dockerfile|setup\//.test(name)))
    assert.doesNotMatch(await text(name), /s3cret|regpass/, name);
});

/** An image layout that was written, taken apart. */
async function openOutput(folder: string): Promise<{
  config: ImageConfig;
  manifest: Manifest;
  readLayer: (layer: { digest: string }) => Promise<Map<string, tar.Header & { content: string }>>;
}> {
  const blob = (digest: string) => readFile(join(folder, 'blobs', 'sha256', digest.slice(7)));
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'));
  const manifest: Manifest = JSON.parse((await blob(index.manifests[0].digest)).toString('utf8'));
  const config: ImageConfig = JSON.parse((await blob(manifest.config.digest)).toString('utf8'));
  return { config, manifest, readLayer: async ({ digest }) => membersOf(Readable.from([await blob(digest)])) };
}
