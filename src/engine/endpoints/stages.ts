import { AksmlError } from '../../contract/error.ts';
import type { OnProgress, Stage } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';
import { asStorageError } from '../registry/storage-error.ts';

export interface RunOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Tells of problems that do not matter that much. @throws AksmlError `code` with all of them, where one is an error */
export function refuseErrors(
  code: string,
  problems: readonly Problem[],
  subject: string,
  { onProgress }: RunOptions,
): void {
  if (problems.some(({ severity }) => severity === 'error')) throw refusal(code, problems, subject);
  for (const problem of problems) onProgress?.({ type: 'problem', problem });
}

/** Of something for `problems`, of which at least one is an error. */
export function refusal(code: string, problems: readonly Problem[], subject: string): AksmlError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [only] = errors.length === 1 ? errors : [];
  return new AksmlError(code, only?.message ?? `${errors.length} problems were found.`, {
    fault: 'input',
    subject,
    problems,
    ...(only?.remedy === undefined ? {} : { remedy: only.remedy }),
  });
}

/** Runs one stage and tells of its start and its end; the stage's result says whether it was reused and what it came to. */
export async function runStage<T>(
  stage: Stage,
  label: string,
  options: RunOptions,
  work: () => Promise<{ readonly value: T; readonly reused: boolean; readonly detail: string }>,
): Promise<T> {
  options.signal?.throwIfAborted();
  options.onProgress?.({ type: 'start', stage, label });
  try {
    const { value, reused, detail } = await work();
    options.onProgress?.({ type: 'done', stage, reused, detail });
    return value;
  } catch (error) {
    const known = asAksmlError(error, label);
    options.onProgress?.({ type: 'failed', stage, error: known.toJSON() });
    throw known;
  }
}

/** What tools say of a full disk, whatever they were about. */
const TOOL_DISK_FULL = /No space left on device|There is not enough space on the disk/;

function asAksmlError(thrown: unknown, label: string): AksmlError {
  const error = asStorageError(thrown, label, "aksml's files");
  if (AksmlError.is(error)) return isToolDiskFull(error) ? diskFull(error, label) : error;
  if (AksmlError.isCancelled(error)) return AksmlError.cancelled(label);
  const message = error instanceof Error ? error.message : String(error);
  return new AksmlError('internal', `${label} failed: ${message}`, {
    cause: error,
    remedy: 'Run the command again with --debug and report what it prints.',
  });
}

function isToolDiskFull({ code, message, logTail }: AksmlError): boolean {
  return code !== 'disk.full' && [message, ...logTail].some((line) => TOOL_DISK_FULL.test(line));
}

function diskFull(cause: AksmlError, label: string): AksmlError {
  return new AksmlError('disk.full', `${label} failed: the disk that holds aksml's files is full.`, {
    remedy: 'Free some space there, or set AKSML_HOME to a folder on another disk, then run the command again.',
    logTail: cause.logTail,
    cause,
  });
}
