import { LATENCY_BOUNDS_MS, type RouterLoad, type RoutingTable, type VersionLoad } from './routing-table.ts';

/** How a wait ended: `go`: pass it on; `late`: no replica in time; `left`: the client has gone. */
export type WaitEnd = 'go' | 'late' | 'left';

/** A request for a version that had no replica when it came. */
export interface Arrival {
  /** Takes its place behind those that wait already. It holds a part of the version's capacity from `go` until {@link Arrival.done}. */
  wait(signal: AbortSignal): Promise<WaitEnd>;
  /** Nothing is to be waited for any more, or the request has its answer. May be called again. */
  done(): void;
}

interface Waiter {
  readonly resolve: (end: WaitEnd) => void;
}

/** What is known of one version, and who waits for it. */
interface ColdVersion {
  isThere: boolean;
  coldStartMs: number;
  /** Requests that its replicas take at a time, with one more each that is on its way; 0 without replicas. */
  capacity: number;
  /** Requests that wait, those whose body is still arriving included. */
  arrived: number;
  /** Requests that were let go and have no answer yet. */
  released: number;
  readonly queue: Set<Waiter>;
}

/**
 * Requests for versions that have no replica wait here until there is one, each version's in the order in which they came, and are then let go
 * only as fast as the replicas take them: a replica that has just started is not met by all at once, of whom most would wait too long again.
 */
export class ColdQueue {
  readonly #versions = new Map<string, ColdVersion>();

  /** Tells what is in force. */
  update({ endpoints }: RoutingTable): void {
    const present = new Set<string>();
    for (const endpoint of endpoints) {
      for (const version of endpoint.versions) {
        const key = versionKey(endpoint.name, version.name);
        const known = this.#versions.get(key);
        if (known === undefined && version.coldStartMs === 0) continue;
        present.add(key);
        const ready = version.replicas.filter(({ state }) => state === 'ready').length;
        const state = known ?? this.#add(key);
        state.isThere = true;
        // Who was sent here a moment ago, when it was to be waited for, still waits.
        state.coldStartMs = version.coldStartMs || state.coldStartMs;
        state.capacity = ready * (version.maxConcurrentRequestsPerContainer + 1);
        pump(state);
      }
    }
    for (const [key, state] of this.#versions) {
      if (present.has(key)) continue;
      state.isThere = false;
      pump(state);
      this.#forget(key, state);
    }
  }

  /** By {@link versionKey}: how many requests wait for a first replica. */
  waiting(): ReadonlyMap<string, number> {
    return new Map([...this.#versions].flatMap(([key, { arrived }]) => (arrived > 0 ? [[key, arrived] as const] : [])));
  }

  /** Counts a request from now on as one that waits. */
  arrive(endpoint: string, version: string): Arrival {
    const key = versionKey(endpoint, version);
    const state = this.#versions.get(key) ?? this.#add(key);
    const came = performance.now();
    let phase: 'arrived' | 'released' | 'done' = 'arrived';
    state.arrived += 1;
    const done = () => {
      if (phase === 'arrived') state.arrived -= 1;
      else if (phase === 'released') {
        state.released -= 1;
        pump(state);
      }
      phase = 'done';
      this.#forget(key, state);
    };
    const wait = async (signal: AbortSignal) => {
      const end = await queueUp(state, came, signal);
      // Counted by `pump` at the moment of its release.
      if (end === 'go') {
        phase = 'released';
        state.arrived -= 1;
      } else done();
      return end;
    };
    return { wait, done };
  }

  #add(key: string): ColdVersion {
    const state = { isThere: false, coldStartMs: 0, capacity: 0, arrived: 0, released: 0, queue: new Set<Waiter>() };
    this.#versions.set(key, state);
    return state;
  }

  #forget(key: string, state: ColdVersion): void {
    if (!state.isThere && state.arrived === 0 && state.released === 0) this.#versions.delete(key);
  }
}

/** What a version is called where endpoints and versions meet. Names have no `/`. */
export function versionKey(endpoint: string, version: string): string {
  return `${endpoint}/${version}`;
}

/** A load with those that wait for a first replica, by {@link versionKey}. */
export function withWaiting(load: RouterLoad, waiting: ReadonlyMap<string, number>): RouterLoad {
  if (waiting.size === 0) return load;
  const left = new Map(waiting);
  const versions = load.versions.map((version) => {
    const key = versionKey(version.endpoint, version.version);
    const more = left.get(key) ?? 0;
    left.delete(key);
    return { ...version, queued: version.queued + more, arrived: version.arrived + more };
  });
  return { ...load, versions: [...versions, ...[...left].map(([key, count]) => onlyWaiting(key, count))] };
}

function onlyWaiting(key: string, count: number): VersionLoad {
  const [endpoint = '', version = ''] = key.split('/');
  const latency = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
  return { endpoint, version, busy: 0, queued: count, arrived: count, completed: 0, failed: 0, latency };
}

function queueUp(state: ColdVersion, came: number, signal: AbortSignal): Promise<WaitEnd> {
  if (signal.aborted) return Promise.resolve('left');
  const { promise, resolve } = Promise.withResolvers<WaitEnd>();
  const settle = (end: WaitEnd) => {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
    state.queue.delete(waiter);
    resolve(end);
  };
  const leave = () => settle('left');
  const waiter: Waiter = { resolve: settle };
  const timer = setTimeout(() => settle('late'), Math.max(0, came + state.coldStartMs - performance.now()));
  signal.addEventListener('abort', leave, { once: true });
  state.queue.add(waiter);
  pump(state);
  return promise;
}

/** Lets those go, first come first, that the replicas have room for; all, where there is nothing to wait for any more. */
function pump(state: ColdVersion): void {
  for (const waiter of state.queue) {
    if (state.isThere && state.released >= state.capacity) return;
    state.released += 1;
    waiter.resolve('go');
  }
}
