import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import type { Place } from '../registry/copy.ts';
import { type DistributionOptions, DistributionRegistry } from '../registry/distribution.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { checkDigest, sha256 } from '../registry/reference.ts';
import { ambiguous, type OpenMember, savedSource } from './saved-image.ts';
import { readTarIndex } from './tar-index.ts';

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
  if (!members) throw notImage(file);
  const openMember: OpenMember = async (path, signal) => {
    const member = members.get(path);
    if (!member) throw notImage(file);
    const { start, size } = member;
    if (size === 0) return Readable.from([]);
    const handle = await open(file);
    return handle.createReadStream({
      start,
      end: start + size - 1,
      highWaterMark: 1 << 20,
      ...(signal === undefined ? {} : { signal }),
    });
  };
  if (members.has('index.json')) return layoutSource(file, tag, openMember);
  if (members.has('manifest.json')) return savedSource(file, tag, members, openMember);
  throw notImage(file);
}

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
  throw ambiguous(
    name,
    named.map(({ reference }) => reference ?? 'one without a name'),
    tag,
  );
}

function notImage(file: string): AksmlError {
  return new AksmlError('image.notLayout', `${file} is not the tar of an image.`, {
    fault: 'input',
    subject: file,
    remedy: 'Save the image with `podman save --format oci-archive` or `docker save`, without compressing the file.',
  });
}

function notFound(what: string, remedy: string): AksmlError {
  return new AksmlError('image.notFound', `${what} was not found.`, { fault: 'input', subject: what, remedy });
}
