import type { Sink } from './terminal.ts';

const FULL = 64 * 1024;

/** Writes lines that come together in one go: a log may bring a hundred thousand a second, and a write for each would cost more than they. */
export class LineWriter {
  readonly #sink: Pick<Sink, 'write'>;
  #waiting = '';
  #scheduled = false;

  constructor(sink: Pick<Sink, 'write'>) {
    this.#sink = sink;
  }

  line(text: string): void {
    this.#waiting += `${text}\n`;
    if (this.#waiting.length >= FULL) this.flush();
    else if (!this.#scheduled) this.#schedule();
  }

  flush(): void {
    if (this.#waiting === '') return;
    const text = this.#waiting;
    this.#waiting = '';
    this.#sink.write(text);
  }

  #schedule(): void {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
