import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import { type GcOptions, gc } from '../../src/engine/registry/gc.ts';
import { layoutFolders, openLayout } from '../../src/engine/registry/layout.ts';
import { encodeName } from '../../src/engine/registry/reference.ts';
import { type Manifest, MEDIA_TYPE, type Registry } from '../../src/engine/registry/registry.ts';
import { type Home, openHome } from '../../src/home/home.ts';
import { registryConformance } from './registry.ts';

interface Cleanup {
  after(work: () => Promise<void>): void;
}

async function makeLayout(t: Cleanup): Promise<{ home: Home; folder: string; registry: Registry }> {
  const root = await mkdtemp(join(tmpdir(), 'aksml-layout-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: root });
  const folder = join(home.workspaces, 'demo');
  return { home, folder, registry: openLayout(home, folder) };
}

async function store(registry: Registry, repository: string, text: string, tag?: string): Promise<Manifest> {
  const config = await registry.putBlob(repository, Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty });
  const layer = await registry.putBlob(repository, Buffer.from(text), { mediaType: MEDIA_TYPE.layer });
  const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [layer] };
  await registry.putManifest(repository, manifest, tag === undefined ? {} : { tag });
  return manifest;
}

const collect = (now: Date, more: Partial<GcOptions> = {}): GcOptions => ({
  roots: { manifests: new Set(), trees: new Set(), bundles: new Set() },
  clock: () => now,
  ...more,
});
const HOUR = 3_600_000;
const later = (): Date => new Date(Date.now() + 2 * HOUR);

registryConformance('image layout', async (t) => {
  const { home, folder, registry } = await makeLayout(t);
  return { registry, again: openLayout(home, folder) };
});

