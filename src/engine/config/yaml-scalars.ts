import type { ScalarValue } from './source.ts';

/** What PyYAML's `safe_load` makes of an unquoted scalar: YAML 1.1 with PyYAML's own patterns. Undefined: it refuses the scalar. */
export function resolvePlainScalar(text: string, line: number): ScalarValue | undefined {
  for (const [pattern, build] of RESOLVERS) {
    if (pattern.test(text)) return build(text, line);
  }
  return { type: 'str', value: text, line };
}

type Build = (text: string, line: number) => ScalarValue | undefined;

const NULL = /^(?:~|null|Null|NULL|)$/;
const BOOL = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const INT =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const DATE =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.\d*)?(?:[ \t]*(?:Z|[-+](\d\d?)(?::(\d\d))?))?)?$/;
/** Without a time of day, only months and days of two digits make a date. */
const NO_DATE = /^\d{4}-(?:\d-\d\d?|\d\d-\d)$/;
/** These have tags of their own in YAML 1.1, for which PyYAML's safe loader has no constructor. */
const SPECIAL = /^(?:=|<<)$/;

const RESOLVERS: readonly (readonly [RegExp, Build])[] = [
  [NULL, (_, line) => ({ type: 'NoneType', value: null, line })],
  [BOOL, (text, line) => ({ type: 'bool', value: TRUE.test(text), line })],
  [FLOAT, (text, line) => ({ type: 'float', value: buildFloat(text), line })],
  [INT, buildInt],
  [NO_DATE, (text, line) => ({ type: 'str', value: text, line })],
  [DATE, buildDate],
  [SPECIAL, () => undefined],
];

/** What the constructor of a tag of YAML's own makes of a text. Undefined: it refuses the text, or there is no such constructor. */
export function buildTagged(tag: string, text: string, line: number): ScalarValue | undefined {
  switch (tag) {
    case 'str':
      return { type: 'str', value: text, line };
    case 'null':
      return { type: 'NoneType', value: null, line };
    case 'int':
      return buildInt(text, line);
    case 'float': {
      const value = buildFloat(text);
      return Number.isNaN(value) && !/^\s*[-+]?\.?nan\s*$/i.test(text) ? undefined : { type: 'float', value, line };
    }
    case 'bool':
      return BOOL_WORD.test(text) ? { type: 'bool', value: TRUE.test(text), line } : undefined;
    case 'timestamp':
      return buildDate(text, line);
    case 'binary':
      return isBase64(text) ? { type: 'bytes', value: text, line } : undefined;
    default:
      return undefined;
  }
}

const BOOL_WORD = /^(?:yes|no|true|false|on|off)$/i;
const TRUE = /^(?:yes|true|on)$/i;

/** As Python takes it: what is not in the alphabet is skipped, and nothing counts after the padding. */
function isBase64(text: string): boolean {
  if (/[^\0-\x7f]/.test(text)) return false;
  let digits = 0;
  let padding = 0;
  for (const character of text) {
    if (character === '=') {
      padding += 1;
      if (digits % 4 >= 2 && (digits % 4) + padding >= 4) return true;
    } else if (/[A-Za-z0-9+/]/.test(character)) {
      digits += 1;
      padding = 0;
    }
  }
  return digits % 4 === 0;
}

/** @returns NaN for text that is no number. */
function buildFloat(text: string): number {
  const clean = text.replaceAll('_', '').toLowerCase();
  const sign = clean.startsWith('-') ? -1 : 1;
  const digits = clean.replace(/^[-+]/, '');
  if (digits === '.inf') return sign * Number.POSITIVE_INFINITY;
  if (digits === '.nan') return Number.NaN;
  if (digits.includes(':')) return sign * sexagesimal(digits);
  const word = /^(?:infinity|inf)$/.test(digits.trim()) ? Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (DECIMAL.test(digits) ? Number(digits) : word);
}

const DECIMAL = /^\s*(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\s*$/;

function buildInt(text: string, line: number): ScalarValue | undefined {
  const clean = text.replaceAll('_', '').trim();
  const sign = clean.startsWith('-') ? -1 : 1;
  const digits = clean.replace(/^[-+]/, '');
  const value = sign * unsignedInt(digits);
  return Number.isNaN(value) ? undefined : { type: 'int', value: value === 0 ? 0 : value, line };
}

function unsignedInt(digits: string): number {
  if (digits === '0') return 0;
  if (digits.startsWith('0b')) return /^0b[01]+$/.test(digits) ? Number(digits) : Number.NaN;
  if (digits.startsWith('0x')) return /^0x[0-9a-fA-F]+$/.test(digits) ? Number(digits) : Number.NaN;
  if (digits.startsWith('0')) return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  if (digits.includes(':')) return sexagesimal(digits);
  return /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
}

function sexagesimal(digits: string): number {
  return digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** `text` has the form of an unquoted date, or a tag says that it is one. */
function buildDate(text: string, line: number): ScalarValue | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second, zoneHour, zoneMinute] = match
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  const date = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0));
  date.setUTCFullYear(year ?? 0);
  const exists = (year ?? 0) >= 1 && date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
  if (!exists) return undefined;
  if (hour === undefined) return { type: 'datetime.date', value: text, line };
  const zone = (zoneHour ?? 0) * 60 + (zoneMinute ?? 0);
  const isTime = hour < 24 && (minute ?? 0) < 60 && (second ?? 0) < 60 && zone < 24 * 60;
  return isTime ? { type: 'datetime.datetime', value: text, line } : undefined;
}
