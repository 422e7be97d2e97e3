import type { Outcome, RequestLog } from './request-log.ts';
import type { Router } from './router.ts';
import { LATENCY_BOUNDS_MS, type RouterLoad, type VersionLoad } from './routing-table.ts';

/** Requests are looked for so often in all backends; in between only in those in which something has happened lately. Milliseconds. */
const SWEEP_MS = 500;
const LATELY_MS = 2000;
/** So many requests take longer to list than all replicas. */
const MANY = 1000;

interface Held {
  readonly busy: number;
  readonly queued: number;
}

const NOTHING: Held = { busy: 0, queued: 0 };
const NO_OUTCOME: Outcome = {
  completed: 0,
  failed: 0,
  refused: 0,
  latency: new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0),
  servers: new Map(),
};

/**
 * What each version that this router owns holds. HAProxy blocks a thread while it writes what it knows, so that it is asked for what can have
 * changed only: connections of backends in use, and queues of those whose replicas are all taken. A request that nothing was known of is found in the
 * list of all requests.
 */
export class LoadSampler {
  readonly #router: Router;
  readonly #log: RequestLog;
  #held: ReadonlyMap<string, Held> = new Map();
  readonly #activeAt = new Map<string, number>();
  readonly #ended = new Map<string, number>();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(router: Router, log: RequestLog) {
    this.#router = router;
    this.#log = log;
  }

  /** @throws AksmlError `router.haproxyUnreachable` */
  async sample(): Promise<RouterLoad> {
    const versions = this.#router.ownedVersions();
    const now = performance.now();
    await this.#look([...versions.keys()], now);
    return {
      router: this.#router.name,
      time: performance.now(),
      versions: [...versions].map(([backend, version]) => this.#loadOf(backend, version)),
    };
  }

  async #look(backends: readonly string[], now: number): Promise<void> {
    for (const backend of backends) {
      const { completed, refused } = this.#log.outcomes.get(backend) ?? NO_OUTCOME;
      if ((this.#ended.get(backend) ?? 0) !== completed + refused) this.#activeAt.set(backend, now);
      this.#ended.set(backend, completed + refused);
    }
    for (const backend of await this.#found(now)) this.#activeAt.set(backend, now);
    const active = backends.filter(
      (backend) => now - (this.#activeAt.get(backend) ?? Number.NEGATIVE_INFINITY) < LATELY_MS,
    );
    const busy = await this.#router.backends.busyIn(active);
    const full = active.filter((backend) => (busy.get(backend) ?? 0) >= this.#router.backends.capacityOf(backend));
    const queued = await this.#router.backends.queuedIn(full);
    this.#held = new Map(
      active.map((backend) => [backend, { busy: busy.get(backend) ?? 0, queued: queued.get(backend) ?? 0 }]),
    );
    for (const [backend, held] of this.#held) if (held.busy + held.queued > 0) this.#activeAt.set(backend, now);
  }

  /** Backends that requests are in, where it is time to look for them. */
  async #found(now: number): Promise<Iterable<string>> {
    if (now - this.#sweptAt < SWEEP_MS) return [];
    this.#sweptAt = now;
    const known = [...this.#held.values()].reduce((sum, { busy, queued }) => sum + busy + queued, 0);
    return known < MANY ? this.#router.backends.inUse() : (await this.#router.backends.busyIn()).keys();
  }

  #loadOf(
    backend: string,
    { endpoint, version }: { readonly endpoint: string; readonly version: string },
  ): VersionLoad {
    const { completed, failed, refused, latency } = this.#log.outcomes.get(backend) ?? NO_OUTCOME;
    const { busy, queued } = this.#held.get(backend) ?? NOTHING;
    const arrived = completed + refused + busy + queued;
    return { endpoint, version, busy, queued, arrived, completed, failed, latency };
  }
}
