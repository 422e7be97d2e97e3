import { once } from 'node:events';
import { join } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AksmlError } from '../contract/error.ts';
import { asAksmlError, EXIT, exitCodeOf, renderError } from './failure.ts';
import type { Host } from './host.ts';
import { runCommandLine } from './run.ts';
import { type Sink, showsUnicode, type Terminal, wantsColor } from './terminal.ts';

/** Set by the bundler. */
declare const AKSML_VERSION: string | undefined;

const TIDY_MS = 10_000;
const bundled = typeof AKSML_VERSION === 'string';
const abort = new AbortController();
const terminal: Terminal = {
  out: sinkOf(process.stdout),
  error: sinkOf(process.stderr),
  unicode: showsUnicode(process.env, process.platform),
};

silenceSqliteWarning();
endQuietlyWhenNobodyReads();
cancelOnSignals();
for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, endWith);

const host: Host = {
  environment: process.env,
  cwd: process.cwd(),
  platform: process.platform,
  terminal,
  signal: abort.signal,
  now: () => performance.now(),
  version: typeof AKSML_VERSION === 'string' ? AKSML_VERSION : 'from source',
  supervisorCommand: [
    process.execPath,
    bundled
      ? join(import.meta.dirname, 'supervisor.js')
      : join(import.meta.dirname, '..', 'local', 'supervisor-main.ts'),
  ],
  readInput: async () => buffer(addAbortSignal(abort.signal, process.stdin)),
  ask,
};

void main();

async function main(): Promise<void> {
  const code = await runCommandLine(process.argv.slice(2), host, async (forHost, globals) => {
    const { openContext } = await import('./context.ts');
    return openContext(forHost, globals);
  });
  await flushed(process.stdout);
  await flushed(process.stderr);
  process.exit(code);
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  return {
    write: (text) => stream.write(text),
    drained: () => (stream.writableNeedDrain ? untilDrained(stream) : undefined),
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.columns || 80;
    },
    color: wantsColor(process.env, stream.isTTY === true),
  };
}

/** The first signal cancels and lets the command tidy up; the second ends it at once, as does what cannot be cancelled after a while. */
function cancelOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) endAtOnce();
      abort.abort(AksmlError.cancelled('The command'));
      setTimeout(endAtOnce, TIDY_MS).unref();
    });
  }
}

/** Which the shell reports as 130. Exiting would wait for file operations, such as opening a pipe that nobody writes to. */
function endAtOnce(): void {
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}

/** `aksml model list | head -1` ends the pipe early, which is no error. */
function endQuietlyWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  process.stderr.on('error', () => undefined);
}

/** Node 22 calls its SQLite experimental; the person at the terminal can do nothing about it. */
function silenceSqliteWarning(): void {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (/\bSQLite\b/.test(typeof warning === 'string' ? warning : warning.message)) return;
    Reflect.apply(emit, process, [warning, ...rest]);
  };
}

async function ask(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const { createInterface } = await import('node:readline/promises');
  // Without its line editor, Ctrl+C stays a signal.
  const reader = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    return await reader.question(question, { signal: abort.signal });
  } finally {
    reader.close();
  }
}

/** A defect: nothing may be thrown past the command. */
function endWith(thrown: unknown): void {
  const error = asAksmlError(thrown);
  process.stderr.write(renderError(error, terminal, { debug: process.argv.includes('--debug') }));
  process.exit(exitCodeOf(error));
}

/** Pipes of some systems are written in the background. */
async function untilDrained(stream: NodeJS.WriteStream): Promise<void> {
  await once(stream, 'drain', { signal: abort.signal }).catch(() => undefined);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
