import type { LoadSample } from '../../serving/demand.ts';
import type { RouterLoad, VersionLoad } from '../router/routing-table.ts';

/** What all routers together say of one version at one moment. */
export interface VersionMoment {
  readonly endpoint: string;
  readonly version: string;
  readonly sample: LoadSample;
  readonly totals: VersionTotals;
}

/** Since watching began; routers that come, go and begin anew do not make them jump. */
export interface VersionTotals {
  readonly arrived: number;
  readonly completed: number;
  readonly failed: number;
  readonly latency: readonly number[];
}

interface RouterView {
  readonly since: number;
  heardAt: number | undefined;
  /** What makes this process's monotonic milliseconds of the router's. */
  offset: number;
  time: number;
  versions: ReadonlyMap<string, VersionLoad>;
}

const ZERO: VersionTotals = { arrived: 0, completed: 0, failed: 0, latency: [] };

/** Ten times the period in which routers tell: one that is silent for longer may know of requests that nobody else does. */
const STALE_MS = 1000;
/** A ready router that has never been heard is waited for only so long. */
const FIRST_MS = 5000;
/** The most by which two monotonic clocks drift apart. */
const DRIFT = 0.001;

/** Adds up what routers say, and keeps still where one that matters is silent. All times are monotonic milliseconds of this process. */
export class LoadView {
  readonly #routers = new Map<string, RouterView>();
  readonly #totals = new Map<string, VersionTotals>();

  /** Those that are ready now; what others said counts no more. */
  setRouters(names: readonly string[], now: number): void {
    for (const name of this.#routers.keys()) if (!names.includes(name)) this.#routers.delete(name);
    for (const name of names) {
      if (this.#routers.has(name)) continue;
      this.#routers.set(name, { since: now, heardAt: undefined, offset: 0, time: 0, versions: new Map() });
    }
  }

  /** What is known, by this, of the versions that it tells of. */
  *heard({ router, time, versions }: RouterLoad, now: number): Generator<VersionMoment, void, undefined> {
    const view = this.#routers.get(router);
    if (view === undefined) return;
    const beganAnew = view.heardAt !== undefined && time < view.time;
    const isFirst = view.heardAt === undefined || beganAnew;
    const elapsed = isFirst ? 0 : time - view.time;
    view.offset = isFirst ? now - time : Math.min(now - time, view.offset + elapsed * DRIFT);
    const before = beganAnew ? undefined : view.versions;
    view.time = time;
    view.heardAt = now;
    view.versions = new Map(versions.map((load) => [keyOf(load), load]));
    const isComplete = [...this.#routers.values()].every(
      ({ heardAt, since }) => heardAt !== undefined || now - since > FIRST_MS,
    );
    for (const load of versions) {
      const totals = this.#count(load, before === undefined ? ZERO : before.get(keyOf(load)));
      const sample = isComplete ? this.#sample(load, now, time + view.offset, totals) : undefined;
      if (sample === undefined) continue;
      yield { endpoint: load.endpoint, version: load.version, sample, totals };
    }
  }

  forget(endpoint: string): void {
    for (const key of this.#totals.keys()) if (key.startsWith(`${endpoint}/`)) this.#totals.delete(key);
  }

  #count(load: VersionLoad, before: VersionTotals | undefined): VersionTotals {
    const key = keyOf(load);
    const past = this.#totals.get(key) ?? { arrived: 0, completed: 0, failed: 0, latency: load.latency.map(() => 0) };
    // What a router counted before it was listened to may have been counted already.
    if (before === undefined) {
      this.#totals.set(key, past);
      return past;
    }
    const totals = {
      // What is at work is counted a moment before what has ended: for that long, a request may be missing.
      arrived: past.arrived + load.arrived - before.arrived,
      completed: past.completed + load.completed - before.completed,
      failed: past.failed + load.failed - before.failed,
      latency: load.latency.map((count, index) => (past.latency[index] ?? 0) + count - (before.latency[index] ?? 0)),
    };
    this.#totals.set(key, totals);
    return totals;
  }

  #sample(
    { endpoint, version }: VersionLoad,
    now: number,
    time: number,
    { arrived, completed }: VersionTotals,
  ): LoadSample | undefined {
    let busy = 0;
    let queued = 0;
    for (const { heardAt = 0, versions } of this.#routers.values()) {
      const load = versions.get(keyOf({ endpoint, version }));
      if (load === undefined) continue;
      if (now - heardAt > STALE_MS) return undefined;
      busy += load.busy;
      queued += load.queued;
    }
    return { time, busy, queued, arrived, completed };
  }
}

function keyOf({ endpoint, version }: Pick<VersionLoad, 'endpoint' | 'version'>): string {
  return `${endpoint}/${version}`;
}
