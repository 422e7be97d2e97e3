import type { CommandContext } from './context.ts';
import { configurationOf } from './deploying.ts';
import { EXIT, renderProblem } from './failure.ts';
import type { Result } from './result.ts';

interface ValidateOptions {
  readonly inferenceConfigFile: string | undefined;
  readonly deployConfigFile: string | undefined;
}

/** People get the problems as sentences; programs get `{valid, problems, spec}`. */
export async function validateConfiguration(context: CommandContext, options: ValidateOptions): Promise<Result> {
  const { valid, problems, spec } = await configurationOf(context, options);
  const exitCode = valid ? EXIT.done : EXIT.input;
  if (
    context.globals.output !== undefined ||
    context.globals.query !== undefined ||
    !context.host.terminal.out.isTerminal
  ) {
    return { kind: 'value', value: { valid, problems, spec }, exitCode };
  }
  for (const problem of problems) context.host.terminal.out.write(`${renderProblem(problem, context.host.terminal)}\n`);
  context.host.terminal.out.write(valid ? 'The configuration is valid.\n' : 'The configuration would be refused.\n');
  return { kind: 'nothing', exitCode };
}

export async function printSchema(file: 'inferenceconfig' | 'deploymentconfig'): Promise<Result> {
  const { configurationSchema } = await import('../engine/config/schema.ts');
  return { kind: 'value', value: configurationSchema(file), view: { kind: 'json' } };
}
