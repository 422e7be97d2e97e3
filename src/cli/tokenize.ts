import type { Problem } from '../contract/problem.ts';
import { longName, type Option, type OptionTable } from './option.ts';
import { suggest } from './suggest.ts';

/** An option with the texts given for it. */
export interface Given {
  readonly key: string;
  readonly option: Option<unknown>;
  /** As the user wrote it, for messages. */
  readonly flag: string;
  readonly texts: string[];
}

/** Sorts the arguments to their options without reading the values. */
export function tokenize(
  table: OptionTable,
  argv: readonly string[],
): { readonly given: ReadonlyMap<string, Given>; readonly problems: Problem[] } {
  const tokenizer = new Tokenizer(table, argv);
  tokenizer.run();
  return tokenizer;
}

class Tokenizer {
  readonly given = new Map<string, Given>();
  /** Worded only when they are asked for: of the options of all commands alone, a command's own are unknown. */
  readonly #problems: (() => Problem)[] = [];
  readonly #table: OptionTable;
  readonly #names: NameIndex;
  readonly #argv: readonly string[];
  readonly #places: readonly [key: string, option: Option<unknown>][];
  #index = 0;
  #words = 0;

  constructor(table: OptionTable, argv: readonly string[]) {
    this.#table = table;
    this.#names = nameIndex(table);
    this.#argv = argv;
    this.#places = Object.entries(table).filter(([, { positional }]) => positional);
  }

  get problems(): Problem[] {
    return this.#problems.map((word) => word());
  }

  run(): void {
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token === '--') this.#allWords();
      else if (looksLikeOption(token)) this.#option(token);
      else this.#word(token);
    }
  }

  #take(): string | undefined {
    const token = this.#argv[this.#index];
    this.#index += 1;
    return token;
  }

  #allWords(): void {
    for (let word = this.#take(); word !== undefined; word = this.#take()) this.#word(word);
  }

  #option(token: string): void {
    const match = matchOption(this.#names, token);
    if ('problem' in match) {
      this.#problems.push(match.problem);
      // The value of an unknown option is not a word out of place.
      const next = this.#argv[this.#index];
      if (!token.includes('=') && next !== undefined && !looksLikeOption(next)) this.#index += 1;
      return;
    }
    for (const { key, flag, value } of match.found) {
      const option = this.#table[key];
      if (option) this.#add(key, option, flag, value ?? this.#valueFor(option, flag));
    }
  }

  #valueFor(option: Option<unknown>, flag: string): string | undefined {
    const next = this.#argv[this.#index];
    if (isSwitch(option)) return this.#isForSwitch(option, next) ? this.#take() : 'true';
    // A text may begin with a dash, unless it is one of this command's own options.
    if (next !== undefined && !(looksLikeOption(next) && 'found' in matchOption(this.#names, next)))
      return this.#take();
    this.#problems.push(() => valueMissing(option, flag));
    return undefined;
  }

  #isForSwitch(option: Option<unknown>, next: string | undefined): boolean {
    if (next === undefined || looksLikeOption(next)) return false;
    // v1's booleans always had a text after them, whatever it said.
    return /^(true|false)$/i.test(next) || (option.kind === 'boolean' && this.#places.length === 0);
  }

  #add(key: string, option: Option<unknown>, flag: string, value: string | undefined): void {
    if (value === undefined) return;
    const known = this.given.get(key);
    if (known) known.texts.push(value);
    else this.given.set(key, { key, option, flag, texts: [value] });
  }

  #word(word: string): void {
    const place = this.#places[this.#words];
    this.#words += 1;
    if (place) this.#add(place[0], place[1], place[1].placeholder ?? place[0], word);
    else this.#problems.push(() => unexpected(word));
  }
}

function looksLikeOption(token: string): boolean {
  return token.length > 1 && token.startsWith('-') && !/^-\d/.test(token);
}

function isSwitch(option: Option<unknown>): boolean {
  return option.kind === 'flag' || option.kind === 'boolean';
}

type NameIndex = ReadonlyMap<string, { readonly key: string; readonly long: boolean; readonly isSwitch: boolean }>;

