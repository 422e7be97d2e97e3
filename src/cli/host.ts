import type { Terminal } from './terminal.ts';

/** What the process around the command line lends to it; tests bring their own. */
export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  readonly terminal: Terminal;
  /** Aborts with Ctrl+C. */
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Of aksml. */
  readonly version: string;
  /** Executable and arguments that start the supervisor of the embedded target. */
  readonly supervisorCommand: readonly string[];
  /** All of standard input. */
  readInput(): Promise<Uint8Array>;
  /** Asks at the terminal; undefined where nobody can answer. */
  ask(question: string): Promise<string | undefined>;
}
