import { peerNames } from './haproxy-names.ts';

/** HAProxy has backends for so many other routers. */
export const MOST_PEERS = 32;

/** Which backend leads to which other router: the same one as long as that router is there. */
export class Peers {
  readonly #backends = new Map<string, string>();

  assign(routers: readonly string[]): void {
    for (const name of this.#backends.keys()) if (!routers.includes(name)) this.#backends.delete(name);
    const taken = new Set(this.#backends.values());
    const free = peerNames(MOST_PEERS).filter((backend) => !taken.has(backend));
    for (const name of routers) {
      if (this.#backends.has(name)) continue;
      const backend = free.shift();
      if (backend !== undefined) this.#backends.set(name, backend);
    }
  }

  /** Undefined for this router itself, and for one that is not there. */
  backendOf(router: string): string | undefined {
    return this.#backends.get(router);
  }
}
