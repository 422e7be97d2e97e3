import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Home } from '../../home/home.ts';
import { inParallel } from '../../parallel/parallel.ts';
import { recallDocument } from '../registry/documents.ts';
import type { Registry } from '../registry/registry.ts';
import { isModel, MODEL_REPOSITORIES, modelRepository, readRecord, type StoredModel } from './record.ts';

/** Where models are kept, and what the operations on them need from their host. */
export interface ModelStore {
  readonly home: Home;
  readonly registry: Registry;
  readonly clock: () => Date;
  /** Recorded as `createdBy`. */
  readonly user: string;
}

/** Reading needs no more of a store. */
type Content = Pick<ModelStore, 'registry'>;

/** With `home`, a record that this machine has read before is not asked for again. */
type RememberedContent = Content & Partial<Pick<ModelStore, 'home'>>;

export interface ModelOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const RECORDS_AT_ONCE = 16;

/** Highest first, deleted ones included. */
export async function versionsOf(
  store: Content,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const tags = await store.registry.listTags(repository, signal);
  return tags
    .filter((tag) => /^[1-9]\d*$/.test(tag))
    .map(Number)
    .sort((a, b) => b - a);
}

/** Every stored model, or those of one name. */
export async function allModels(
  { registry }: Content,
  of: { readonly name?: string; readonly latest?: boolean },
  signal?: AbortSignal,
): Promise<StoredModel[]> {
  const repositories =
    of.name === undefined ? await registry.listRepositories(MODEL_REPOSITORIES, signal) : [modelRepository(of.name)];
  const found = await inParallel(repositories, RECORDS_AT_ONCE, (repository) =>
    of.latest ? latestVersion({ registry }, repository, signal) : allVersions({ registry }, repository, signal),
  );
  return found.flat();
}

async function allVersions(
  store: Content,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<StoredModel[]> {
  const versions = await versionsOf(store, repository, signal);
  const records = await inParallel(versions, RECORDS_AT_ONCE, (version) => read(store, repository, version, signal));
  return records.filter((record) => record !== undefined);
}

/** None or one. */
async function latestVersion(
  store: RememberedContent,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<StoredModel[]> {
  for (const version of await versionsOf(store, repository, signal)) {
    const record = await read(store, repository, version, signal);
    if (record) return [record];
  }
  return [];
}

/** Undefined for what was deleted, before or meanwhile. */
async function read(
  { registry, home }: RememberedContent,
  repository: string,
  version: number,
  signal: AbortSignal | undefined,
): Promise<StoredModel | undefined> {
  try {
    const { manifest } = await registry.getManifest(repository, String(version), signal);
    if (!isModel(manifest)) return undefined;
    const { digest } = manifest.config;
    const get = async () => buffer(await registry.getBlob(repository, digest, signal));
    return readRecord(manifest, home === undefined ? await get() : await recallDocument(home, digest, get));
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}

/** See `getModel`. */
export async function findModel(
  store: RememberedContent,
  idOrName: string,
  version?: number | string,
): Promise<StoredModel> {
  const [, name = idOrName, ofId] = /^([^:]*):(\d+)$/.exec(idOrName) ?? [];
  const wanted = version ?? ofId;
  const repository = modelRepository(name);
  const [record] =
    wanted === undefined
      ? await latestVersion(store, repository, undefined)
      : [await read(store, repository, Number(wanted), undefined)];
  if (record && record.model.name === name) return record;
  throw await notFound(store, name, wanted === undefined ? undefined : String(wanted));
}

async function notFound(store: Content, name: string, version: string | undefined): Promise<AksmlError> {
  const versions = (await allVersions({ registry: store.registry }, modelRepository(name), undefined)).map(
    ({ model }) => model.version,
  );
  const id = version === undefined ? name : `${name}:${version}`;
  const near = versions.length > 0 ? [] : nearest(name, await allModels(store, { latest: true }));
  const remedy =
    versions.length > 0
      ? `${name} has ${versions.length === 1 ? 'the version' : 'the versions'} ${versions.slice(0, 20).join(', ')}.`
      : near.length > 0
        ? `Did you mean ${near.join(' or ')}?`
        : 'Register it first (aksml model register), or list what there is (aksml model list).';
  return new AksmlError('model.notFound', `There is no model ${JSON.stringify(id)} in ${store.registry.location}.`, {
    fault: 'input',
    subject: `model/${id}`,
    remedy,
  });
}

const SUGGESTIONS = 3;

/** Names that differ by little, or of which one begins with the other. */
function nearest(name: string, models: readonly StoredModel[]): string[] {
  const wanted = name.toLowerCase();
  return models
    .map(({ model }) => {
      const other = model.name.toLowerCase();
      const related = other.startsWith(wanted) || wanted.startsWith(other);
      return { name: model.name, distance: related ? 1 : editDistance(wanted, other) };
    })
    .filter(({ distance }) => distance <= Math.max(2, wanted.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, SUGGESTIONS)
    .map((candidate) => candidate.name);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
