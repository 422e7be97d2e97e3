import type { Tag } from './yaml-properties.ts';
import { YamlRefusal } from './yaml-refusal.ts';
import { scanYaml, type Token } from './yaml-scanner.ts';

/** A value as it is written. An alias is the node that it names. */
export type YamlNode = YamlText | YamlList | YamlMap;

interface NodeBase {
  /** In full; `!` leaves the type open. */
  readonly tag?: string;
  /** 1-based. */
  readonly line: number;
}

export interface YamlText extends NodeBase {
  readonly kind: 'text';
  readonly text: string;
  readonly isPlain: boolean;
}

export interface YamlList extends NodeBase {
  readonly kind: 'list';
  readonly items: YamlNode[];
}

export interface YamlMap extends NodeBase {
  readonly kind: 'map';
  readonly pairs: YamlPair[];
}

export interface YamlPair {
  readonly key: YamlNode;
  readonly value: YamlNode;
}

/** PyYAML runs out of stack at about this depth. */
const MAX_DEPTH = 490;

/**
 * Reads the one document of a YAML 1.1 text; undefined when there is none.
 * @throws YamlRefusal
 */
export function parseYaml(text: string): YamlNode | undefined {
  return new Parser(scanYaml(text)).stream();
}

type Kind = Token['kind'];
type TokenOf<K extends Kind> = Extract<Token, { readonly kind: K }>;

