import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { type MapEntry, mapValue, type ScalarValue, type SourceValue } from './source.ts';
import { YamlRefusal } from './yaml-refusal.ts';
import { buildFloat, buildInt, resolvePlainScalar } from './yaml-scalars.ts';
import { asYaml11 } from './yaml-tokens.ts';

/** PyYAML runs out of stack at about this depth. */
const MAX_DEPTH = 490;

const MAX_KEY_LENGTH = 1024;

/**
 * Reads as PyYAML's `safe_load`: one document, YAML 1.1 scalars, merge keys, no tabs between tokens, no Python tags.
 * @throws YamlRefusal
 */
export function parseYaml11(text: string): SourceValue {
  refuseControlCharacters(text);
  const lines = new LineCounter();
  const documents = parseLenient(asYaml11(text), lines);
  const lineOf = (offset: number) => lines.linePos(offset).line || 1;
  for (const document of documents) {
    const error = document.errors[0];
    if (error) throw new YamlRefusal(firstSentence(error.message), lineOf(error.pos[0]));
  }
  const [document, second] = documents;
  if (second) throw new YamlRefusal('it holds more than one YAML document', lineOf(second.range?.[0] ?? 0));
  if (!document) return { type: 'NoneType', value: null, line: 1 };
  return new Converter(document, lineOf).convert(document.contents, 0);
}

/** PyYAML does not care how lines inside brackets and quotes are indented; newer YAML does. */
function parseLenient(text: string, lines: LineCounter): Document.Parsed[] {
  const documents = parse(text, lines);
  const isIndentation = documents.some(({ errors }) => errors.some(({ code }) => INDENTATION_ERRORS.has(code)));
  if (!isIndentation) return documents;
  const retryLines = new LineCounter();
  const retry = parse(indentContinuations(text), retryLines);
  if (retry.some(({ errors }) => errors.length > 0)) return documents;
  lines.lineStarts = retryLines.lineStarts;
  return retry;
}

const INDENTATION_ERRORS: ReadonlySet<string> = new Set(['BAD_INDENT', 'MISSING_CHAR']);

