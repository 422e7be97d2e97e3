/** Bytes. A longer line of a log comes in pieces of that length, each of which is told as a line of the same time: no more is held of it. */
export const LONGEST_LOG_LINE = 1024 * 1024;

/** The last place up to `at` where a character of UTF-8 begins. */
export function characterStart(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start > at - 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}
