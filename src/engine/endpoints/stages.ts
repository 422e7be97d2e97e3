import { AksmlError } from '../../contract/error.ts';
import type { OnProgress, Stage } from '../../contract/event.ts';

export interface RunOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
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

function asAksmlError(error: unknown, label: string): AksmlError {
  if (AksmlError.is(error)) return error;
  if (AksmlError.isCancelled(error)) return AksmlError.cancelled(label);
  const message = error instanceof Error ? error.message : String(error);
  return new AksmlError('internal', `${label} failed: ${message}`, {
    cause: error,
    remedy: 'Run the command again with --debug and report what it prints.',
  });
}
