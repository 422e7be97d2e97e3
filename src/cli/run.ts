import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import type { Problem } from '../contract/problem.ts';
import type { Command } from './command.ts';
import { COMMAND_GROUPS, type CommandGroup } from './commands.ts';
import type { CommandContext } from './context.ts';
import { asAksmlError, EXIT, exitCodeOf, renderError } from './failure.ts';
import { findCommand } from './find-command.ts';
import { GLOBAL_OPTIONS, type GlobalOptions } from './global-options.ts';
import { commandHelp, groupHelp, overview } from './help.ts';
import type { Host } from './host.ts';
import { FORMATS, type Format, writeResult } from './output.ts';
import { parseOptions } from './parse.ts';
import type { Terminal } from './terminal.ts';
import { tokenize } from './tokenize.ts';

export type OpenContext = (host: Host, globals: GlobalOptions) => Promise<CommandContext>;

/** Runs one command line and returns its exit code: 0 done, 1 failed, 2 bad input, 130 cancelled. Never throws. */
export async function runCommandLine(argv: readonly string[], host: Host, open: OpenContext): Promise<number> {
  const wishes = presentation(argv);
  const shown: Host = wishes.noColor ? { ...host, terminal: withoutColor(host.terminal) } : host;
  try {
    return await dispatch(argv, shown, open);
  } catch (thrown) {
    const error = asAksmlError(thrown);
    shown.terminal.error.write(renderError(error, shown.terminal, wishes));
    return exitCodeOf(error);
  }
}

async function dispatch(argv: readonly string[], host: Host, open: OpenContext): Promise<number> {
  const { out, error } = host.terminal;
  if (argv[0] === '__complete') return answerShell(argv.slice(1), host, open);
  const found = await findCommand(COMMAND_GROUPS, argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv);
  switch (found.kind) {
    case 'nothing':
      if (['--version', '-V'].includes(found.rest[0] ?? '')) out.write(`aksml ${host.version}\n`);
      else if (found.rest.length === 0 || wantsHelp(found.rest)) out.write(overview(out));
      else throw usageError(tokenize(GLOBAL_OPTIONS, found.rest).problems, 'aksml');
      return EXIT.done;
    case 'group': {
      if (wantsHelp(found.rest)) {
        out.write(groupHelp(found.group, found.commands, out));
        return EXIT.done;
      }
      error.write(groupHelp(found.group, found.commands, error));
      return EXIT.input;
    }
    case 'command':
      if (wantsHelp(found.rest)) {
        out.write(commandHelp(found.group, found.command, GLOBAL_OPTIONS, out));
        return EXIT.done;
      }
      return runCommand(found.group, found.command, found.rest, host, open);
    default:
      return found satisfies never;
  }
}

async function runCommand(
  group: CommandGroup,
  command: Command,
  argv: readonly string[],
  host: Host,
  open: OpenContext,
): Promise<number> {
  const parsed = await parseOptions({ ...GLOBAL_OPTIONS, ...command.options }, argv, (path) =>
    readArgumentFile(path, host),
  );
  if (parsed.problems.some(({ severity }) => severity === 'error')) {
    throw usageError(parsed.problems, ['aksml', ...group.words, command.name].join(' ').trim());
  }
  const globals = parsed.values as GlobalOptions;
  const context = await open(host, globals);
  try {
    for (const problem of parsed.problems) context.warn(problem);
    const result = await command.run(context, parsed.values);
    context.progress.close();
    await writeResult(
      result,
      {
        ...(globals.output === undefined ? {} : { format: globals.output }),
        ...(globals.query === undefined ? {} : { query: globals.query }),
      },
      host.terminal,
    );
    return result.kind === 'text' ? EXIT.done : (result.exitCode ?? EXIT.done);
  } finally {
    context.progress.close();
  }
}

/** Asked by the scripts of `aksml completion`. */
async function answerShell(argv: readonly string[], host: Host, open: OpenContext): Promise<number> {
  const { complete, lookUpNames } = await import('./complete.ts');
  const current = argv[0]?.startsWith('--current=') ? [argv[0].slice('--current='.length)] : [];
  const words = [...argv.slice(argv.indexOf('--') + 1), ...current];
  host.terminal.out.write(
    await complete(words, async (what) => lookUpNames(await open(host, {} as GlobalOptions), what)),
  );
  return EXIT.done;
}

function wantsHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((token) => token === '--help' || token === '-h');
}

function usageError(problems: readonly Problem[], name: string): AksmlError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  return new AksmlError(
    'usage',
    errors.length === 1 && first ? first.message : `${errors.length} things are wrong with the command line.`,
    {
      fault: 'input',
      problems,
      remedy: `See "${name} --help".`,
    },
  );
}

interface Presentation {
  readonly format?: Format;
  readonly debug: boolean;
  readonly noColor: boolean;
}

/** How errors are to be shown must be known even when the command line cannot be understood. */
function presentation(argv: readonly string[]): Presentation {
  const { given } = tokenize(GLOBAL_OPTIONS, argv);
  const wished = given.get('output')?.texts.at(-1)?.toLowerCase();
  const format = FORMATS.find((candidate) => candidate === wished);
  return { debug: given.has('debug'), noColor: given.has('noColor'), ...(format === undefined ? {} : { format }) };
}

function withoutColor(terminal: Terminal): Terminal {
  return { ...terminal, out: { ...terminal.out, color: false }, error: { ...terminal.error, color: false } };
}

/** The text for `@FILE`; `-` is standard input. */
async function readArgumentFile(path: string, host: Host): Promise<string> {
  if (path === '-') return Buffer.from(await host.readInput()).toString('utf8');
  const content = await readFile(resolve(host.cwd, path)).catch((cause: unknown) => {
    throw new AksmlError('file.unreadable', `The file ${JSON.stringify(path)} of @${path} cannot be read.`, {
      fault: 'input',
      subject: path,
      cause,
      remedy: 'Check the path after "@"; it starts from the current folder.',
    });
  });
  return content.toString('utf8').replace(/^\ufeff/, '');
}