test('a layout is what the OCI image specification calls one', async (t) => {
  const { folder, registry } = await makeLayout({ after: (work) => t.after(work) });
  await store(registry, 'models/a', 'content', '1');
  assert.deepEqual(JSON.parse(await readFile(join(folder, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'));
  assert.equal(index.schemaVersion, 2);
  assert.equal(index.manifests[0].annotations['org.opencontainers.image.ref.name'], 'models/a:1');
  assert.deepEqual(await readdir(join(folder, 'uploads')), []);
});

test('processes that claim the same tag at once: one of them gets it, and no other write is lost', async (t) => {
  const { home, folder, registry } = await makeLayout({ after: (work) => t.after(work) });
  const module = new URL('../../src/engine/registry/layout.ts', import.meta.url).href;
  const claim = (text: string): Promise<string> =>
    runScript(`
      import { openLayout } from '${module}';
      const registry = openLayout(${JSON.stringify(home)}, ${JSON.stringify(folder)});
      const put = (text) => registry.putBlob('models/a', Buffer.from(text), { mediaType: 'text/plain' });
      const manifest = { schemaVersion: 2, mediaType: '${MEDIA_TYPE.manifest}', config: await put('{}'), layers: [await put('${text}')] };
      let won = 0;
      for (let tag = 1; tag <= 20; tag += 1) {
        const { written } = await registry.putManifest('models/a', manifest, { tag: String(tag), ifAbsent: true });
        won += written ? 1 : 0;
        await registry.putManifest('models/${text}', manifest, { tag: String(tag) });
      }
      process.stdout.write(String(won));`);
  const won = await Promise.all([claim('one'), claim('two')]);
  assert.equal(Number(won[0]) + Number(won[1]), 20);
  for (const name of ['a', 'one', 'two']) assert.equal((await registry.listTags(`models/${name}`)).length, 20);
});

test('damaged content is never handed out as whole, and storing it again repairs it', async (t) => {
  const { folder, registry } = await makeLayout({ after: (work) => t.after(work) });
  const content = Buffer.from('precious');
  const { digest } = await registry.putBlob('models/a', content, { mediaType: MEDIA_TYPE.layer });
  await writeFile(join(layoutFolders(folder).blobs, digest.slice(7)), 'preciouS');
  const reading = buffer(await registry.getBlob('models/a', digest));
  await assert.rejects(reading, (error) => AksmlError.is(error, 'registry.corrupt'));
  await registry.putBlob('models/a', content, { mediaType: MEDIA_TYPE.layer });
  assert.ok(content.equals(await buffer(await registry.getBlob('models/a', digest))));
});

test('garbage collection frees what nothing names, and only that', async (t) => {
  const { home, folder, registry } = await makeLayout({ after: (work) => t.after(work) });
  await store(registry, 'models/a', 'kept', '1');
  const replaced = await store(registry, 'models/a', 'replaced', '2');
  await store(registry, 'models/a', 'replacement', '2');
  const live = await store(registry, 'revisions/a', 'live');
  const liveDigest = (await registry.putManifest('revisions/a', live, {})).descriptor.digest;
  const orphan = await registry.putBlob('models/a', Buffer.from('orphan'), { mediaType: MEDIA_TYPE.layer });
  const roots = { manifests: new Set([liveDigest]), trees: new Set<string>(), bundles: new Set<string>() };

  const young = await gc(home, { folder }, collect(new Date(), { roots }));
  assert.equal(young.bytes, 0, 'what is new stays, another process may be about to name it');
  const planned = await gc(home, { folder }, collect(later(), { roots, dryRun: true }));
  assert.equal(await registry.hasBlob('models/a', orphan.digest), true);
  const blobs = layoutFolders(folder).blobs;
  await utimes(join(blobs, orphan.digest.slice(7)), 0, 0);
  const freed = await gc(home, { folder }, collect(later(), { roots }));

  assert.deepEqual(freed, planned);
  assert.equal(freed.manifests.count, 1);
  assert.equal(freed.blobs.count, 3, 'the orphan, the replaced layer and its manifest');
  for (const gone of [orphan.digest, replaced.layers[0]?.digest ?? '']) {
    assert.equal(await registry.hasBlob('models/a', gone), false);
  }
  assert.deepEqual((await registry.getManifest('revisions/a', liveDigest)).manifest, live);
  for (const tag of ['1', '2']) {
    const { manifest } = await registry.getManifest('models/a', tag);
    for (const layer of manifest.layers) await buffer(await registry.getBlob('models/a', layer.digest));
  }
  assert.equal((await gc(home, { folder }, collect(later(), { roots }))).bytes, 0);
});

test('garbage collection removes the unfinished content of a killed process, not of a running one', async (t) => {
  const { home, folder } = await makeLayout({ after: (work) => t.after(work) });
  const module = new URL('../../src/engine/registry/layout.ts', import.meta.url).href;
  const writer = spawn(process.execPath, [
    '--input-type=module-typescript',
    '--eval',
    `import { openLayout } from '${module}';
     const registry = openLayout(${JSON.stringify(home)}, ${JSON.stringify(folder)});
     async function* endless() {
       yield Buffer.alloc(1000);
       yield Buffer.alloc(1000);
       process.stdout.write('writing');
       await new Promise(() => setInterval(() => {}, 1000));
     }
     await registry.putBlob('models/a', endless(), { mediaType: 'text/plain' });`,
  ]);
  t.after(() => writer.kill('SIGKILL'));
  await once(writer.stdout, 'data');
  const soon = new Date(Date.now() + 5 * 60_000);
  assert.equal((await gc(home, { folder }, collect(soon))).uploads.count, 0);
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  await writeFile(join(folder, `.index.json.${randomUUID()}.tmp`), 'half');
  assert.deepEqual((await gc(home, { folder }, collect(soon))).uploads, { count: 2, bytes: 2004 });
  assert.deepEqual((await readdir(folder)).sort(), ['blobs', 'index.copy.json', 'index.json', 'oci-layout', 'uploads']);
  assert.deepEqual(await readdir(layoutFolders(folder).uploads), []);
});

test('names that repositories cannot have are told apart, whatever their case and separators', () => {
  const names = ['a', 'A', 'a-', 'a--b', 'a-b', 'a_b', 'a.b', 'A-b', 'a__b', '_', 'ä', 'é', `${'x'.repeat(120)}`];
  const encoded = names.map(encodeName);
  assert.equal(new Set(encoded).size, names.length);
  for (const name of encoded) assert.match(name, /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$/);
  assert.equal(encodeName('sklearn-regression.v1_2'), 'sklearn-regression.v1_2');
});

async function runScript(script: string): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([buffer(child.stdout), once(child, 'exit')]);
  assert.equal(code, 0);
  return output.toString('utf8');
}

test('a folder that is no layout yet reads as empty and is not made by reading', async (t) => {
  const { folder, registry } = await makeLayout({ after: (work) => t.after(work) });
  assert.deepEqual(await registry.listRepositories(''), []);
  await assert.rejects(stat(folder), { code: 'ENOENT' });
});
