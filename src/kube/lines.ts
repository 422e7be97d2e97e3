import { characterStart } from '../contract/log-line.ts';

/** Lines that came together, without their ends. */
export interface LineBatch {
  readonly lines: readonly string[];
  /** The first one goes on with a line, of which the beginning came before. */
  readonly continues: boolean;
  /** The last one is not at its end: either more of it comes, or the stream has ended in it. */
  readonly open: boolean;
}

const NEWLINE = 10;

/** The lines of a stream of bytes, without their ends; a last line without an end is told too. UTF-8 is never split. */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  for await (const { lines } of readLineBatches(stream, Number.POSITIVE_INFINITY)) yield* lines;
}

/**
 * The same, those together that came together: for what brings a hundred thousand lines a second. A line of more than `longest` bytes comes in
 * pieces of that length, the last one being shorter: no more is held of it. Where it is cut depends on nothing but the line.
 */
export async function* readLineBatches(
  stream: AsyncIterable<Uint8Array>,
  longest: number,
): AsyncGenerator<LineBatch, void, undefined> {
  let rest: Uint8Array[] = [];
  let held = 0;
  let continues = false;
  for await (const chunk of stream) {
    rest.push(chunk);
    held += chunk.length;
    const ended = chunk.lastIndexOf(NEWLINE) !== -1;
    if (!ended && held <= longest) continue;
    const bytes = rest.length === 1 ? chunk : Buffer.concat(rest);
    let from = 0;
    if (ended && held <= longest) {
      from = bytes.lastIndexOf(NEWLINE) + 1;
      yield { lines: decode(bytes.subarray(0, from - 1)).split('\n'), continues, open: false };
      continues = false;
    }
    while (bytes.length - from > longest || bytes.indexOf(NEWLINE, from) !== -1) {
      const batch = nextOf(bytes, from, longest);
      yield { lines: [decode(bytes.subarray(from, batch.end))], continues, open: batch.open };
      from = batch.next;
      continues = batch.open;
    }
    rest = from < bytes.length ? [bytes.subarray(from)] : [];
    held = bytes.length - from;
  }
  if (held > 0) yield { lines: [decode(Buffer.concat(rest))], continues, open: true };
}

/** A line, or as much of it as may be held. */
function nextOf(bytes: Uint8Array, from: number, longest: number) {
  const newline = bytes.indexOf(NEWLINE, from);
  if (newline !== -1 && newline - from <= longest) return { end: newline, next: newline + 1, open: false };
  const end = characterStart(bytes, from + longest);
  return { end, next: end, open: true };
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
