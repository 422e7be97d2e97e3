import { Cursor, END, isBlank } from './yaml-cursor.ts';
import { type Directive, type Tag, takeAnchor, takeDirective, takeTag } from './yaml-properties.ts';
import { takeBlock, takePlain, takeQuoted } from './yaml-texts.ts';

export type Token = { /** 1-based, as editors count lines. */ readonly line: number } & (
  | SimpleToken
  | TextToken
  | Directive
  | { readonly kind: 'alias'; readonly name: string }
  | { readonly kind: 'anchor'; readonly name: string }
  | { readonly kind: 'tag'; readonly tag: Tag }
);

interface SimpleToken {
  readonly kind:
    | 'document-start'
    | 'document-end'
    | 'stream-end'
    /** What is indented begins and ends with tokens of its own. */
    | 'block-list'
    | 'block-map'
    | 'block-end'
    | '['
    | ']'
    | '{'
    | '}'
    | ','
    /** Before a list item. */
    | '-'
    /** Before a key that has such a sign, and before one that has not. */
    | '?'
    | 'key'
    | ':';
}

interface TextToken {
  readonly kind: 'text';
  readonly text: string;
  /** Neither in quotes nor after `|` or `>`, so that it may be a number. */
  readonly isPlain: boolean;
}

/** Where a key may have begun that only its ":" will show to be one. */
interface PossibleKey {
  /** Its place among the tokens. */
  readonly token: number;
  /** Where it is, nothing but a key can be. */
  readonly isRequired: boolean;
  readonly index: number;
  readonly line: number;
  readonly textLine: number;
  readonly column: number;
}

const MAX_KEY_LENGTH = 1024;

/**
 * The tokens of a YAML 1.1 text, by the rules of PyYAML: what is indented makes tokens of its own, a key is recognized by the ":" that
 * follows it in the same line, and inside brackets indentation means nothing.
 * @throws YamlRefusal
 */
export function scanYaml(text: string): Token[] {
  const scanner = new Scanner(text);
  while (scanner.next());
  return scanner.tokens;
}

class Scanner {
  readonly tokens: Token[] = [];
  readonly #cursor: Cursor;
  /** Open brackets. */
  #depth = 0;
  /** Columns of the block that is open, and of those around it. */
  readonly #indents: number[] = [-1];
  #mayBeKey = true;
  /** By depth, the oldest first. */
  readonly #keys = new Map<number, PossibleKey>();

  constructor(text: string) {
    this.#cursor = new Cursor(text.replace(/^\uFEFF/, ''));
  }

