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
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)?$/;
const SHORT_DATE = /^\d{4}-\d\d-\d\d$/;
/** These have tags of their own in YAML 1.1, for which PyYAML's safe loader has no constructor. */
const SPECIAL = /^(?:=|<<)$/;

const RESOLVERS: readonly (readonly [RegExp, Build])[] = [
  [NULL, (_, line) => ({ type: 'NoneType', value: null, line })],
  [BOOL, (text, line) => ({ type: 'bool', value: /^(?:yes|true|on)$/i.test(text), line })],
  [FLOAT, (text, line) => ({ type: 'float', value: buildFloat(text), line })],
  [INT, buildInt],
  [DATE, buildDate],
  [SPECIAL, () => undefined],
];

/** @returns NaN for text that is no number. */
export function buildFloat(text: string): number {
  const clean = text.replaceAll('_', '').toLowerCase();
  const sign = clean.startsWith('-') ? -1 : 1;
  const digits = clean.replace(/^[-+]/, '');
  if (digits === '.inf') return sign * Number.POSITIVE_INFINITY;
  if (digits === '.nan') return Number.NaN;
  if (digits.includes(':')) return sign * sexagesimal(digits);
  return sign * Number(digits);
}

export function buildInt(text: string, line: number): ScalarValue | undefined {
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

function buildDate(text: string, line: number): ScalarValue | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  if (hour === undefined && !SHORT_DATE.test(text)) return { type: 'str', value: text, line };
  const date = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0));
  date.setUTCFullYear(year ?? 0);
  const exists = (year ?? 0) >= 1 && date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
  if (!exists) return undefined;
  if (hour === undefined) return { type: 'datetime.date', value: text, line };
  const isTime = hour < 24 && (minute ?? 0) < 60 && (second ?? 0) < 60;
  return isTime ? { type: 'datetime.datetime', value: text, line } : undefined;
}
