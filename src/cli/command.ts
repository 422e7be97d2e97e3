import type { CommandContext } from './context.ts';
import type { OptionsOf, OptionTable } from './option.ts';
import type { Result } from './result.ts';

export interface Example {
  readonly line: string;
  readonly what: string;
}

/** One command: its grammar and what it does. */
export interface Command<T extends OptionTable = OptionTable> {
  /** Below its group; empty for a command without a group. */
  readonly name: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** More, where one line is too little. */
  readonly description?: string;
  readonly options: T;
  readonly examples: readonly Example[];
  run(context: CommandContext, options: OptionsOf<T>): Promise<Result>;
}

/** Infers the types of the options from the table. */
export function command<const T extends OptionTable>(definition: Command<T>): Command {
  return definition;
}
