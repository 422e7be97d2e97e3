import type { KubeClient, ListQuery } from './kube.ts';
import { listWatch } from './list-watch.ts';
import { type KubeObject, keyOf } from './object.ts';
import type { Resource } from './resource.ts';
import { SYSTEM_PORTS, type TransportPorts } from './transport.ts';

export type InformerChange<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'changed'; readonly object: T; readonly previous: T }
  | { readonly type: 'deleted'; readonly object: T };

export interface InformerOptions<T> {
  readonly query?: ListQuery;
  /** What is kept of an object: the rest costs memory. */
  readonly keep?: (object: T) => T;
  /** Groups in which {@link Informer.group} finds objects, such as the endpoint that a pod belongs to. */
  readonly groupOf?: (object: T) => string | undefined;
  /** Must not throw; what it throws goes to `onError`, and the cache stays right. */
  readonly onChange?: (change: InformerChange<T>) => void;
  /** The cache is behind and is being mended, or a handler failed. */
  readonly onError?: (error: unknown) => void;
  readonly ports?: TransportPorts;
}

/** Keeps all objects of a kind at hand, as new as the server tells. */
export class Informer<T extends KubeObject> {
  readonly resource: Resource<T>;
  readonly #kube: KubeClient;
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #groups = new Map<string, Map<string, T>>();
  readonly #ready = Promise.withResolvers<void>();
  #synced = false;
  #interruptedBy: unknown;

  constructor(kube: KubeClient, resource: Resource<T>, options: InformerOptions<T> = {}) {
    this.#kube = kube;
    this.resource = resource;
    this.#options = options;
  }

  /** Whether the first listing is complete. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves with the first complete listing; never, if there is none before the end of `run`. */
  get whenSynced(): Promise<void> {
    return this.#ready.promise;
  }

  /** Why changes do not arrive at present. */
  get interruptedBy(): unknown {
    return this.#interruptedBy;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** By `namespace/name`. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): IterableIterator<T> {
    return this.#objects.values();
  }

  group(name: string): readonly T[] {
    return [...(this.#groups.get(name)?.values() ?? [])];
  }

  /** Works until the signal; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const ports = this.#options.ports ?? SYSTEM_PORTS;
    const query = { ...this.#options.query, keep: this.#options.keep };
    for await (const event of listWatch(this.#kube, this.resource, query, signal, ports)) {
      if (event.type === 'interrupted') {
        this.#interruptedBy = event.error;
        this.#options.onError?.(event.error);
        continue;
      }
      this.#interruptedBy = undefined;
      if (event.type === 'listed') this.#replaceAll(event.objects);
      else if (event.type === 'changed') this.#put(event.object);
      else if (event.type === 'deleted') this.#drop(keyOf(event.object.metadata));
    }
  }

  #replaceAll(objects: readonly T[]): void {
    const listed = new Set(objects.map(({ metadata }) => keyOf(metadata)));
    for (const key of [...this.#objects.keys()]) if (!listed.has(key)) this.#drop(key);
    for (const object of objects) this.#put(object);
    this.#synced = true;
    this.#ready.resolve();
  }

  #put(object: T): void {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    if (previous !== undefined && previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#objects.set(key, object);
    this.#regroup(key, previous, object);
    this.#tell(previous === undefined ? { type: 'added', object } : { type: 'changed', object, previous });
  }

  #drop(key: string): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    this.#regroup(key, object, undefined);
    this.#tell({ type: 'deleted', object });
  }

  #regroup(key: string, previous: T | undefined, object: T | undefined): void {
    const { groupOf } = this.#options;
    if (!groupOf) return;
    const before = previous && groupOf(previous);
    const after = object && groupOf(object);
    if (before !== undefined && before !== after) {
      const group = this.#groups.get(before);
      group?.delete(key);
      if (group?.size === 0) this.#groups.delete(before);
    }
    if (after === undefined || object === undefined) return;
    const group = this.#groups.get(after) ?? new Map<string, T>();
    group.set(key, object);
    this.#groups.set(after, group);
  }

  #tell(change: InformerChange<T>): void {
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}
