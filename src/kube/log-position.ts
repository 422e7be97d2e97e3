/**
 * How far the log of a container was told. The API can only be asked for lines since a whole second, so those of the last instants come
 * again with each connection.
 */
export class LogPosition {
  /** Milliseconds of the whole second, and what follows the decimal point. */
  #second = Number.NEGATIVE_INFINITY;
  #fraction = '';
  /** Lines with exactly that time: how many were told, and how many have come since the connection was made. */
  #told = 0;
  #come = 0;
  readonly #clock = new ClockOfNode();

  /** `since`, RFC 3339: from then on. */
  constructor(since?: string) {
    if (since !== undefined) [this.#second, this.#fraction] = this.#clock.split(since);
  }

  /** Something was told. */
  get begun(): boolean {
    return this.#told > 0;
  }

  /** Where a new connection has to begin: a whole second, which is all that the API takes. Undefined for the beginning. */
  resume(): string | undefined {
    this.#come = 0;
    return Number.isFinite(this.#second) ? new Date(this.#second).toISOString() : undefined;
  }

  /** Whether the next line of the connection, of this time, was not told before; then it counts as told. Times come in order. */
  isNew(time: string): boolean {
    const [second, fraction] = this.#clock.split(time);
    const order = second - this.#second || compareFractions(fraction, this.#fraction);
    if (order < 0) return false;
    if (order > 0) {
      this.#second = second;
      this.#fraction = fraction;
      this.#told = 1;
      this.#come = 1;
      return true;
    }
    this.#come += 1;
    if (this.#come <= this.#told) return false;
    this.#told = this.#come;
    return true;
  }

  /** Milliseconds since the epoch of the line that was judged last. */
  get milliseconds(): number {
    return this.#second + Number(`0.${this.#fraction || '0'}`) * 1000;
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
