import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { withLock } from '../../home/lock.ts';
import { putEmpty } from '../registry/empty.ts';
import { type Descriptor, MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { allModels, findModel, type ModelOptions, type ModelStore, versionsOf } from './catalog.ts';
import { placeModel } from './materialize.ts';
import {
  configOf,
  deletedManifest,
  MODEL_CONFIG,
  MODEL_LISTING,
  manifestOf,
  modelRepository,
  withMetadata,
} from './record.ts';
import { addProperties, checkFramework, checkModelName, checkResources, noticesOnPath } from './rules.ts';
import { readTree, type Tree } from './tree.ts';
import { packTree } from './tree-layer.ts';

export type { ModelOptions, ModelStore } from './catalog.ts';

export interface RegisterRequest {
  readonly name: string;
  /** A file or a folder, relative to `cwd`. */
  readonly path: string;
  readonly cwd: string;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly properties?: Readonly<Record<string, string>>;
  readonly framework?: string;
  readonly frameworkVersion?: string;
  readonly resourceRequirements?: Model['resourceRequirements'];
  readonly sampleInputDatasetId?: string;
  readonly sampleOutputDatasetId?: string;
  readonly experimentName?: string;
  readonly runId?: string;
  /** Take the newest version of the name, as it is, where it has the same files: for what may have been registered a moment ago. */
  readonly reuse?: boolean;
}

export interface ModelFilter {
  readonly name?: string;
  /** A key, or a key with the value it must have. All must hold. */
  readonly tags?: readonly (readonly [key: string, value?: string])[];
  readonly properties?: readonly (readonly [key: string, value?: string])[];
  /** Only the highest version of each name. */
  readonly latest?: boolean;
  readonly runId?: string;
  /** Models with this sample input or output. */
  readonly datasetId?: string;
}

export interface ModelChanges {
  readonly description?: string;
  readonly addTags?: Readonly<Record<string, string>>;
  readonly removeTags?: readonly string[];
  readonly addProperties?: Readonly<Record<string, string>>;
  /** The figures given replace the model's; the others stay. */
  readonly resourceRequirements?: Model['resourceRequirements'];
  readonly sampleInputDatasetId?: string;
  readonly sampleOutputDatasetId?: string;
}

/**
 * Stores a file or folder as the next version of a model. Until the last step nothing of it can be seen, so that a kill, a full disk or a
 * file that changes meanwhile leaves no half of a model. `reused`: the registry had the same files already.
 * @throws AksmlError `model.*` | `disk.full` | `registry.*`
 */
export async function registerModel(
  store: ModelStore,
  request: RegisterRequest,
  options: ModelOptions = {},
): Promise<{ readonly model: Model; readonly notices: readonly Problem[]; readonly reused: boolean }> {
  checkModelName(request.name);
  const framework = checkFramework(request.framework, request.frameworkVersion);
  if (request.resourceRequirements) checkResources(request.resourceRequirements);
  if (request.path === '') throw noPath(request.name);
  const path = resolve(request.cwd, request.path);
  const notices = noticesOnPath(path, request.cwd);

  const label = `Registering ${request.name}`;
  options.onProgress?.({ type: 'start', stage: 'models', label });
  const report = (detail: string) => (done: number, total: number) =>
    options.onProgress?.({ type: 'progress', stage: 'models', done, total, unit: 'bytes', detail });
  const { signal } = options;
  const tree = await readTree(path, { onBytes: report('Reading'), ...(signal ? { signal } : {}) });
  const present = request.reuse ? await newestOf(store, request.name) : undefined;
  if (present?.treeDigest === tree.treeDigest) {
    options.onProgress?.({ type: 'done', stage: 'models', reused: true, detail: present.id });
    return { model: present, notices, reused: true };
  }
  const repository = modelRepository(request.name);
  const { layer, reused } = await storeTree(store, repository, tree, report('Storing'), signal);
  const listing = await store.registry.putBlob(repository, tree.listing, { mediaType: MODEL_LISTING, signal });
  const model = await claimVersion(store, repository, draftOf(store, request, framework, tree), layer, listing, signal);
  options.onProgress?.({ type: 'done', stage: 'models', reused, detail: model.id });
  return { model, notices, reused };
}

async function newestOf(store: ModelStore, name: string): Promise<Model | undefined> {
  try {
    return (await findModel(store, name)).model;
  } catch (error) {
    if (AksmlError.is(error, 'model.notFound')) return undefined;
    throw error;
  }
}

/** An unset shell variable gives an empty path, which would mean the whole current folder. */
function noPath(name: string): AksmlError {
  return new AksmlError('model.pathMissing', `The path of the files of ${name} is empty.`, {
    fault: 'input',
    subject: name,
    remedy: 'Name the file or folder to register; "." is the current folder.',
  });
}

type Draft = Omit<Model, 'id' | 'version'>;

function draftOf(store: ModelStore, request: RegisterRequest, framework: Model['framework'], tree: Tree): Draft {
  const { name, path: _path, cwd: _cwd, reuse: _reuse, tags, properties, ...rest } = request;
  const now = store.clock().toISOString();
  return {
    ...rest,
    name,
    framework,
    tags: tags ?? {},
    properties: properties ?? {},
    basename: tree.basename,
    isFolder: tree.isFolder,
    isMlflow: tree.isMlflow,
    treeDigest: tree.treeDigest,
    size: tree.size,
    fileCount: tree.files.length,
    createdTime: now,
    modifiedTime: now,
    createdBy: store.user,
  };
}

/** Where the layer of a tree was last stored: a layer is a function of its tree. */
interface KnownLayer {
  readonly layer: Descriptor;
  readonly location: string;
  readonly repository: string;
}

/** A tree that is stored already is not packed again, and not sent again where the registry can mount it from another repository. */
async function storeTree(
  store: ModelStore,
  repository: string,
  tree: Tree,
  onBytes: (done: number, total: number) => void,
  signal: AbortSignal | undefined,
): Promise<{ layer: Descriptor; reused: boolean }> {
  const { registry } = store;
  const memory = join(store.home.cache, 'model-layers', `${tree.treeDigest.slice('sha256:'.length)}.json`);
  const known = await readFile(memory, 'utf8').then(
    (text) => JSON.parse(text) as KnownLayer,
    () => undefined,
  );
  if (known && (await isWithin(registry, repository, known, signal))) return { layer: known.layer, reused: true };
  const reuse = registry.readsInStep ?? false;
  const layer = await registry.putBlob(repository, packTree(tree, { reuse, ...(signal ? { signal } : {}) }), {
    mediaType: MEDIA_TYPE.layer,
    onBytes: (bytes) => onBytes(Math.min(bytes, tree.size), tree.size),
    signal,
  });
  const stored: KnownLayer = { layer, location: registry.location, repository };
  await writeFileAtomic(memory, JSON.stringify(stored)).catch((error: unknown) => {
    throw asStorageError(error, 'Registering the model', store.home.cache);
  });
  return { layer, reused: false };
}

async function isWithin(
  registry: Registry,
  repository: string,
  known: KnownLayer,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (known.location !== registry.location || known.repository === repository) {
    return await registry.hasBlob(repository, known.layer.digest, signal);
  }
  try {
    await registry.mountBlob(known.repository, repository, known.layer, { signal });
    return true;
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return false;
    throw error;
  }
}

/** Two processes that register the same name at once get versions of their own. */
async function claimVersion(
  store: ModelStore,
  repository: string,
  draft: Draft,
  layer: Descriptor,
  listing: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Model> {
  for (let tried = 0; ; ) {
    const [highest = 0] = await versionsOf(store, repository, signal);
    // A number that somebody began to take and did not finish is left out.
    const version = Math.max(highest, tried) + 1;
    tried = version;
    const model: Model = { id: `${draft.name}:${version}`, version, ...draft };
    const config = await store.registry.putBlob(repository, configOf(model), { mediaType: MODEL_CONFIG, signal });
    const manifest = manifestOf(model, config, layer, listing);
    const tag = String(version);
    const { written } = await store.registry.putManifest(repository, manifest, { tag, ifAbsent: true, signal });
    if (written) return model;
  }
}

/** By name, then the newest version first. */
export async function listModels(store: ModelStore, filter: ModelFilter = {}, signal?: AbortSignal): Promise<Model[]> {
  if (filter.name !== undefined) checkModelName(filter.name);
  const { name, latest } = filter;
  const found = await allModels(
    store,
    { ...(name === undefined ? {} : { name }), ...(latest ? { latest } : {}) },
    signal,
  );
  return found
    .map(({ model }) => model)
    .filter((model) => matches(model, filter))
    .sort((a, b) => (a.name === b.name ? b.version - a.version : a.name < b.name ? -1 : 1));
}

function matches(model: Model, filter: ModelFilter): boolean {
  const holds = (record: Readonly<Record<string, string>>, wanted: ModelFilter['tags']): boolean =>
    (wanted ?? []).every(
      ([key, value]) => Object.hasOwn(record, key) && (value === undefined || record[key] === value),
    );
  return (
    holds(model.tags, filter.tags) &&
    holds(model.properties, filter.properties) &&
    (filter.runId === undefined || model.runId === filter.runId) &&
    (filter.datasetId === undefined ||
      model.sampleInputDatasetId === filter.datasetId ||
      model.sampleOutputDatasetId === filter.datasetId)
  );
}

/**
 * By id (`name:version`), or by name: the given version or the latest.
 * @throws AksmlError `model.notFound`, which names similar models
 */
export async function getModel(store: ModelStore, idOrName: string, version?: number | string): Promise<Model> {
  return (await findModel(store, idOrName, version)).model;
}

/**
 * Changes what may change; the files and the version stay.
 * @throws AksmlError `model.notFound` | `model.propertyExists` | `model.badResources`
 */
export async function updateModel(store: ModelStore, id: string, changes: ModelChanges): Promise<Model> {
  return await withRecordsLock(store, async () => {
    const { model, manifest } = await findModel(store, id);
    const { addTags, removeTags, addProperties: added, resourceRequirements, ...replaced } = changes;
    const tags = Object.entries({ ...model.tags, ...addTags }).filter(([key]) => !removeTags?.includes(key));
    const resources = { ...model.resourceRequirements, ...resourceRequirements };
    const updated: Model = {
      ...model,
      ...replaced,
      tags: Object.fromEntries(tags),
      properties: added ? addProperties(model, added) : model.properties,
      ...(resourceRequirements ? { resourceRequirements: checkResources(resources) } : {}),
      modifiedTime: store.clock().toISOString(),
    };
    const repository = modelRepository(model.name);
    await store.registry.putManifest(repository, withMetadata(manifest, updated), { tag: String(model.version) });
    return updated;
  });
}

/**
 * Removes one version. The highest leaves a mark, so that its number is never given to other files; garbage collection frees the content.
 * `usedBy` names the services that run the model.
 * @throws AksmlError `model.notFound` | `model.versionMissing` | `model.inUse`
 */
export async function deleteModel(
  store: ModelStore,
  id: string,
  options: { readonly usedBy: (id: string) => Promise<readonly string[]> },
): Promise<void> {
  if (!/:\d+$/.test(id)) {
    throw new AksmlError('model.versionMissing', `${JSON.stringify(id)} does not say which version to delete.`, {
      fault: 'input',
      subject: `model/${id}`,
      remedy: `Name one version, such as ${id}:1.`,
    });
  }
  await withRecordsLock(store, async () => {
    const { model } = await findModel(store, id);
    const users = await options.usedBy(model.id);
    if (users.length > 0) {
      throw new AksmlError('model.inUse', `${model.id} is in use by ${users.join(', ')}.`, {
        fault: 'input',
        subject: `model/${model.id}`,
        remedy: 'Delete those services, or deploy them with another model, then run the command again.',
      });
    }
    const repository = modelRepository(model.name);
    const [highest] = await versionsOf(store, repository, undefined);
    const tag = String(model.version);
    if (model.version !== highest) return await store.registry.deleteManifest(repository, tag);
    const empty = await putEmpty(store.registry, repository);
    await store.registry.putManifest(repository, deletedManifest(model.name, empty), { tag });
  });
}

/**
 * Writes the model's file or folder into `targetDirectory` and answers its path.
 * @throws AksmlError `model.notFound` | `model.targetExists` | `disk.full`
 */
export async function downloadModel(
  store: ModelStore,
  id: string,
  targetDirectory: string,
  options: ModelOptions & { readonly overwrite?: boolean } = {},
): Promise<string> {
  return await placeModel(store, await findModel(store, id), targetDirectory, options);
}

/** One reader and writer of records at a time; other machines on the same remote registry are not held off. */
async function withRecordsLock<T>(store: ModelStore, work: () => Promise<T>): Promise<T> {
  const registry = createHash('sha256').update(store.registry.location).digest('hex').slice(0, 32);
  return await withLock(store.home, `model-records-${registry}`, work);
}
