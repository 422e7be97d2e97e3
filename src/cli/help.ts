import type { Command } from './command.ts';
import { COMMAND_GROUPS, type CommandGroup, fullName } from './commands.ts';
import { longName, type Option, type OptionTable } from './option.ts';
import { paint, type Sink } from './terminal.ts';
import { wrap } from './wrap.ts';

const WIDEST = 110;
const WIDEST_LEFT = 34;

/** Everything at a glance; loads no group. */
export function overview(sink: Sink): string {
  const rows = COMMAND_GROUPS.map(({ words, summary }): readonly [string, string] => [words.join(' '), summary]);
  return sections(sink, [
    [
      wrap(
        'aksml deploys machine-learning models from Azure Machine Learning v1 projects: to this machine and to Kubernetes.',
        width(sink),
      ).join('\n'),
    ],
    ['Usage', '  aksml GROUP COMMAND [options]'],
    ['Commands', ...table(sink, rows)],
    [
      'Examples',
      ...table(sink, [
        ['aksml model register -n diabetes -p model.pkl', 'Register a model'],
        ['aksml model deploy -n diabetes -m diabetes -ic inferenceconfig.json -dc deploymentconfig.json', 'Deploy it'],
        ['aksml service run -n diabetes -d @input.json', 'Score a request'],
        ['aksml model deploy --help', 'All options of a command'],
      ]),
    ],
  ]);
}

export function groupHelp(group: CommandGroup, commands: readonly Command[], sink: Sink): string {
  return sections(sink, [
    [`aksml ${group.words.join(' ')}: ${group.summary}.`],
    [
      'Commands',
      ...table(
        sink,
        commands.map(({ name, summary }): readonly [string, string] => [name, summary]),
      ),
    ],
    [`Options and examples: aksml ${group.words.join(' ')} COMMAND --help`],
  ]);
}

export function commandHelp(group: CommandGroup, command: Command, globals: OptionTable, sink: Sink): string {
  const name = `aksml ${fullName(group, command)}`;
  return sections(sink, [
    [
      `${name}: ${command.summary}.`,
      ...(command.description === undefined ? [] : wrap(command.description, width(sink))),
    ],
    ['Usage', `  ${usage(name, command.options)}`],
    ...optionSections(command.options).map(([title, options]) => [title, ...table(sink, optionRows(options))]),
    [
      'Global options',
      ...table(sink, optionRows(Object.entries(globals).filter(([key]) => !(key in command.options)))),
    ],
    [
      'Examples',
      ...command.examples.flatMap(({ line, what }) => [`  ${paint(sink, 'dim', `# ${what}`)}`, `  ${line}`]),
    ],
  ]);
}

type Entry = readonly [key: string, option: Option<unknown>];

function optionSections(options: OptionTable): [string, Entry[]][] {
  const found = new Map<string, Entry[]>();
  for (const entry of Object.entries(options)) {
    const title = entry[1].effect ? 'Taken from v1 scripts, but without their effect' : (entry[1].section ?? 'Options');
    found.set(title, [...(found.get(title) ?? []), entry]);
  }
  return [...found].sort(([a], [b]) => rank(a) - rank(b));
}

function rank(title: string): number {
  return title === 'Options' ? 0 : title.startsWith('Taken') ? 2 : 1;
}

function usage(name: string, options: OptionTable): string {
  const entries = Object.entries(options);
  const required = entries
    .filter(([, option]) => option.required && !option.positional)
    .map(([key, option]) => `${shortest(key, option)} ${placeholder(option)}`);
  const positional = entries
    .filter(([, option]) => option.positional)
    .map(([, option]) => (option.required ? placeholder(option) : `[${placeholder(option)}]`));
  return [name, ...required, ...positional, '[options]'].join(' ');
}

function optionRows(entries: readonly Entry[]): [string, string][] {
  return entries.map(([key, option]) => {
    if (option.positional) return [placeholder(option), describe(option)];
    const names = [...(option.aliases ?? []).map((alias) => `-${alias}`), `--${longName(key)}`].join(', ');
    return [option.kind === 'flag' ? names : `${names} ${placeholder(option)}`, describe(option)];
  });
}

function describe(option: Option<unknown>): string {
  const marks = [option.required ? 'Required.' : '', option.repeated ? 'May be repeated.' : ''].filter(Boolean);
  const values = option.values ? [`One of ${option.values.join(', ')}.`] : [];
  const effect = option.effect
    ? [`${option.effect.kind === 'refused' ? 'Refused' : 'No effect'}: ${option.effect.reason}.`]
    : [];
  return [option.help, ...values, ...marks, ...effect].join(' ');
}

function placeholder(option: Option<unknown>): string {
  return option.placeholder ?? (option.completes === 'file' ? 'FILE' : 'TEXT');
}

function shortest(key: string, option: Option<unknown>): string {
  const alias = option.aliases?.[0];
  return alias === undefined ? `--${longName(key)}` : `-${alias}`;
}

function sections(sink: Sink, blocks: readonly (readonly string[])[]): string {
  return blocks
    .map(([title = '', ...lines]) =>
      [lines.length > 0 && !title.endsWith('.') ? paint(sink, 'bold', title) : title, ...lines].join('\n'),
    )
    .map((block) => `${block}\n`)
    .join('\n');
}

function width(sink: Sink): number {
  return Math.max(60, Math.min(sink.columns, WIDEST));
}

function table(sink: Sink, rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(WIDEST_LEFT, Math.max(0, ...rows.map(([cell]) => cell.length)));
  return rows.flatMap(([cell, text]) => {
    const lines = wrap(text, width(sink) - left - 4);
    const indent = ' '.repeat(left + 4);
    if (cell.length > left) return [`  ${cell}`, ...lines.map((line) => indent + line)];
    return [`  ${cell.padEnd(left)}  ${lines[0] ?? ''}`.trimEnd(), ...lines.slice(1).map((line) => indent + line)];
  });
}