  /** Adds what comes next, and says whether there may be more. */
  next(): boolean {
    const cursor = this.#cursor;
    this.#skipToToken();
    this.#dropOldKeys();
    this.#closeBlocks(cursor.column);
    const character = cursor.peek();
    if (character === END) {
      this.#endBlocks();
      this.#add('stream-end');
      return false;
    }
    if (cursor.column === 0 && this.#lineSign(character)) return true;
    if (this.#bracket(character) || this.#blockSign(character) || this.#property(character)) return true;
    if (!this.#text(character)) cursor.refuse(`${JSON.stringify(character)} cannot stand here without quotes`);
    return true;
  }

  get #indent(): number {
    return this.#indents.at(-1) ?? -1;
  }

  #add(kind: SimpleToken['kind']): void {
    this.tokens.push({ kind, line: this.#cursor.textLine });
  }

  #skipToToken(): void {
    for (;;) {
      this.#cursor.takeComment();
      if (this.#cursor.takeBreak() === '') return;
      if (this.#depth === 0) this.#mayBeKey = true;
    }
  }

  /** What has a meaning only at the start of a line. */
  #lineSign(character: string): boolean {
    if (character === '%') {
      this.#endBlocks();
      const line = this.#cursor.textLine;
      this.tokens.push({ ...takeDirective(this.#cursor), line });
      return true;
    }
    if (!this.#cursor.isAtSeparator()) return false;
    this.#endBlocks();
    this.#add(character === '-' ? 'document-start' : 'document-end');
    this.#cursor.take(3);
    return true;
  }

  #bracket(character: string): boolean {
    switch (character) {
      case '[':
      case '{':
        this.#noteKey();
        this.#depth += 1;
        this.#mayBeKey = true;
        break;
      case ']':
      case '}':
        this.#dropKey();
        this.#depth -= 1;
        this.#mayBeKey = false;
        break;
      case ',':
        this.#mayBeKey = true;
        this.#dropKey();
        break;
      default:
        return false;
    }
    this.#add(character);
    this.#cursor.take(1);
    return true;
  }

  #blockSign(character: string): boolean {
    const isSign = isBlank(this.#cursor.peek(1));
    const inFlow = this.#depth > 0;
    if (character === '-' && isSign) this.#item();
    else if (character === '?' && (isSign || inFlow)) this.#markedKey();
    else if (character === ':' && (isSign || inFlow)) this.#value();
    else return false;
    this.#add(character);
    this.#cursor.take(1);
    return true;
  }

  #item(): void {
    if (this.#depth === 0) this.#startBlock('block-list', 'a list item cannot begin here');
    this.#mayBeKey = true;
    this.#dropKey();
  }

  #markedKey(): void {
    if (this.#depth === 0) this.#startBlock('block-map', 'a key cannot begin here');
    this.#mayBeKey = this.#depth === 0;
    this.#dropKey();
  }

  #value(): void {
    const key = this.#keys.get(this.#depth);
    if (key !== undefined) {
      this.#keys.delete(this.#depth);
      const { textLine: line, token } = key;
      const starts = this.#depth === 0 && this.#openBlock(key.column);
      this.tokens.splice(token, 0, ...(starts ? [{ kind: 'block-map', line } as const] : []), { kind: 'key', line });
      this.#mayBeKey = false;
      return;
    }
    if (this.#depth === 0)
      this.#startBlock('block-map', 'a ":" cannot stand here: the value needs quotes, or the line another indentation');
    this.#mayBeKey = this.#depth === 0;
    this.#dropKey();
  }

  #property(character: string): boolean {
    if (character !== '*' && character !== '&' && character !== '!') return false;
    this.#noteKey();
    this.#mayBeKey = false;
    const line = this.#cursor.textLine;
    if (character === '!') this.tokens.push({ kind: 'tag', tag: takeTag(this.#cursor), line });
    else {
      const kind = character === '*' ? 'alias' : 'anchor';
      this.tokens.push({ kind, name: takeAnchor(this.#cursor), line });
    }
    return true;
  }

  #text(character: string): boolean {
    const line = this.#cursor.textLine;
    const text = this.#takeText(character);
    if (text === undefined) return false;
    const isPlain = !QUOTES.includes(character) && !BLOCK_TEXT.includes(character);
    this.tokens.push({ kind: 'text', text, isPlain, line });
    return true;
  }

  #takeText(character: string): string | undefined {
    const cursor = this.#cursor;
    const inFlow = this.#depth > 0;
    if (!inFlow && BLOCK_TEXT.includes(character)) {
      this.#mayBeKey = true;
      this.#dropKey();
      return takeBlock(cursor, Math.max(this.#indent + 1, 1));
    }
    const isQuoted = QUOTES.includes(character);
    if (!isQuoted && !this.#startsPlain(character)) return undefined;
    this.#noteKey();
    this.#mayBeKey = false;
    if (isQuoted) return takeQuoted(cursor);
    const { text, endsLine } = takePlain(cursor, inFlow, this.#indent + 1);
    this.#mayBeKey = endsLine;
    return text;
  }

  #startsPlain(character: string): boolean {
    if (!isBlank(character) && !INDICATORS.includes(character)) return true;
    const isSigned = character === '-' || (this.#depth === 0 && (character === '?' || character === ':'));
    return isSigned && !isBlank(this.#cursor.peek(1));
  }

  #startBlock(kind: 'block-list' | 'block-map', refusal: string): void {
    if (!this.#mayBeKey) this.#cursor.refuse(refusal);
    if (this.#openBlock(this.#cursor.column)) this.#add(kind);
  }

  /** Whether what begins in this column is more indented than what is open, so that a block begins with it. */
  #openBlock(column: number): boolean {
    if (this.#indent >= column) return false;
    this.#indents.push(column);
    return true;
  }

  #closeBlocks(column: number): void {
    if (this.#depth > 0) return;
    while (this.#indent > column) {
      this.#indents.pop();
      this.#add('block-end');
    }
  }

  #endBlocks(): void {
    this.#closeBlocks(-1);
    this.#dropKey();
    this.#mayBeKey = false;
  }

  /** What comes next may turn out to be a key. */
  #noteKey(): void {
    if (!this.#mayBeKey) return;
    this.#dropKey();
    const { index, line, textLine, column } = this.#cursor;
    const isRequired = this.#depth === 0 && this.#indent === column;
    this.#keys.set(this.#depth, { token: this.tokens.length, isRequired, index, line, textLine, column });
  }

  #dropKey(): void {
    const key = this.#keys.get(this.#depth);
    if (key === undefined) return;
    this.#refuseIfRequired(key);
    this.#keys.delete(this.#depth);
  }

  /** A key and its ":" stand in one line, not too far from each other. */
  #dropOldKeys(): void {
    for (const [depth, key] of this.#keys) {
      if (key.line === this.#cursor.line && this.#cursor.index - key.index <= MAX_KEY_LENGTH) return;
      this.#refuseIfRequired(key);
      this.#keys.delete(depth);
    }
  }

  #refuseIfRequired({ isRequired, textLine }: PossibleKey): void {
    if (isRequired) this.#cursor.refuse('a key and its ":" must stand in one line', textLine);
  }
}

const QUOTES = `'"`;
const BLOCK_TEXT = '|>';
/** What text without quotes cannot begin with. */
const INDICATORS = `-?:,[]{}#&*!|>'"%@\``;
