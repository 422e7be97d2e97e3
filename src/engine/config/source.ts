/**
 * What v1's readers made of a file: Python values, each with the line it came from.
 * `type` is Python's name of the type, because v1's refusals depend on it.
 */
export type SourceValue = ScalarValue | ListValue | MapValue;

export type ScalarValue =
  | { readonly type: 'NoneType'; readonly value: null; readonly line: number }
  | { readonly type: 'bool'; readonly value: boolean; readonly line: number }
  | { readonly type: 'int' | 'float'; readonly value: number; readonly line: number }
  /** Dates keep their text. */
  | {
      readonly type: 'str' | 'datetime.date' | 'datetime.datetime' | 'bytes';
      readonly value: string;
      readonly line: number;
    };

export interface ListValue {
  readonly type: 'list' | 'set' | 'tuple';
  readonly items: SourceValue[];
  readonly line: number;
}

export interface MapValue {
  readonly type: 'dict';
  /** Without duplicates: the last one won. Keys that are not text are kept apart, because nothing reads them. */
  readonly entries: Map<string, MapEntry>;
  readonly otherKeys: readonly ScalarValue[];
  /** Keys that were given more than once, at the line of a value that lost. */
  readonly duplicates: readonly { readonly key: string; readonly line: number }[];
  readonly line: number;
}

export interface MapEntry {
  readonly key: string;
  readonly line: number;
  readonly value: SourceValue;
}

export const NONE: ScalarValue = { type: 'NoneType', value: null, line: 0 };

/** Python's `dict.get(key)`: absent is None. */
export function get(map: MapValue, key: string): SourceValue {
  return map.entries.get(key)?.value ?? NONE;
}

/** Python's truth: None, False, 0, "" and empty containers are false. */
export function isTruthy(value: SourceValue): boolean {
  switch (value.type) {
    case 'NoneType':
      return false;
    case 'bool':
      return value.value;
    case 'int':
    case 'float':
      return value.value !== 0;
    case 'str':
    case 'bytes':
      return value.value !== '';
    case 'list':
    case 'set':
    case 'tuple':
      return value.items.length > 0;
    case 'dict':
      return value.entries.size + value.otherKeys.length > 0;
    default:
      return true;
  }
}

/** The number that Python compares with: booleans are 1 and 0. Undefined: comparing it with a number is an error. */
export function asNumber(value: SourceValue): number | undefined {
  if (value.type === 'int' || value.type === 'float') return value.value;
  if (value.type === 'bool') return value.value ? 1 : 0;
  return undefined;
}

export function isText(value: SourceValue): value is ScalarValue & { type: 'str'; value: string } {
  return value.type === 'str';
}

/** As a message shows it: short, quoted, on one line. */
export function show(value: SourceValue): string {
  switch (value.type) {
    case 'NoneType':
      return 'null';
    case 'list':
    case 'set':
    case 'tuple':
      return 'a list';
    case 'dict':
      return 'an object';
    case 'str':
    case 'bytes':
      return shorten(JSON.stringify(value.value));
    default:
      return shorten(String(value.value));
  }
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

const TYPE_WORDS: Readonly<Record<SourceValue['type'], string>> = {
  NoneType: 'null',
  bool: 'a boolean',
  int: 'a number',
  float: 'a number',
  str: 'text',
  'datetime.date': 'a date',
  'datetime.datetime': 'a date',
  bytes: 'binary data',
  list: 'a list',
  set: 'a set',
  tuple: 'a list',
  dict: 'an object',
};

export function typeInWords(value: SourceValue): string {
  return TYPE_WORDS[value.type];
}

/** Plain data; a value that occurs in several places (a YAML alias) is converted once. `seen` guards against alias bombs and loops. */
export function toPlain(value: SourceValue, seen: Map<SourceValue, unknown> = new Map()): unknown {
  if (seen.has(value)) return seen.get(value);
  if ('items' in value) {
    const list: unknown[] = [];
    seen.set(value, list);
    for (const item of value.items) list.push(toPlain(item, seen));
    return list;
  }
  if (value.type === 'dict') {
    const object: Record<string, unknown> = Object.create(null);
    seen.set(value, object);
    for (const entry of value.entries.values()) object[entry.key] = toPlain(entry.value, seen);
    return object;
  }
  return value.value;
}

/** Visits every value once, depth first, with its path. */
export function walk(
  value: SourceValue,
  visit: (value: SourceValue, path: string) => void,
  path = '',
  seen: Set<SourceValue> = new Set(),
): void {
  if (seen.has(value)) return;
  seen.add(value);
  visit(value, path);
  if ('items' in value) {
    for (const [index, item] of value.items.entries()) walk(item, visit, `${path}[${index}]`, seen);
  } else if (value.type === 'dict') {
    for (const entry of value.entries.values()) walk(entry.value, visit, joinPath(path, entry.key), seen);
  }
}

export function joinPath(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`;
}

/** Wraps a value that did not come from a file, such as a flag's. */
export function fromPlain(value: unknown, line = 0): SourceValue {
  if (value === null || value === undefined) return { type: 'NoneType', value: null, line };
  if (typeof value === 'boolean') return { type: 'bool', value, line };
  if (typeof value === 'number') return { type: Number.isInteger(value) ? 'int' : 'float', value, line };
  if (typeof value === 'string') return { type: 'str', value, line };
  if (Array.isArray(value)) return { type: 'list', items: value.map((item) => fromPlain(item, line)), line };
  return mapValue(
    Object.entries(value).map(([key, item]) => ({ key, line, value: fromPlain(item, line) })),
    line,
  );
}

/** Builds a mapping; of equal keys the last wins, in the place of the first. */
export function mapValue(list: readonly MapEntry[], line: number, otherKeys: readonly ScalarValue[] = []): MapValue {
  const entries = new Map<string, MapEntry>();
  const duplicates: { key: string; line: number }[] = [];
  for (const entry of list) {
    const earlier = entries.get(entry.key);
    if (earlier) duplicates.push({ key: entry.key, line: earlier.line });
    entries.set(entry.key, entry);
  }
  return { type: 'dict', entries, otherKeys, duplicates, line };
}
