/**
 * Control characters, line separators, marks that turn the writing direction, and halves of surrogate pairs: what a terminal would obey
 * or a reader would not see.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const ESCAPE = '\u001b';
const COLOR_SEQUENCE = new RegExp(`(${ESCAPE}\\[[0-9;:]*m)`);

/** Text of users and of replicas as one visible line: what a terminal would obey is shown as an escape, as in source code. */
export function printable(text: string, unicode = true): string {
  const visible = text.replace(UNPRINTABLE, (character) => NAMED[character] ?? escaped(character));
  return unicode ? visible : visible.replace(/[^\u0020-\u007e]/gu, escaped);
}

/** Like {@link printable}, but lines and tabs stay. */
export function printableLines(text: string, unicode = true): string {
  return text
    .split(/\r?\n/)
    .map((line) =>
      line
        .split('\t')
        .map((part) => printable(part, unicode))
        .join('\t'),
    )
    .join('\n');
}

/** A line of a log for a terminal: colours stay and end with the line; everything else that a terminal would obey does not. */
export function printableLog(line: string, color: boolean, unicode = true): string {
  const parts = line.split(COLOR_SEQUENCE);
  const colored = color && parts.length > 1;
  const shown = parts.map((part, index) => {
    if (index % 2 === 1) return color ? part : '';
    return part
      .split('\t')
      .map((piece) => printable(piece, unicode))
      .join('\t');
  });
  return colored ? `${shown.join('')}${ESCAPE}[0m` : shown.join('');
}

/** JSON in which a terminal finds nothing to obey: `JSON.stringify` leaves DEL, C1 and direction marks as they are. */
export function printableJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) =>
    unicodeEscape(character),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code > 0xffff) return `\\u{${code.toString(16)}}`;
  return code > 0xff ? unicodeEscape(character) : `\\x${code.toString(16).padStart(2, '0')}`;
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
