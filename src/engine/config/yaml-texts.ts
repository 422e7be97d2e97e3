import { type Cursor, END, isBlank, isBreak, REST_OF_LINE, SPACES } from './yaml-cursor.ts';

/**
 * How YAML 1.1 writes text. Lines of it are folded: a single line break is a space, of several the first is dropped.
 */

/** Of what is read between two lines of a text. */
interface Fold {
  readonly text: string;
  /** The text goes on in another line. */
  readonly hasBreak: boolean;
}

const PLAIN_IN_BLOCK = /(?:[^ \t\r\n\x85\u2028\u2029:]|:(?![ \t\r\n\x85\u2028\u2029]|$))+/y;
const PLAIN_IN_FLOW = /(?:[^ \t\r\n\x85\u2028\u2029:,?[\]{}]|:(?![ \t\r\n\x85\u2028\u2029,[\]{}]|$))+/y;

/** Text without quotes. `indent`: the least column in which it goes on in another line. */
export function takePlain(
  cursor: Cursor,
  inFlow: boolean,
  indent: number,
): { readonly text: string; readonly endsLine: boolean } {
  let text = '';
  let spaces = '';
  let endsLine = false;
  while (cursor.peek() !== '#') {
    const part = cursor.takeMatch(inFlow ? PLAIN_IN_FLOW : PLAIN_IN_BLOCK);
    if (part === '') break;
    text += spaces + part;
    const fold = foldPlain(cursor);
    endsLine = fold.hasBreak;
    spaces = fold.text;
    if (spaces === '' || (!inFlow && cursor.column < indent)) break;
  }
  return { text, endsLine };
}

function foldPlain(cursor: Cursor): Fold {
  const spaces = cursor.takeMatch(SPACES);
  if (!isBreak(cursor.peek())) return { text: spaces, hasBreak: false };
  const first = cursor.takeBreak();
  let more = '';
  while (!cursor.isAtSeparator()) {
    cursor.takeMatch(SPACES);
    if (!isBreak(cursor.peek())) return { text: folded(first, more), hasBreak: true };
    more += cursor.takeBreak();
  }
  return { text: '', hasBreak: true };
}

function folded(first: string, more: string): string {
  if (first !== '\n') return first + more;
  return more === '' ? ' ' : more;
}

