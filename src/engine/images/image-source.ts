import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { Place } from '../registry/copy.ts';
import { type DistributionOptions, DistributionRegistry } from '../registry/distribution.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { checkDigest, sha256 } from '../registry/reference.ts';

/** Where a base image is read from. */
export interface ImageSource {
  /** As messages name it. */
  readonly name: string;
  /** Its name in a registry; absent for what is on this machine. */
  readonly reference?: string;
  /** Where its blobs can be taken over from; absent for what is on this machine. */
  readonly place?: Place;
  /** A manifest or an index; without a digest, the one that the name means. */
  manifest(digest: string | undefined, signal?: AbortSignal): Promise<Uint8Array>;
  blob(digest: string, signal?: AbortSignal): Promise<Readable>;
}

/** A path to an image layout (a folder or a tar of one) or the name of an image in a registry. @throws AksmlError `image.*` */
export async function findImage(text: string, options: DistributionOptions): Promise<ImageSource> {
  const [path, tag] = /^oci(?:-archive)?:/.test(text) ? splitTag(text.slice(text.indexOf(':') + 1)) : [text, undefined];
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return folderSource(path, tag);
  if (found?.isFile()) return archiveSource(path, tag);
  if (path !== text) throw notFound(path, 'Give the path of an OCI image layout: a folder, or a tar of one.');
  return registrySource(text, options);
}

function splitTag(text: string): [string, string | undefined] {
  const [, path = text, tag] = /^(.*[^\\/]):([\w][\w.-]*)$/.exec(text) ?? [];
  return [path, tag];
}

function registrySource(text: string, options: DistributionOptions): ImageSource {
  const { host, repository, reference } = parseImageReference(text);
  const registry = new DistributionRegistry(host, options);
  return {
    name: text,
    reference: text,
    place: { registry, repository },
    manifest: async (digest, signal) => {
      try {
        return (await registry.getRawManifest(repository, digest ?? reference, signal)).bytes;
      } catch (error) {
        if (!AksmlError.is(error, 'registry.notFound')) throw error;
        throw notFound(text, 'Check its name and tag; for a private registry, log in first.');
      }
    },
    blob: (digest, signal) => registry.getBlob(repository, digest, signal),
  };
}

function folderSource(folder: string, tag: string | undefined): ImageSource {
  return layoutSource(folder, tag, async (path, signal) => {
    const file = await open(join(folder, ...path.split('/')));
    return file.createReadStream({ highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) });
  });
}

async function archiveSource(file: string, tag: string | undefined): Promise<ImageSource> {
  const members = await readTarIndex(file);
  return layoutSource(file, tag, async (path, signal) => {
    const member = members.get(path);
    if (!member)
      throw notFound(
        `${path} in ${file}`,
        'Save the image again, with `podman save --format oci-archive` or `docker save`.',
      );
    const handle = await open(file);
    const { start, size } = member;
    return handle.createReadStream({
      start,
      end: start + size - 1,
      highWaterMark: 1 << 20,
      ...(signal === undefined ? {} : { signal }),
    });
  });
}

type OpenMember = (path: string, signal?: AbortSignal) => Promise<Readable>;

/** OCI image specification, "Image Layout". */
function layoutSource(name: string, tag: string | undefined, openMember: OpenMember): ImageSource {
  const blob = async (digest: string, signal?: AbortSignal): Promise<Readable> => {
    checkDigest(digest);
    return openMember(`blobs/sha256/${digest.slice('sha256:'.length)}`, signal);
  };
  return {
    name,
    blob,
    manifest: async (digest, signal) => {
      const wanted =
        digest ?? chooseManifest(name, JSON.parse(await text(await openMember('index.json', signal))), tag);
      const bytes = await buffer(await blob(wanted, signal));
      if (sha256(bytes) === wanted) return bytes;
      throw new AksmlError('registry.corrupt', `The manifest ${wanted} in ${name} is damaged.`, { subject: name });
    },
  };
}

async function text(stream: Readable): Promise<string> {
  return (await buffer(stream)).toString('utf8');
}

const REF_NAME = 'org.opencontainers.image.ref.name';

function chooseManifest(name: string, index: unknown, tag: string | undefined): string {
  const entries: unknown[] =
    typeof index === 'object' && index !== null && 'manifests' in index && Array.isArray(index.manifests)
      ? index.manifests
      : [];
  const named = entries.flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null || !('digest' in entry) || typeof entry.digest !== 'string')
      return [];
    const annotations: unknown = 'annotations' in entry ? entry.annotations : undefined;
    const reference: unknown =
      typeof annotations === 'object' && annotations !== null ? Reflect.get(annotations, REF_NAME) : undefined;
    return [{ digest: entry.digest, reference: typeof reference === 'string' ? reference : undefined }];
  });
  const fitting =
    tag === undefined ? named : named.filter(({ reference }) => reference === tag || reference?.endsWith(`:${tag}`));
  const [only] = fitting;
  if (only && fitting.length === 1) return only.digest;
  const tags = named.map(({ reference }) => reference ?? 'one without a name').join(', ');
  throw new AksmlError(
    'image.ambiguous',
    `${name} holds ${named.length === 0 ? 'no image' : `the images ${tags}`}${tag === undefined ? '' : `, not ${tag}`}.`,
    { fault: 'input', subject: name, remedy: 'Name one of them as oci:PATH:TAG.' },
  );
}

const BLOCK = 512;

/** Where the members of an uncompressed tar are, so that each can be read alone. */
async function readTarIndex(file: string): Promise<Map<string, { readonly start: number; readonly size: number }>> {
  const members = new Map<string, { readonly start: number; readonly size: number }>();
  const handle = await open(file);
  try {
    const header = Buffer.alloc(BLOCK);
    for (let position = 0; (await readBlock(handle, header, position)) && header[0] !== 0; ) {
      if (header.toString('latin1', 257, 262) !== 'ustar') {
        throw new AksmlError('image.notLayout', `${file} is not the tar of an OCI image layout.`, {
          fault: 'input',
          subject: file,
          remedy:
            'Save the image with `podman save --format oci-archive` or `docker save`, without compressing the file.',
        });
      }
      const size = sizeField(header);
      const name = header.toString('utf8', 0, 100).replace(/\0.*$/s, '').replace(/^\.\//, '');
      if (header[156] === 0x30 || header[156] === 0) members.set(name, { start: position + BLOCK, size });
      position += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    }
  } finally {
    await handle.close();
  }
  return members;
}

async function readBlock(handle: FileHandle, into: Buffer, position: number): Promise<boolean> {
  return (await handle.read(into, 0, BLOCK, position)).bytesRead === BLOCK;
}

/** Octal, or for 8 GiB and more the number itself (GNU). */
function sizeField(header: Buffer): number {
  if ((header[124] ?? 0) < 0x80)
    return Number.parseInt(header.toString('latin1', 124, 136).replace(/\0.*$/s, '').trim() || '0', 8);
  return Number(header.readBigUInt64BE(128));
}

function notFound(what: string, remedy: string): AksmlError {
  return new AksmlError('image.notFound', `${what} was not found.`, { fault: 'input', subject: what, remedy });
}
