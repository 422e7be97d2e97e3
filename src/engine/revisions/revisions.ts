import { buffer } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference, Revision, RevisionChange } from '../../contract/revision.ts';
import { together } from '../../parallel/parallel.ts';
import { separateSecrets, withoutCredentials } from '../environments/secrets-of-definition.ts';
import { EMPTY, putEmpty } from '../registry/empty.ts';
import { encodeName, isDigest, sha256 } from '../registry/reference.ts';
import {
  type Descriptor,
  type Manifest,
  type ManifestOptions,
  MEDIA_TYPE,
  type MountOptions,
  type Registry,
} from '../registry/registry.ts';
import { SNAPSHOTS } from '../snapshot/snapshot.ts';

export interface RevisionStore {
  readonly registry: Registry;
}

/** A revision and the digest of its manifest, which names it for good. */
export interface StoredRevision {
  readonly revision: Revision;
  readonly digest: string;
}

const ARTIFACT = 'application/vnd.aksml.revision.v1';
const CONFIG = 'application/vnd.aksml.revision.config.v1+json';
const REPOSITORIES = 'revisions/';
const TAG = /^r([1-9]\d*)$/;
const AT_ONCE = 8;

/**
 * Stores a deploy as the next revision of its version. One that differs from the newest in nothing but who, when, and the state of git
 * is that one. Secrets of the environment's definition are not stored.
 * @throws AksmlError `registry.*` | `disk.full`
 */
export async function createRevision(
  store: RevisionStore,
  draft: Omit<Revision, 'number'>,
  code: { readonly layer?: Descriptor; readonly held?: Uint8Array; readonly isNew?: boolean } = {},
  signal?: AbortSignal,
  {
    finding,
    later,
  }: {
    /** Begun before; the answer may have become old meanwhile. */
    readonly finding?: Promise<StoredRevision | undefined>;
  } & Pick<ManifestOptions, 'later'> = {},
): Promise<StoredRevision & { readonly reused: boolean }> {
  const repository = repositoryOf(draft.endpoint, draft.version);
  const open = withoutSecrets(draft);
  const layer = code.layer ?? (draft.code === undefined ? undefined : layerOf(draft.code));
  const find = () => findNewest(store.registry, repository, signal);
  const taking = layer && takeOver(store.registry, repository, layer, { ...code, signal });
  taking?.catch(() => {});
  let newest = await (finding ?? find());
  for (let tried = 0; ; newest = await find()) {
    if (newest && deploysTheSame(newest.revision, open)) {
      await taking;
      return { ...newest, reused: true };
    }
    // A number that somebody began to take and did not finish is left out.
    tried = Math.max(tried, newest?.revision.number ?? 0) + 1;
    const revision: Revision = { ...open, number: tried };
    const digest = await claim(store.registry, repository, revision, layer, taking, { later, signal });
    if (digest !== undefined) return { revision, digest, reused: false };
  }
}

/** Whether this would be stored as no other revision than that. */
export function isRevision({ revision }: StoredRevision, draft: Omit<Revision, 'number'>): boolean {
  return deploysTheSame(revision, withoutSecrets(draft));
}

/** The newest revision of a version, for {@link createRevision}. */
export function findNewestRevision(
  store: RevisionStore,
  endpoint: string,
  version: string,
  signal?: AbortSignal,
): Promise<StoredRevision | undefined> {
  return findNewest(store.registry, repositoryOf(endpoint, version), signal);
}

/** All revisions of an endpoint, or of one version of it: the newest first. */
export async function listRevisions(
  store: RevisionStore,
  endpoint: string,
  version?: string,
  signal?: AbortSignal,
): Promise<StoredRevision[]> {
  const repositories =
    version === undefined
      ? await store.registry.listRepositories(`${REPOSITORIES}${encodeName(endpoint)}/`, signal)
      : [repositoryOf(endpoint, version)];
  const found: StoredRevision[] = [];
  for (const repository of repositories) {
    const numbers = await listNumbers(store.registry, repository, signal);
    for (let start = 0; start < numbers.length; start += AT_ONCE) {
      const some = numbers.slice(start, start + AT_ONCE);
      found.push(...(await Promise.all(some.map((number) => read(store.registry, repository, `r${number}`, signal)))));
    }
  }
  return found.sort(newestFirst);
}

/**
 * One revision, by number, by digest of its manifest, or the newest.
 * @throws AksmlError `revision.notFound`
 */
export async function getRevision(
  store: RevisionStore,
  endpoint: string,
  version: string,
  reference: 'latest' | number | string,
  signal?: AbortSignal,
): Promise<StoredRevision> {
  const repository = repositoryOf(endpoint, version);
  if (reference === 'latest') {
    const newest = await findNewest(store.registry, repository, signal);
    if (newest) return newest;
    throw notFound(endpoint, version, 'has no revision');
  }
  const name = typeof reference === 'number' ? `r${reference}` : reference;
  if (!TAG.test(name) && !isDigest(name)) throw notFound(endpoint, version, `has no revision ${JSON.stringify(name)}`);
  try {
    return await read(store.registry, repository, name, signal);
  } catch (error) {
    if (!AksmlError.is(error, 'registry.notFound')) throw error;
    throw notFound(endpoint, version, `has no revision ${name}`);
  }
}

