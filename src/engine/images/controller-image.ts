import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { CONTAINER_USER } from '../../contract/container.ts';
import { AksmlError } from '../../contract/error.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import type { DistributionRegistry } from '../registry/distribution.ts';
import { type ImageIndex, MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import type { AssembledImage } from './assemble.ts';
import { fetchBase } from './base-cache.ts';
import { type BaseImage, type Platform, readBaseImage } from './base-image.ts';
import { composeImage } from './compose.ts';
import { folderEntries } from './folder-entries.ts';
import { haproxyFiles, haproxyKey } from './haproxy.ts';
import { storedCredentials } from './image-base.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import type { ImageTools } from './image-request.ts';
import { findImage } from './image-source.ts';
import { type Layer, type LayerEntry, packEntries, storeLayer, storeSmallLayer } from './layer.ts';
import { layerOnce } from './layer-once.ts';
import { nodeProgram } from './node-program.ts';
import { pushImage } from './push.ts';

/** Has what Node needs, glibc and libstdc++, and no shell. */
export const DEFAULT_CONTROLLER_BASE = 'gcr.io/distroless/cc-debian12:nonroot';

/** What aksml runs in a cluster. */
export interface ControllerImageRequest {
  /** Default {@link DEFAULT_CONTROLLER_BASE}: the name of an image, or the path of an image layout or of a tar of one. */
  readonly base?: string;
  /** Of several, an index of an image each is made. */
  readonly platforms: readonly Platform[];
  /** Files and folders of this machine, and where they are in the image: absolute. */
  readonly content: readonly { readonly from: string; readonly to: string }[];
  /** Of Node: the script, absolute in the image, and its arguments. */
  readonly arguments: readonly string[];
  /** Whether it routes requests, too: then HAProxy is in it. */
  readonly frontEnd?: boolean;
  /** Where the image goes; default `controller`. */
  readonly repository?: string;
}

export interface ControllerImage {
  /** Of the image, or of the index of several. */
  readonly digest: string;
  /** `HOST/PATH@sha256:…` */
  readonly reference: string;
  /** It was in the registry already. */
  readonly reused: boolean;
}

const NODE = 'opt/aksml/bin/node';
/** The program is `bin/haproxy` below it. */
export const HAPROXY_FOLDER = '/opt/aksml/haproxy';

/**
 * Composes what runs in a cluster, of a base image, Node and files of this installation, and pushes it; what the registry has is not sent
 * again. Nothing of another platform than this machine's is run for it.
 * @throws AksmlError `image.*` | `node.*` | `haproxy.*` | `registry.*`
 */
export async function pushControllerImage(
  tools: ImageTools,
  registry: DistributionRegistry,
  request: ControllerImageRequest,
  options: RunOptions = {},
): Promise<ControllerImage> {
  const { platforms, repository = 'controller' } = request;
  const { signal } = options;
  const entries = await Promise.all(
    request.content.map(({ from, to }) => folderEntries(from, to.replace(/^\/+|\/+$/g, ''))),
  );
  const content = await storeSmallLayer(registry, ENVIRONMENT_IMAGES, entries.flat(), signal);
  const manifests: ImageIndex['manifests'][number][] = [];
  let reused = true;
  for (const platform of platforms) {
    const assembled = await assembleFor(platform, { tools, registry, request, content }, signal);
    const tag = platforms.length === 1 ? tools.version : `${tools.version}-${platform.architecture}`;
    const pushed = await pushImage(assembled, { registry, repository, tag }, signal === undefined ? {} : { signal });
    reused &&= pushed.reused;
    manifests.push({ ...assembled.image.descriptor, platform });
  }
  const [only] = manifests;
  const { digest } =
    only && manifests.length === 1
      ? only
      : await registry.putIndex(
          repository,
          { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests },
          tools.version,
          signal,
        );
  return { digest, reference: `${registry.location}/${repository}@${digest}`, reused };
}

interface Workpiece {
  readonly tools: ImageTools;
  readonly registry: Registry;
  readonly request: ControllerImageRequest;
  /** What is the same on every platform. */
  readonly content: Layer;
}

async function assembleFor(
  platform: Platform,
  { tools, registry, request, content }: Workpiece,
  signal: AbortSignal | undefined,
): Promise<AssembledImage> {
  const base = await controllerBase(platform, request.base, tools, signal);
  const { libc } = await fetchBase(base, registry, signal === undefined ? {} : { signal });
  if (libc === 'musl') throw wrongLibc(base);
  const node = await nodeLayer(registry, await nodeProgram(tools, platform, signal), signal);
  const haproxy = request.frontEnd ? [await haproxyLayer(tools, registry, platform, signal)] : [];
  const added = [
    { ...node, title: 'Node' },
    ...haproxy.map((layer) => ({ ...layer, title: 'HAProxy' })),
    { ...content, title: 'aksml' },
  ];
  const image = composeImage({
    base,
    layers: added,
    variables: {},
    start: {
      User: `${CONTAINER_USER}:${CONTAINER_USER}`,
      Entrypoint: [`/${NODE}`, ...request.arguments],
      WorkingDir: '/',
    },
    labels: { 'dev.aksml.version': tools.version },
  });
  const place = { registry, repository: ENVIRONMENT_IMAGES };
  const below = base.layers.map((layer) => ({ ...layer, title: '' }));
  return { image, layers: [...below, ...added].map((layer) => ({ ...layer, ...place })) };
}

async function controllerBase(
  platform: Platform,
  given: string | undefined,
  tools: ImageTools,
  signal: AbortSignal | undefined,
): Promise<BaseImage> {
  try {
    const access = { fetch: tools.fetch, credentials: storedCredentials(tools) };
    return await readBaseImage(await findImage(given ?? DEFAULT_CONTROLLER_BASE, access), [platform], signal);
  } catch (error) {
    if (given !== undefined || !AksmlError.is(error, 'registry.unreachable')) throw error;
    const { message, subject = '' } = error;
    throw new AksmlError(error.code, message, {
      subject,
      remedy: `The image of what runs in a cluster starts from ${DEFAULT_CONTROLLER_BASE}. Where ${subject} is not reached, name a copy of it, or another image with glibc, with --controller-base.`,
      cause: error,
    });
  }
}

/** Compressed once, because it is large. */
async function nodeLayer(registry: Registry, program: string, signal: AbortSignal | undefined): Promise<Layer> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(program, { highWaterMark: 1 << 20 }), hash, signal === undefined ? {} : { signal });
  const { size } = await stat(program);
  const entry: LayerEntry = { kind: 'file', path: NODE, executable: true, content: { source: program, size } };
  const place = { registry, repository: ENVIRONMENT_IMAGES };
  return layerOnce(
    place,
    `node-${hash.digest('hex')}`,
    () =>
      storeLayer(registry, ENVIRONMENT_IMAGES, packEntries([entry], signal), {
        compression: 'zstd',
        ...(signal === undefined ? {} : { signal }),
      }),
    signal,
  );
}

async function haproxyLayer(
  tools: ImageTools,
  registry: Registry,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<Layer> {
  const make = async () => {
    const files = await haproxyFiles(tools, platform, HAPROXY_FOLDER, signal);
    return storeLayer(registry, ENVIRONMENT_IMAGES, packEntries(files, signal), {
      compression: 'zstd',
      ...(signal === undefined ? {} : { signal }),
    });
  };
  return layerOnce({ registry, repository: ENVIRONMENT_IMAGES }, haproxyKey(platform, HAPROXY_FOLDER), make, signal);
}

function wrongLibc({ name }: BaseImage): AksmlError {
  return new AksmlError('image.wrongLibc', `The base image ${name} has the C library musl, and Node needs glibc.`, {
    fault: 'input',
    subject: name,
    remedy: `Name one with glibc, such as ${DEFAULT_CONTROLLER_BASE}.`,
  });
}
