import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** A program call as data: builders make it, a {@link RunCommand} runs it. Secrets go into `env`, never into `args`. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface CommandResult {
  /** 127 when the program could not be started, as in a shell; the reason is then in `stderr`. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunCommandOptions {
  readonly signal?: AbortSignal | undefined;
  /** The program is ended after this many milliseconds. */
  readonly timeoutMs?: number;
  /** Each line of its error output, as it comes. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Each line of its output. */
  readonly onOutput?: ((line: string) => void) | undefined;
}

export type RunCommand = (command: Command, options?: RunCommandOptions) => Promise<CommandResult>;

const NOT_STARTED = 127;

/** @throws the signal's reason when aborted */
export const runCommand: RunCommand = async (command, options = {}) => {
  options.signal?.throwIfAborted();
  const child = start(command, options);
  if (child instanceof Error) return { exitCode: NOT_STARTED, stdout: '', stderr: child.message };
  const ended = new Promise<{ readonly exitCode: number; readonly failure: string }>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: NOT_STARTED, failure: error.message }));
    child.once('close', (code) => resolve({ exitCode: code ?? 1, failure: '' }));
  });
  const [stdout, stderr, { exitCode, failure }] = await Promise.all([
    collect(child.stdout, options.onOutput),
    collect(child.stderr, options.onLine),
    ended,
  ]);
  options.signal?.throwIfAborted();
  return { exitCode, stdout, stderr: stderr + failure };
};

/** Node reports some failures to start by an event, and others, such as a path through a file, by throwing. */
function start(command: Command, options: RunCommandOptions): ChildProcessByStdio<null, Readable, Readable> | Error {
  try {
    return spawn(command.command, command.args, {
      env: { ...command.env },
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function collect(stream: Readable, onLine?: (line: string) => void): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    lines.push(line);
    onLine?.(line);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
