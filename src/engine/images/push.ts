import { AksmlError } from '../../contract/error.ts';
import { inParallel, together } from '../../parallel/parallel.ts';
import { copyBlob, type Place } from '../registry/copy.ts';
import { putEmpty } from '../registry/empty.ts';
import { type Arrival, type Manifest, MEDIA_TYPE, type OnBytes } from '../registry/registry.ts';
import type { AssembledImage } from './assemble.ts';
import type { PlacedLayer } from './layer.ts';

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
 * The tag comes after all that it leads to; an image that was pushed half-way is not seen, and goes on from there the next time.
 * @throws AksmlError `registry.*`; `registry.notFound` when a layer is nowhere any more
 */
export async function pushImage(
  { image, layers }: AssembledImage,
  to: Place & { readonly tag: string },
  options: {
    /** It is there only with an attachment. */
    readonly described?: boolean;
    readonly onBytes?: OnBytes;
    readonly signal?: AbortSignal;
  } = {},
): Promise<PushedImage> {
  const { registry, repository, tag } = to;
  const { signal } = options;
  const aborting = signal === undefined ? {} : { signal };
  const looking = isWhole(to, image.descriptor.digest, options.described === true, signal);
  const sendConfig = async () => {
    // A new layer makes a new image.
    if (!layers.some(({ isNew }) => isNew) && (await looking)) return;
    await registry.putBlob(repository, image.config, { mediaType: MEDIA_TYPE.imageConfig, isNew: true, ...aborting });
  };
  // Every way to the registry costs the same: what depends on nothing goes at once.
  const sending = together(looking, sendLayers(layers, to, options), sendConfig());
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
  return inParallel(distinct, LAYERS_AT_ONCE, async (layer) => {
    const { descriptor } = layer;
    const arrival = await sendLayer(layer, to, {
      onBytes: (bytes) => tell(descriptor.digest, bytes),
      ...(signal === undefined ? {} : { signal }),
    });
    tell(descriptor.digest, descriptor.size);
    return { arrival, size: descriptor.size };
  });
}

async function sendLayer(
  { descriptor, held, isNew = false, ...from }: PlacedLayer,
  to: Place,
  options: { readonly onBytes: OnBytes; readonly signal?: AbortSignal },
): Promise<Arrival> {
  if (held === undefined) return copyBlob(from, to, descriptor, { isNew, ...options });
  const { registry, repository } = to;
  const { mediaType, digest } = descriptor;
  if (!isNew && (await registry.hasBlob(repository, digest, options.signal))) return 'present';
  await registry.putBlob(repository, held, { mediaType, expected: descriptor, isNew: true, ...options });
  return 'sent';
}

/** Stores a document about an image that was not whole. @throws AksmlError `registry.*` */
export async function attach(
  { image }: Pick<AssembledImage, 'image'>,
  to: Place,
  attachment: Attachment,
  signal?: AbortSignal,
): Promise<void> {
  const referrer = { ...(await sendAttachment(to, attachment, signal)), subject: image.descriptor };
  await to.registry.putReferrer(to.repository, referrer, {
    isFirst: true,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** What its manifest names. */
async function sendAttachment(
  { registry, repository }: Place,
  { mediaType, content }: Attachment,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const [config, document] = await together(
    putEmpty(registry, repository, signal),
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

/** With what is attached to it: whoever was killed between the two pushes both again. */
async function isWhole(to: Place, digest: string, isDescribed: boolean, signal?: AbortSignal): Promise<boolean> {
  const { registry, repository } = to;
  try {
    await registry.getManifest(repository, digest, signal);
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return false;
    throw error;
  }
  return !isDescribed || (await registry.listReferrers(repository, digest, signal)).length > 0;
}
