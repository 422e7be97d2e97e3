export interface WorkQueueOptions {
  /** Brings one thing up to date. After how many milliseconds it is to be looked at again, if time alone may change it. */
  readonly work: (key: string, signal: AbortSignal) => Promise<number | undefined>;
  readonly concurrency: number;
  readonly onError: (key: string, error: unknown, retryMs: number) => void;
  /** Called when one is begun: how long it waited, milliseconds. */
  readonly onBegin?: (waitedMs: number) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

/** `now`: somebody asked for it and waits. `soon`: with what else happens to it. */
export type Urgency = 'soon' | 'now';

/** Several changes within it are one piece of work. */
const SETTLE_MS = 10;
/**
 * From one beginning to the next of the same key, unless it is urgent: pods tell of each small step of theirs, and every look at them may be
 * a write. The first change after a silence does not wait for it.
 */
const PACE_MS = 200;
/** One of so many that are begun is not urgent, if any waits: while thousands are changed at once, the news of others are told. */
const FAIR_SHARE = 4;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;

interface Entry {
  /** When it shall be begun. */
  readonly due: number;
  readonly timer: NodeJS.Timeout;
}

/**
 * Keys that wait for work: each is worked on once at a time, failures are tried again with back-off, and a change never waits for that. Many
 * changes of a key are few pieces of work; what is urgent waits for nothing but room, and comes before the rest, but for a share of that.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Entry>();
  /** Since when they have been due, in the order in which they shall be begun. */
  readonly #ready = { now: new Map<string, number>(), soon: new Map<string, number>() };
  readonly #running = new Set<string>();
  /** What was asked for of those that are running. */
  readonly #again = new Map<string, Urgency>();
  /** When each was begun last. */
  readonly #begun = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #inFlight = new Set<Promise<void>>();
  /** How many urgent ones have been begun in a row. */
  #urgent = 0;
  #signal: AbortSignal | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** How many wait for work that is due. */
  get depth(): number {
    return this.#ready.now.size + this.#ready.soon.size;
  }

  add(key: string, urgency: Urgency = 'soon'): void {
    if (this.#running.has(key)) {
      if (this.#again.get(key) !== 'now') this.#again.set(key, urgency);
    } else if (urgency === 'now') {
      this.#due(key, 'now', this.#now());
    } else {
      const paced = (this.#begun.get(key) ?? Number.NEGATIVE_INFINITY) + PACE_MS;
      this.addAfter(key, Math.max(SETTLE_MS, paced - this.#now()));
    }
  }

  /** Unless it is due earlier anyway. */
  addAfter(key: string, ms: number): void {
    if (this.#ready.now.has(key) || this.#ready.soon.has(key) || this.#signal?.aborted) return;
    const due = this.#now() + ms;
    const known = this.#waiting.get(key);
    if (known !== undefined && known.due <= due) return;
    clearTimeout(known?.timer);
    this.#waiting.set(key, { due, timer: setTimeout(() => this.#due(key, 'soon', due), ms) });
  }

  /** What is known of a thing that is gone. */
  forget(key: string): void {
    this.#failures.delete(key);
    this.#begun.delete(key);
  }

  /** Works until the signal, and returns once nothing is under way. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    const ended = Promise.withResolvers<void>();
    this.#pump(signal);
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    if (signal.aborted) ended.resolve();
    await ended.promise;
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#ready.now.clear();
    this.#ready.soon.clear();
    await Promise.all([...this.#inFlight]);
  }

  #due(key: string, urgency: Urgency, since: number): void {
    if (this.#signal?.aborted) return;
    clearTimeout(this.#waiting.get(key)?.timer);
    this.#waiting.delete(key);
    if (this.#ready.now.has(key)) return;
    this.#ready[urgency].set(key, this.#ready.soon.get(key) ?? since);
    if (urgency === 'now') this.#ready.soon.delete(key);
    if (this.#signal !== undefined) this.#pump(this.#signal);
  }

  #pump(signal: AbortSignal): void {
    while (!signal.aborted && this.#running.size < this.#options.concurrency) {
      const urgency = this.#turn();
      const next = this.#ready[urgency].entries().next();
      if (next.done) return;
      const [key, since] = next.value;
      this.#ready[urgency].delete(key);
      this.#urgent = urgency === 'now' ? this.#urgent + 1 : 0;
      const now = this.#now();
      this.#running.add(key);
      this.#begun.set(key, now);
      this.#options.onBegin?.(now - since);
      const work = this.#work(key, signal).finally(() => {
        this.#inFlight.delete(work);
        this.#pump(signal);
      });
      this.#inFlight.add(work);
    }
  }

  #turn(): Urgency {
    const { now, soon } = this.#ready;
    if (now.size === 0) return 'soon';
    return soon.size > 0 && this.#urgent >= FAIR_SHARE - 1 ? 'soon' : 'now';
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    let wait: number | undefined;
    try {
      wait = await this.#options.work(key, signal);
      this.#failures.delete(key);
      // There is nothing more to it.
      if (wait === undefined) this.#begun.delete(key);
    } catch (error) {
      if (!signal.aborted) wait = this.#failed(key, error);
    }
    this.#running.delete(key);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again !== undefined) this.add(key, again);
    else if (wait !== undefined) this.addAfter(key, wait);
  }

  /** After how many milliseconds it is tried again. */
  #failed(key: string, error: unknown): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const retry = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 16));
    this.#options.onError(key, error, retry);
    return retry;
  }
}