function nameIndex(table: OptionTable): NameIndex {
  const index = new Map<string, { key: string; long: boolean; isSwitch: boolean }>();
  for (const [key, option] of Object.entries(table)) {
    if (option.positional) continue;
    const entry = { key, isSwitch: isSwitch(option) };
    index.set(longName(key), { ...entry, long: true });
    for (const alias of option.aliases ?? []) index.set(alias, { ...entry, long: false });
  }
  return index;
}

interface Match {
  readonly key: string;
  readonly flag: string;
  /** The text attached to the option: `--name=x`, `-oJSON`. */
  readonly value?: string;
}

function matchOption(
  names: NameIndex,
  token: string,
): { readonly found: readonly Match[] } | { readonly problem: () => Problem } {
  const dashes = token.startsWith('--') ? 2 : 1;
  const at = token.indexOf('=');
  const written = at < 0 ? token : token.slice(0, at);
  const value = at < 0 ? {} : { value: token.slice(at + 1) };
  const name = written.slice(dashes).replaceAll('_', '-');
  const exact = names.get(name);
  if (exact && (dashes === 2 ? name.length > 1 : !exact.long))
    return { found: [{ key: exact.key, flag: written, ...value }] };
  if (dashes === 2) return matchPrefix(names, written, name, value);
  // "-name x" would otherwise be read as "-n ame".
  if (exact?.long && name.length > 1) return { problem: () => unknown(names, written, name) };
  return matchCluster(names, token.slice(1)) ?? { problem: () => unknown(names, written, name) };
}

/** v1's parser took any unambiguous beginning of a long name; scripts rely on `--inference-config`. */
function matchPrefix(
  names: NameIndex,
  written: string,
  name: string,
  value: { readonly value?: string },
): { readonly found: readonly Match[] } | { readonly problem: () => Problem } {
  const candidates = [...names].filter(([candidate, { long }]) => long && name !== '' && candidate.startsWith(name));
  const [only] = candidates;
  if (candidates.length === 1 && only) return { found: [{ key: only[1].key, flag: `--${only[0]}`, ...value }] };
  if (candidates.length === 0) return { problem: () => unknown(names, written, name) };
  const list = candidates.map(([candidate]) => `--${candidate}`);
  return { problem: () => ambiguous(written, list) };
}

function ambiguous(written: string, list: readonly string[]): Problem {
  return {
    severity: 'error',
    code: 'option.ambiguous',
    path: written,
    message: `${written} could be any of ${list.join(', ')}.`,
    remedy: 'Write the name out.',
  };
}

/** `-oJSON` and `-yv`: one letter after the other, until one takes the rest as its value. */
function matchCluster(names: NameIndex, letters: string): { readonly found: readonly Match[] } | undefined {
  const found: Match[] = [];
  for (let index = 0; index < letters.length; index += 1) {
    const letter = letters[index] ?? '';
    const entry = names.get(letter);
    if (!entry) return undefined;
    const rest = letters.slice(index + 1);
    if (!entry.isSwitch && rest !== '') {
      found.push({ key: entry.key, flag: `-${letter}`, value: rest.replace(/^=/, '') });
      return { found };
    }
    found.push({ key: entry.key, flag: `-${letter}` });
  }
  return { found };
}

function unknown(names: NameIndex, written: string, name: string): Problem {
  const spelled = (candidate: string) =>
    names.get(candidate)?.long || candidate.length > 1 ? `--${candidate}` : `-${candidate}`;
  const meant = suggest(
    name,
    [...names.keys()].filter((candidate) => candidate.length > 1),
  ).map(spelled);
  return {
    severity: 'error',
    code: 'option.unknown',
    path: written,
    message: `There is no option ${written}.`,
    remedy: meant.length > 0 ? `Did you mean ${meant.join(' or ')}?` : 'See --help for the options of this command.',
  };
}

function valueMissing(option: Option<unknown>, flag: string): Problem {
  const example = option.values ? option.values.join('|') : (option.placeholder ?? 'VALUE');
  return {
    severity: 'error',
    code: 'option.valueMissing',
    path: flag,
    message: `${flag} needs a value.`,
    remedy: `Write ${flag} ${example}.`,
  };
}

function unexpected(word: string): Problem {
  return {
    severity: 'error',
    code: 'argument.unexpected',
    path: word,
    message: `The argument ${JSON.stringify(word)} belongs to no option.`,
    remedy: 'Put a value with spaces in quotation marks, and give each value its option.',
  };
}
