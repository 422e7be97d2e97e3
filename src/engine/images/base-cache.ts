import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { OnBytes, Registry } from '../registry/registry.ts';
import { type Manifest, MEDIA_TYPE } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { type BaseContent, combineFinds, inspectLayer, type LayerFinds } from './base-python.ts';
import type { Layer } from './layer.ts';

/** Layers of base images, shared by all that are made of them. */
export const BASE_LAYERS = 'base-layers';
const ARTIFACT = 'application/vnd.aksml.base-layer.v1';
const FINDS = 'application/vnd.aksml.base-layer.finds.v1+json';
const FORMAT = 1;

/**
 * Brings the layers of a base image into the cache, each checked against its digest, and tells what is in them. What is there already is
 * not fetched again.
 */
export async function fetchBase(
  base: BaseImage,
  cache: Registry,
  options: { readonly onBytes?: OnBytes; readonly signal?: AbortSignal } = {},
): Promise<BaseContent> {
  const finds: LayerFinds[] = [];
  let done = 0;
  for (const layer of base.layers) {
    finds.push(
      await fetchLayer(base, layer, cache, { ...options, onBytes: (bytes) => options.onBytes?.(done + bytes) }),
    );
    done += layer.descriptor.size;
    options.onBytes?.(done);
  }
  return combineFinds(finds);
}

async function fetchLayer(
  base: BaseImage,
  { descriptor }: Layer,
  cache: Registry,
  options: { readonly onBytes: OnBytes; readonly signal?: AbortSignal },
): Promise<LayerFinds> {
  const tag = `v${FORMAT}-${descriptor.digest.slice('sha256:'.length)}`;
  const known = await readKnown(cache, tag, descriptor.digest);
  if (known) return known;
  const { signal } = options;
  const content = { [Symbol.asyncIterator]: () => read(base, descriptor.digest, signal) };
  await cache.putBlob(BASE_LAYERS, content, { mediaType: descriptor.mediaType, expected: descriptor, ...options });
  const finds = await inspectLayer(descriptor, await cache.getBlob(BASE_LAYERS, descriptor.digest, signal));
  const config = await cache.putBlob(BASE_LAYERS, Buffer.from(JSON.stringify(finds)), { mediaType: FINDS });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config,
    layers: [descriptor],
  };
  await cache.putManifest(BASE_LAYERS, manifest, { tag });
  return finds;
}

async function* read(base: BaseImage, digest: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  yield* await base.open(digest, signal);
}

async function readKnown(cache: Registry, tag: string, digest: string): Promise<LayerFinds | undefined> {
  try {
    const { manifest } = await cache.getManifest(BASE_LAYERS, tag);
    if (!(await cache.hasBlob(BASE_LAYERS, digest))) return undefined;
    const finds: unknown = JSON.parse(
      (await buffer(await cache.getBlob(BASE_LAYERS, manifest.config.digest))).toString('utf8'),
    );
    return isFinds(finds) ? finds : undefined;
  } catch (error) {
    if (AksmlError.is(error)) return undefined;
    throw error;
  }
}

function isFinds(value: unknown): value is LayerFinds {
  return typeof value === 'object' && value !== null && 'pythons' in value && 'removed' in value && 'libc' in value;
}
