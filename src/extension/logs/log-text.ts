import { stripVTControlCharacters } from 'node:util';
import type { LogLine } from '../../contract/compute-target.ts';

/** What a log says must not steer a terminal. */
function withoutControls(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\P{Cc}\t]/gu, '');
}

const COLOUR = /(\p{Cc}\[[\d;:]*m)/u;

/** Colours are let through, and nothing else that begins with an escape. */
function withColours(text: string): string {
  return text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 && part.startsWith('\x1b') ? part : withoutControls(part)))
    .join('');
}

export function plainLine({ time, replica, line }: LogLine): string {
  return `${clock(time)} [${replica}] ${withoutControls(line)}`;
}

const REPLICA_COLOURS = [36, 35, 34, 32, 33] as const;

/** One colour a replica, in the order in which they came. */
export class ColouredLines {
  readonly #colours = new Map<string, number>();

  render({ time, replica, line, stream }: LogLine): string {
    const colour = this.#colours.get(replica) ?? REPLICA_COLOURS[this.#colours.size % REPLICA_COLOURS.length] ?? 36;
    this.#colours.set(replica, colour);
    const text = withColours(line);
    return `\x1b[2m${clock(time)}\x1b[0m \x1b[${colour}m${replica}\x1b[0m ${stream === 'stderr' ? `\x1b[33m${text}\x1b[0m` : `${text}\x1b[0m`}`;
  }
}

/** `12:34:56.789` of the user's own time. */
function clock(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (value: number) => `${value}`.padStart(2, '0');
  const milliseconds = `${time.getMilliseconds()}`.padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${milliseconds}`;
}
