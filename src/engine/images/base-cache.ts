import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import { type Place, takeOver } from '../registry/copy.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE, type OnBytes, type Registry } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { type BaseContent, combineFinds, inspectLayer, type LayerFinds } from './base-python.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import type { Layer } from './layer.ts';

const ARTIFACT = 'application/vnd.aksml.base.v1';
const CONTENT = 'application/vnd.aksml.base.content.v1+json';
const FORMAT = 1;

/**
 * Brings the layers of a base image into {@link ENVIRONMENT_IMAGES}, each checked against its digest, and tells what is in them. What is
 * there already is not moved again, and what the registry can take over from another repository is not sent.
 */
export async function fetchBase(
  base: BaseImage,
  registry: Registry,
  options: { readonly onBytes?: OnBytes; readonly signal?: AbortSignal } = {},
): Promise<BaseContent> {
  const tag = `base-v${FORMAT}-${base.digest.slice('sha256:'.length)}`;
  const known = await readKnown(registry, tag);
  if (known) return known;
  const finds: LayerFinds[] = [];
  let done = 0;
  for (const layer of base.layers) {
    const onBytes: OnBytes = (bytes) => options.onBytes?.(done + bytes);
    finds.push(await fetchLayer(base, layer, registry, onBytes, options.signal));
    done += layer.descriptor.size;
    options.onBytes?.(done);
  }
  const content = combineFinds(finds);
  await remember(base, registry, tag, content);
  return content;
}

async function fetchLayer(
  base: BaseImage,
  { descriptor }: Layer,
  registry: Registry,
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): Promise<LayerFinds> {
  const options = { onBytes, ...(signal === undefined ? {} : { signal }) };
  const there = { registry, repository: ENVIRONMENT_IMAGES };
  if (base.place && (await takeOver(base.place, there, descriptor, signal))) return inspect(there, descriptor, signal);
  const sighted = inspectWhileRead(base, descriptor, signal);
  await registry.putBlob(ENVIRONMENT_IMAGES, sighted.content, {
    mediaType: descriptor.mediaType,
    expected: descriptor,
    ...options,
  });
  return (await sighted.finds()) ?? inspect(there, descriptor, signal);
}

async function inspect(from: Place, layer: Descriptor, signal: AbortSignal | undefined): Promise<LayerFinds> {
  return inspectLayer(layer, await from.registry.getBlob(from.repository, layer.digest, signal));
}

/** The layer's content, looked into on its way: known once it was read through, which is not needed where it is stored already. */
function inspectWhileRead(
  base: BaseImage,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): { readonly content: AsyncIterable<Uint8Array>; finds(): Promise<LayerFinds | undefined> } {
  let finds: Promise<LayerFinds> | undefined;
  return {
    finds: async () => finds,
    content: {
      async *[Symbol.asyncIterator]() {
        const copy = new PassThrough();
        const found = inspectLayer(layer, copy);
        // A connection that breaks also ends the look; then all of it begins again.
        found.catch(() => {});
        try {
          for await (const chunk of await base.open(layer.digest, signal)) {
            if (!copy.write(chunk)) await Promise.race([once(copy, 'drain'), found]);
            yield chunk;
          }
          copy.end();
          finds = found;
          await found;
        } finally {
          copy.destroy();
        }
      },
    },
  };
}

async function remember(base: BaseImage, registry: Registry, tag: string, content: BaseContent): Promise<void> {
  const config = await registry.putBlob(ENVIRONMENT_IMAGES, Buffer.from(JSON.stringify(content)), {
    mediaType: CONTENT,
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config,
    layers: base.layers.map(({ descriptor }) => descriptor),
  };
  await registry.putManifest(ENVIRONMENT_IMAGES, manifest, { tag });
}

/** Undefined when the base was never fetched, or the cache was cleared. */
async function readKnown(registry: Registry, tag: string): Promise<BaseContent | undefined> {
  try {
    const { manifest } = await registry.getManifest(ENVIRONMENT_IMAGES, tag);
    for (const { digest } of manifest.layers)
      if (!(await registry.hasBlob(ENVIRONMENT_IMAGES, digest))) return undefined;
    const content: unknown = JSON.parse(
      (await buffer(await registry.getBlob(ENVIRONMENT_IMAGES, manifest.config.digest))).toString('utf8'),
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