interface Properties {
  readonly anchor?: string;
  readonly tag?: string;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  readonly #anchors = new Map<string, YamlNode>();
  #handles = new Map<string, string>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  stream(): YamlNode | undefined {
    let root: YamlNode | undefined;
    if (this.#is('stream-end')) return undefined;
    if (this.#is('document-start', ...DIRECTIVES)) root = this.#explicitDocument();
    else {
      this.#directives();
      root = this.#node('block');
    }
    do {
      if (this.#is('stream-end')) return root;
    } while (this.#skip('document-end'));
    if (this.#is('document-start', ...DIRECTIVES)) this.#refuse('it holds more than one YAML document');
    return this.#unexpected('the end of the file');
  }

  #explicitDocument(): YamlNode {
    this.#directives();
    if (!this.#skip('document-start')) this.#unexpected('"---"');
    return this.#is('document-start', 'document-end', 'stream-end', ...DIRECTIVES)
      ? this.#empty()
      : this.#node('block');
  }

  #directives(): void {
    let hasVersion = false;
    for (;;) {
      const token = this.#next;
      if (token.kind === 'yaml-directive') {
        if (hasVersion || token.major !== 1) this.#refuse('this is no possible directive');
        hasVersion = true;
      } else if (token.kind === 'tag-directive') {
        if (this.#handles.has(token.handle)) this.#refuse('this is no possible directive');
        this.#handles.set(token.handle, token.prefix);
      } else if (token.kind !== 'directive') break;
      this.#at += 1;
    }
    this.#handles = new Map([...DEFAULT_HANDLES, ...this.#handles]);
  }

  /** `context`: what may stand here. A list that is a mapping's value need not be indented. */
  #node(context: 'block' | 'value' | 'flow'): YamlNode {
    const alias = this.#take('alias');
    if (alias) return this.#anchors.get(alias.name) ?? this.#refuse(`the alias *${alias.name} has no anchor`, alias);
    if (this.#depth > MAX_DEPTH) this.#refuse('it is nested too deeply');
    this.#depth += 1;
    const node = this.#content(context, this.#properties());
    this.#depth -= 1;
    return node;
  }

  #properties(): Properties {
    const first = this.#take('anchor') ?? this.#take('tag');
    const second = first && this.#take(first.kind === 'anchor' ? 'tag' : 'anchor');
    const all = [first, second];
    const anchor = all.find((token) => token?.kind === 'anchor');
    const tag = all.find((token) => token?.kind === 'tag');
    if (anchor && this.#anchors.has(anchor.name)) this.#refuse(`the anchor &${anchor.name} is given twice`, anchor);
    return {
      ...(anchor ? { anchor: anchor.name } : {}),
      ...(tag ? { tag: this.#wholeTag(tag) } : {}),
    };
  }

  #wholeTag(token: TokenOf<'tag'>): string {
    const { handle, suffix }: Tag = token.tag;
    if (handle === undefined) return suffix;
    const prefix = this.#handles.get(handle) ?? this.#refuse(`the tag's beginning ${handle} is not declared`, token);
    return prefix + suffix;
  }

  #content(context: 'block' | 'value' | 'flow', properties: Properties): YamlNode {
    const { line } = this.#next;
    const base = { line, ...(properties.tag === undefined ? {} : { tag: properties.tag }) };
    const text = this.#take('text');
    if (text) return this.#anchored(properties, { ...base, kind: 'text', text: text.text, isPlain: text.isPlain });
    const isOpenList = context === 'value' && this.#is('-');
    if (isOpenList || this.#is('[') || (context !== 'flow' && this.#is('block-list'))) {
      const list = this.#anchored(properties, { ...base, kind: 'list', items: [] });
      if (isOpenList) this.#openList(list);
      else if (this.#skip('[')) this.#flowList(list);
      else this.#blockList(list);
      return list;
    }
    if (this.#is('{') || (context !== 'flow' && this.#is('block-map'))) {
      const map = this.#anchored(properties, { ...base, kind: 'map', pairs: [] });
      if (this.#skip('{')) this.#flowMap(map);
      else this.#blockMap(map);
      return map;
    }
    if (properties.anchor === undefined && properties.tag === undefined) this.#unexpected('a value');
    return this.#anchored(properties, { ...base, kind: 'text', text: '', isPlain: true });
  }

  /** Known under its name before its content is read, which may name it. */
  #anchored<N extends YamlNode>({ anchor }: Properties, node: N): N {
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    return node;
  }

  #blockList({ items }: YamlList): void {
    this.#at += 1;
    while (this.#skip('-')) items.push(this.#is('-', 'block-end') ? this.#empty() : this.#node('block'));
    if (!this.#skip('block-end')) this.#unexpected('a list item, indented like the one before,');
  }

  #openList({ items }: YamlList): void {
    while (this.#skip('-')) {
      items.push(this.#is('-', '?', 'key', ':', 'block-end') ? this.#empty() : this.#node('block'));
    }
  }

  #blockMap({ pairs }: YamlMap): void {
    this.#at += 1;
    const part = () => (this.#is('?', 'key', ':', 'block-end') ? this.#empty() : this.#node('value'));
    while (this.#skipKey()) {
      const key = part();
      pairs.push({ key, value: this.#skip(':') ? part() : this.#empty() });
    }
    if (!this.#skip('block-end')) this.#unexpected('a key, indented like the one before,');
  }

  #flowList({ items }: YamlList): void {
    const isEnd = () => this.#is(',', ']');
    while (!this.#skip(']')) {
      if (items.length > 0 && !this.#skip(',')) this.#unexpected('"," or "]"');
      if (this.#skip(']')) return;
      const { line } = this.#next;
      if (this.#skipKey()) items.push({ kind: 'map', pairs: [this.#flowPair(isEnd)], line });
      else items.push(this.#node('flow'));
    }
  }

  #flowMap({ pairs }: YamlMap): void {
    const isEnd = () => this.#is(',', '}');
    while (!this.#skip('}')) {
      if (pairs.length > 0 && !this.#skip(',')) this.#unexpected('"," or "}"');
      if (this.#skip('}')) return;
      if (this.#skipKey()) pairs.push(this.#flowPair(isEnd));
      else pairs.push({ key: this.#node('flow'), value: this.#empty() });
    }
  }

  #flowPair(isEnd: () => boolean): YamlPair {
    const key = this.#is(':') || isEnd() ? this.#empty() : this.#node('flow');
    return { key, value: this.#skip(':') && !isEnd() ? this.#node('flow') : this.#empty() };
  }

  #empty(): YamlText {
    return { kind: 'text', text: '', isPlain: true, line: this.#next.line };
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'stream-end', line: 1 };
  }

  #is(...kinds: readonly Kind[]): boolean {
    return kinds.includes(this.#next.kind);
  }

  #skip(kind: Kind): boolean {
    const isNext = this.#is(kind);
    if (isNext) this.#at += 1;
    return isNext;
  }

  #skipKey(): boolean {
    return this.#skip('key') || this.#skip('?');
  }

  #take<K extends Kind>(kind: K): TokenOf<K> | undefined {
    const token = this.#next;
    if (token.kind !== kind) return undefined;
    this.#at += 1;
    return token as TokenOf<K>;
  }

  #unexpected(expected: string): never {
    return this.#refuse(`${expected} is expected, not ${nameOf(this.#next)}`);
  }

  #refuse(message: string, { line }: Token = this.#next): never {
    throw new YamlRefusal(message, line);
  }
}

const DIRECTIVES = ['directive', 'yaml-directive', 'tag-directive'] as const;
const DEFAULT_HANDLES = [
  ['!', '!'],
  ['!!', 'tag:yaml.org,2002:'],
] as const;

function nameOf(token: Token): string {
  switch (token.kind) {
    case 'text':
      return JSON.stringify(token.text.length > 40 ? `${token.text.slice(0, 39)}…` : token.text);
    case 'stream-end':
      return 'the end of the file';
    case 'document-start':
    case 'document-end':
      return 'a document separator';
    case 'block-end':
      return 'a line that is indented less';
    case 'block-list':
    case 'block-map':
      return 'a line that is indented more';
    case 'key':
      return 'a key';
    case 'alias':
    case 'anchor':
    case 'tag':
      return `the ${token.kind} that begins here`;
    case 'directive':
    case 'yaml-directive':
    case 'tag-directive':
      return 'a line that begins with "%"';
    default:
      return `"${token.kind}"`;
  }
}
