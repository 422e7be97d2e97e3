import { AksmlError } from '../../contract/error.ts';
import { putEmpty } from './empty.ts';
import { type Manifest, MEDIA_TYPE, type Registry } from './registry.ts';

/** Lists the repositories below a prefix by its tags: most registries have no catalog, or show it to their administrators only. */
const INDEX = 'index';
const ARTIFACT = 'application/vnd.aksml.repository.v1';
const LONGEST_TAG = 128;

type IndexedRegistry = Pick<Registry, 'putBlob' | 'putManifest' | 'listTags' | 'getManifest'>;

/** Notes a repository, before something is stored in it. One request where that has been done before. */
export async function noteRepository(
  registry: IndexedRegistry,
  repository: string,
  signal?: AbortSignal,
): Promise<void> {
  const tag = tagOf(repository);
  if (repository === INDEX || tag === undefined || (await isNoted(registry, tag, signal))) return;
  const aborting = signal === undefined ? {} : { signal };
  const empty = await putEmpty(registry, INDEX, signal);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config: empty,
    layers: [empty],
    annotations: { 'dev.aksml.repository': repository },
  };
  await registry.putManifest(INDEX, manifest, { tag, ...aborting });
}

async function isNoted(registry: IndexedRegistry, tag: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await registry.getManifest(INDEX, tag, signal);
    return true;
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return false;
    throw error;
  }
}

export async function notedRepositories(registry: IndexedRegistry, signal?: AbortSignal): Promise<string[]> {
  return (await registry.listTags(INDEX, signal)).map((tag) => tag.replaceAll('..', '/'));
}

/** No repository name has two dots in a row, and no tag a slash. Undefined for a name that is too long to be a tag. */
function tagOf(repository: string): string | undefined {
  const tag = repository.replaceAll('/', '..');
  return tag.length > LONGEST_TAG ? undefined : tag;
}
