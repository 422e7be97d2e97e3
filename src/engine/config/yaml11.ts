import { type MapEntry, mapValue, type ScalarValue, type SourceValue } from './source.ts';
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
  readonly #done = new Map<YamlNode, SourceValue>();
  readonly #open = new Set<YamlNode>();

  convert(node: YamlNode): SourceValue {
    const done = this.#done.get(node);
    if (done) return done;
    return this.#guarded(node, () => {
      const value = this.#build(node);
      this.#done.set(node, value);
      return value;
    });
  }

  #guarded<T>(node: YamlNode, work: () => T): T {
    if (this.#open.has(node)) throw new YamlRefusal('a YAML alias contains itself', node.line);
    this.#open.add(node);
    const result = work();
    this.#open.delete(node);
    return result;
  }

  #build(node: YamlNode): SourceValue {
    switch (node.kind) {
      case 'text':
        return this.#text(node);
      case 'list':
        return this.#list(node);
      case 'map':
        return this.#map(node);
    }
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
    const { items, line } = node;
    switch (tagOf(node)) {
      case undefined:
      case 'seq':
        return { type: 'list', items: items.map((item) => this.convert(item)), line };
      case 'omap':
      case 'pairs':
        return { type: 'list', items: items.map((item) => this.#tuple(item)), line };
      default:
        return refuseTag(node);
    }
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
    const merged = this.#entries(this.#merged(node));
    const own = this.#entries(ownPairs(node));
    const base = new Map(merged.entries.map((entry) => [entry.key, entry]));
    for (const { key } of own.entries) base.delete(key);
    const otherKeys = [...new Map([...merged.otherKeys, ...own.otherKeys]).values()];
    const value = mapValue([...base.values(), ...own.entries], line, otherKeys);
    if (tag !== 'set') return value;
    const items = [...value.entries.values()].map(({ key, line }): SourceValue => ({ type: 'str', value: key, line }));
    return { type: 'set', items: [...items, ...otherKeys], line };
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
    if (node.kind === 'map') return this.#guarded(node, () => [...this.#merged(node), ...ownPairs(node)]);
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
