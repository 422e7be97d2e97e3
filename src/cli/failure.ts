import { AksmlError } from '../contract/error.ts';
import type { Problem, Severity } from '../contract/problem.ts';
import type { Format } from './output.ts';
import { printable, printableJson, printableLines, printableLog } from './printable.ts';
import { paint, type Style, symbols, type Terminal } from './terminal.ts';
import { wrapFor } from './wrap.ts';

export const EXIT = { done: 0, failed: 1, input: 2, cancelled: 130 } as const;

export function exitCodeOf(error: AksmlError): number {
  return EXIT[error.fault];
}

/** Any thrown value as the one error class; what is not ours is a defect of ours, or of the machine. */
export function asAksmlError(thrown: unknown): AksmlError {
  if (AksmlError.is(thrown)) return thrown;
  if (AksmlError.isCancelled(thrown)) return AksmlError.cancelled('The command');
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  return (
    machineFault(error) ??
    new AksmlError('internal', error.message || error.name, {
      cause: error,
      remedy: 'Run the command again with --debug and report what it prints.',
    })
  );
}

const MACHINE_FAULTS: Readonly<Record<string, readonly [code: string, message: string, remedy: string]>> = {
  ENOSPC: [
    'disk.full',
    'The disk is full.',
    'Free some space; "aksml gc" removes what aksml no longer needs. Then run the command again.',
  ],
  EDQUOT: [
    'disk.full',
    'The disk quota is used up.',
    'Free some space; "aksml gc" removes what aksml no longer needs. Then run the command again.',
  ],
  EACCES: ['file.denied', 'A file or folder may not be read or written.', 'Check its owner and permissions.'],
  EPERM: ['file.denied', 'A file or folder may not be changed.', 'Check its owner and permissions.'],
  EROFS: ['disk.readOnly', 'The disk is read-only.', 'Set AKSML_HOME to a folder that can be written.'],
  EMFILE: ['files.tooMany', 'Too many files are open.', 'Raise the limit (ulimit -n) and run the command again.'],
};

function machineFault(error: Error): AksmlError | undefined {
  const code = 'code' in error ? String(error.code) : '';
  const known = MACHINE_FAULTS[code];
  if (!known) return undefined;
  const path = 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  return new AksmlError(known[0], known[1], {
    remedy: known[2],
    cause: error,
    ...(path === undefined ? {} : { subject: path }),
  });
}

/** What failed, why, what to do, every problem with its place, and the log that shows it. The same facts as JSON when JSON was asked for. */
export function renderError(
  error: AksmlError,
  terminal: Terminal,
  wishes: { readonly format?: Format; readonly debug?: boolean },
): string {
  if (wishes.format === 'json' || wishes.format === 'jsonc') {
    const origin = wishes.debug ? { stack: stackOf(error) } : {};
    return `${printableJson(JSON.stringify({ error: { ...error.toJSON(), ...origin } }))}\n`;
  }
  const { error: sink, unicode } = terminal;
  const lines: string[] = [];
  const single = error.problems.filter(({ severity }) => severity === 'error');
  const only = single.length === 1 ? single[0] : undefined;
  const repeatsProblem = only !== undefined && only.message === error.message;
  if (!repeatsProblem) {
    const label = paint(sink, ['bold', 'red'], error.fault === 'cancelled' ? 'Cancelled:' : 'Error:');
    lines.push(wrapFor(sink, `${label} ${printableLines(error.message, unicode)}${subjectOf(error, unicode)}`));
  }
  for (const problem of error.problems) lines.push(renderProblem(problem, terminal));
  if (error.logTail.length > 0) {
    const bar = paint(sink, 'dim', symbols(unicode).bar);
    lines.push(...error.logTail.map((line) => `  ${bar} ${printableLog(line, sink.color, unicode)}`));
  }
  if (error.remedy !== undefined && error.remedy !== only?.remedy)
    lines.push(wrapFor(sink, printableLines(error.remedy, unicode)));
  if (wishes.debug) lines.push(paint(sink, 'dim', printableLines(stackOf(error), unicode)));
  return lines.map((line) => `${line}\n`).join('');
}

/** What it is about, unless the message says so, as it is or in quotation marks. */
function subjectOf({ subject, message }: AksmlError, unicode: boolean): string {
  if (subject === undefined || message.includes(subject.split('/').at(-1) ?? '')) return '';
  return message.includes(JSON.stringify(subject)) ? '' : ` (${printable(subject, unicode)})`;
}

const LABELS: Readonly<Record<Severity, readonly [label: string, style: Style]>> = {
  error: ['Error', 'red'],
  warning: ['Warning', 'yellow'],
  notice: ['Note', 'cyan'],
};

/** `Warning: deploymentconfig.json:4 autoScaler.minReplicas: what and why. What to do.` */
export function renderProblem(problem: Problem, { error: sink, unicode }: Terminal): string {
  const [label, style] = LABELS[problem.severity];
  const place = [problem.file && `${problem.file}${problem.line === undefined ? '' : `:${problem.line}`}`, problem.path]
    .filter(Boolean)
    .join(' ');
  const named = problem.path !== undefined && problem.file === undefined && problem.message.includes(problem.path);
  const where = place === '' || named ? '' : `${paint(sink, 'bold', printable(place, unicode))}: `;
  const remedy = problem.remedy === undefined ? '' : ` ${problem.remedy}`;
  return wrapFor(
    sink,
    `${paint(sink, ['bold', style], `${label}:`)} ${where}${printableLines(problem.message + remedy, unicode)}`,
  );
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}
