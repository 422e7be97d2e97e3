import type { EndpointChange } from '../contract/compute-target.ts';
import type { Endpoint } from '../contract/endpoint.ts';

/** Makes one unbroken story of what several sources, one after the other, tell. */
export class WatchedEndpoints {
  readonly #known = new Map<string, string>();
  #synced = false;
  #listed = new Set<string>();

  /** What to tell of a change that a supervisor has told. */
  *take(change: EndpointChange): Generator<EndpointChange> {
    switch (change.type) {
      case 'present':
      case 'changed':
        this.#listed.add(change.endpoint.metadata.name);
        yield* this.#tell(change.endpoint);
        return;
      case 'synced':
        yield* this.#missing();
        if (!this.#synced) yield change;
        this.#synced = true;
        return;
      case 'deleted':
        if (this.#known.delete(change.name)) yield change;
    }
  }

  /** What to tell of a complete listing. */
  *listed(endpoints: readonly Endpoint[]): Generator<EndpointChange> {
    this.interrupted();
    for (const endpoint of endpoints) yield* this.take({ type: 'present', endpoint });
    yield* this.take({ type: 'synced' });
  }

  /** The next source lists everything anew. */
  interrupted(): void {
    this.#listed = new Set();
  }

  *#tell(endpoint: Endpoint): Generator<EndpointChange> {
    const text = JSON.stringify(endpoint);
    if (this.#known.get(endpoint.metadata.name) === text) return;
    this.#known.set(endpoint.metadata.name, text);
    yield { type: this.#synced ? 'changed' : 'present', endpoint };
  }

  *#missing(): Generator<EndpointChange> {
    for (const name of [...this.#known.keys()]) {
      if (this.#listed.has(name)) continue;
      this.#known.delete(name);
      yield { type: 'deleted', name };
    }
  }
}
