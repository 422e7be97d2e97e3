import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AksmlError } from '../../contract/error.ts';
import { type Descriptor, MEDIA_TYPE, type OnBytes } from '../registry/registry.ts';
import { TAR_END, tarHeader, tarPadding } from '../snapshot/tar-header.ts';
import type { ComposedImage } from './compose.ts';
import { writeAside } from './output-place.ts';

/** The bytes of a layer. */
export interface LayerContent {
  readonly descriptor: Descriptor;
  open(signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export interface OutputOptions {
  /** Absolute, or relative to the working directory. */
  readonly path: string;
  /** A folder with an OCI image layout, or a tar of one that `docker load` and `podman load` take. */
  readonly format: 'layout' | 'tar';
  /** `name:tag` under which a container engine shall know the image. */
  readonly reference: string;
  readonly onBytes?: OnBytes;
  readonly signal?: AbortSignal;
}

interface Member {
  readonly path: string;
  readonly size: number;
  open(signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

/**
 * Writes the image whole or not at all; an earlier image at that place is replaced. Returns the absolute path and the bytes written.
 * @throws AksmlError `package.targetExists` | `disk.full`
 */
export async function writeImage(
  image: ComposedImage,
  layers: readonly LayerContent[],
  options: OutputOptions,
): Promise<{ readonly path: string; readonly size: number }> {
  const path = resolve(options.path);
  await refuseForeign(path, options.format);
  const members = membersOf(image, layers, options);
  const progress = countBytes(options.onBytes);
  await writeAside(path, 'Writing the image', async (temporary) => {
    if (options.format === 'tar') await writeArchive(members, temporary, progress, options.signal);
    else await writeFolder(members, temporary, progress, options.signal);
  });
  return { path, size: members.reduce((sum, { size }) => sum + size, 0) };
}

function membersOf(image: ComposedImage, layers: readonly LayerContent[], { reference }: OutputOptions): Member[] {
  const distinct = new Map(layers.map((layer) => [layer.descriptor.digest, layer]));
  return [
    textMember('oci-layout', { imageLayoutVersion: '1.0.0' }),
    textMember('index.json', index(image, reference)),
    textMember('manifest.json', dockerManifest(image, reference)),
    bytesMember(blobPath(image.descriptor), image.manifestBytes),
    bytesMember(blobPath(image.configDescriptor), image.config),
    ...[...distinct.values()].map((layer) => ({
      path: blobPath(layer.descriptor),
      size: layer.descriptor.size,
      open: (signal?: AbortSignal) => layer.open(signal),
    })),
  ];
}

/** `io.containerd.image.name` is what containerd and Docker read the name from, the other what podman and skopeo do. */
function index(image: ComposedImage, reference: string): unknown {
  const annotations = {
    'io.containerd.image.name': reference.includes('/') ? reference : `docker.io/library/${reference}`,
    'org.opencontainers.image.ref.name': reference,
  };
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [{ ...image.descriptor, annotations }] };
}

/** The older format, beside the other as `docker save` has it, for engines that know only this one. */
function dockerManifest(image: ComposedImage, reference: string): unknown {
  return [
    { Config: blobPath(image.configDescriptor), RepoTags: [reference], Layers: image.manifest.layers.map(blobPath) },
  ];
}

function blobPath({ digest }: Pick<Descriptor, 'digest'>): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

function textMember(path: string, value: unknown): Member {
  return bytesMember(path, Buffer.from(JSON.stringify(value)));
}

function bytesMember(path: string, bytes: Uint8Array): Member {
  return { path, size: bytes.length, open: async () => Readable.from([bytes]) };
}

async function writeArchive(
  members: readonly Member[],
  file: string,
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = createWriteStream(file, { flags: 'wx', flush: true });
  await pipeline(Readable.from(archive(members, onBytes, signal), { objectMode: false }), target, signalOption(signal));
}

async function* archive(
  members: readonly Member[],
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (const { path, size, open: openMember } of members) {
    yield tarHeader({ path, kind: 'file', executable: false, size });
    yield* counted(await openMember(signal), onBytes);
    yield Buffer.alloc(tarPadding(size));
  }
  yield TAR_END;
}

async function writeFolder(
  members: readonly Member[],
  folder: string,
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  for (const { path, open: openMember } of members) {
    const file = createWriteStream(join(folder, ...path.split('/')), { flags: 'wx', flush: true });
    await pipeline(Readable.from(counted(await openMember(signal), onBytes)), file, signalOption(signal));
  }
}

async function* counted(content: AsyncIterable<Uint8Array>, onBytes: OnBytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    yield chunk;
    onBytes(chunk.length);
  }
}

/** From pieces to a running sum. */
function countBytes(onBytes: OnBytes | undefined): OnBytes {
  let done = 0;
  return (piece) => {
    done += piece;
    onBytes?.(done);
  };
}

function signalOption(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Only an image, or nothing, is replaced. */
async function refuseForeign(path: string, format: OutputOptions['format']): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return;
  const replaceable = found.isDirectory()
    ? format === 'layout' && (await isLayoutOrEmpty(path))
    : format === 'tar' && found.isFile() && (await isTar(path));
  if (replaceable) return;
  throw new AksmlError('package.targetExists', `${path} exists already and is not an image that could be replaced.`, {
    fault: 'input',
    subject: path,
    remedy: 'Choose another output path, or remove what is there.',
  });
}

async function isLayoutOrEmpty(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  return names.length === 0 || names.includes('oci-layout');
}

async function isTar(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    return bytesRead === 0 || (bytesRead === 512 && buffer.toString('latin1', 257, 262) === 'ustar');
  } finally {
    await handle.close();
  }
}
