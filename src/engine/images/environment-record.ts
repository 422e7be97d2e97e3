import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { copyBlob } from '../registry/copy.ts';
import { sha256 } from '../registry/reference.ts';
import { type Manifest, MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import type { ComposedImage } from './compose.ts';
import type { EnvironmentImage } from './environment-image.ts';
import { type ImageConfig, isImageConfig } from './image-config.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import type { Layer } from './layer.ts';

/** What an environment's image does not say itself: an artifact beside it, found by what was asked for and by what came of it. */
interface EnvironmentRecord {
  readonly hash: string;
  readonly pythonVersion: string;
  readonly lock: readonly string[];
  readonly baseDigest: string;
  readonly baseReference?: string;
}

interface StoredRecord extends EnvironmentRecord {
  /** Digest of the image's manifest. */
  readonly image: string;
}

const ARTIFACT = 'application/vnd.aksml.environment-image.v1';
const RECORD = 'application/vnd.aksml.environment-image.config.v1+json';

/** The tag of a record. */
export function byKey(key: string): string {
  return `key-${key}`;
}

export function byHash(hash: string): string {
  return `hash-${hash}`;
}

/** Of an environment's image itself. */
export function imageTag(hash: string): string {
  return `image-${hash}`;
}

/** Stores the image, whose layers are there already, and last the record that leads to it. */
export async function remember(
  registry: Registry,
  key: string,
  made: { readonly composed: ComposedImage; readonly layers: readonly Layer[]; readonly record: EnvironmentRecord },
): Promise<EnvironmentImage> {
  const { composed, record, layers } = made;
  const { config, configDescriptor, manifest, descriptor } = composed;
  await registry.putBlob(ENVIRONMENT_IMAGES, config, { mediaType: MEDIA_TYPE.imageConfig });
  await registry.putManifest(ENVIRONMENT_IMAGES, manifest, { tag: imageTag(record.hash) });
  const stored: StoredRecord = { ...record, image: descriptor.digest };
  const content = Buffer.from(JSON.stringify(stored));
  const artifact: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config: await registry.putBlob(ENVIRONMENT_IMAGES, content, { mediaType: RECORD }),
    layers: [configDescriptor],
  };
  for (const tag of [byHash(record.hash), byKey(key)])
    await registry.putManifest(ENVIRONMENT_IMAGES, artifact, { tag });
  return asEnvironment(stored, JSON.parse(Buffer.from(config).toString('utf8')), layers);
}

interface Recalled {
  readonly record: StoredRecord;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

/**
 * The image whose record has the tag; undefined where there is none, or it leads nowhere. One request when this machine has read the
 * record before: what it names by digest never changes.
 */
export async function recall(
  home: Home,
  registry: Registry,
  tag: string,
  signal?: AbortSignal,
): Promise<EnvironmentImage | undefined> {
  const { manifest, descriptor } = (await findManifest(registry, tag, signal)) ?? {};
  if (!descriptor || manifest?.artifactType !== ARTIFACT) return undefined;
  const identity = sha256(`${registry.location} ${descriptor.digest}`).slice('sha256:'.length);
  const memory = join(home.cache, 'environment-images', `${identity}.json`);
  const known = await readFile(memory, 'utf8').then(
    (text) => JSON.parse(text) as Recalled,
    () => undefined,
  );
  const recalled = known ?? (await readRecord(registry, manifest, signal));
  if (!recalled) return undefined;
  if (!known) await writeFileAtomic(memory, JSON.stringify(recalled));
  return asEnvironment(recalled.record, recalled.config, recalled.layers);
}

/** Undefined when nothing has the tag. */
async function findManifest(registry: Registry, reference: string, signal?: AbortSignal) {
  try {
    return await registry.getManifest(ENVIRONMENT_IMAGES, reference, signal);
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}

async function readRecord(
  registry: Registry,
  artifact: Manifest,
  signal: AbortSignal | undefined,
): Promise<Recalled | undefined> {
  const record: unknown = await readJson(registry, artifact.config.digest, signal);
  if (!isRecord(record)) return undefined;
  const found = await findManifest(registry, record.image, signal);
  if (!found) return undefined;
  const { manifest } = found;
  const config: unknown = await readJson(registry, manifest.config.digest, signal);
  if (!isImageConfig(config) || config.rootfs.diff_ids.length !== manifest.layers.length) return undefined;
  const layers = manifest.layers.map((descriptor, index) => ({
    descriptor,
    diffId: config.rootfs.diff_ids[index] ?? '',
  }));
  return { record, config, layers };
}

async function readJson(registry: Registry, digest: string, signal: AbortSignal | undefined): Promise<unknown> {
  try {
    return JSON.parse((await buffer(await registry.getBlob(ENVIRONMENT_IMAGES, digest, signal))).toString('utf8'));
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is StoredRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { hash, image, lock, pythonVersion, baseDigest } = value as Partial<Record<string, unknown>>;
  const texts = [hash, image, pythonVersion, baseDigest];
  return texts.every((text) => typeof text === 'string') && Array.isArray(lock);
}

function asEnvironment(record: EnvironmentRecord, config: ImageConfig, layers: readonly Layer[]): EnvironmentImage {
  return {
    hash: record.hash,
    pythonVersion: record.pythonVersion,
    lock: record.lock,
    digest: record.baseDigest,
    ...(record.baseReference === undefined ? {} : { reference: record.baseReference }),
    config,
    layers,
  };
}

/** Brings an environment of the global registry into the workspace's; undefined when it is not there either. */
export async function takeFromGlobal(
  home: Home,
  global: Registry,
  registry: Registry,
  key: string,
  signal?: AbortSignal,
): Promise<{ readonly image: EnvironmentImage; readonly foundIn: string } | undefined> {
  const image = await recall(home, global, byKey(key), signal);
  if (!image) return undefined;
  const from = { registry: global, repository: ENVIRONMENT_IMAGES };
  const to = { registry, repository: ENVIRONMENT_IMAGES };
  for (const tag of [imageTag(image.hash), byHash(image.hash), byKey(key)]) {
    const { manifest } = await global.getManifest(ENVIRONMENT_IMAGES, tag, signal);
    for (const blob of [manifest.config, ...manifest.layers]) {
      await copyBlob(from, to, blob, signal === undefined ? {} : { signal });
    }
    await registry.putManifest(ENVIRONMENT_IMAGES, manifest, { tag, ...(signal === undefined ? {} : { signal }) });
  }
  return { image, foundIn: global.location };
}
