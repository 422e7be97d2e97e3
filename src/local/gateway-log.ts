import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What is known of a request when it is over. Never a body, a query, a key or a token. */
export interface AccessLogEntry {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly endpoint: string;
  readonly version: string;
  readonly replica: string;
  readonly method: string;
  readonly path: string;
  /** 0 when the client went before there was an answer. */
  readonly status: number;
  readonly ms: number;
  readonly queueMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly requestId: string;
}

const FLUSH_MS = 200;
const LONGEST_PATH = 200;
/** What may wait for a slow disk; more is dropped, so that logging never stops the traffic. */
const MOST_PENDING = 4 * 1024 * 1024;

/** Lines of JSON, appended in batches. At `maxBytes` the file becomes `NAME.1` and begins anew. */
export class AccessLog {
  readonly #path: string;
  readonly #maxBytes: number;
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, maxBytes = 10 * 1024 * 1024) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  write(entry: AccessLogEntry): void {
    const path = entry.path.slice(0, LONGEST_PATH);
    this.#add(
      JSON.stringify({
        ...entry,
        time: new Date(entry.time).toISOString(),
        path,
        ms: round(entry.ms),
        queueMs: round(entry.queueMs),
      }),
    );
  }

  note(message: string): void {
    this.#add(JSON.stringify({ time: new Date().toISOString(), message }));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#flush();
  }

  #add(line: string): void {
    if (this.#pendingBytes > MOST_PENDING) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += line.length + 1;
    this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS).unref();
  }

  async #flush(): Promise<void> {
    await this.#flushing;
    this.#timer = undefined;
    if (this.#pending.length === 0) return;
    if (this.#dropped > 0) this.#pending.push(JSON.stringify({ message: `${this.#dropped} lines were dropped.` }));
    const text = `${this.#pending.join('\n')}\n`;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#dropped = 0;
    // A log that cannot be written is no reason to refuse requests.
    this.#flushing = this.#append(text).catch(() => undefined);
    await this.#flushing;
  }

  async #append(text: string): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const size = await stat(this.#path).then(
      (file) => file.size,
      () => 0,
    );
    if (size > 0 && size + text.length > this.#maxBytes) await rename(this.#path, `${this.#path}.1`);
    const file = await open(this.#path, 'a', 0o600);
    try {
      await file.appendFile(text);
    } finally {
      await file.close();
    }
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
