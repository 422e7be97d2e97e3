import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { Place } from '../registry/copy.ts';
import { DOCKER_MEDIA_TYPE } from '../registry/distribution.ts';
import { sha256 } from '../registry/reference.ts';
import { type Descriptor, MEDIA_TYPE } from '../registry/registry.ts';
import { type ImageConfig, isImageConfig } from './image-config.ts';
import type { ImageSource } from './image-source.ts';
import type { Layer } from './layer.ts';

/** For which machines an image is, in Go's names: `amd64`, `arm64`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

/** What a deployment image stands on. */
export interface BaseImage {
  readonly name: string;
  readonly reference?: string;
  /** Of the manifest, never of an index. */
  readonly digest: string;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
  readonly place?: Place;
  open(digest: string, signal?: AbortSignal): Promise<Readable>;
}

/** Docker's names of the layer types; the content is the same. */
const OCI_LAYER_TYPE: Readonly<Record<string, string>> = {
  'application/vnd.docker.image.rootfs.diff.tar.gzip': MEDIA_TYPE.layerGzip,
  'application/vnd.docker.image.rootfs.diff.tar.zstd': MEDIA_TYPE.layerZstd,
  'application/vnd.docker.image.rootfs.diff.tar': MEDIA_TYPE.layer,
  [MEDIA_TYPE.layer]: MEDIA_TYPE.layer,
  [MEDIA_TYPE.layerGzip]: MEDIA_TYPE.layerGzip,
  [MEDIA_TYPE.layerZstd]: MEDIA_TYPE.layerZstd,
};

interface RawManifest {
  readonly mediaType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly (Descriptor & { readonly platform?: Partial<Platform> })[];
}

const DEEPEST_INDEX = 3;

/** What a digest names: as it was read before, or as `read` has it. */
export type RecallDocument = (digest: string, read: () => Promise<Uint8Array>) => Promise<Uint8Array>;

/** Reads manifest and configuration, of an index those for the first platform that it has. @throws AksmlError `image.wrongPlatform` | `image.unreadable` */
export async function readBaseImage(
  source: ImageSource,
  platforms: readonly Platform[],
  signal?: AbortSignal,
  recall: RecallDocument = (_, read) => read(),
): Promise<BaseImage> {
  let bytes = await source.manifest(undefined, signal);
  let manifest = parse(bytes, source);
  for (let depth = 0; isIndex(manifest); depth += 1) {
    if (depth === DEEPEST_INDEX) throw unreadable(source, 'its index is nested too deeply');
    bytes = await source.manifest(choose(manifest, platforms, source), signal);
    manifest = parse(bytes, source);
  }
  const { config: configDescriptor, layers } = manifest;
  if (!configDescriptor || !layers) throw unreadable(source, 'its manifest is of an unknown type');
  const configBytes = await recall(configDescriptor.digest, async () =>
    buffer(await source.blob(configDescriptor.digest, signal)),
  );
  if (sha256(configBytes) !== configDescriptor.digest) throw unreadable(source, 'its configuration is damaged');
  const config: unknown = JSON.parse(Buffer.from(configBytes).toString('utf8'));
  if (!isImageConfig(config)) throw unreadable(source, 'it is an artifact, not a container image');
  if (!platforms.some(({ os, architecture }) => config.os === os && config.architecture === architecture)) {
    throw wrongPlatform(source, platforms, nameOf(config));
  }
  if (layers.length !== config.rootfs.diff_ids.length)
    throw unreadable(source, 'its layers do not fit its configuration');
  return {
    name: source.name,
    ...(source.reference === undefined ? {} : { reference: source.reference }),
    ...(source.place === undefined ? {} : { place: source.place }),
    digest: sha256(bytes),
    config,
    layers: layers.map((layer, index) => asLayer(layer, config.rootfs.diff_ids[index] ?? '', source)),
    open: (digest, abort) => source.blob(digest, abort),
  };
}

function parse(bytes: Uint8Array, source: ImageSource): RawManifest {
  try {
    const manifest: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof manifest === 'object' && manifest !== null) return manifest;
  } catch {
    // Told below.
  }
  throw unreadable(source, 'its manifest is not JSON');
}

function isIndex(manifest: RawManifest): boolean {
  return (
    manifest.mediaType === MEDIA_TYPE.index ||
    manifest.mediaType === DOCKER_MEDIA_TYPE.list ||
    manifest.manifests !== undefined
  );
}

function choose(index: RawManifest, platforms: readonly Platform[], source: ImageSource): string {
  const manifests = index.manifests ?? [];
  for (const { os, architecture } of platforms) {
    const isFor = ({ platform }: (typeof manifests)[number]) =>
      platform?.os === os && platform.architecture === architecture;
    const fitting = manifests.find(isFor);
    if (fitting) return fitting.digest;
  }
  // A layout's index need not say the platform of its only image.
  const [only] = manifests;
  if (only && manifests.length === 1 && only.platform === undefined) return only.digest;
  const there = manifests.map(({ platform }) => nameOf(platform ?? {})).join(', ');
  throw wrongPlatform(source, platforms, there);
}

function asLayer(descriptor: Descriptor, diffId: string, source: ImageSource): Layer {
  const mediaType = OCI_LAYER_TYPE[descriptor.mediaType];
  if (mediaType === undefined) throw unreadable(source, `it has a layer of type ${descriptor.mediaType}`);
  const { digest, size } = descriptor;
  return { descriptor: { mediaType, digest, size }, diffId };
}

function unreadable(source: ImageSource, why: string): AksmlError {
  return new AksmlError('image.unreadable', `The base image ${source.name} cannot be used: ${why}.`, {
    fault: 'input',
    subject: source.name,
    remedy: 'Name another base image.',
  });
}

function nameOf({ os, architecture }: Partial<Platform>): string {
  return `${os}/${architecture}`;
}

function wrongPlatform(source: ImageSource, platforms: readonly Platform[], there: string): AksmlError {
  return new AksmlError(
    'image.wrongPlatform',
    `The base image ${source.name} is for ${there}, not for ${platforms.map(nameOf).join(' or ')}.`,
    {
      fault: 'input',
      subject: source.name,
      remedy: 'Name a base image for that platform, or change docker.platform in the environment.',
    },
  );
}
