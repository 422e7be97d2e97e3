import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Model } from '../../src/contract/model.ts';
import { packageImage } from '../../src/engine/images/package.ts';
import { configOf, MODEL_CONFIG, MODEL_LISTING, manifestOf, modelRepository } from '../../src/engine/models/record.ts';
import { readTree } from '../../src/engine/models/tree.ts';
import { packTree } from '../../src/engine/models/tree-layer.ts';
import { layoutFolders, openLayout } from '../../src/engine/registry/layout.ts';
import { type IndexEntry, LayoutIndex, withTag } from '../../src/engine/registry/layout-index.ts';
import { sha256 } from '../../src/engine/registry/reference.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { inspectFiles } from './image-files.ts';
import { environmentDefinition, makePackageWorld, type PackageWorld, writeSmallBase } from './package-world.ts';

const COUNT = 1000;
/** Kernels and container runtimes mount no more. */
const MOST_LAYERS = 127;
const BASE_LAYERS = 12;

test('1,000 models are in an image at their places of v1, and one more changes two of its layers', async (t) => {
  const world = await makePackageWorld(t);
  const base = join(world.folder, 'base');
  await writeSmallBase(base, { layers: BASE_LAYERS });
  const models = await storeModels(world, COUNT + 1);
  const first = await composed(world, base, models.slice(0, COUNT), 'first');
  assert.ok(first.layers.length <= MOST_LAYERS, `${first.layers.length} layers`);
  assert.ok(
    first.layers.length > MOST_LAYERS - BASE_LAYERS,
    `${first.layers.length} layers: those that there is room for are used`,
  );
  for (const [index, { name }] of models.slice(0, COUNT).entries()) {
    const path = `var/azureml-app/azureml-models/${name}/1/weights.txt`;
    const target = first.files.get(path) ?? '';
    assert.equal(first.files.get(posix.join(posix.dirname(path), target)), contentOf(index), path);
  }
  const second = await composed(world, base, models, 'second');
  assert.ok(second.files.has(`var/azureml-app/azureml-models/model-${COUNT}/1/weights.txt`));
  const before = new Set(first.layers);
  // That with the models beside which it is put, and that with the places of all.
  assert.equal(second.layers.filter((layer) => !before.has(layer)).length, 2);
  assert.equal(second.layers.length, first.layers.length);
});

/** The digests of its layers, and all its files with what they hold or lead to. */
async function composed(world: PackageWorld, base: string, models: readonly Model[], name: string) {
  const outputPath = join(world.folder, name);
  const definition = environmentDefinition({ python: { userManagedDependencies: true, interpreterPath: 'python3' } });
  const { digest } = await packageImage(world.store, world.request({ base, models, definition, outputPath }), {
    format: 'layout',
  });
  const output = openLayout(world.store.home, outputPath);
  const [repository = ''] = await output.listRepositories('');
  const { manifest } = await output.getManifest(repository, digest);
  return {
    layers: manifest.layers.map((layer) => layer.digest),
    files: await inspectFiles(output, repository, digest),
  };
}

/** The last is the smallest. */
function contentOf(index: number): string {
  return `${index} `.padEnd(2000 - index, 'x');
}

/** As registering stores them, but for its care that each survives a power failure. */
async function storeModels({ store, model, folder }: PackageWorld, count: number): Promise<readonly Model[]> {
  const { location } = store.registry;
  const put = async (content: Uint8Array, mediaType: string): Promise<Descriptor> => {
    const digest = sha256(content);
    await writeFile(join(layoutFolders(location).blobs, digest.slice('sha256:'.length)), content);
    return { mediaType, digest, size: content.length };
  };
  const index = new LayoutIndex(location);
  let entries: readonly IndexEntry[] = (await index.read()).entries;
  const models: Model[] = [];
  for (let number = 0; number < count; number += 1) {
    const path = join(folder, 'models', String(number), 'weights.txt');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, contentOf(number));
    const { treeDigest, size, listing, ...tree } = await readTree(path);
    const name = `model-${number}`;
    const one: Model = { ...model, id: `${name}:1`, name, basename: tree.basename, treeDigest, size };
    const layer = await put(await buffer(packTree({ ...tree, treeDigest, size, listing })), MEDIA_TYPE.layer);
    const config = await put(configOf(one), MODEL_CONFIG);
    const manifest = manifestOf(one, config, layer, await put(listing, MODEL_LISTING));
    const stored = await put(Buffer.from(JSON.stringify(manifest)), manifest.mediaType);
    entries = withTag(entries, modelRepository(name), '1', { ...stored, artifactType: manifest.artifactType ?? '' });
    models.push(one);
  }
  await index.replace(entries);
  return models;
}
