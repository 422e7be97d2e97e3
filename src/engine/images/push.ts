import { AksmlError } from '../../contract/error.ts';
import { inParallel, together } from '../models/parallel.ts';
import { copyBlob, type Place } from '../registry/copy.ts';
import { type Arrival, type Manifest, MEDIA_TYPE, type OnBytes } from '../registry/registry.ts';
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
  const { attachments = [], signal } = options;
  const aborting = signal === undefined ? {} : { signal };
  const { digest } = image.descriptor;
  const looking = isThere(to, digest, signal);
  // Every way to the registry costs the same: what depends on nothing goes at once.
  const sending = together(
    looking,
    sendLayers(layers, to, options),
    registry.putBlob(repository, image.config, { mediaType: MEDIA_TYPE.imageConfig, isNew: true, ...aborting }),
    inParallel(attachments, LAYERS_AT_ONCE, async (attachment) => {
      const document = await sendAttachment(to, attachment, signal);
      // Before what they are about, so that an image that is there has them all.
      if (!(await looking)) await registry.putReferrer(repository, { ...document, subject: image.descriptor }, signal);
    }),
  );
  const [[reused, arrivals]] = await together(
    sending,
    registry.putManifest(repository, image.manifest, { tag, after: sending, ...aborting }),
  );
  if (reused) return { reused, sentBytes: 0, reusedLayers: layers.length };
  const sent = arrivals.filter(({ arrival }) => arrival === 'sent');
  return {
    reused,
    sentBytes: sent.reduce((sum, { size }) => sum + size, 0) + image.config.length + image.manifestBytes.length,
    reusedLayers: arrivals.length - sent.length,
  };
}

async function sendLayers(
  layers: AssembledImage['layers'],
  to: Place,
  { onBytes, signal }: { readonly onBytes?: OnBytes; readonly signal?: AbortSignal },
): Promise<readonly { readonly arrival: Arrival; readonly size: number }[]> {
  const distinct = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
  const done = new Map<string, number>();
  const tell = (digest: string, bytes: number): void => {
    done.set(digest, bytes);
    onBytes?.([...done.values()].reduce((sum, part) => sum + part, 0));
  };
  return inParallel(distinct, LAYERS_AT_ONCE, async ({ descriptor, ...from }) => {
    const arrival = await copyBlob(from, to, descriptor, {
      onBytes: (bytes) => tell(descriptor.digest, bytes),
      ...(signal === undefined ? {} : { signal }),
    });
    tell(descriptor.digest, descriptor.size);
    return { arrival, size: descriptor.size };
  });
}

/** What its manifest names. */
async function sendAttachment(
  { registry, repository }: Place,
  { mediaType, content }: Attachment,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const [config, document] = await together(
    registry.putBlob(repository, Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty, signal }),
    registry.putBlob(repository, content, { mediaType, isNew: true, signal }),
  );
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: mediaType,
    config,
    layers: [document],
  };
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
