import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../../contract/error.ts';
import { sha256 } from '../registry/reference.ts';
import { type Manifest, MEDIA_TYPE } from '../registry/registry.ts';
import { isImageConfig } from './image-config.ts';
import type { ImageSource } from './image-source.ts';
import type { TarMember } from './tar-index.ts';

/** The content of a file, by its path in the layout. */
export type OpenMember = (path: string, signal?: AbortSignal) => Promise<Readable>;

/** An entry of `manifest.json`, as `docker save` wrote it before Docker 25. */
interface SavedImage {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  /** Paths of uncompressed tars, from the lowest. */
  readonly Layers: readonly string[];
}

/**
 * An image in the older format of `docker save`, as if it had a manifest: the diff ids of its configuration are the digests of its layers,
 * which lie there uncompressed.
 * @throws AksmlError `image.unreadable` | `image.ambiguous`
 */
export async function savedSource(
  name: string,
  tag: string | undefined,
  members: ReadonlyMap<string, TarMember>,
  openMember: OpenMember,
): Promise<ImageSource> {
  const { Config: configPath, Layers: paths } = choose(name, await readJson(openMember, 'manifest.json'), tag);
  const configBytes = await buffer(await openMember(configPath));
  const config: unknown = JSON.parse(configBytes.toString('utf8'));
  if (!isImageConfig(config) || config.rootfs.diff_ids.length !== paths.length) throw unreadable(name);
  const places = new Map<string, string>([[sha256(configBytes), configPath]]);
  const layers = config.rootfs.diff_ids.map((digest, index) => {
    const path = paths[index] ?? '';
    places.set(digest, path);
    return { mediaType: MEDIA_TYPE.layer, digest, size: members.get(path)?.size ?? 0 };
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: { mediaType: MEDIA_TYPE.imageConfig, digest: sha256(configBytes), size: configBytes.length },
    layers,
  };
  return {
    name,
    manifest: async () => Buffer.from(JSON.stringify(manifest)),
    blob: async (digest, signal) => {
      const path = places.get(digest);
      if (path === undefined) throw unreadable(name);
      return openMember(path, signal);
    },
  };
}

async function readJson(openMember: OpenMember, path: string): Promise<unknown> {
  return JSON.parse((await buffer(await openMember(path))).toString('utf8'));
}

function choose(name: string, content: unknown, tag: string | undefined): SavedImage {
  const images: readonly unknown[] = Array.isArray(content) ? content : [];
  const saved = images.filter(isSavedImage);
  const fitting =
    tag === undefined
      ? saved
      : saved.filter(({ RepoTags: tags }) => tags?.some((known) => known === tag || known.endsWith(`:${tag}`)));
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  throw ambiguous(
    name,
    saved.flatMap(({ RepoTags: tags }) => tags ?? ['one without a name']),
    tag,
  );
}

function isSavedImage(value: unknown): value is SavedImage {
  if (typeof value !== 'object' || value === null) return false;
  return 'Config' in value && typeof value.Config === 'string' && 'Layers' in value && Array.isArray(value.Layers);
}

function unreadable(name: string): AksmlError {
  return new AksmlError('image.unreadable', `${name} is not an image as docker saves one.`, {
    fault: 'input',
    subject: name,
    remedy: 'Save the image again, with `podman save --format oci-archive` or `docker save`.',
  });
}

/** @param tags of the images that are there */
export function ambiguous(name: string, tags: readonly string[], tag: string | undefined): AksmlError {
  const there = tags.length === 0 ? 'no image' : `the images ${tags.join(', ')}`;
  return new AksmlError('image.ambiguous', `${name} holds ${there}${tag === undefined ? '' : `, not ${tag}`}.`, {
    fault: 'input',
    subject: name,
    remedy: 'Name one of them as oci:PATH:TAG.',
  });
}
