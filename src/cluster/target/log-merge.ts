/** Lines of one source, in order, those together that came together. */
export type Batches<T> = AsyncIterable<readonly T[]>;

export interface MergeOptions<T> {
  /** Sorts the sources' lines; within a source the order stays. */
  readonly timeOf: (line: T) => number;
  /** Milliseconds that a line waits for an older one of a source that was heard of lately. Infinity: until that source ends. */
  readonly patienceMs: number;
  readonly now?: () => number;
}

interface Source<T> {
  lines: readonly T[];
  next: number;
  /** A line that claims to be older than its predecessor does not overtake it. */
  latest: number;
  askedAt: number;
  taken: () => void;
}

/**
 * Merges sources by time, also such as never end and such as join later. Holds one batch a source: whoever is not read is not read from.
 */
export class LogMerge<T> {
  readonly #options: MergeOptions<T>;
  readonly #now: () => number;
  readonly #sources = new Set<Source<T>>();
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(options: MergeOptions<T>) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  add(batches: Batches<T>): void {
    const source: Source<T> = {
      lines: [],
      next: 0,
      latest: Number.NEGATIVE_INFINITY,
      askedAt: this.#now(),
      taken: () => undefined,
    };
    this.#sources.add(source);
    void this.#pump(source, batches);
  }

  /** Nothing is added any more: {@link batches} ends with the sources. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Ends {@link batches} with an error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async *batches(): AsyncGenerator<readonly T[], void, undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const heads = [...this.#sources].filter((source) => source.next < source.lines.length);
      if (heads.length === 0) {
        if (this.#closed && this.#sources.size === 0) return;
        await this.#change();
        continue;
      }
      const wait = this.#patience();
      if (wait > 0) await this.#change(wait);
      else yield this.#take(heads);
    }
  }

  /** How long the present heads have to wait for sources that may have older lines. */
  #patience(): number {
    let wait = 0;
    for (const source of this.#sources) {
      if (source.next < source.lines.length) continue;
      wait = Math.max(wait, source.askedAt + this.#options.patienceMs - this.#now());
    }
    return wait;
  }

  /** In order, until one of the sources has to be asked for more. */
  #take(heads: readonly Source<T>[]): readonly T[] {
    const [only] = heads;
    if (heads.length === 1 && only) return this.#drain(only);
    const merged: T[] = [];
    for (;;) {
      let earliest: Source<T> | undefined;
      let order = Number.POSITIVE_INFINITY;
      for (const source of heads) {
        const time = this.#orderOf(source);
        if (earliest === undefined || time < order) [earliest, order] = [source, time];
      }
      const line = earliest?.lines[earliest.next];
      if (earliest === undefined || line === undefined) return merged;
      merged.push(line);
      earliest.latest = order;
      earliest.next += 1;
      if (earliest.next === earliest.lines.length) {
        this.#ask(earliest);
        return merged;
      }
    }
  }

  #drain(source: Source<T>): readonly T[] {
    const lines = source.next === 0 ? source.lines : source.lines.slice(source.next);
    for (const line of lines) source.latest = Math.max(source.latest, this.#options.timeOf(line));
    source.next = source.lines.length;
    this.#ask(source);
    return lines;
  }

  #orderOf(source: Source<T>): number {
    const line = source.lines[source.next];
    return line === undefined ? Number.POSITIVE_INFINITY : Math.max(source.latest, this.#options.timeOf(line));
  }

  #ask(source: Source<T>): void {
    source.lines = [];
    source.next = 0;
    source.askedAt = this.#now();
    source.taken();
  }

  async #pump(source: Source<T>, batches: Batches<T>): Promise<void> {
    try {
      for await (const lines of batches) {
        if (lines.length === 0) continue;
        const taken = new Promise<void>((resolve) => {
          source.taken = resolve;
        });
        source.lines = lines;
        this.#wake();
        await taken;
      }
    } catch (error) {
      this.fail(error);
    }
    this.#sources.delete(source);
    this.#wake();
  }

  /** A source has a line or has ended, another has joined, or the time is up. */
  #change(milliseconds = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(milliseconds) ? setTimeout(resolve, milliseconds) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
