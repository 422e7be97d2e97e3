import type { Command } from './command.ts';
import { COMMAND_GROUPS, type CommandGroup } from './commands.ts';
import type { CommandContext } from './context.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';
import { type Completes, longName, type Option, type OptionTable } from './option.ts';
import { printable } from './printable.ts';
import { tokenize } from './tokenize.ts';

interface Candidate {
  readonly text: string;
  readonly description?: string;
}

/** Looks up names that exist, for values such as a model's id. */
export type LookUp = (what: Completes) => Promise<readonly string[]>;

/** What the scripts of `aksml completion` print for the words up to the cursor, of which the last is being typed. */
export async function complete(words: readonly string[], lookUp: LookUp): Promise<string> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const answer = await answerFor(before, current, lookUp);
  if (typeof answer === 'string') return `${answer}\n`;
  return answer
    .filter(({ text }) => text.startsWith(current))
    .map(({ text, description }) => `${printable(text)}${description === undefined ? '' : `\t${description}`}\n`)
    .join('');
}

async function answerFor(
  before: readonly string[],
  current: string,
  lookUp: LookUp,
): Promise<readonly Candidate[] | string> {
  let groups: readonly CommandGroup[] = COMMAND_GROUPS;
  for (let depth = 0; ; depth += 1) {
    const word = before[depth];
    if (word === undefined)
      return groups.map(({ words, summary }) => ({ text: words[depth] ?? '', description: summary }));
    groups = groups.filter((group) => group.words[depth] === word);
    const [group] = groups;
    if (!group) return [];
    if (group.words.length === depth + 1) return inGroup(await group.load(), before.slice(depth + 1), current, lookUp);
  }
}

async function inGroup(
  commands: readonly Command[],
  before: readonly string[],
  current: string,
  lookUp: LookUp,
): Promise<readonly Candidate[] | string> {
  const only = commands.find(({ name }) => name === '');
  if (only) return inCommand(only, before, current, lookUp);
  const [first, second, ...rest] = before;
  if (first === undefined) return nextWords(commands, 0);
  const command = commands.find(({ name }) => name === first);
  if (command) return inCommand(command, before.slice(1), current, lookUp);
  const narrower = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (second === undefined) return nextWords(narrower, 1);
  const ofTwoWords = narrower.find(({ name }) => name === `${first} ${second}`);
  return ofTwoWords ? inCommand(ofTwoWords, rest, current, lookUp) : [];
}

function nextWords(commands: readonly Command[], index: number): Candidate[] {
  return commands.map(({ name, summary }) => ({ text: name.split(' ')[index] ?? '', description: summary }));
}

async function inCommand(
  command: Command,
  before: readonly string[],
  current: string,
  lookUp: LookUp,
): Promise<readonly Candidate[] | string> {
  const table: OptionTable = { ...GLOBAL_OPTIONS, ...command.options };
  const { given, problems } = tokenize(table, before);
  const waiting =
    problems.find(({ code }) => code === 'option.valueMissing')?.path ?? lastBoolean(table, before, current);
  if (waiting !== undefined) {
    const option = optionOf(table, waiting);
    return option ? valuesOf(option, '', lookUp) : [];
  }
  const attached = /^(--?[^=]+)=/.exec(current);
  if (attached?.[1] !== undefined) {
    const option = optionOf(table, attached[1]);
    return option ? valuesOf(option, `${attached[1]}=`, lookUp) : [];
  }
  const place = Object.entries(command.options).find(([key, { positional }]) => positional && !given.has(key));
  if (place && !current.startsWith('-')) return valuesOf(place[1], '', lookUp);
  return Object.entries({ ...command.options, ...GLOBAL_OPTIONS, ...command.options })
    .filter(([key, option]) => !option.positional && !option.effect && (option.repeated || !given.has(key)))
    .map(([key, option]) => ({ text: `--${longName(key)}`, description: option.help }));
}

/** A boolean may stand alone, but is mostly followed by its value. */
function lastBoolean(table: OptionTable, before: readonly string[], current: string): string | undefined {
  const last = before.at(-1);
  if (last === undefined || !last.startsWith('-') || last.includes('=') || current.startsWith('-')) return undefined;
  return optionOf(table, last)?.kind === 'boolean' ? last : undefined;
}

function optionOf(table: OptionTable, written: string): Option<unknown> | undefined {
  // Given a value, the option reads back as itself.
  const [found] = tokenize(table, [written, 'x']).given.values();
  return found?.option;
}

async function valuesOf(
  option: Option<unknown>,
  prefix: string,
  lookUp: LookUp,
): Promise<readonly Candidate[] | string> {
  const values = option.kind === 'boolean' ? ['true', 'false'] : option.values;
  if (values) return values.map((text) => ({ text: prefix + text }));
  if (option.completes === 'file') return ':files';
  if (option.completes === 'folder') return ':folders';
  return option.completes === undefined
    ? []
    : (await lookUp(option.completes)).map((text) => ({ text: prefix + text }));
}

/** What the workspace knows. A mistake here must not disturb the person who types. */
export async function lookUpNames(context: CommandContext, what: Completes): Promise<readonly string[]> {
  try {
    if (what === 'computeTarget') {
      return (await (await context.session()).listTargets(context.run.signal)).map(({ name }) => name);
    }
    const engine = await context.engine();
    switch (what) {
      case 'model': {
        const { listModels } = await import('../engine/models/models.ts');
        return (await listModels(engine)).flatMap(({ id, name, version }) => (version === 1 ? [name, id] : [id]));
      }
      case 'environment': {
        const { listEnvironments } = await import('../engine/environments/registered.ts');
        return [...new Set((await listEnvironments(engine)).map(({ name }) => name))];
      }
      case 'service':
        return serviceNames(context);
      default:
        return [];
    }
  } catch {
    return [];
  }
}

/** On every compute target that answers. */
async function serviceNames({ session, run }: CommandContext): Promise<string[]> {
  const { found } = await (await session()).listEndpoints(undefined, run.signal);
  return [...new Set(found.flatMap(({ endpoints }) => endpoints.map(({ metadata }) => metadata.name)))];
}
