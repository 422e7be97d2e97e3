import { sha256 } from './reference.ts';
import { type Descriptor, MEDIA_TYPE, type Registry } from './registry.ts';

const CONTENT = Buffer.from('{}');

/** Stands where a manifest has to name a document and there is none, as the OCI image specification has it. */
export const EMPTY: Descriptor = { mediaType: MEDIA_TYPE.empty, digest: sha256(CONTENT), size: CONTENT.length };

/** Makes sure that the repository has what {@link EMPTY} names. @throws AksmlError `registry.*` */
export function putEmpty(
  registry: Pick<Registry, 'putBlob'>,
  repository: string,
  signal?: AbortSignal,
): Promise<Descriptor> {
  return registry.putBlob(repository, CONTENT, { mediaType: MEDIA_TYPE.empty, ...(signal ? { signal } : {}) });
}
