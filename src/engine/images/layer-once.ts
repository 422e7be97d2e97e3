import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
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
  if (known && hasDiffId(known.record)) return { descriptor: known.descriptor, diffId: known.record.diffId };
  const { descriptor, diffId } = await make();
  await keep(place, tag, { artifactType: ARTIFACT, recordType: CONFIG, descriptor, record: { diffId } }, signal);
  return { descriptor, diffId };
}

export function hasDiffId(record: unknown): record is { readonly diffId: string } {
  return typeof record === 'object' && record !== null && 'diffId' in record && typeof record.diffId === 'string';
}

/** A layer and what is recorded of it; undefined where none has the tag, or its content is gone. */
export async function findKept(
  { registry, repository }: Place,
  tag: string,
  signal?: AbortSignal,
): Promise<{ readonly descriptor: Descriptor; readonly record: unknown } | undefined> {
  try {
    const { manifest } = await registry.getManifest(repository, tag, signal);
    const [descriptor] = manifest.layers;
    if (!descriptor || !(await registry.hasBlob(repository, descriptor.digest, signal))) return undefined;
    const content = await buffer(await registry.getBlob(repository, manifest.config.digest, signal));
    return { descriptor, record: JSON.parse(content.toString('utf8')) as unknown };
  } catch (error) {
    if (GONE.some((code) => AksmlError.is(error, code))) return undefined;
    throw error;
  }
}

/** Absent, or no longer whole: made again, it is. */
const GONE = ['registry.notFound', 'registry.blobUnknown', 'registry.corrupt'];

/** Lets {@link findKept} find a layer that the repository has. */
export async function keep(
  { registry, repository }: Place,
  tag: string,
  kept: {
    readonly artifactType: string;
    readonly recordType: string;
    readonly descriptor: Descriptor;
    readonly record: unknown;
  },
  signal?: AbortSignal,
): Promise<void> {
  const { artifactType, recordType, descriptor, record } = kept;
  const config = await registry.putBlob(repository, Buffer.from(JSON.stringify(record)), {
    mediaType: recordType,
    signal,
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType,
    config,
    layers: [descriptor],
  };
  await registry.putManifest(repository, manifest, { tag, ...(signal === undefined ? {} : { signal }) });
}