/** Where the revisions of a version, and their code layers, are kept. */
export function repositoryOf(endpoint: string, version: string): string {
  return `${REPOSITORIES}${encodeName(endpoint)}/${encodeName(version)}`;
}

function layerOf({ digest, size }: CodeReference): Descriptor {
  return { mediaType: MEDIA_TYPE.layer, digest, size };
}

/** A snapshot's layer, unless the code is that of an earlier revision. */
async function takeOver(
  registry: Registry,
  repository: string,
  layer: Descriptor,
  { held, isNew = false, signal }: MountOptions & { readonly held?: Uint8Array },
): Promise<void> {
  const { mediaType } = layer;
  if (held) await registry.putBlob(repository, held, { mediaType, expected: layer, isNew, signal });
  else await registry.mountBlob(SNAPSHOTS, repository, layer, { isNew, signal });
}

/** The digest of the new manifest; undefined when another deploy took the number first. */
async function claim(
  registry: Registry,
  repository: string,
  revision: Revision,
  layer: Descriptor | undefined,
  taking: Promise<void> | undefined,
  { later, signal }: Pick<ManifestOptions, 'later' | 'signal'>,
): Promise<string | undefined> {
  const aborting = signal === undefined ? {} : { signal };
  const content = Buffer.from(JSON.stringify(revision));
  const config: Descriptor = { mediaType: CONFIG, digest: sha256(content), size: content.length };
  const storing = together(
    registry.putBlob(repository, content, { mediaType: CONFIG, isNew: true, ...aborting }),
    layer ? taking : putEmpty(registry, repository, signal),
  );
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config,
    layers: [layer ?? EMPTY],
    annotations: { 'org.opencontainers.image.created': revision.createdTime },
  };
  const tag = `r${revision.number}`;
  const [{ descriptor, written }] = await together(
    registry.putManifest(repository, manifest, { tag, ifAbsent: true, after: storing, later, ...aborting }),
    storing,
  );
  return written ? descriptor.digest : undefined;
}

function withoutSecrets(draft: Omit<Revision, 'number'>): Omit<Revision, 'number'> {
  const { environment } = draft;
  return {
    ...draft,
    environment: {
      ...environment,
      definition: separateSecrets(environment.definition).open,
      lock: environment.lock.map(withoutCredentials),
    },
  };
}

/** Everything but number, person, time, and what git says about files that are the same. */
function deploysTheSame(a: Omit<Revision, 'number'>, b: Omit<Revision, 'number'>): boolean {
  const essence = ({ code, models, environment, settings, container, noCode }: Omit<Revision, 'number'>): unknown =>
    JSON.parse(JSON.stringify({ code, models, environment, settings, container, noCode }));
  return isDeepStrictEqual(essence(a), essence(b));
}

async function findNewest(
  registry: Registry,
  repository: string,
  signal: AbortSignal | undefined,
): Promise<StoredRevision | undefined> {
  const [newest] = await listNumbers(registry, repository, signal);
  return newest === undefined ? undefined : read(registry, repository, `r${newest}`, signal);
}

/** The largest first. */
async function listNumbers(registry: Registry, repository: string, signal: AbortSignal | undefined): Promise<number[]> {
  const tags = await registry.listTags(repository, signal);
  return tags
    .flatMap((tag) => TAG.exec(tag)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

async function read(
  registry: Registry,
  repository: string,
  reference: string,
  signal: AbortSignal | undefined,
): Promise<StoredRevision> {
  const { manifest, descriptor } = await registry.getManifest(repository, reference, signal);
  const content = await buffer(await registry.getBlob(repository, manifest.config.digest, signal));
  return { revision: JSON.parse(content.toString('utf8')) as Revision, digest: descriptor.digest };
}

function newestFirst({ revision: a }: StoredRevision, { revision: b }: StoredRevision): number {
  if (a.createdTime !== b.createdTime) return a.createdTime < b.createdTime ? 1 : -1;
  return b.number - a.number;
}

function notFound(endpoint: string, version: string, what: string): AksmlError {
  const name = endpoint === version ? endpoint : `${endpoint}/${version}`;
  return new AksmlError('revision.notFound', `${name} ${what}.`, {
    fault: 'input',
    subject: `service/${endpoint}`,
    remedy: `See "aksml service history -n ${endpoint}".`,
  });
}

/** Against the revision before it, if there is one. */
export function revisionChanges(revision: Revision, before: Revision | undefined): readonly RevisionChange[] {
  if (!before) return ['first'];
  const differs: readonly (readonly [RevisionChange, boolean])[] = [
    ['code', !isDeepStrictEqual([revision.code, revision.noCode], [before.code, before.noCode])],
    ['models', !isDeepStrictEqual(revision.models, before.models)],
    [
      'environment',
      revision.environment.hash !== before.environment.hash ||
        !isDeepStrictEqual(revision.environment.definition, before.environment.definition),
    ],
    ['configuration', !isDeepStrictEqual([revision.settings, revision.container], [before.settings, before.container])],
  ];
  return differs.filter(([, changed]) => changed).map(([change]) => change);
}
