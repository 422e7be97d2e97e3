import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { Place } from '../registry/copy.ts';
import { type Manifest, MEDIA_TYPE } from '../registry/registry.ts';
import type { Layer } from './layer.ts';

const ARTIFACT = 'application/vnd.aksml.layer.v1';
const CONFIG = 'application/vnd.aksml.layer.config.v1+json';

/** The layer that has the tag, made and remembered under it where there is none yet, its content is gone, or it is to be made `anew`. */
export async function layerOnce(
  { registry, repository }: Place,
  tag: string,
  make: () => Promise<Layer>,
  signal?: AbortSignal,
  anew = false,
): Promise<Layer> {
  const known = anew ? undefined : await find({ registry, repository }, tag, signal);
  if (known) return known;
  const { descriptor, diffId } = await make();
  const config = await registry.putBlob(repository, Buffer.from(JSON.stringify({ diffId })), {
    mediaType: CONFIG,
    signal,
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config,
    layers: [descriptor],
  };
  await registry.putManifest(repository, manifest, { tag, ...(signal === undefined ? {} : { signal }) });
  return { descriptor, diffId };
}

async function find(
  { registry, repository }: Place,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<Layer | undefined> {
  try {
    const { manifest } = await registry.getManifest(repository, tag, signal);
    const [descriptor] = manifest.layers;
    if (!descriptor || !(await registry.hasBlob(repository, descriptor.digest, signal))) return undefined;
    const config: unknown = JSON.parse(
      (await buffer(await registry.getBlob(repository, manifest.config.digest, signal))).toString('utf8'),
    );
    const diffId: unknown = typeof config === 'object' && config !== null ? Reflect.get(config, 'diffId') : undefined;
    return typeof diffId === 'string' ? { descriptor, diffId } : undefined;
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}
