import { AksmlError } from '../../src/contract/error.ts';
import type { Problem } from '../../src/contract/problem.ts';

/** What a person needs of an error: what failed, what to do, and what the log said. */
export interface Failure {
  readonly message: string;
  readonly remedy?: string | undefined;
  readonly problems: readonly Problem[];
  readonly logTail: readonly string[];
}

export function failureOf(error: unknown): Failure {
  if (AksmlError.is(error)) {
    const { message, remedy, problems, logTail } = error;
    return { message, remedy, problems, logTail };
  }
  return { message: error instanceof Error ? error.message : String(error), problems: [], logTail: [] };
}
