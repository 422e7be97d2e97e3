import { sha256 } from '../registry/reference.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { type ContainerConfig, type HistoryEntry, type ImageConfig, readVariables } from './image-config.ts';
import type { Layer } from './layer.ts';

/** The image that another is made of: what composing needs of it. */
export type Foundation = Pick<BaseImage, 'reference' | 'digest' | 'config' | 'layers'>;

export interface ImageParts {
  readonly base: Foundation;
  /** From the lowest. */
  readonly layers: readonly (Layer & { readonly title: string })[];
  /** Replace those of the base image. */
  readonly variables: Readonly<Record<string, string>>;
  /** Put before the PATH of the base image. */
  readonly pathFolders?: readonly string[];
  /** How a container starts, where that differs from the base image. */
  readonly start?: Pick<ContainerConfig, 'User' | 'ExposedPorts' | 'Entrypoint' | 'WorkingDir' | 'StopSignal'>;
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since the epoch (`SOURCE_DATE_EPOCH`); default 0, so that equal parts give an equal image. */
  readonly createdSeconds?: number;
}

/** An image that is complete but for the bytes of its layers. */
export interface ComposedImage {
  readonly config: Uint8Array;
  readonly configDescriptor: Descriptor;
  readonly manifest: Manifest;
  /** What the digest is of. */
  readonly manifestBytes: Uint8Array;
  readonly descriptor: Descriptor;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Puts layers on a base image. Pure: equal parts give equal digests. */
export function composeImage(parts: ImageParts): ComposedImage {
  const config = Buffer.from(JSON.stringify(imageConfig(parts)));
  const configDescriptor = { mediaType: MEDIA_TYPE.imageConfig, digest: sha256(config), size: config.length };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: configDescriptor,
    layers: [...parts.base.layers, ...parts.layers].map(({ descriptor }) => descriptor),
    annotations: {
      ...(parts.base.reference === undefined ? {} : { 'org.opencontainers.image.base.name': parts.base.reference }),
      'org.opencontainers.image.base.digest': parts.base.digest,
    },
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = { mediaType: MEDIA_TYPE.manifest, digest: sha256(manifestBytes), size: manifestBytes.length };
  return { config, configDescriptor, manifest, manifestBytes, descriptor };
}

function imageConfig(parts: ImageParts): ImageConfig {
  const { config: base } = parts.base;
  const created = new Date((parts.createdSeconds ?? 0) * 1000).toISOString();
  return {
    created,
    architecture: base.architecture,
    os: base.os,
    ...(base.variant === undefined ? {} : { variant: base.variant }),
    config: containerConfig(parts, base.config ?? {}),
    rootfs: { type: 'layers', diff_ids: [...base.rootfs.diff_ids, ...parts.layers.map(({ diffId }) => diffId)] },
    history: [...baseHistory(base), ...parts.layers.map(({ title }) => ({ created, created_by: `aksml: ${title}` }))],
  };
}

/** History entries stand for layers one by one, those marked as empty aside: where the base has none, the gap is filled. */
function baseHistory(base: ImageConfig): readonly HistoryEntry[] {
  const history = base.history ?? [];
  const told = history.filter((entry) => entry.empty_layer !== true).length;
  return told === base.rootfs.diff_ids.length
    ? history
    : base.rootfs.diff_ids.map(() => ({ created_by: 'base image' }));
}

function containerConfig(parts: ImageParts, base: ContainerConfig): ContainerConfig {
  const variables = readVariables(base.Env);
  for (const [name, value] of Object.entries(parts.variables)) variables.set(name, value);
  const { pathFolders = [], start = {} } = parts;
  if (pathFolders.length > 0) variables.set('PATH', [...pathFolders, variables.get('PATH') ?? DEFAULT_PATH].join(':'));
  const { Cmd: command, ...inherited } = base;
  return {
    ...inherited,
    // A command is the arguments of the entry point that it was written for.
    ...(command === undefined || start.Entrypoint !== undefined ? {} : { Cmd: command }),
    ...start,
    Env: [...variables].map(([name, value]) => `${name}=${value}`),
    Labels: { ...base.Labels, ...parts.labels },
  };
}
