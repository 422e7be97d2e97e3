import { createHash } from 'node:crypto';

/**
 * The router in which requests for an endpoint wait: every router comes to the same answer from the same names, and when one comes or goes only
 * its own endpoints change hands (rendezvous hashing, Thaler and Ravishankar 1998). Undefined without routers.
 */
export function ownerOf(endpoint: string, routers: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly weight: string } | undefined;
  for (const name of routers) {
    const weight = createHash('sha256').update(`${name}\n${endpoint}`).digest('hex');
    if (best === undefined || weight > best.weight || (weight === best.weight && name < best.name))
      best = { name, weight };
  }
  return best?.name;
}

/** Remembers the owners of endpoints among routers that stay the same. */
export class Owners {
  readonly names: readonly string[];
  readonly #known = new Map<string, string | undefined>();

  constructor(names: readonly string[]) {
    this.names = names;
  }

  of(endpoint: string): string | undefined {
    if (!this.#known.has(endpoint)) this.#known.set(endpoint, ownerOf(endpoint, this.names));
    return this.#known.get(endpoint);
  }
}
