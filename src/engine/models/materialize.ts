import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import { ensureFolder } from '../../home/folder.ts';
import { withLock } from '../../home/lock.ts';
import { recallDocument } from '../registry/documents.ts';
import { MODEL_TREES_LOCK } from '../registry/gc.ts';
import { removeLeftovers, removeUnfinished, unfinishedName } from '../registry/leftover.ts';
import type { Descriptor } from '../registry/registry.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { findModel, type ModelOptions, type ModelStore } from './catalog.ts';
import { modelRepository, type StoredModel, storedAs } from './record.ts';
import { type ListedFile, parseListing } from './tree.ts';
import { treeFolder, unpackTree } from './tree-layer.ts';

/**
 * The model's files as a tree that replicas read: `home.models/<tree>/<basename>`, whose path is the answer. It is unpacked once for all
 * models with the same files; its files are read-only. Complete or absent, whatever happens to this process.
 * @throws AksmlError `registry.corrupt` | `disk.full`
 */
export async function materializeModel(store: ModelStore, model: Model, options: ModelOptions = {}): Promise<string> {
  const folder = join(store.home.models, model.treeDigest.slice('sha256:'.length));
  if (!(await isKept(store, folder, model))) {
    const record = await findModel(store, model.id);
    await unpackAside(store, record, store.home.models, { ...options, readOnly: true }, async (unpacked) => {
      await rename(unpacked, folder).catch(async (error: unknown) => {
        // Another process was faster: its tree is the same.
        if (!(await isKept(store, folder, model))) throw error;
      });
    });
  }
  return join(folder, model.basename);
}

/** A tree that is asked for counts as new again, so that garbage collection leaves it. One that has lost files is removed. */
async function isKept(store: ModelStore, folder: string, model: Model): Promise<boolean> {
  return await withLock(store.home, MODEL_TREES_LOCK, async () => {
    const now = new Date();
    try {
      await utimes(folder, now, now);
    } catch {
      return false;
    }
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    if (entries.filter((entry) => !entry.isDirectory()).length === model.fileCount) return true;
    await rm(folder, { recursive: true, force: true });
    return false;
  });
}

/** What an image needs to link to a model: the layer that holds its tree, and the tree's files below `folder`. */
export interface ModelLayer {
  readonly layer: Descriptor;
  /** Without a leading `/`. */
  readonly folder: string;
  readonly files: readonly ListedFile[];
}

export async function modelLayer(store: ModelStore, model: Model, signal?: AbortSignal): Promise<ModelLayer> {
  const record = storedAs(model) ?? (await findModel(store, model.id));
  return {
    layer: record.layer,
    folder: treeFolder(model.treeDigest),
    files: await readListing(store, record, signal),
  };
}

/** See `downloadModel`. */
export async function placeModel(
  store: ModelStore,
  record: StoredModel,
  targetDirectory: string,
  options: ModelOptions & { readonly overwrite?: boolean },
): Promise<string> {
  const folder = resolve(targetDirectory);
  const target = join(folder, record.model.basename);
  const exists = (): Promise<boolean> =>
    stat(target).then(
      () => true,
      () => false,
    );
  const refuse = (): AksmlError =>
    new AksmlError('model.targetExists', `${target} exists already.`, {
      fault: 'input',
      subject: target,
      remedy: 'Choose another target directory, or allow overwriting it (--overwrite).',
    });
  if (!options.overwrite && (await exists())) throw refuse();
  await unpackAside(store, record, folder, { ...options, readOnly: false }, async (unpacked) => {
    if (await exists()) {
      if (!options.overwrite) throw refuse();
      await rename(target, join(unpacked, '.replaced'));
    }
    await rename(join(unpacked, record.model.basename), target);
  });
  return target;
}

/** Unpacks into a folder of its own in `parent`, lets `place` take what it wants from there, and leaves nothing else behind. */
async function unpackAside(
  store: ModelStore,
  record: StoredModel,
  parent: string,
  options: ModelOptions & { readonly readOnly: boolean },
  place: (unpacked: string) => Promise<void>,
): Promise<void> {
  const { model, layer } = record;
  const unpacked = join(parent, unfinishedName());
  const onBytes = (done: number): void =>
    options.onProgress?.({
      type: 'progress',
      stage: 'models',
      done,
      total: model.size,
      unit: 'bytes',
      detail: `Unpacking ${model.id}`,
    });
  try {
    await ensureFolder(unpacked, 0o700);
    await removeLeftovers(parent);
    const listing = await readListing(store, record, options.signal);
    const content = await store.registry.getBlob(modelRepository(model.name), layer.digest, options.signal);
    await unpackTree(content, model, listing, unpacked, {
      readOnly: options.readOnly,
      onBytes,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    await place(unpacked);
  } catch (error) {
    throw asStorageError(error, `Unpacking the model ${model.id}`, parent);
  } finally {
    await removeUnfinished(unpacked);
  }
}

/** Bytes of a listing that this machine keeps: one of some hundred files. */
const SMALL_LISTING = 64 * 1024;

/** The registry verifies it against its digest, which is the tree digest. */
async function readListing(
  { home, registry }: ModelStore,
  { model, listing: { digest, size } }: StoredModel,
  signal: AbortSignal | undefined,
): Promise<ListedFile[]> {
  const get = async () => buffer(await registry.getBlob(modelRepository(model.name), digest, signal));
  return parseListing(size > SMALL_LISTING ? await get() : await recallDocument(home, digest, get));
}
