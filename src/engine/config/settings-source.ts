import { type ConfigurationFlags, type FlagName, flagOption } from '../../contract/configuration/flags.ts';
import { INFERENCE_KEYS } from '../../contract/configuration/inference-keys.ts';
import type { Origin, Report } from './report.ts';
import { asNumber, fromPlain, isTruthy, type MapValue, NONE, type SourceValue, show, typeInWords } from './source.ts';

export interface Setting {
  readonly value: SourceValue;
  readonly origin: Origin;
}

export interface SettingKey {
  readonly path: string;
  readonly flag?: FlagName;
}

/** Flags over a file, each value with where it came from. */
export class SettingsSource {
  readonly file: string | undefined;
  readonly root: MapValue | undefined;
  readonly #flags: ConfigurationFlags;

  constructor(file: string | undefined, root: MapValue | undefined, flags: ConfigurationFlags) {
    this.file = file;
    this.root = root;
    this.#flags = flags;
  }

  get(key: SettingKey): Setting {
    return this.fromFlag(key) ?? this.fromFile(key.path);
  }

  /** Undefined where the option was not given. */
  fromFlag({ flag: name }: SettingKey): Setting | undefined {
    const flag = name === undefined ? undefined : this.#flags[name];
    if (name === undefined || flag === undefined) return undefined;
    return { value: fromPlain(flag), origin: { path: flagOption(name) } };
  }

  fromFile(path: string): Setting {
    const origin: Origin = { ...(this.file === undefined ? {} : { file: this.file }), path };
    let map = this.root;
    for (const [index, part] of path.split('.').entries()) {
      const entry = map?.entries.get(part);
      if (!entry) break;
      if (index === path.split('.').length - 1) return { value: entry.value, origin: { ...origin, line: entry.line } };
      map = entry.value.type === 'dict' ? entry.value : undefined;
    }
    return { value: NONE, origin };
  }
}

/** The setting of one inference key. */
export function inferenceSetting(source: SettingsSource, path: string): Setting {
  const key = INFERENCE_KEYS.find((candidate) => candidate.path === path);
  return source.get(key ?? { path });
}

/** None of these can be written as JSON, which is how v1 sent everything. */
export function isSendable(value: SourceValue): boolean {
  if (value.type === 'float') return Number.isFinite(value.value);
  return (
    value.type !== 'datetime.date' &&
    value.type !== 'datetime.datetime' &&
    value.type !== 'bytes' &&
    value.type !== 'set'
  );
}

const SECRET = /(?:primaryKey|secondaryKey|password|authToken|primary-key|secondary-key)$/;

/** The value for a message, unless the key holds a secret. */
export function showValue({ value, origin }: Setting): string {
  return SECRET.test(origin.path ?? '') ? typeInWords(value) : show(value);
}

/** Turns a value that v1 accepted into what it meant, and says so where the file said something else. */
export class SettingConverter {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  boolean({ value, origin }: Setting): boolean | undefined {
    if (value.type === 'NoneType') return undefined;
    const result = isTruthy(value);
    if (value.type !== 'bool') {
      this.#warn(
        'value.notBoolean',
        origin,
        `${origin.path} is ${showValue({ value, origin })}, not true or false; v1 took it as ${result}, because only empty values and 0 are false.`,
        `Write ${origin.path} as true or false, without quotes.`,
      );
    }
    return result;
  }

  number({ value, origin }: Setting): number | undefined {
    if (value.type === 'NoneType') return undefined;
    const number = asNumber(value);
    if (number !== undefined) {
      if (value.type === 'bool') this.#warnType(value, origin, `${number}`);
      return number;
    }
    const parsed = value.type === 'str' && value.value.trim() !== '' ? Number(value.value) : Number.NaN;
    if (Number.isFinite(parsed)) {
      this.#warnType(value, origin, `${parsed}`);
      return parsed;
    }
    this.#warn(
      'value.notNumber',
      origin,
      `${origin.path} is ${show(value)}, which is not a number, so it has no effect.`,
      'Write a number, without quotes and units.',
    );
    return undefined;
  }

  /** Rounds up, because the service counted whole things. */
  integer(setting: Setting): number | undefined {
    const number = this.number(setting);
    if (number === undefined || Number.isInteger(number)) return number;
    const rounded = Math.ceil(number);
    this.#warn(
      'value.notInteger',
      setting.origin,
      `${setting.origin.path} is ${number}, but must be a whole number; it is rounded up to ${rounded}.`,
      'Write a whole number.',
    );
    return rounded;
  }

  /** Empty text is none. */
  text({ value, origin }: Setting): string | undefined {
    if (!isTruthy(value)) return undefined;
    if (value.type === 'str') return value.value;
    if (value.type === 'int' || value.type === 'float' || value.type === 'bool') {
      const text = String(value.value);
      this.#warnType(value, origin, JSON.stringify(text));
      return text;
    }
    this.#warn(
      'value.notText',
      origin,
      `${origin.path} is ${show(value)}, where text is expected, so it has no effect.`,
      'Write text.',
    );
    return undefined;
  }

  #warnType(value: SourceValue, origin: Origin, meaning: string): void {
    const isSecret = SECRET.test(origin.path ?? '');
    this.#warn(
      'value.wrongType',
      origin,
      isSecret
        ? `${origin.path} is ${typeInWords(value)}; it is taken as text.`
        : `${origin.path} is ${show(value)}; it is taken as ${meaning}.`,
      isSecret ? 'Write it in quotes.' : `Write ${meaning}.`,
    );
  }

  /** A value that was refused needs no explanation of what it would be taken for. */
  #warn(code: string, origin: Origin, message: string, remedy: string): void {
    if (!this.#report.hasErrorAt(origin)) this.#report.warning(code, origin, message, remedy);
  }
}
