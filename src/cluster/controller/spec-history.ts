import type { InformerChange } from '../../kube/informer.ts';
import { keyOf } from '../../kube/object.ts';
import type { StoredEndpoint } from '../../kube/resource.ts';
import { type Desired, specRevision } from './objects.ts';

/**
 * Which specifications are still to be kept as ControllerRevisions. Every one that the watch tells of is, also those that were replaced
 * before they could be acted upon; what is applied while no controller runs is known only by the last.
 */
export class SpecHistory {
  readonly #pending = new Map<string, Map<number, StoredEndpoint>>();

  note(change: InformerChange<StoredEndpoint>): void {
    const { object } = change;
    if (change.type === 'deleted') {
      this.forget(object);
      return;
    }
    const { generation = 0 } = object.metadata;
    const before =
      change.type === 'changed' && change.previous.metadata.uid === object.metadata.uid
        ? change.previous.metadata.generation
        : undefined;
    if (before === generation) return;
    // The status is written after the revision.
    if (change.type === 'added' && object.status?.observedGeneration === generation) return;
    const key = idOf(object);
    const pending = this.#pending.get(key) ?? new Map<number, StoredEndpoint>();
    pending.set(generation, object);
    this.#pending.set(key, pending);
  }

  unrecorded(endpoint: StoredEndpoint): readonly { readonly generation: number; readonly desired: Desired }[] {
    const pending = this.#pending.get(idOf(endpoint)) ?? new Map<number, StoredEndpoint>();
    return [...pending]
      .sort(([a], [b]) => a - b)
      .map(([generation, object]) => ({ generation, desired: specRevision(object) }));
  }

  recorded(endpoint: StoredEndpoint, generation: number): void {
    const pending = this.#pending.get(idOf(endpoint));
    pending?.delete(generation);
    if (pending?.size === 0) this.#pending.delete(idOf(endpoint));
  }

  forget(endpoint: StoredEndpoint): void {
    this.#pending.delete(idOf(endpoint));
  }
}

function idOf({ metadata }: StoredEndpoint): string {
  return `${keyOf(metadata)}/${metadata.uid ?? ''}`;
}
