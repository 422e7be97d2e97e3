import { type Cursor, END, isBlank, isBreak, REST_OF_LINE, SPACES } from './yaml-cursor.ts';

/** A tag as written: `!<whole>`, `!suffix`, `!!suffix` or `!name!suffix`. */
export interface Tag {
  /** Absent when the suffix is the whole tag. */
  readonly handle?: string;
  readonly suffix: string;
}

const NAME = /[0-9A-Za-z_-]*/y;
const WORD = /[^ \t\r\n\x85\u2028\u2029,[\]{}]*/y;

/** The name of an anchor or an alias, with its sign. */
export function takeAnchor(cursor: Cursor): string {
  const { textLine } = cursor;
  const sign = cursor.take(1);
  const name = cursor.takeMatch(NAME);
  const next = cursor.peek();
  if (name === '' || !(isBlank(next) || '?:,]}%@`'.includes(next))) {
    cursor.refuse(`${sign}${name}${cursor.takeMatch(WORD)} is no possible name of an anchor`, textLine);
  }
  return name;
}

const URI = /(?:[0-9A-Za-z\-;/?:@&=+$,_.!~*'()[\]]|%[0-9A-Fa-f]{2})*/y;
const HANDLE = /![0-9A-Za-z_-]*!/y;
/** Two exclamation marks before the next blank: the tag has a handle. */
const HAS_HANDLE = /![^ \r\n\x85\u2028\u2029!]*!/y;

export function takeTag(cursor: Cursor): Tag {
  const { textLine } = cursor;
  const tag = tagAt(cursor, textLine);
  if (cursor.peek() === '\t' || !isBlank(cursor.peek())) refuseTag(cursor);
  return tag;
}

function tagAt(cursor: Cursor, line: number): Tag {
  if (isBlank(cursor.peek(1))) return { suffix: cursor.take(1) };
  if (cursor.peek(1) === '<') {
    cursor.take(2);
    const suffix = takeUri(cursor, line);
    if (cursor.peek() !== '>') refuseTag(cursor);
    cursor.take(1);
    return { suffix };
  }
  const handle = cursor.matches(HAS_HANDLE) ? cursor.takeMatch(HANDLE) : cursor.take(1);
  if (handle === '') refuseTag(cursor);
  return { handle, suffix: takeUri(cursor, line) };
}

/** With its percent signs resolved. */
function takeUri(cursor: Cursor, line: number): string {
  const uri = cursor.takeMatch(URI);
  try {
    if (uri !== '') return decodeURIComponent(uri);
  } catch {
    // Told below.
  }
  return refuseTag(cursor, line);
}

function refuseTag(cursor: Cursor, line?: number): never {
  return cursor.refuse('this is no possible tag', line);
}

export type Directive =
  | { readonly kind: 'directive' }
  | { readonly kind: 'yaml-directive'; readonly major: number }
  | { readonly kind: 'tag-directive'; readonly handle: string; readonly prefix: string };

const DIRECTIVE = /%[0-9A-Za-z_-]+/y;
const VERSION = /\d+\.\d+/y;

/** A line that begins with `%`. */
export function takeDirective(cursor: Cursor): Directive {
  const { textLine } = cursor;
  const directive = directiveOf(takeWord(cursor, DIRECTIVE, textLine), cursor, textLine);
  cursor.takeComment();
  if (!isBreak(cursor.peek()) && cursor.peek() !== END) refuseDirective(cursor, textLine);
  cursor.takeBreak();
  return directive;
}

function directiveOf(name: string, cursor: Cursor, line: number): Directive {
  if (name === '%YAML') {
    return { kind: 'yaml-directive', major: Number.parseInt(takeWord(cursor, VERSION, line), 10) };
  }
  if (name !== '%TAG') {
    cursor.takeMatch(REST_OF_LINE);
    return { kind: 'directive' };
  }
  const handle = takeWord(cursor, cursor.startsWith('! ') ? /!/y : HANDLE, line);
  const prefix = takeUri(cursor, line);
  if (!isBlank(cursor.peek())) refuseDirective(cursor, line);
  return { kind: 'tag-directive', handle, prefix };
}

/** A word with the blanks after it. */
function takeWord(cursor: Cursor, expression: RegExp, line: number): string {
  const word = cursor.takeMatch(expression);
  if (word === '' || cursor.peek() === '\t' || !isBlank(cursor.peek())) refuseDirective(cursor, line);
  cursor.takeMatch(SPACES);
  return word;
}

function refuseDirective(cursor: Cursor, line: number): never {
  return cursor.refuse('this is no possible directive', line);
}
