import {
  type ListValue,
  type MapEntry,
  type MapValue,
  mapValue,
  type ScalarValue,
  type SourceValue,
} from './source.ts';
import { parseYaml, type YamlList, type YamlMap, type YamlNode, type YamlPair, type YamlText } from './yaml-parser.ts';
import { YamlRefusal } from './yaml-refusal.ts';
import { buildTagged, resolvePlainScalar } from './yaml-scalars.ts';

/**
 * Reads as PyYAML's `safe_load`: one document, YAML 1.1 scalars, merge keys, no tabs between tokens, no Python tags.
 * @throws YamlRefusal
 */
export function parseYaml11(text: string): SourceValue {
  refuseControlCharacters(text);
  const root = parseYaml(text);
  return root ? new Converter().convert(root) : { type: 'NoneType', value: null, line: 1 };
}

/** PyYAML reads printable characters only. */
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

function refuseControlCharacters(text: string): void {
  const match = UNPRINTABLE.exec(text);
  if (!match) return;
  const code = (match[0].codePointAt(0) ?? 0).toString(16).padStart(4, '0');
  const line = text.slice(0, match.index).split('\n').length;
  throw new YamlRefusal(`it contains the control character U+${code.toUpperCase()}`, line);
}

const PREFIX = 'tag:yaml.org,2002:';

/** What Python makes of nodes. */
class Converter {
  /** A list or an object is here before what it contains, because an alias may make it contain itself. */
  readonly #known = new Map<YamlNode, SourceValue>();
  /** Objects whose merge keys are being followed. */
  readonly #merging = new Set<YamlNode>();

  convert(node: YamlNode): SourceValue {
    const known = this.#known.get(node);
    if (known) return known;
    if (node.kind === 'text') return this.#text(node);
    return node.kind === 'list' ? this.#list(node) : this.#map(node);
  }

  #begun<T extends SourceValue>(node: YamlNode, value: T): T {
    this.#known.set(node, value);
    return value;
  }

  #text(node: YamlText): ScalarValue {
    const { text, line, isPlain } = node;
    const tag = tagOf(node);
    if (tag !== undefined) return buildTagged(tag, text, line) ?? refuseTag(node);
    if (!isPlain && node.tag === undefined) return { type: 'str', value: text, line };
    const value = resolvePlainScalar(text, line);
    if (value === undefined) throw new YamlRefusal(`${JSON.stringify(text)} is not a possible value`, line);
    return value;
  }

  #list(node: YamlList): SourceValue {
    const tag = tagOf(node);
    const isPairs = tag === 'omap' || tag === 'pairs';
    if (tag !== undefined && tag !== 'seq' && !isPairs) refuseTag(node);
    const list = this.#begun<ListValue>(node, { type: 'list', items: [], line: node.line });
    for (const item of node.items) list.items.push(isPairs ? this.#tuple(item) : this.convert(item));
    return list;
  }

  #tuple(item: YamlNode): SourceValue {
    const [pair, more] = item.kind === 'map' ? item.pairs : [];
    if (pair === undefined || more) throw new YamlRefusal('an object with one key is expected here', item.line);
    return { type: 'tuple', items: [this.convert(pair.key), this.convert(pair.value)], line: item.line };
  }

  #map(node: YamlMap): SourceValue {
    const { line } = node;
    const tag = tagOf(node);
    if (tag !== undefined && tag !== 'map' && tag !== 'set') refuseTag(node);
    return tag === 'set' ? this.#set(node) : this.#object(node, this.#begun(node, mapValue([], line)));
  }

  #set(node: YamlMap): ListValue {
    const { line } = node;
    const set = this.#begun<ListValue>(node, { type: 'set', items: [], line });
    const { entries, otherKeys } = this.#object(node, mapValue([], line));
    for (const { key, line: keyLine } of entries.values()) set.items.push({ type: 'str', value: key, line: keyLine });
    set.items.push(...otherKeys);
    return set;
  }

  /** Fills the object. */
  #object(node: YamlMap, value: MapValue): MapValue {
    const merged = this.#entries(this.#merged(node));
    const own = this.#entries(ownPairs(node));
    const base = new Map(merged.entries.map((entry) => [entry.key, entry]));
    for (const { key } of own.entries) base.delete(key);
    const otherKeys = [...new Map([...merged.otherKeys, ...own.otherKeys]).values()];
    return Object.assign(value, mapValue([...base.values(), ...own.entries], node.line, otherKeys));
  }

  #entries(pairs: readonly YamlPair[]): {
    readonly entries: MapEntry[];
    readonly otherKeys: Map<unknown, ScalarValue>;
  } {
    const entries: MapEntry[] = [];
    const otherKeys = new Map<unknown, ScalarValue>();
    for (const { key: node, value } of pairs) {
      const key = isSpecialKey(node, '=', 'value') ? textOf(node) : this.convert(node);
      if ('items' in key || key.type === 'dict') throw new YamlRefusal('a key must be a single value', node.line);
      const { line } = key;
      const converted = isEmpty(value) ? ({ type: 'NoneType', value: null, line } as const) : this.convert(value);
      if (key.type === 'str') entries.push({ key: key.value, line, value: converted });
      else otherKeys.set(identity(key), key);
    }
    return { entries, otherKeys };
  }

  /** What merge keys bring, weakest first. */
  #merged(node: YamlMap): YamlPair[] {
    return node.pairs.filter(({ key }) => isMergeKey(key)).flatMap(({ value }) => this.#mergedFrom(value));
  }

  #mergedFrom(node: YamlNode): YamlPair[] {
    if (node.kind === 'map') {
      if (this.#merging.has(node)) return ownPairs(node);
      this.#merging.add(node);
      const pairs = [...this.#merged(node), ...ownPairs(node)];
      this.#merging.delete(node);
      return pairs;
    }
    if (node.kind === 'list') {
      return node.items
        .toReversed()
        .flatMap((item) => (item.kind === 'map' ? this.#mergedFrom(item) : refuseMerge(item)));
    }
    return refuseMerge(node);
  }
}

/** The short name of a tag; undefined when the type is open; a tag that is not YAML's own comes back whole and matches nothing. */
function tagOf({ tag }: YamlNode): string | undefined {
  if (tag === undefined || tag === '!') return undefined;
  return tag.startsWith(PREFIX) ? tag.slice(PREFIX.length) : tag;
}

function ownPairs(node: YamlMap): YamlPair[] {
  return node.pairs.filter(({ key }) => !isMergeKey(key));
}

function isMergeKey(node: YamlNode): boolean {
  return isSpecialKey(node, '<<', 'merge');
}

function isSpecialKey(node: YamlNode, text: string, tag: string): node is YamlText {
  if (tagOf(node) !== undefined) return tagOf(node) === tag;
  return node.kind === 'text' && node.text === text && (node.isPlain || node.tag !== undefined);
}

function textOf({ text, line }: YamlText): ScalarValue {
  return { type: 'str', value: text, line };
}

function isEmpty(node: YamlNode): boolean {
  return node.kind === 'text' && node.isPlain && node.text === '' && node.tag === undefined;
}

/** Equal for keys that are equal in Python, where true is 1. */
function identity({ type, value }: ScalarValue): unknown {
  return type === 'bool' ? Number(value) : type.startsWith('datetime') ? `${type} ${value}` : value;
}

function refuseTag(node: YamlNode): never {
  throw new YamlRefusal(`the YAML tag ${node.tag} is not supported, or its value does not fit it`, node.line);
}

function refuseMerge(node: YamlNode): never {
  throw new YamlRefusal('a merge key "<<" needs an object or a list of objects', node.line);
}
