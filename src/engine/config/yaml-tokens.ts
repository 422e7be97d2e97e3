import { CST, Lexer } from 'yaml';
import { YamlRefusal } from './yaml-refusal.ts';

/**
 * Brings a text into a form in which newer YAML reads what PyYAML read, line for line, and refuses what PyYAML refused because of single
 * tokens. Values stay what they are.
 * @throws YamlRefusal
 */
export function asYaml11(text: string): string {
  let result = '';
  for (const token of tokensOf(withLineBreaks(text))) result += checked(token);
  return result;
}

interface Token {
  readonly text: string;
  readonly kind: ReturnType<typeof CST.tokenType> | 'plain' | 'block';
  readonly before: Token['kind'];
  /** How many brackets are open. */
  readonly depth: number;
  /** The lexer ended a quoted text early, at a line that is indented less or is a separator: what follows may be its rest. */
  readonly isAfterOpenQuote: boolean;
  readonly line: number;
}

/** Marks of the lexer, which stand for no text. */
const MARKS: ReadonlySet<Token['kind']> = new Set(['doc-mode', 'scalar', 'flow-error-end']);

function* tokensOf(text: string): Generator<Token> {
  let line = 1;
  let depth = 0;
  let before: Token['kind'] = null;
  let isScalar = false;
  let isBlock = false;
  let isAfterOpenQuote = false;
  for (const source of new Lexer().lex(text)) {
    const type = CST.tokenType(source);
    if (type !== 'byte-order-mark' && MARKS.has(type)) {
      isScalar = type === 'scalar';
      if (type !== 'scalar') before = null;
      continue;
    }
    const kind: Token['kind'] = isScalar ? (isBlock ? 'block' : 'plain') : type;
    if (type === 'block-scalar-header') isBlock = true;
    else if (isScalar) isBlock = false;
    isScalar = false;
    if (kind === 'flow-map-end' || kind === 'flow-seq-end') depth -= 1;
    yield { text: source, kind, before, depth, isAfterOpenQuote, line };
    if (kind?.endsWith('-quoted-scalar')) isAfterOpenQuote ||= !isClosed(source);
    if (kind === 'flow-map-start' || kind === 'flow-seq-start') depth += 1;
    line += source.split('\n').length - 1;
    before = kind;
  }
}

function checked(token: Token): string {
  const { text, kind, line } = token;
  if (token.isAfterOpenQuote && kind !== 'doc-start' && kind !== 'doc-end') return text;
  switch (kind) {
    case 'space':
    case 'block-scalar-header':
      refuseTab(token);
      return text;
    case 'plain':
      refuseTab(token);
      return plain(token);
    case 'anchor':
    case 'alias':
      return anchor(token);
    case 'tag':
      if (!TAG.test(text)) throw new YamlRefusal(`${text} is no possible tag`, line);
      return text;
    case 'doc-start':
    case 'doc-end':
      if (token.isAfterOpenQuote || token.depth > 0) {
        throw new YamlRefusal('a document separator stands inside quotes or brackets', line);
      }
      return text;
    case 'comment':
      // Right after a sign or a quoted text, newer YAML wants a space.
      return BEFORE_COMMENT.has(token.before) ? text : ` ${text}`;
    case 'block':
      if (/^[^\s#]/m.test(text)) throw new YamlRefusal('the text after ">" or "|" is not indented', line);
      return text;
    case 'directive-line':
      if (!DIRECTIVE.test(text)) throw new YamlRefusal(`${text.trim()} is no possible directive`, line);
      return text;
    case 'byte-order-mark':
      throw new YamlRefusal('a byte order mark stands within the file', line);
    default:
      return text;
  }
}

const SEPARATOR = /\n(?:---|\.\.\.)(?:\s|$)/;
const ANCHOR = /^([&*][0-9A-Za-z_-]+)(:?)$/;
const BEFORE_COMMENT: ReadonlySet<Token['kind']> = new Set([null, 'space', 'newline']);
const TAG = /^!(?:<[-;/?:@&=+$,_.!~*'()[\]%\w]+>|[-;/?:@&=+$,_.!~*'()[\]%\w]*)$/;
const DIRECTIVE =
  /^%(?:YAML +1\.\d+|TAG +!(?:[0-9A-Za-z_-]*!)? +\S+|(?!(?:YAML|TAG)\b)[0-9A-Za-z_-]+(?: [^#]*)?)[ ]*(?:#.*)?$/;

/** PyYAML takes a tab inside quotes, comments and block scalars, and nowhere else. */
function refuseTab({ text, line }: Token): void {
  if (text.includes('\t')) throw new YamlRefusal('a tab is used as white space, which YAML does not allow', line, true);
}

function isClosed(quoted: string): boolean {
  return quoted.length > 1 && quoted.endsWith(quoted.charAt(0));
}

/** A colon ends the name. */
function anchor({ text, line }: Token): string {
  const [, name, colon] = ANCHOR.exec(text) ?? [];
  if (name === undefined) throw new YamlRefusal(`${text} is no possible name of an anchor`, line);
  return colon === '' ? name : `${name} :`;
}

/** Inside brackets a "?" always introduces a key. */
function plain({ text, depth, line }: Token): string {
  if (depth === 0) return text;
  if (SEPARATOR.test(text)) throw new YamlRefusal('a document separator stands inside brackets', line);
  if (text.startsWith(':')) throw new YamlRefusal('a ":" has no key', line);
  const at = text.indexOf('?');
  if (at > 0) throw new YamlRefusal('a "?" stands inside a value in brackets, which needs quotes', line);
  return at === 0 ? `? ${text.slice(1)}` : text;
}

/** U+0085, U+2028 and U+2029 are line breaks in YAML 1.1; inside quotes the latter two are kept. */
function withLineBreaks(text: string): string {
  const lines = text.replaceAll('\x85', '\n');
  if (!SEPARATORS.test(lines)) return lines;
  let result = '';
  for (const { text: part, kind } of tokensOf(lines)) {
    const isQuoted = kind === 'single-quoted-scalar' || kind === 'double-quoted-scalar';
    result += isQuoted ? part : part.replace(SEPARATORS_ALL, '\n');
  }
  return result;
}

const SEPARATORS = /[\u2028\u2029]/;
const SEPARATORS_ALL = /[\u2028\u2029]/g;
