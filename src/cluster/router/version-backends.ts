import { SLOWEST_REQUEST_S } from './haproxy-names.ts';
import type { QueueClass } from './haproxy-settings.ts';
import { type Need, needOf, Pool, roomFor } from './pool.ts';
import { type ServersByBackend, serversOf } from './router-servers.ts';
import type { RoutedVersion, RoutingTable } from './routing-table.ts';

/** A request is sent to a version's backend at most so long after it was decided: as soon as its body is there. */
const LATEST_MS = SLOWEST_REQUEST_S * 1000 + 1000;

/** A version, and the backend that it has. */
interface VersionBackend {
  readonly backend: string;
  readonly endpoint: string;
  readonly version: string;
}

/** A backend that its version had, and of which kind it is. */
interface Released {
  readonly backend: string;
  readonly need: Need;
}

/** Which backends the versions of a {@link RoutingTable} have. A version keeps its own while it needs one of that kind. */
export class VersionBackends {
  readonly #folder: string;
  readonly #pool = new Pool();
  readonly #servers = new WeakMap<RoutedVersion, { readonly backend: string; readonly servers: ServersByBackend }>();
  /** Backends of no version any more, with the moment since when: requests may still come that were looked at before. */
  readonly #leaving = new Map<string, { readonly need: Need; readonly since: number }>();

  /** @param folder the router's */
  constructor(folder: string) {
    this.#folder = folder;
  }

  get classes(): readonly QueueClass[] {
    return this.#pool.classes;
  }

  /** Those of all versions that have one. */
  get all(): readonly VersionBackend[] {
    return this.#pool.versions.map((key) => {
      const [endpoint = '', version = ''] = key.split('/');
      return { endpoint, version, backend: this.#pool.find(key) ?? '' };
    });
  }

  find(endpoint: string, version: string): string | undefined {
    return this.#pool.find(keyOf(endpoint, version));
  }

  /** Makes room for every version of the table. */
  grow({ endpoints }: RoutingTable): void {
    const needs = endpoints.flatMap(({ versions }) => versions.map(needOf));
    this.#pool.grow(roomFor(needs, this.#pool.classes));
  }

  /** Gives each version a backend. False where the pool has none left. */
  assign(table: RoutingTable): boolean {
    return versionsOf(table).every(([key, version]) => this.#pool.assign(key, needOf(version)) !== undefined);
  }

  /** Takes the backends of versions that are gone, or need another one. */
  releaseMoved(table: RoutingTable): readonly Released[] {
    const wanted = new Map(versionsOf(table).map(([key, version]) => [key, needOf(version)] as const));
    return this.#pool.versions.flatMap((key) => {
      const need = wanted.get(key);
      return need && this.#pool.fits(key, need) ? [] : (this.#pool.release(key) ?? []);
    });
  }

  /** From now on no request is decided for these. */
  leave(released: readonly Released[]): void {
    for (const { backend, need } of released) this.#leaving.set(backend, { need, since: performance.now() });
  }

  /** Backends whose version has gone are given to others, once they are shut, when no request can come for it any more. */
  async clearLeaving(shut: (backend: string) => Promise<void>): Promise<void> {
    for (const [backend, { need, since }] of this.#leaving) {
      if (performance.now() - since < LATEST_MS) continue;
      await shut(backend);
      this.#leaving.delete(backend);
      this.#pool.restore(backend, need);
    }
  }

  /** The servers of all versions, by their backends: the same objects as long as nothing has changed. */
  servers(table: RoutingTable): ServersByBackend {
    const all = versionsOf(table).flatMap(([key, version]) => {
      const backend = this.#pool.find(key);
      return backend === undefined ? [] : [...this.#serversFor(version, backend)];
    });
    return new Map(all);
  }

  #serversFor(version: RoutedVersion, backend: string): ServersByBackend {
    const known = this.#servers.get(version);
    if (known?.backend === backend) return known.servers;
    const servers = serversOf(version, backend, this.#folder);
    this.#servers.set(version, { backend, servers });
    return servers;
  }
}

function versionsOf({ endpoints }: RoutingTable): (readonly [string, RoutedVersion])[] {
  return endpoints.flatMap((endpoint) =>
    endpoint.versions.map((version) => [keyOf(endpoint.name, version.name), version] as const),
  );
}

function keyOf(endpoint: string, version: string): string {
  return `${endpoint}/${version}`;
}
