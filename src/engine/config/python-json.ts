import { type MapEntry, mapValue, type SourceValue } from './source.ts';

/** Python's C scanner gives up at about this depth. */
const MAX_DEPTH = 990;

export class JsonRefusal extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/**
 * Reads as Python's `json.loads`: strict JSON, plus `NaN`, `Infinity` and `-Infinity`, duplicate keys (the last wins) and lone surrogates.
 * `JSON.parse` knows neither those nor lines.
 * @throws JsonRefusal
 */
export function parsePythonJson(text: string): SourceValue {
  const reader = new JsonReader(text);
  return reader.document();
}

const CONSTANTS: readonly (readonly [string, (line: number) => SourceValue])[] = [
  ['null', (line) => ({ type: 'NoneType', value: null, line })],
  ['true', (line) => ({ type: 'bool', value: true, line })],
  ['false', (line) => ({ type: 'bool', value: false, line })],
  ['NaN', (line) => ({ type: 'float', value: Number.NaN, line })],
  ['Infinity', (line) => ({ type: 'float', value: Number.POSITIVE_INFINITY, line })],
  ['-Infinity', (line) => ({ type: 'float', value: Number.NEGATIVE_INFINITY, line })],
];

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
const STRING_CHUNK = /[^"\\\p{Cc}]+|[\u007f-\u009f]+/uy;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class JsonReader {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  document(): SourceValue {
    if (this.#text.startsWith('\uFEFF')) this.#fail('a byte order mark stands before the JSON text');
    this.#skipSpace();
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail(`${this.#here()} follows the end of the JSON text`);
    return value;
  }

  #value(depth: number): SourceValue {
    if (depth > MAX_DEPTH) this.#fail('it is nested too deeply');
    const line = this.#line;
    const character = this.#text[this.#at];
    if (character === '{') return this.#object(depth);
    if (character === '[') return this.#array(depth);
    if (character === '"') return { type: 'str', value: this.#string(), line };
    for (const [word, make] of CONSTANTS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return make(line);
      }
    }
    return this.#number();
  }

  #number(): SourceValue {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (!match) this.#fail(`a value is expected, but there is ${this.#here()}`);
    this.#at += match[0].length;
    const isFloat = match[1] !== undefined || match[2] !== undefined;
    return { type: isFloat ? 'float' : 'int', value: Number(match[0]), line: this.#line };
  }

  #object(depth: number): SourceValue {
    const line = this.#line;
    const entries: MapEntry[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take('}')) return mapValue(entries, line);
    for (;;) {
      const keyLine = this.#line;
      if (this.#text[this.#at] !== '"') this.#fail(`a key in double quotes is expected, but there is ${this.#here()}`);
      const key = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) this.#fail(`":" is expected after the key "${key}", but there is ${this.#here()}`);
      this.#skipSpace();
      entries.push({ key, line: keyLine, value: this.#value(depth + 1) });
      this.#skipSpace();
      if (this.#take('}')) return mapValue(entries, line);
      if (!this.#take(',')) this.#fail(`"," or "}" is expected, but there is ${this.#here()}`);
      this.#skipSpace();
    }
  }

  #array(depth: number): SourceValue {
    const line = this.#line;
    const items: SourceValue[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take(']')) return { type: 'list', items, line };
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#skipSpace();
      if (this.#take(']')) return { type: 'list', items, line };
      if (!this.#take(',')) this.#fail(`"," or "]" is expected, but there is ${this.#here()}`);
      this.#skipSpace();
    }
  }

  #string(): string {
    let result = '';
    this.#at++;
    for (;;) {
      STRING_CHUNK.lastIndex = this.#at;
      const chunk = STRING_CHUNK.exec(this.#text);
      if (chunk) {
        result += chunk[0];
        this.#at += chunk[0].length;
        continue;
      }
      const character = this.#text[this.#at];
      if (character === '"') {
        this.#at++;
        return result;
      }
      if (character !== '\\')
        this.#fail(character === undefined ? 'a string is not closed' : `a string contains ${this.#here()}`);
      result += this.#escape();
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? '';
    if (letter === 'u') {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail('an escape \\u needs four hexadecimal digits');
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const plain = ESCAPES[letter];
    if (plain === undefined) this.#fail(`the escape \\${letter} does not exist`);
    this.#at += 2;
    return plain;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (; ; this.#at++) {
      const character = this.#text[this.#at];
      if (character === '\n') this.#line++;
      else if (character !== ' ' && character !== '\t' && character !== '\r') return;
    }
  }

  #here(): string {
    const rest = this.#text.slice(this.#at);
    if (rest === '') return 'the end of the file';
    if (rest.startsWith('//') || rest.startsWith('/*') || rest.startsWith('#')) return 'a comment';
    const word = /^[A-Za-z_]\w*/.exec(rest)?.[0] ?? String.fromCodePoint(rest.codePointAt(0) ?? 0);
    return JSON.stringify(word);
  }

  #fail(message: string): never {
    throw new JsonRefusal(message, this.#line);
  }
}