const UNQUOTED = /[^'"\\ \t\r\n\x85\u2028\u2029]+/y;
const BLANKS = /[ \t]*/y;

/** Text in single or double quotes. */
export function takeQuoted(cursor: Cursor): string {
  const start = cursor.textLine;
  const quote = cursor.take(1);
  const parts: string[] = [];
  for (;;) {
    parts.push(cursor.takeMatch(UNQUOTED));
    const character = cursor.peek();
    if (character === quote) {
      cursor.take(1);
      if (quote === '"' || cursor.peek() !== quote) return parts.join('');
      parts.push(cursor.take(1));
    } else if (character === '\\' && quote === '"') parts.push(takeEscape(cursor));
    else if (isBlank(character)) parts.push(takeQuotedSpace(cursor, start));
    else parts.push(cursor.take(1));
  }
}

function takeQuotedSpace(cursor: Cursor, start: number): string {
  const blanks = cursor.takeMatch(BLANKS);
  if (cursor.peek() === END) cursor.refuse('a quote is not closed', start);
  if (!isBreak(cursor.peek())) return blanks;
  return folded(cursor.takeBreak(), takeQuotedBreaks(cursor));
}

function takeQuotedBreaks(cursor: Cursor): string {
  let breaks = '';
  for (;;) {
    if (cursor.isAtSeparator()) cursor.refuse('a document separator stands inside quotes');
    cursor.takeMatch(BLANKS);
    if (!isBreak(cursor.peek())) return breaks;
    breaks += cursor.takeBreak();
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['0', '\0'],
  ['a', '\x07'],
  ['b', '\b'],
  ['t', '\t'],
  ['\t', '\t'],
  ['n', '\n'],
  ['v', '\v'],
  ['f', '\f'],
  ['r', '\r'],
  ['e', '\x1b'],
  [' ', ' '],
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['N', '\x85'],
  ['_', '\xa0'],
  ['L', '\u2028'],
  ['P', '\u2029'],
]);
const CODES: ReadonlyMap<string, RegExp> = new Map([
  ['x', /[0-9A-Fa-f]{2}/y],
  ['u', /[0-9A-Fa-f]{4}/y],
  ['U', /[0-9A-Fa-f]{8}/y],
]);

function takeEscape(cursor: Cursor): string {
  const start = cursor.textLine;
  cursor.take(1);
  if (isBreak(cursor.peek())) {
    cursor.takeBreak();
    return takeQuotedBreaks(cursor);
  }
  const name = cursor.take(1);
  const replacement = ESCAPES.get(name);
  if (replacement !== undefined) return replacement;
  const digits = CODES.get(name);
  const code = digits === undefined ? '' : cursor.takeMatch(digits);
  const value = Number.parseInt(code, 16);
  if (code === '' || value > 0x10ffff) cursor.refuse(`"\\${name}${code}" is no possible escape`, start);
  return String.fromCodePoint(value);
}

const BLOCK_HEADER = /(?:[+-][1-9]?|[1-9][+-]?)?/y;

/** Text after `|` or `>`. `indent`: the least column of its lines. */
export function takeBlock(cursor: Cursor, indent: number): string {
  const isFolded = cursor.take(1) === '>';
  const header = cursor.takeMatch(BLOCK_HEADER);
  const ends = cursor.peek();
  if (ends === '\t' || !isBlank(ends)) cursor.refuse(`"${header}${ends}" cannot follow "|" or ">"`);
  cursor.takeComment();
  if (!isBreak(cursor.peek()) && cursor.peek() !== END) cursor.refuse('text stands right after "|" or ">"');
  cursor.takeBreak();
  const given = /\d/.exec(header)?.[0];
  const gap = given === undefined ? takeBlockStart(cursor) : { breaks: '', column: indent + Number(given) - 1 };
  const column = Math.max(indent, gap.column);
  const breaks = gap.breaks + (given === undefined ? '' : takeBlockBreaks(cursor, column));
  return takeBlockLines(cursor, column, isFolded, breaks, header);
}

function takeBlockLines(cursor: Cursor, column: number, isFolded: boolean, before: string, header: string): string {
  const parts: string[] = [];
  let breaks = before;
  let lineBreak = '';
  while (cursor.column === column && cursor.peek() !== END) {
    const startsBlank = isBlank(cursor.peek());
    parts.push(breaks, cursor.takeMatch(REST_OF_LINE));
    lineBreak = cursor.takeBreak();
    breaks = takeBlockBreaks(cursor, column);
    if (cursor.column !== column || cursor.peek() === END) break;
    const isJoined = isFolded && lineBreak === '\n' && !startsBlank && !isBlank(cursor.peek());
    if (!isJoined) parts.push(lineBreak);
    else if (breaks === '') parts.push(' ');
  }
  if (!header.includes('-')) parts.push(lineBreak);
  if (header.includes('+')) parts.push(breaks);
  return parts.join('');
}

/** The empty lines before the first, and the widest of what is indented so far. */
function takeBlockStart(cursor: Cursor): { readonly breaks: string; readonly column: number } {
  let breaks = '';
  let column = 0;
  for (;;) {
    cursor.takeMatch(SPACES);
    column = Math.max(column, cursor.column);
    if (!isBreak(cursor.peek())) return { breaks, column };
    breaks += cursor.takeBreak();
  }
}

function takeBlockBreaks(cursor: Cursor, column: number): string {
  let breaks = '';
  for (;;) {
    while (cursor.column < column && cursor.peek() === ' ') cursor.take(1);
    if (!isBreak(cursor.peek())) return breaks;
    breaks += cursor.takeBreak();
  }
}
