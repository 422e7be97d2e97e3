import { poolNames } from './haproxy-names.ts';
import type { QueueClass } from './haproxy-settings.ts';
import type { RoutedVersion } from './routing-table.ts';

/** What decides which of the pool's backends a version can have. */
export interface Need {
  /** Milliseconds. */
  readonly queueMs: number;
  readonly held: boolean;
}

/** HAProxy takes 0 for "without end"; a version with 0 has no queue worth the name. */
export function needOf({ maxQueueWaitMs, ownServer }: RoutedVersion): Need {
  return { queueMs: Math.max(1, Math.round(maxQueueWaitMs)), held: ownServer };
}

/** Made in advance for values that are common, so that a version with one of them needs no reload. */
const COMMON_QUEUE_MS = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];
/** v1's default, which most versions have. */
const DEFAULT_QUEUE_MS = 500;
const SPARE_DEFAULT = 64;
const SPARE = 16;

/** A pool with room for these and for others to come; never smaller than `present`, whose backends are in use. Pure. */
export function roomFor(needs: readonly Need[], present: readonly QueueClass[] = []): QueueClass[] {
  const values = new Set([
    ...COMMON_QUEUE_MS,
    ...needs.map(({ queueMs }) => queueMs),
    ...present.map((p) => p.queueMs),
  ]);
  return [...values]
    .sort((a, b) => a - b)
    .map((queueMs) => {
      const before = present.find((candidate) => candidate.queueMs === queueMs);
      const spare = queueMs === DEFAULT_QUEUE_MS ? SPARE_DEFAULT : SPARE;
      const count = (held: boolean) => needs.filter((need) => need.queueMs === queueMs && need.held === held).length;
      const room = (needed: number, had = 0) => (needed + spare / 2 <= had ? had : Math.ceil(needed * 1.25) + spare);
      return {
        queueMs,
        backends: room(count(false), before?.backends),
        heldBackends: room(count(true), before?.heldBackends),
      };
    });
}

/** Which backend of the pool has which version. */
export class Pool {
  #free = new Map<string, string[]>();
  readonly #taken = new Map<string, { readonly backend: string; readonly need: Need }>();
  #classes: readonly QueueClass[] = [];

  get classes(): readonly QueueClass[] {
    return this.#classes;
  }

  /** What was assigned stays so. */
  grow(classes: readonly QueueClass[]): void {
    this.#classes = classes;
    const taken = new Set([...this.#taken.values()].map(({ backend }) => backend));
    this.#free = new Map();
    for (const queueClass of classes) {
      const { plain, held } = poolNames(queueClass);
      const free = (names: readonly string[]) => names.filter((name) => !taken.has(name)).reverse();
      this.#free.set(keyOf({ queueMs: queueClass.queueMs, held: false }), free(plain));
      this.#free.set(keyOf({ queueMs: queueClass.queueMs, held: true }), free(held));
    }
  }

  /** The backend of a version, which it keeps until it is released; undefined where none is left. */
  assign(version: string, need: Need): string | undefined {
    const present = this.#taken.get(version);
    if (present) return present.backend;
    const backend = this.#free.get(keyOf(need))?.pop();
    if (backend !== undefined) this.#taken.set(version, { backend, need });
    return backend;
  }

  find(version: string): string | undefined {
    return this.#taken.get(version)?.backend;
  }

  /** Whether a version's backend is of the kind that it needs. */
  fits(version: string, need: Need): boolean {
    const taken = this.#taken.get(version);
    return taken !== undefined && keyOf(taken.need) === keyOf(need);
  }

  get versions(): readonly string[] {
    return [...this.#taken.keys()];
  }

  /** Nobody gets its backend until it is {@link restore}d: requests can still be in it. */
  release(version: string): { readonly backend: string; readonly need: Need } | undefined {
    const taken = this.#taken.get(version);
    this.#taken.delete(version);
    return taken;
  }

  restore(backend: string, need: Need): void {
    const free = this.#free.get(keyOf(need));
    if (free && !free.includes(backend)) free.push(backend);
  }
}

function keyOf({ queueMs, held }: Need): string {
  return `${queueMs}/${held}`;
}
