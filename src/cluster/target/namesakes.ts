import type { KubeObject } from '../../kube/object.ts';

/**
 * In the order in which a command means them: of endpoints that have one name, in several namespaces, that of the target's own comes first, then
 * the oldest of those that are not being deleted.
 */
export function inPrecedence<T extends KubeObject>(objects: Iterable<T>, own: string): readonly T[] {
  const rank = ({ metadata }: T) =>
    [
      metadata.namespace === own ? 0 : 1,
      metadata.deletionTimestamp === undefined ? 0 : 1,
      metadata.creationTimestamp ?? '',
      metadata.namespace ?? '',
    ].join(' ');
  return [...objects].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** Makes one story of each name, of what several namespaces tell: that of the endpoint that a command means. */
export class Namesakes<T extends KubeObject> {
  readonly #own: string;
  /** By name, then by namespace. */
  readonly #known = new Map<string, Map<string, T>>();

  constructor(own: string) {
    this.#own = own;
  }

  /** Of everything that is there. */
  listed(objects: readonly T[]): readonly T[] {
    this.#known.clear();
    for (const object of objects) this.#of(object).set(namespaceOf(object), object);
    return [...this.#known.values()].flatMap((namesakes) => this.#meant(namesakes) ?? []);
  }

  /** The one that is meant afterwards. */
  changed(object: T): T {
    const namesakes = this.#of(object).set(namespaceOf(object), object);
    return this.#meant(namesakes) ?? object;
  }

  /** The one that is meant afterwards; undefined when the name is free. */
  deleted(object: T): T | undefined {
    const namesakes = this.#of(object);
    namesakes.delete(namespaceOf(object));
    if (namesakes.size === 0) this.#known.delete(object.metadata.name);
    return this.#meant(namesakes);
  }

  #of({ metadata }: T): Map<string, T> {
    const known = this.#known.get(metadata.name) ?? new Map<string, T>();
    this.#known.set(metadata.name, known);
    return known;
  }

  #meant(namesakes: ReadonlyMap<string, T>): T | undefined {
    return inPrecedence(namesakes.values(), this.#own)[0];
  }
}

function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? '';
}