/** Indents every line that begins inside brackets or quotes; that changes no value, because such lines are folded. */
function indentContinuations(text: string): string {
  let depth = 0;
  let quote = '';
  const result: string[] = [];
  for (const line of text.split('\n')) {
    result.push(depth > 0 || quote !== '' ? `${' '.repeat(MAX_KEY_LENGTH / 4)}${line}` : line);
    for (let index = 0; index < line.length; index++) {
      const character = line[index] ?? '';
      const isTokenStart = /[\s,[\]{}:]/.test(line[index - 1] ?? ' ');
      if (quote !== '') {
        if (character === '\\' && quote === '"') index++;
        else if (character === quote) quote = '';
      } else if (character === '#' && isTokenStart) break;
      else if (!isTokenStart && depth === 0) continue;
      else if (/["']/.test(character) && isTokenStart) quote = character;
      else if (/[[{]/.test(character)) depth++;
      else if (/[\]}]/.test(character) && depth > 0) depth--;
    }
  }
  return result.join('\n');
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed[] {
  try {
    const documents = parseAllDocuments(text, {
      version: '1.1',
      schema: 'failsafe',
      resolveKnownTags: false,
      uniqueKeys: false,
      logLevel: 'silent',
      prettyErrors: false,
      keepSourceTokens: true,
      lineCounter,
    });
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    if (error instanceof RangeError) throw new YamlRefusal('it is nested too deeply', 1);
    throw error;
  }
}

function firstSentence(message: string): string {
  const sentence = message.split('\n')[0] ?? message;
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

/** PyYAML reads printable characters only. */
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

function refuseControlCharacters(text: string): void {
  const match = UNPRINTABLE.exec(text);
  if (!match) return;
  const code = (match[0].codePointAt(0) ?? 0).toString(16).padStart(4, '0');
  throw new YamlRefusal(`it contains the control character U+${code.toUpperCase()}`, lineAt(text, match.index));
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** What a scalar becomes as a key: Python compares keys by value, so only text keys can be read. */
type Key = { readonly text: string } | { readonly other: ScalarValue } | { readonly merge: true };

class Converter {
  readonly #document: Document.Parsed;
  readonly #lineOf: (offset: number) => number;
  readonly #done = new Map<Node, SourceValue>();
  readonly #open = new Set<Node>();

  constructor(document: Document.Parsed, lineOf: (offset: number) => number) {
    this.#document = document;
    this.#lineOf = lineOf;
  }

  convert(node: Node | null, depth: number): SourceValue {
    if (!node) return { type: 'NoneType', value: null, line: 1 };
    if (depth > MAX_DEPTH) this.#refuse(node, 'it is nested too deeply');
    if (isAlias(node)) return this.convert(this.#target(node), depth + 1);
    const done = this.#done.get(node);
    if (done) return done;
    if (this.#open.has(node)) this.#refuse(node, 'a YAML alias contains itself');
    this.#open.add(node);
    const value = this.#build(node, depth);
    this.#open.delete(node);
    this.#done.set(node, value);
    return value;
  }

  #build(node: Node, depth: number): SourceValue {
    if (isMap(node)) return this.#map(node, depth);
    if (isSeq(node)) return this.#sequence(node, depth);
    if (isScalar(node)) return this.#scalar(node);
    return this.#refuse(node, 'it is not readable');
  }

  #sequence(node: YAMLSeq, depth: number): SourceValue {
    const tag = standardTag(node.tag);
    if (tag !== undefined && tag !== 'seq' && tag !== 'omap' && tag !== 'pairs') this.#refuseTag(node);
    const items = node.items.map((item) => this.convert(this.#nodeOf(item), depth + 1));
    return { type: 'list', items, line: this.#line(node) };
  }

  #map(node: YAMLMap, depth: number): SourceValue {
    const tag = standardTag(node.tag);
    if (tag !== undefined && tag !== 'map' && tag !== 'set') this.#refuseTag(node);
    const merged: MapEntry[] = [];
    const own: MapEntry[] = [];
    const otherKeys: ScalarValue[] = [];
    for (const pair of node.items) {
      this.#refuseLongKey(pair);
      const key = this.#key(pair, depth);
      const value = pair.value === null ? null : this.#nodeOf(pair.value);
      const line = this.#line(this.#nodeOf(pair.key) ?? node);
      if ('merge' in key) merged.push(...this.#merge(value ?? node, depth));
      else {
        const converted = value ? this.convert(value, depth + 1) : noneAt(line);
        if ('other' in key) otherKeys.push(key.other);
        else own.push({ key: key.text, line, value: converted });
      }
    }
    if (tag === 'set') {
      const items: SourceValue[] = own.map(({ key, line }) => ({ type: 'str', value: key, line }));
      return { type: 'set', items, line: this.#line(node) };
    }
    const base = new Map(merged.map((entry) => [entry.key, entry]));
    for (const entry of own) base.delete(entry.key);
    return mapValue([...base.values(), ...own], this.#line(node), otherKeys);
  }

  #key(pair: Pair, depth: number): Key {
    const node = this.#nodeOf(pair.key);
    if (node && isScalar(node) && node.type === Scalar.PLAIN && !node.tag) {
      if (this.#text(node) === '<<') return { merge: true };
      if (this.#text(node) === '=') return { text: '=' };
    }
    const key: SourceValue = node ? this.convert(node, depth + 1) : noneAt(1);
    if ('items' in key || key.type === 'dict')
      return this.#refuse(node ?? this.#contents(), 'a key must be a single value');
    return key.type === 'str' ? { text: key.value } : { other: key };
  }

  /** PyYAML looks for the ":" in the key's own line, within 1,024 characters, also where newer YAML does not care. */
  #refuseLongKey(pair: Pair): void {
    const source = pair.srcToken;
    const key = this.#nodeOf(pair.key);
    const colon = source?.sep?.find((token) => token.type === 'map-value-ind');
    if (!colon || source?.start.some((token) => token.type === 'explicit-key-ind')) return;
    const properties = source?.start.find(({ type }) => type === 'anchor' || type === 'tag');
    if (!source?.key && properties) return;
    if (!source?.key || !key?.range) throw new YamlRefusal('a ":" has no key', this.#lineOf(colon.offset));
    const start = properties?.offset ?? key.range[0];
    const spansLines = 'source' in source.key && /[\u2028\u2029]/.test(source.key.source);
    if (spansLines || this.#lineOf(start) !== this.#lineOf(colon.offset))
      this.#refuse(key, 'a key and its ":" must stand in one line');
    if (colon.offset - start > MAX_KEY_LENGTH) this.#refuse(key, 'a key is too long');
  }

  /** The entries that a merge key brings, weakest first. */
  #merge(node: Node, depth: number): MapEntry[] {
    const value = this.convert(node, depth + 1);
    if (value.type === 'dict') return [...value.entries.values()];
    if (value.type !== 'list') this.#refuse(node, 'a merge key "<<" needs an object or a list of objects');
    const entries: MapEntry[] = [];
    for (const item of value.items.toReversed()) {
      if (item.type !== 'dict') this.#refuse(node, 'a merge key "<<" needs an object or a list of objects');
      entries.push(...item.entries.values());
    }
    return entries;
  }

  #scalar(node: Scalar): SourceValue {
    const line = this.#line(node);
    const text = this.#text(node);
    const isUntyped = node.tag === '!';
    const tag = standardTag(isUntyped ? undefined : node.tag);
    if (tag !== undefined) return this.#tagged(node, tag, text, line);
    if (node.type !== Scalar.PLAIN && !isUntyped) return { type: 'str', value: text, line };
    return resolvePlainScalar(text, line) ?? this.#refuse(node, `${JSON.stringify(text)} is not a possible value`);
  }

  #tagged(node: Scalar, tag: string, text: string, line: number): ScalarValue {
    const value = buildTagged(tag, text, line);
    if (value === undefined) return this.#refuseTag(node);
    return value;
  }

  #text(node: Scalar): string {
    return typeof node.value === 'string' ? node.value : String(node.value ?? '');
  }

  #target(alias: Alias): Node {
    const target = alias.resolve(this.#document);
    if (!target) return this.#refuse(alias, `the alias *${alias.source} has no anchor`);
    return target;
  }

  #nodeOf(item: unknown): Node | null {
    return isAlias(item) || isMap(item) || isSeq(item) || isScalar(item) ? item : null;
  }

  #contents(): Node {
    return this.#document.contents ?? new Scalar(null);
  }

  #line(node: Node): number {
    return this.#lineOf(node.range?.[0] ?? 0);
  }

  #refuseTag(node: Node): never {
    const tag = 'tag' in node ? String(node.tag) : '';
    return this.#refuse(node, `the YAML tag ${tag} is not supported, or its value does not fit it`);
  }

  #refuse(node: Node, message: string): never {
    throw new YamlRefusal(message, this.#line(node));
  }
}

function noneAt(line: number): ScalarValue {
  return { type: 'NoneType', value: null, line };
}

const PREFIX = 'tag:yaml.org,2002:';

/** The short name of a tag; undefined without one; a tag that is not YAML's own comes back whole and matches nothing. */
function standardTag(tag: string | undefined): string | undefined {
  if (tag === undefined) return undefined;
  return tag.startsWith(PREFIX) ? tag.slice(PREFIX.length) : tag;
}

function buildTagged(tag: string, text: string, line: number): ScalarValue | undefined {
  switch (tag) {
    case 'str':
      return { type: 'str', value: text, line };
    case 'null':
      return { type: 'NoneType', value: null, line };
    case 'int':
      return buildInt(text, line);
    case 'float': {
      const value = text === '' ? Number.NaN : buildFloat(text);
      const isNan = /^[-+]?\.nan$/i.test(text);
      return Number.isNaN(value) && !isNan ? undefined : { type: 'float', value, line };
    }
    case 'bool': {
      const resolved = resolvePlainScalar(text, line);
      return resolved?.type === 'bool' ? resolved : undefined;
    }
    case 'timestamp': {
      const resolved = resolvePlainScalar(text, line);
      return resolved?.type.startsWith('datetime') ? resolved : undefined;
    }
    case 'binary':
      return { type: 'bytes', value: text, line };
    default:
      return undefined;
  }
}
