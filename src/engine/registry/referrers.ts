import type { Answer } from '../../http/fetch.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE } from './registry.ts';

/** What listing and storing referrers needs of a registry client, for one repository. */
export interface ReferrerPorts {
  put(reference: string, mediaType: string, content: Buffer<ArrayBuffer>): Promise<Answer>;
  get(path: string, accept: string): Promise<Answer>;
  readonly failure: (response: Answer, doing: string) => Promise<Error>;
}

export interface ReferrerOptions {
  /** Nothing refers to the subject yet. */
  readonly isFirst?: boolean;
  readonly signal?: AbortSignal;
}

interface ReferrerIndex {
  readonly schemaVersion: 2;
  readonly mediaType: typeof MEDIA_TYPE.index;
  readonly manifests: readonly Descriptor[];
}

/**
 * Stores a manifest that names its subject. A registry that knows referrers says so in its answer; for the others the list of a subject's
 * referrers is kept under a tag made of its digest (distribution specification, "Pushing Manifests with Subject").
 */
export async function putReferrer(
  ports: ReferrerPorts,
  manifest: Manifest,
  descriptor: Descriptor,
  { isFirst = false }: ReferrerOptions = {},
): Promise<void> {
  const response = await ports.put(descriptor.digest, manifest.mediaType, encode(manifest));
  if (!response.ok) throw await ports.failure(response, 'attaching');
  await response.body?.cancel();
  const { subject } = manifest;
  if (!subject || response.headers.get('oci-subject') !== null) return;
  const known = isFirst ? undefined : await readIndex(ports, `manifests/${tagOf(subject.digest)}`);
  if (known?.some(({ digest }) => digest === descriptor.digest)) return;
  const index: ReferrerIndex = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.index,
    manifests: [...(known ?? []), descriptor],
  };
  const written = await ports.put(tagOf(subject.digest), MEDIA_TYPE.index, encode(index));
  if (!written.ok) throw await ports.failure(written, 'attaching');
  await written.body?.cancel();
}

/** What refers to a manifest, by either way. */
export async function listReferrers(ports: ReferrerPorts, digest: string): Promise<readonly Descriptor[]> {
  return (
    (await readIndex(ports, `referrers/${digest}`)) ?? (await readIndex(ports, `manifests/${tagOf(digest)}`)) ?? []
  );
}

/** Undefined where there is none. */
async function readIndex(ports: ReferrerPorts, path: string): Promise<readonly Descriptor[] | undefined> {
  const response = await ports.get(path, MEDIA_TYPE.index);
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok) throw await ports.failure(response, 'listing referrers in');
  const index = (await response.json()) as Partial<ReferrerIndex>;
  return index.manifests ?? [];
}

function tagOf(digest: string): string {
  return digest.replace(':', '-');
}

function encode(value: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(value));
}
