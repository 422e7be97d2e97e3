import { YamlRefusal } from './yaml-refusal.ts';

/** Stands for the end of the text, in which it cannot occur. */
export const END = '\0';
const BREAKS = '\r\n\x85\u2028\u2029';

/** A place in a text that is read from start to end. */
export class Cursor {
  readonly #text: string;
  #index = 0;
  #line = 0;
  #lineStart = 0;
  #lineFeeds = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Characters before this place. */
  get index(): number {
    return this.#index;
  }

  /** 0-based, as YAML 1.1 counts lines. */
  get line(): number {
    return this.#line;
  }

  /** 1-based, as editors count lines. */
  get textLine(): number {
    return this.#lineFeeds + 1;
  }

  get column(): number {
    return this.#index - this.#lineStart;
  }

  peek(ahead = 0): string {
    return this.#text[this.#index + ahead] ?? END;
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#index);
  }

  /** Takes characters that are no line breaks. */
  take(count: number): string {
    const taken = this.#text.slice(this.#index, this.#index + count);
    this.#index += count;
    return taken;
  }

  matches(expression: RegExp): boolean {
    expression.lastIndex = this.#index;
    return expression.test(this.#text);
  }

  /** Takes what the sticky expression matches here, which must not be a line break. */
  takeMatch(expression: RegExp): string {
    expression.lastIndex = this.#index;
    return this.take(expression.exec(this.#text)?.[0].length ?? 0);
  }

  /** Takes a line break, if there is one, and says what it means: U+2028 and U+2029 stay what they are. */
  takeBreak(): string {
    const character = this.peek();
    if (!isBreak(character)) return '';
    this.#index += character === '\r' && this.peek(1) === '\n' ? 2 : 1;
    this.#line += 1;
    if (character === '\r' || character === '\n') this.#lineFeeds += 1;
    this.#lineStart = this.#index;
    return character === '\u2028' || character === '\u2029' ? character : '\n';
  }

  /** Takes blanks, then a comment. */
  takeComment(): void {
    this.takeMatch(SPACES);
    if (this.peek() === '#') this.takeMatch(REST_OF_LINE);
  }

  /** `---` or `...` that stands alone at the start of a line. */
  isAtSeparator(): boolean {
    return (this.startsWith('---') || this.startsWith('...')) && isBlank(this.peek(3));
  }

  /** @throws YamlRefusal in the given line, else in this one */
  refuse(message: string, line?: number): never {
    if (line === undefined && this.peek() === '\t') {
      throw new YamlRefusal('a tab is used as white space, which YAML does not allow', this.textLine, true);
    }
    throw new YamlRefusal(message, line ?? this.textLine);
  }
}

export const SPACES = / */y;
export const REST_OF_LINE = /[^\r\n\x85\u2028\u2029]*/y;

export function isBreak(character: string): boolean {
  return BREAKS.includes(character);
}

/** White space or the end. */
export function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === END || isBreak(character);
}
