export interface WorkQueueOptions {
  /** Brings one thing up to date. After how many milliseconds it is to be looked at again, if time alone may change it. */
  readonly work: (key: string, signal: AbortSignal) => Promise<number | undefined>;
  readonly concurrency: number;
  readonly onError: (key: string, error: unknown, retryMs: number) => void;
  /** Called when one is begun: how long it waited, milliseconds. */
  readonly onBegin?: (waitedMs: number) => void;
}

/** Several changes within it are one piece of work. */
const SETTLE_MS = 10;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;

interface Entry {
  /** When it shall be begun, by the monotonic clock. */
  due: number;
  /** When it was asked for. */
  asked: number;
  timer: NodeJS.Timeout;
}

/** Keys that wait for work: each is worked on once at a time, failures are tried again with back-off, and a change never waits for that. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Map<string, Entry>();
  readonly #ready: { readonly key: string; readonly asked: number }[] = [];
  readonly #queued = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  #signal: AbortSignal | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** How many wait for work that is due. */
  get depth(): number {
    return this.#ready.length;
  }

  add(key: string): void {
    if (this.#running.has(key)) this.#again.add(key);
    else this.addAfter(key, SETTLE_MS);
  }

  /** Unless it is due earlier anyway. */
  addAfter(key: string, ms: number): void {
    if (this.#queued.has(key) || this.#signal?.aborted) return;
    const now = performance.now();
    const known = this.#waiting.get(key);
    if (known !== undefined && known.due <= now + ms) return;
    clearTimeout(known?.timer);
    const timer = setTimeout(() => this.#due(key), ms);
    this.#waiting.set(key, { due: now + ms, asked: now, timer });
  }

  /** What is known of a thing that is gone. */
  forget(key: string): void {
    this.#failures.delete(key);
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
    this.#ready.length = 0;
    this.#queued.clear();
    await Promise.all([...this.#inFlight]);
  }

  readonly #inFlight = new Set<Promise<void>>();

  #due(key: string): void {
    const entry = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (entry === undefined) return;
    this.#ready.push({ key, asked: entry.due });
    this.#queued.add(key);
    if (this.#signal !== undefined) this.#pump(this.#signal);
  }

  #pump(signal: AbortSignal): void {
    while (!signal.aborted && this.#running.size < this.#options.concurrency) {
      const next = this.#ready.shift();
      if (next === undefined) return;
      this.#queued.delete(next.key);
      this.#running.add(next.key);
      this.#options.onBegin?.(performance.now() - next.asked);
      const work = this.#work(next.key, signal).finally(() => {
        this.#inFlight.delete(work);
        this.#pump(signal);
      });
      this.#inFlight.add(work);
    }
  }

  async #work(key: string, signal: AbortSignal): Promise<void> {
    try {
      const recheck = await this.#options.work(key, signal);
      this.#failures.delete(key);
      this.#running.delete(key);
      if (this.#again.delete(key)) this.add(key);
      else if (recheck !== undefined) this.addAfter(key, recheck);
    } catch (error) {
      this.#running.delete(key);
      if (signal.aborted) return;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const retry = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 16));
      this.#options.onError(key, error, retry);
      if (this.#again.delete(key)) this.add(key);
      else this.addAfter(key, retry);
    }
  }
}
