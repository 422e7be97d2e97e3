/** What an option of v1 that cannot do its job here comes to. Never silence. */
export type Effect =
  | { readonly kind: 'noEffect'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** What shell completion offers for a value, besides fixed `values`. */
export type Completes = 'file' | 'folder' | 'model' | 'service' | 'environment' | 'computeTarget';

export interface OptionSettings {
  readonly help: string;
  /** Short forms without dashes: one letter (`n`), or v1's two or three (`ic`), which are taken as `-ic` and as `--ic`. */
  readonly aliases?: readonly string[];
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly values?: readonly string[];
  readonly completes?: Completes;
  readonly effect?: Effect;
  /** Heading in the help. */
  readonly section?: string;
  /** Taken by position, not by name. */
  readonly positional?: boolean;
  /** `@FILE` stands for the file's text and `@-` for standard input, as in `az`. */
  readonly fromFile?: boolean;
  /** Never shown again, in no message. */
  readonly secret?: boolean;
}

/** One row of the option table: the single source of parsing, help, completion and tests. */
export interface Option<T> extends OptionSettings {
  /** `boolean` takes `true` or `false` or nothing; `flag` too, but its help shows no value. */
  readonly kind: 'text' | 'flag' | 'boolean' | 'number' | 'pairs';
  readonly repeated: boolean;
  /** From the texts given, at least one, to the value. @throws ValueRefused */
  read(given: readonly string[]): T;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
export type OptionsOf<T extends OptionTable> = { readonly [K in keyof T]: T[K] extends Option<infer V> ? V : never };

/** A value that an option cannot take; becomes a problem that names the option. */
export class ValueRefused extends Error {}

/** A value that v1 took for "not given"; becomes a warning that names the option. */
export class ValueIgnored extends Error {}

/** The same options under a heading of their own in the help. */
export function underHeading<T extends OptionTable>(section: string, table: T): T {
  return Object.fromEntries(Object.entries(table).map(([key, option]) => [key, { ...option, section }])) as T;
}

type Given<S, T> = S extends { readonly required: true } ? T : T | undefined;

export function text<const S extends OptionSettings>(settings: S): Option<Given<S, string>> {
  return { ...settings, kind: 'text', repeated: false, read: lastOf };
}

export function choice<const V extends string, const S extends Omit<OptionSettings, 'values'>>(
  values: readonly V[],
  settings: S,
): Option<Given<S, V>> {
  return {
    ...settings,
    values,
    kind: 'text',
    repeated: false,
    read: (given) => {
      const value = lastOf(given);
      const known = values.find((candidate) => candidate.toLowerCase() === value.toLowerCase());
      if (known === undefined) throw new ValueRefused(`${JSON.stringify(value)} is none of ${values.join(', ')}.`);
      return known;
    },
  };
}

export function texts(settings: OptionSettings): Option<readonly string[] | undefined> {
  return { ...settings, kind: 'text', repeated: true, read: (given) => given };
}

export function flag(settings: OptionSettings): Option<boolean | undefined> {
  return { ...settings, kind: 'flag', repeated: false, read: readBoolean };
}

export function boolean(settings: OptionSettings): Option<boolean | undefined> {
  return { ...settings, kind: 'boolean', placeholder: 'true|false', repeated: false, read: readBoolean };
}

export function integer<const S extends OptionSettings>(settings: S): Option<Given<S, number>> {
  return {
    placeholder: 'N',
    ...settings,
    kind: 'number',
    repeated: false,
    read: (given) => readNumber(given, /^[+-]?\d+$/, 'a whole number'),
  };
}

export function number(settings: OptionSettings): Option<number | undefined> {
  const pattern = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  return {
    placeholder: 'N',
    ...settings,
    kind: 'number',
    repeated: false,
    read: (given) => readNumber(given, pattern, 'a number'),
  };
}

/** `KEY=VALUE`, split at the first `=`, as v1 did. */
export function pairs(settings: OptionSettings): Option<Readonly<Record<string, string>> | undefined> {
  return {
    placeholder: 'KEY=VALUE',
    ...settings,
    kind: 'pairs',
    repeated: true,
    read: (given) => Object.fromEntries(given.map(splitPair)),
  };
}

/** `KEY` or `KEY=VALUE`: what a listing must have. */
export interface Filter {
  readonly key: string;
  readonly value?: string;
}

export function filters(settings: OptionSettings): Option<readonly Filter[] | undefined> {
  return {
    placeholder: 'KEY[=VALUE]',
    ...settings,
    kind: 'pairs',
    repeated: true,
    read: (given) =>
      given.map((entry) => {
        const at = entry.indexOf('=');
        return at < 0 ? { key: entry } : { key: entry.slice(0, at), value: entry.slice(at + 1) };
      }),
  };
}

/** The long name of a table key: `inferenceConfigFile` is `inference-config-file`. */
export function longName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function lastOf(given: readonly string[]): string {
  return given.at(-1) ?? '';
}

/** v1 read `true` and `false` in any case; anything else was "not given". */
function readBoolean(given: readonly string[]): boolean {
  const value = lastOf(given).toLowerCase();
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw new ValueIgnored(
    `${JSON.stringify(lastOf(given))} is neither true nor false, so it counts as not given, as in v1.`,
  );
}

function readNumber(given: readonly string[], pattern: RegExp, what: string): number {
  const value = lastOf(given).trim();
  const result = Number(value);
  if (!pattern.test(value) || !Number.isFinite(result))
    throw new ValueRefused(`${JSON.stringify(lastOf(given))} is not ${what}.`);
  return result;
}

function splitPair(entry: string): [string, string] {
  const at = entry.indexOf('=');
  if (at < 1) throw new ValueRefused(`${JSON.stringify(entry)} is not of the form KEY=VALUE.`);
  return [entry.slice(0, at), entry.slice(at + 1)];
}
