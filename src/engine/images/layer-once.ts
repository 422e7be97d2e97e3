import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import { together } from '../../parallel/parallel.ts';
import type { Place } from '../registry/copy.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE } from '../registry/registry.ts';
import type { Layer } from './layer.ts';

const ARTIFACT = 'application/vnd.aksml.layer.v1';
const CONFIG = 'application/vnd.aksml.layer.config.v1+json';

/** The layer that has the tag, made and remembered under it where there is none yet, its content is gone, or it is to be made `anew`. */
export async function layerOnce(
  place: Place,
  tag: string,
  make: () => Promise<Layer>,
  signal?: AbortSignal,
  anew = false,
): Promise<Layer> {
  const known = anew ? undefined : await findKept(place, tag, signal);
  const [kept] = known?.descriptors ?? [];
  if (kept && hasDiffId(known?.record)) return { descriptor: kept, diffId: known.record.diffId };
  const { descriptor, diffId } = await make();
  const descriptors = [descriptor];
  await keep(place, tag, { artifactType: ARTIFACT, recordType: CONFIG, descriptors, record: { diffId } }, signal);
  return { descriptor, diffId };
}

export function hasDiffId(record: unknown): record is { readonly diffId: string } {
  return typeof record === 'object' && record !== null && 'diffId' in record && typeof record.diffId === 'string';
}

/** Layers and what is recorded of them; undefined where none have the tag, or the content of one is gone. */
export async function findKept(
  { registry, repository }: Place,
  tag: string,
  signal?: AbortSignal,
): Promise<{ readonly descriptors: readonly Descriptor[]; readonly record: unknown } | undefined> {
  try {
    const { manifest } = await registry.getManifest(repository, tag, signal);
    const descriptors = manifest.layers;
    const present = await together(...descriptors.map(({ digest }) => registry.hasBlob(repository, digest, signal)));
    if (present.includes(false)) return undefined;
    const content = await buffer(await registry.getBlob(repository, manifest.config.digest, signal));
    return { descriptors, record: JSON.parse(content.toString('utf8')) as unknown };
  } catch (error) {
    if (GONE.some((code) => AksmlError.is(error, code))) return undefined;
    throw error;
  }
}

/** Absent, or no longer whole: made again, it is. */
const GONE = ['registry.notFound', 'registry.blobUnknown', 'registry.corrupt'];

/** Lets {@link findKept} find layers that the repository has. */
export async function keep(
  { registry, repository }: Place,
  tag: string,
  kept: {
    readonly artifactType: string;
    readonly recordType: string;
    readonly descriptors: readonly Descriptor[];
    readonly record: unknown;
  },
  signal?: AbortSignal,
): Promise<void> {
  const { artifactType, recordType, descriptors, record } = kept;
  const config = await registry.putBlob(repository, Buffer.from(JSON.stringify(record)), {
    mediaType: recordType,
    signal,
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType,
    config,
    layers: descriptors,
  };
  await registry.putManifest(repository, manifest, { tag, ...(signal === undefined ? {} : { signal }) });
}
