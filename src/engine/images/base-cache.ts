import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import { type Manifest, MEDIA_TYPE, type OnBytes, type Registry } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { type BaseContent, combineFinds, inspectLayer, type LayerFinds } from './base-python.ts';
import type { Layer } from './layer.ts';

/** Layers of base images, shared by all that are made of them. */
export const BASE_LAYERS = 'base-layers';
const ARTIFACT = 'application/vnd.aksml.base.v1';
const CONTENT = 'application/vnd.aksml.base.content.v1+json';
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
  const tag = `v${FORMAT}-${base.digest.slice('sha256:'.length)}`;
  const known = await readKnown(cache, tag);
  if (known) return known;
  const finds: LayerFinds[] = [];
  let done = 0;
  for (const layer of base.layers) {
    const onBytes: OnBytes = (bytes) => options.onBytes?.(done + bytes);
    finds.push(await fetchLayer(base, layer, cache, onBytes, options.signal));
    done += layer.descriptor.size;
    options.onBytes?.(done);
  }
  const content = combineFinds(finds);
  await remember(base, cache, tag, content);
  return content;
}

async function fetchLayer(
  base: BaseImage,
  { descriptor }: Layer,
  cache: Registry,
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): Promise<LayerFinds> {
  const content = { [Symbol.asyncIterator]: () => read(base, descriptor.digest, signal) };
  await cache.putBlob(BASE_LAYERS, content, {
    mediaType: descriptor.mediaType,
    expected: descriptor,
    onBytes,
    ...(signal === undefined ? {} : { signal }),
  });
  return inspectLayer(descriptor, await cache.getBlob(BASE_LAYERS, descriptor.digest, signal));
}

async function* read(base: BaseImage, digest: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  yield* await base.open(digest, signal);
}

async function remember(base: BaseImage, cache: Registry, tag: string, content: BaseContent): Promise<void> {
  const config = await cache.putBlob(BASE_LAYERS, Buffer.from(JSON.stringify(content)), { mediaType: CONTENT });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config,
    layers: base.layers.map(({ descriptor }) => descriptor),
  };
  await cache.putManifest(BASE_LAYERS, manifest, { tag });
}

/** Undefined when the base was never fetched, or the cache was cleared. */
async function readKnown(cache: Registry, tag: string): Promise<BaseContent | undefined> {
  try {
    const { manifest } = await cache.getManifest(BASE_LAYERS, tag);
    for (const { digest } of manifest.layers) if (!(await cache.hasBlob(BASE_LAYERS, digest))) return undefined;
    const content: unknown = JSON.parse(
      (await buffer(await cache.getBlob(BASE_LAYERS, manifest.config.digest))).toString('utf8'),
    );
    return isContent(content) ? content : undefined;
  } catch (error) {
    if (AksmlError.is(error)) return undefined;
    throw error;
  }
}

function isContent(value: unknown): value is BaseContent {
  return typeof value === 'object' && value !== null && 'pythons' in value && 'libc' in value;
}
