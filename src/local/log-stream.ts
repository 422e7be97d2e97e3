import { copyFile, mkdir, open, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { characterStart, LONGEST_LOG_LINE } from '../contract/log-line.ts';

/** One line, with where it stands in everything that was ever written to the stream. */
export interface RawLine {
  readonly text: string;
  readonly end: number;
  /** Milliseconds since the epoch. The line's own time if it bears one, else when it was at the earliest written. */
  readonly time: number;
}

export interface LogLimits {
  /** Bytes of the file that is being written before it is rotated. */
  readonly fileBytes: number;
  readonly rotatedFiles: number;
}

const DEFAULT_LIMITS: LogLimits = { fileBytes: 10 * 1024 * 1024, rotatedFiles: 3 };
const CHUNK_BYTES = 64 * 1024;
const MAX_MARKS = 4096;
const NEWLINE = 10;

interface Segment {
  readonly path: string;
  /** Offsets in the stream. */
  readonly start: number;
  readonly end: number;
}

/**
 * One output stream of a replica: a file that the replica itself appends to, so that nothing is lost when the supervisor ends,
 * and rotated copies of it, `stdout.START-END.log`. Offsets count from the first byte ever written and survive rotation.
 */
export class LogStream {
  /** The file to append to. */
  readonly path: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #began: number;
  readonly #limits: LogLimits;
  #rotated: Segment[] | undefined;
  /** When the stream was seen to have which length. */
  #marks: { time: number; end: number }[] = [];
  #exclusive: Promise<unknown> = Promise.resolve();

  /** `began`: milliseconds since the epoch, when the first line can have been written. */
  constructor(folder: string, name: 'stdout' | 'stderr', began: number, limits: LogLimits = DEFAULT_LIMITS) {
    this.path = join(folder, `${name}.log`);
    this.#folder = folder;
    this.#name = name;
    this.#began = began;
    this.#limits = limits;
  }

  /** Notes how long the stream is now, and rotates the file when it is too large. To be called about twice a second. */
  maintain(now: number): Promise<void> {
    return this.#alone(async () => {
      const { base } = await this.#layout();
      const size = await sizeOf(this.path);
      const end = base + size;
      if (end !== (this.#marks.at(-1)?.end ?? 0)) this.#mark(now, end);
      if (size > this.#limits.fileBytes) await this.#rotate(base, size);
    });
  }

  /** The stream's length. */
  end(): Promise<number> {
    return this.#alone(async () => (await this.#layout()).base + (await sizeOf(this.path)));
  }

  /** Where the last `count` lines begin. */
  async tailStart(count: number): Promise<number> {
    const oldest = await this.#oldest();
    const end = await this.end();
    let seen = 0;
    for (let before = end; before > oldest; ) {
      const start = Math.max(oldest, before - CHUNK_BYTES);
      const chunk = await this.#read(start, before - start);
      for (let index = chunk.length - 1; index >= 0; index--) {
        // The newline at the very end ends a line and begins none.
        if (chunk[index] !== NEWLINE || start + index === end - 1) continue;
        seen += 1;
        if (seen === count) return start + index + 1;
      }
      before = start;
    }
    return oldest;
  }

  /** Lines from an offset to the present end. `partial`: also a last line that lacks its newline. */
  async *lines(from: number, partial: boolean): AsyncGenerator<RawLine> {
    const oldest = await this.#oldest();
    let position = Math.max(from, oldest);
    let time = this.#began;
    if (from > 0 && from < oldest) {
      yield { text: `[aksml: ${oldest - from} bytes of this log were dropped]`, end: oldest, time };
    }
    let pending = Buffer.alloc(0);
    const emit = (bytes: Buffer, start: number, end: number): RawLine => {
      const text = bytes.toString('utf8').replace(/\r$/, '');
      time = timeOfLine(text) ?? Math.max(time, this.#notBefore(start));
      return { text, end, time };
    };
    for (;;) {
      const chunk = await this.#read(position, CHUNK_BYTES);
      if (chunk.length === 0) break;
      const start = position - pending.length;
      const data = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      position += chunk.length;
      let begin = 0;
      for (let newline = data.indexOf(NEWLINE); newline >= 0; newline = data.indexOf(NEWLINE, begin)) {
        yield emit(data.subarray(begin, newline), start + begin, start + newline + 1);
        begin = newline + 1;
      }
      pending = data.subarray(begin);
      if (pending.length > LONGEST_LOG_LINE) {
        const rest = pending.subarray(characterStart(pending, LONGEST_LOG_LINE));
        const end = position - rest.length;
        yield emit(pending.subarray(0, pending.length - rest.length), position - pending.length, end);
        pending = rest;
      }
    }
    if (partial && pending.length > 0) yield emit(pending, position - pending.length, position);
  }

  #notBefore(offset: number): number {
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#marks[middle]?.end ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#marks[low - 1]?.time ?? this.#began;
  }

  #mark(time: number, end: number): void {
    this.#marks.push({ time, end });
    if (this.#marks.length > MAX_MARKS) this.#marks = this.#marks.filter((_, index) => index % 2 === 1);
  }

  /** Copies what there is, then empties the file: the replica keeps it open for appending, so it cannot be renamed away. */
  async #rotate(base: number, size: number): Promise<void> {
    const end = base + size;
    const start = end - Math.min(size, this.#limits.fileBytes);
    const path = join(this.#folder, `${this.#name}.${start}-${end}.log`);
    const temporary = `${path}.tmp`;
    if (start === base) await copyFile(this.path, temporary);
    else await copyRange(this.path, temporary, start - base);
    await rename(temporary, path);
    await truncate(this.path, 0);
    const all = [...(this.#rotated ?? []), { path, start, end }];
    const kept = all.slice(-this.#limits.rotatedFiles);
    for (const segment of all) if (!kept.includes(segment)) await rm(segment.path, { force: true });
    this.#rotated = kept;
  }

  async #oldest(): Promise<number> {
    const { rotated, base } = await this.#alone(() => this.#layout());
    return rotated[0]?.start ?? base;
  }

  #read(from: number, length: number): Promise<Buffer<ArrayBuffer>> {
    return this.#alone(async () => {
      const { rotated, base } = await this.#layout();
      const segment = rotated.find((candidate) => candidate.end > from);
      const file = await open(segment?.path ?? this.path, 'r').catch(() => undefined);
      if (!file) return Buffer.alloc(0);
      try {
        const position = Math.max(0, from - (segment?.start ?? base));
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    });
  }

  async #layout(): Promise<{ rotated: readonly Segment[]; base: number }> {
    this.#rotated ??= await this.#findRotated();
    return { rotated: this.#rotated, base: this.#rotated.at(-1)?.end ?? 0 };
  }

  async #findRotated(): Promise<Segment[]> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const pattern = new RegExp(`^${this.#name}\\.(\\d+)-(\\d+)\\.log$`);
    const segments = (await readdir(this.#folder)).flatMap((name) => {
      const match = pattern.exec(name);
      return match ? [{ path: join(this.#folder, name), start: Number(match[1]), end: Number(match[2]) }] : [];
    });
    return segments.sort((a, b) => a.start - b.start);
  }

  /** Keeps readers from seeing a file that is half-way through rotation. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#exclusive.then(work);
    this.#exclusive = result.catch(() => undefined);
    return result;
  }
}

/** The scoring server stamps its lines in GMT: `2026-01-31 08:15:30,123 I [42] azmlinfsrv - …`. */
export function timeOfLine(line: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) /.exec(line);
  if (!match) return undefined;
  const time = Date.parse(`${match[1]}T${match[2]}.${match[3]}Z`);
  return Number.isNaN(time) ? undefined : time;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function copyRange(from: string, to: string, start: number): Promise<void> {
  const source = await open(from, 'r');
  const target = await open(to, 'w', 0o600);
  try {
    const buffer = Buffer.alloc(1024 * 1024);
    for (let position = start; ; ) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return;
      await target.write(buffer, 0, bytesRead);
      position += bytesRead;
    }
  } finally {
    await source.close();
    await target.close();
  }
}
