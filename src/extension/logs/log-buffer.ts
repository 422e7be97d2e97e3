import type { LogLine } from '../../contract/compute-target.ts';

export interface LogCaps {
  readonly lines: number;
  /** UTF-16 units, about bytes. */
  readonly size: number;
}

export const CAPS: LogCaps = { lines: 20_000, size: 8 * 1024 * 1024 };

/** What is known of a log: the last lines, and how many went before them. */
export class LogBuffer {
  readonly #caps: LogCaps;
  #lines: LogLine[] = [];
  #size = 0;
  #dropped = 0;
  #filter = '';
  /** While the beginning of a stream that was opened again repeats what is known: by replica, the last known time. */
  #known: Map<string, string> | undefined;

  constructor(caps: LogCaps = CAPS) {
    this.#caps = caps;
  }

  /** Earlier lines that are kept no more. */
  get dropped(): number {
    return this.#dropped;
  }

  get filter(): string {
    return this.#filter;
  }

  set filter(text: string) {
    this.#filter = text;
  }

  /** The stream begins anew: what it repeats is passed over. */
  reopened(): void {
    const known = new Map<string, string>();
    for (const { replica, time } of this.#lines) known.set(replica, time);
    this.#known = known.size === 0 ? undefined : known;
  }

  /** Takes lines in. @returns those that are new and pass the filter, and whether earlier ones had to go for them */
  add(batch: readonly LogLine[]): { readonly shown: readonly LogLine[]; readonly trimmed: boolean } {
    const fresh = batch.filter((line) => !this.#isKnown(line));
    this.#lines.push(...fresh);
    this.#size += fresh.reduce((sum, { line }) => sum + line.length, 0);
    const trimmed = this.#lines.length > this.#caps.lines || this.#size > this.#caps.size;
    if (trimmed) this.#trim();
    return { shown: fresh.filter((line) => this.passes(line)), trimmed };
  }

  passes({ line, replica }: LogLine): boolean {
    const wanted = this.#filter.toLowerCase();
    return wanted === '' || line.toLowerCase().includes(wanted) || replica.toLowerCase().includes(wanted);
  }

  /** All that is kept and passes the filter. */
  shown(): readonly LogLine[] {
    return this.#lines.filter((line) => this.passes(line));
  }

  #isKnown({ replica, time, line }: LogLine): boolean {
    const last = this.#known?.get(replica);
    if (last === undefined || time > last) return false;
    return (
      time < last ||
      this.#lines.some((other) => other.replica === replica && other.time === time && other.line === line)
    );
  }

  /** Down to three quarters, so that not every line after it trims again. */
  #trim(): void {
    const lines = Math.floor(this.#caps.lines * 0.75);
    const size = this.#caps.size * 0.75;
    let cut = 0;
    while (this.#lines.length - cut > lines || this.#size > size) {
      this.#size -= this.#lines[cut]?.line.length ?? 0;
      cut += 1;
    }
    this.#lines = this.#lines.slice(cut);
    this.#dropped += cut;
  }
}
