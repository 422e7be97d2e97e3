import { type LogGap, RecentTimes, SkippedFiles } from './log-gap.ts';

/** What came does not continue what was told, and was not judged. */
export class DoubtfulLog extends Error {}

/**
 * How far the log of a container was told. The API can only be asked for lines since a whole second, so those of the last instants come
 * again with each connection; and a kubelet that was read too slowly gives out a whole file again. Two streams of a container are stamped at
 * once: their lines may be out of order.
 */
export class LogPosition {
  readonly #clock = new ClockOfNode();
  readonly #recent = new RecentTimes();
  readonly #skipped = new SkippedFiles();
  /** The latest time of a line: milliseconds of the whole second, and what follows the decimal point. */
  #second = Number.NEGATIVE_INFINITY;
  #fraction = '';
  #latest = '';
  /** Lines that were told from the latest one on. */
  #told = 0;
  /** Characters of the last of them, which may have been told in part. */
  #characters = 0;
  #counted = true;
  /** Of the line that is being judged, how many characters are still to be passed over. */
  #over = 0;
  #judged = Number.NaN;

  #repeating = false;
  #met = false;
  #come = 0;

  /** Runs of the container, counted from 0: the one that is read, that of the last line, and whether the latter was read to its end. */
  #reading: number | undefined;
  #run: number | undefined;
  #whole = false;
  /** What comes follows what was told, even if it does not repeat the end of that. */
  #unbroken = true;
  #doubted = false;
  #gap: LogGap | undefined;

  /** `since`, RFC 3339: from then on. */
  constructor(since?: string) {
    if (since !== undefined) [this.#second, this.#fraction] = this.#clock.split(since);
  }

  /** Something was told. */
  get begun(): boolean {
    return this.#told > 0;
  }

  /** The run that was read last. */
  get run(): number | undefined {
    return this.#reading;
  }

  /** Milliseconds since the epoch of the line that was judged last. */
  get milliseconds(): number {
    return this.#judged;
  }

  /**
   * Where a new connection has to begin: a whole second, which is all that the API takes. Undefined for the beginning. `run` is the one that
   * it reads; `doubted` lines are not told where they do not continue what was told.
   */
  resume(run?: number, doubted = false): string | undefined {
    this.#repeating = Number.isFinite(this.#second);
    this.#met = false;
    this.#come = 0;
    this.#gap = undefined;
    this.#reading = run ?? this.#reading;
    this.#unbroken = !this.begun || this.#follows();
    this.#doubted = doubted;
    return Number.isFinite(this.#second) ? new Date(this.#second).toISOString() : undefined;
  }

  #follows(): boolean {
    if (this.#reading === undefined || this.#run === undefined || !this.#whole) return false;
    return this.#reading <= this.#run + 1;
  }

  /** Nothing has come that shows that the node still has all that follows what was told. */
  get #misses(): boolean {
    return !this.#met && !this.#unbroken;
  }

  /** What is judged next comes now, in milliseconds since the epoch. */
  arrive(now: number): void {
    this.#skipped.arrive(now);
  }

  /** The run that was read has ended, and so has its log. */
  end(): void {
    // What is missing is told with the next line, whichever run that is of.
    if (this.#misses) return;
    this.#run = this.#reading;
    this.#whole = true;
  }

  /**
   * Judges the next line of the connection, or the first piece of it.
   * @returns how many of its characters were told before; undefined when all were
   * @throws DoubtfulLog where it is to be doubted
   */
  take(time: string, characters: number): number | undefined {
    this.#over = this.#passOver(time);
    if (this.#over === 0) {
      if (this.#counted) this.#characters = 0;
      this.#run = this.#reading;
      this.#whole = false;
    }
    return this.takeMore(characters);
  }

  /** Judges what follows of the same line. */
  takeMore(characters: number): number | undefined {
    const over = Math.min(this.#over, characters);
    if (this.#over > 0 && over === characters) {
      this.#over -= over;
      return undefined;
    }
    this.#over -= over;
    if (this.#counted) this.#characters += characters - over;
    return over;
  }

  /** What is missing before the line that was judged last, told once. */
  takeGap(): LogGap | undefined {
    const gap = this.#gap;
    this.#gap = undefined;
    return gap;
  }

  #passOver(time: string): number {
    const [second, fraction] = this.#clock.split(time);
    this.#judged = second + Number(`0.${fraction || '0'}`) * 1000;
    const order = second - this.#second || compareFractions(fraction, this.#fraction);
    if (!this.#repeating && order < 0 && this.#recent.repeats(this.#judged)) {
      this.#repeating = true;
      this.#met = false;
      this.#come = 0;
      this.#gap = this.#skipped.take();
    }
    if (this.#repeating) {
      const over = this.#passOverRepeated(order, second);
      if (over > 0) return over;
      if (this.#misses) {
        if (this.#doubted) throw new DoubtfulLog('lines do not continue those before');
        this.#gap = { reason: 'unread', after: this.#latest, before: time };
      }
      this.#unbroken = true;
    }
    this.#recent.add(this.#judged);
    this.#skipped.note(time, this.#judged);
    if (order > 0) {
      this.#second = second;
      this.#fraction = fraction;
      this.#latest = time;
      this.#told = 0;
    }
    // What is older than the second with which a connection begins does not come again.
    this.#counted = second >= this.#second;
    if (this.#counted) this.#told += 1;
    return 0;
  }

  /** While what was told comes again: until all lines from the latest one on have come. */
  #passOverRepeated(order: number, second: number): number {
    if (order < 0 && !this.#met) return Number.POSITIVE_INFINITY;
    if (order <= 0 && this.#told > this.#come) {
      this.#met = true;
      if (second >= this.#second) this.#come += 1;
      if (this.#come < this.#told) return Number.POSITIVE_INFINITY;
      this.#repeating = false;
      this.#counted = true;
      return this.#characters || Number.POSITIVE_INFINITY;
    }
    this.#repeating = false;
    return 0;
  }
}

/** Times of one node come in order, thousands in the same second: each second is parsed once. */
class ClockOfNode {
  #text = '';
  #zone = '';
  #milliseconds = Number.NaN;

  split(time: string): readonly [milliseconds: number, fraction: string] {
    const dot = time.indexOf('.');
    const zoneAt = dot === -1 ? time.search(/Z|[+-]\d\d:\d\d$/) : time.slice(dot).search(/[Z+-]/) + dot;
    const seconds = time.slice(0, dot === -1 ? zoneAt : dot);
    const zone = time.slice(zoneAt);
    if (seconds !== this.#text || zone !== this.#zone) {
      this.#text = seconds;
      this.#zone = zone;
      this.#milliseconds = Date.parse(seconds + zone);
    }
    return [this.#milliseconds, dot === -1 ? '' : time.slice(dot + 1, zoneAt)];
  }
}

/** Nodes leave out trailing zeros. */
function compareFractions(a: string, b: string): number {
  const width = Math.max(a.length, b.length);
  const [left, right] = [a.padEnd(width, '0'), b.padEnd(width, '0')];
  return left < right ? -1 : left > right ? 1 : 0;
}
