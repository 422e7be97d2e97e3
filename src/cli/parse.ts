import type { Problem } from '../contract/problem.ts';
import { longName, type Option, type OptionTable, ValueIgnored, ValueRefused } from './option.ts';
import { type Given, tokenize } from './tokenize.ts';

export interface Parsed {
  /** By table key; absent when not given. Typed by the table's own readers. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Everything that is wrong, and warnings; all of it, not the first. */
  readonly problems: readonly Problem[];
}

/** Reads the text of `@FILE`. @throws AksmlError */
export type ReadFileArgument = (path: string) => Promise<string>;

/** Arguments after the command's own words, by its option table. */
export async function parseOptions(
  table: OptionTable,
  argv: readonly string[],
  readFile: ReadFileArgument,
): Promise<Parsed> {
  const { given, problems } = tokenize(table, argv);
  const values: Record<string, unknown> = {};
  for (const raw of given.values()) {
    const outcome = await readValue(raw, readFile);
    if ('problem' in outcome) problems.push(outcome.problem);
    else {
      values[raw.key] = outcome.value;
      problems.push(...effectOf(raw, outcome.value));
    }
    if (raw.texts.length > 1 && !raw.option.repeated) {
      problems.push({
        severity: 'warning',
        code: 'option.repeated',
        path: raw.flag,
        message: `${raw.flag} is given ${raw.texts.length} times; the last one counts.`,
      });
    }
  }
  for (const [key, option] of Object.entries(table)) {
    if (option.required && !given.has(key)) problems.push(missing(key, option));
  }
  return { values, problems };
}

async function readValue(
  { option, flag, texts }: Given,
  readFile: ReadFileArgument,
): Promise<{ readonly value: unknown } | { readonly problem: Problem }> {
  try {
    const expanded = option.fromFile
      ? await Promise.all(texts.map((text) => (text.startsWith('@') ? readFile(text.slice(1)) : text)))
      : texts;
    // An editor ends a file with a line break; a key has none.
    if (option.secret) return { value: option.read(expanded.map((text) => text.replace(/\r?\n$/, ''))) };
    return { value: option.read(expanded) };
  } catch (error) {
    if (error instanceof ValueRefused)
      return { problem: { severity: 'error', code: 'option.valueInvalid', path: flag, message: error.message } };
    if (error instanceof ValueIgnored)
      return { problem: { severity: 'warning', code: 'option.valueIgnored', path: flag, message: error.message } };
    throw error;
  }
}

/** A false boolean asks for nothing, so it needs no word about what it cannot have. */
function effectOf({ option, flag }: Given, value: unknown): Problem[] {
  if (!option.effect || value === false) return [];
  return option.effect.kind === 'refused'
    ? [
        {
          severity: 'error',
          code: 'option.refused',
          path: flag,
          message: `${flag} cannot be used: ${option.effect.reason}.`,
        },
      ]
    : [
        {
          severity: 'warning',
          code: 'option.noEffect',
          path: flag,
          message: `${flag} has no effect: ${option.effect.reason}.`,
        },
      ];
}

function missing(key: string, option: Option<unknown>): Problem {
  const name = option.positional ? (option.placeholder ?? key.toUpperCase()) : displayName(key, option);
  return {
    severity: 'error',
    code: 'option.missing',
    path: name,
    message: `${name} is required.`,
    remedy: option.help,
  };
}

/** `--name/-n`, v1's way to name an option in messages. */
export function displayName(key: string, option: Option<unknown>): string {
  return [`--${longName(key)}`, ...(option.aliases ?? []).map((alias) => `-${alias}`)].join('/');
}
