import { stripVTControlCharacters } from 'node:util';

/** Narrower than this, lines broken between words are worse to read than those that the terminal breaks. */
const NARROWEST = 24;

/** Lines of at most `columns` characters, colours aside, broken between words; a longer word has a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  let length = 0;
  for (const word of text.split(' ')) {
    const more = stripVTControlCharacters(word).length;
    if (line !== '' && length + 1 + more > columns) {
      lines.push(line);
      line = word;
      length = more;
    } else {
      length += (line === '' ? 0 : 1) + more;
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Text for a sink: wrapped at a terminal, every line but the first indented; as it is elsewhere. */
export function wrapFor(
  sink: { readonly isTerminal: boolean; readonly columns: number },
  text: string,
  indent = 0,
): string {
  const room = sink.columns - indent;
  if (!sink.isTerminal || room < NARROWEST) return text;
  return text
    .split('\n')
    .flatMap((line) => wrap(line, room))
    .join(`\n${' '.repeat(indent)}`);
}
