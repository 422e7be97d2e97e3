/** Where lines are missing, or may be. */
export interface LogGap {
  /** `unread`: the node may have rotated them away before it was asked again. `skipped`: it did so while it was read too slowly. */
  readonly reason: 'unread' | 'skipped';
  /** RFC 3339: of the last line before it, and of the first one behind it. */
  readonly after: string;
  readonly before: string;
}

/** A kubelet looks for logs to be rotated every ten seconds. */
const STEP_MS = 1000;

/**
 * Finds out which files a kubelet passed over. A reader for whom it has to wait until the log was rotated twice gets the newest file next,
 * and that one twice, as the kubelet goes on once for each rotation: what comes again tells that something is missing, and a step in time
 * behind a line that came late tells where.
 */
export class SkippedFiles {
  /** Milliseconds between a line and its arrival, by two clocks that need not agree. */
  #leastLag = Number.POSITIVE_INFINITY;
  #now = Number.NaN;
  #late = false;
  #last = { time: '', milliseconds: Number.NaN };
  #step = 0;
  #gap: LogGap | undefined;

  /** The lines that are noted next come now, in milliseconds since the epoch. */
  arrive(now: number): void {
    this.#now = now;
  }

  note(time: string, milliseconds: number): void {
    const step = milliseconds - this.#last.milliseconds;
    if (this.#late && step > STEP_MS && step > this.#step) {
      this.#step = step;
      this.#gap = { reason: 'skipped', after: this.#last.time, before: time };
    }
    const lag = this.#now - milliseconds;
    if (lag < this.#leastLag) this.#leastLag = lag;
    this.#late = lag - this.#leastLag > STEP_MS;
    this.#last = { time, milliseconds };
  }

  /** Lines come again: what is missing. */
  take(): LogGap | undefined {
    const gap = this.#gap;
    this.#gap = undefined;
    this.#step = 0;
    return gap;
  }
}

const RECENT = 256;

/** The times of the last lines. */
export class RecentTimes {
  readonly #times = new Float64Array(RECENT).fill(Number.NEGATIVE_INFINITY);
  #next = 0;

  add(milliseconds: number): void {
    this.#times[this.#next] = milliseconds;
    this.#next = (this.#next + 1) % RECENT;
  }

  /** Whether a line of this time, which is not the latest, was told before: streams that are stamped at once are out of order by few lines. */
  repeats(milliseconds: number): boolean {
    return milliseconds < (this.#times[this.#next] ?? 0) || this.#times.includes(milliseconds);
  }
}
