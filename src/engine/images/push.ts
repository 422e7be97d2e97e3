import { AksmlError } from '../../contract/error.ts';
import { inParallel } from '../models/parallel.ts';
import { copyBlob, type Place } from '../registry/copy.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE, type OnBytes } from '../registry/registry.ts';
import type { AssembledImage } from './assemble.ts';

const LAYERS_AT_ONCE = 6;

export interface PushedImage {
  /** The very image was there already. */
  readonly reused: boolean;
  /** Bytes that went over the network, of layers, configuration and manifest. */
  readonly sentBytes: number;
  /** Layers that had not to be sent. */
  readonly reusedLayers: number;
}

/** A document about an image, stored beside it as an OCI referrer. */
export interface Attachment {
  readonly mediaType: string;
  readonly content: Uint8Array;
}

/**
 * Brings an image into a repository: layers that are there, or can be taken over from another repository of the registry, are not sent.
 * The tag comes last; an image that was pushed half-way is not seen, and goes on from there the next time.
 * @throws AksmlError `registry.*`; `registry.notFound` when a layer is nowhere any more
 */
export async function pushImage(
  { image, layers }: AssembledImage,
  to: Place & { readonly tag: string },
  options: {
    readonly attachments?: readonly Attachment[];
    readonly onBytes?: OnBytes;
    readonly signal?: AbortSignal;
  } = {},
): Promise<PushedImage> {
  const { registry, repository, tag } = to;
  const { signal } = options;
  const aborting = signal === undefined ? {} : { signal };
  if (await isThere(to, image.descriptor.digest, signal)) {
    await registry.putManifest(repository, image.manifest, { tag, ...aborting });
    return { reused: true, sentBytes: 0, reusedLayers: layers.length };
  }
  const distinct = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
  const done = new Map<string, number>();
  const tell = (digest: string, bytes: number): void => {
    done.set(digest, bytes);
    options.onBytes?.([...done.values()].reduce((sum, part) => sum + part, 0));
  };
  const arrivals = await inParallel(distinct, LAYERS_AT_ONCE, async ({ descriptor, ...from }) => {
    const onBytes: OnBytes = (bytes) => tell(descriptor.digest, bytes);
    const arrival = await copyBlob(from, to, descriptor, { onBytes, ...aborting });
    tell(descriptor.digest, descriptor.size);
    return { arrival, size: descriptor.size };
  });
  await registry.putBlob(repository, image.config, { mediaType: MEDIA_TYPE.imageConfig, ...aborting });
  // Before what they are about, so that an image that is there has them all.
  for (const attachment of options.attachments ?? []) await attach(to, image.descriptor, attachment, signal);
  await registry.putManifest(repository, image.manifest, { tag, ...aborting });
  const sent = arrivals.filter(({ arrival }) => arrival === 'sent');
  return {
    reused: false,
    sentBytes: sent.reduce((sum, { size }) => sum + size, 0) + image.config.length + image.manifestBytes.length,
    reusedLayers: arrivals.length - sent.length,
  };
}

async function attach(
  { registry, repository }: Place,
  subject: Descriptor,
  { mediaType, content }: Attachment,
  signal: AbortSignal | undefined,
): Promise<void> {
  const config = await registry.putBlob(repository, Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty, signal });
  const document = await registry.putBlob(repository, content, { mediaType, signal });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: mediaType,
    config,
    layers: [document],
    subject,
  };
  await registry.putReferrer(repository, manifest, signal);
}

async function isThere({ registry, repository }: Place, digest: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await registry.getManifest(repository, digest, signal);
    return true;
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return false;
    throw error;
  }
}
