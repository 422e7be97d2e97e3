import { AksmlError } from '../contract/error.ts';
import type { Command } from './command.ts';
import type { CommandGroup } from './commands.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';
import { suggest } from './suggest.ts';
import { tokenize } from './tokenize.ts';

/** What the words at the beginning of a command line lead to; `rest` are the arguments that remain. */
export type Found =
  | { readonly kind: 'nothing'; readonly rest: readonly string[] }
  | {
      readonly kind: 'group';
      readonly group: CommandGroup;
      readonly commands: readonly Command[];
      readonly rest: readonly string[];
    }
  | {
      readonly kind: 'command';
      readonly group: CommandGroup;
      readonly command: Command;
      readonly rest: readonly string[];
    };

/** Global options may stand before and between the words. @throws AksmlError `command.unknown` */
export async function findCommand(groups: readonly CommandGroup[], argv: readonly string[]): Promise<Found> {
  const words = new Words(argv);
  let candidates = groups;
  for (let depth = 0; ; depth += 1) {
    const word = words.next();
    if (word === undefined) return { kind: 'nothing', rest: words.rest() };
    const narrower = candidates.filter((group) => group.words[depth] === word);
    if (narrower.length === 0)
      throw unknownCommand(
        candidates.map((group) => group.words.slice(0, depth + 1).join(' ')),
        word,
      );
    candidates = narrower;
    const [group] = narrower;
    if (group?.words.length === depth + 1) return findInGroup(group, words);
  }
}

async function findInGroup(group: CommandGroup, words: Words): Promise<Found> {
  const commands = await group.load();
  const only = commands.find(({ name }) => name === '');
  if (only) return { kind: 'command', group, command: only, rest: words.rest() };
  const word = words.next();
  if (word === undefined) return { kind: 'group', group, commands, rest: words.rest() };
  const command = commands.find(({ name }) => name === word);
  if (command) return { kind: 'command', group, command, rest: words.rest() };
  return findOfTwoWords(group, commands, word, words);
}

/** Such as `attach kubernetes`. */
function findOfTwoWords(group: CommandGroup, all: readonly Command[], first: string, words: Words): Found {
  const commands = all.filter(({ name }) => name.startsWith(`${first} `));
  const fullName = ({ name }: Command) => [...group.words, name].join(' ');
  const firstWords = all.map(({ name }) => [...group.words, name.split(' ', 1)[0]].join(' '));
  if (commands.length === 0) throw unknownCommand(firstWords, first);
  const second = words.next();
  if (second === undefined) return { kind: 'group', group, commands, rest: words.rest() };
  const command = commands.find(({ name }) => name === `${first} ${second}`);
  if (!command) throw unknownCommand(commands.map(fullName), second);
  return { kind: 'command', group, command, rest: words.rest() };
}

/** Takes words from the front and keeps the options that stand between them. */
class Words {
  readonly #argv: readonly string[];
  readonly #options: string[] = [];
  #index = 0;

  constructor(argv: readonly string[]) {
    this.#argv = argv;
  }

  next(): string | undefined {
    for (;;) {
      const token = this.#argv[this.#index];
      if (token === undefined || token === '--') return undefined;
      this.#index += 1;
      if (!token.startsWith('-') || token === '-') return token;
      this.#options.push(token);
      // An option that stands alone and wants a value: the value is no word.
      const value = this.#argv[this.#index];
      if (value !== undefined && takesValue(token)) {
        this.#options.push(value);
        this.#index += 1;
      }
    }
  }

  rest(): readonly string[] {
    return [...this.#options, ...this.#argv.slice(this.#index)];
  }
}

function takesValue(token: string): boolean {
  return tokenize(GLOBAL_OPTIONS, [token]).problems.some(({ code }) => code === 'option.valueMissing');
}

function unknownCommand(known: readonly string[], word: string): AksmlError {
  const before = (known[0] ?? '').split(' ').slice(0, -1);
  const meant = suggest(word, [...new Set(known.map((name) => name.split(' ').at(-1) ?? ''))]).map((name) =>
    [...before, name].join(' '),
  );
  return new AksmlError('command.unknown', `There is no command "aksml ${[...before, word].join(' ')}".`, {
    fault: 'input',
    remedy:
      meant.length > 0
        ? `Did you mean "aksml ${meant.join('" or "aksml ')}"?`
        : `See "${['aksml', ...before].join(' ')} --help" for the commands.`,
  });
}
