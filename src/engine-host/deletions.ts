import type { Endpoint } from '../contract/endpoint.ts';
import { type DeletedSecrets, secretsToDelete } from '../engine/endpoints/deleted-secrets.ts';
import type { Engine } from '../engine/engine.ts';

/** An endpoint, or with a name one of its versions, as it was before it was deleted. */
export interface Deletion {
  readonly endpoint: Endpoint;
  readonly versionName?: string | undefined;
}

/** For as long as the deletions can be undone, and nowhere but in the memory of this process. */
const kept = new Map<string, DeletedSecrets>();

/** Runs a deletion that can be undone with keys and secret variables as they were. */
export async function undoably<T>(
  engine: Engine,
  deletion: Deletion,
  remove: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const secrets = await secretsToDelete(engine, deletion.endpoint, signal);
  const result = await remove();
  kept.set(nameOf(deletion), secrets);
  return result;
}

export function secretsOfDeleted(deletion: Deletion): DeletedSecrets | undefined {
  return kept.get(nameOf(deletion));
}

export function forgetDeleted(deletion: Deletion): void {
  kept.delete(nameOf(deletion));
}

function nameOf({ endpoint, versionName }: Deletion): string {
  const { metadata, spec } = endpoint;
  const version = spec.versions.find(({ name }) => name === versionName);
  return JSON.stringify([metadata.uid ?? metadata.name, version?.name, version?.revision]);
}
