import type { Problem } from './problem.ts';

/** Whose turn it is: `input` asks the user to change what they gave (exit code 2), `failed` is everything else (1), `cancelled` was asked for (130). */
export type Fault = 'input' | 'failed' | 'cancelled';

export interface AksmlErrorDetails {
  readonly fault?: Fault;
  /** What it is about: a file, a key, an object such as `service/diabetes`. */
  readonly subject?: string;
  readonly remedy?: string;
  /** Every problem found, when the error stands for several. */
  readonly problems?: readonly Problem[];
  /** Last lines of the log that explains the failure. */
  readonly logTail?: readonly string[];
  readonly cause?: unknown;
}

/** An error in the shape that crosses process borders. */
export interface SerializedError extends Omit<AksmlErrorDetails, 'cause'> {
  readonly code: string;
  readonly message: string;
  readonly cause?: string;
}

/**
 * The one error class: the command line, the forms and the logs all render it the same way.
 * Never put a secret in any field.
 */
export class AksmlError extends Error {
  override readonly name = 'AksmlError';
  /** Stable, dotted, for programs: `service.notFound`, `supervisor.unreachable`. */
  readonly code: string;
  readonly fault: Fault;
  readonly subject: string | undefined;
  readonly remedy: string | undefined;
  readonly problems: readonly Problem[];
  readonly logTail: readonly string[];

  constructor(code: string, message: string, details: AksmlErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.fault = details.fault ?? 'failed';
    this.subject = details.subject;
    this.remedy = details.remedy;
    this.problems = details.problems ?? [];
    this.logTail = details.logTail ?? [];
  }

  /** Tells errors apart by code, never by message. Without a code: is it one of ours? */
  static is(error: unknown, code?: string): error is AksmlError {
    return error instanceof AksmlError && (code === undefined || error.code === code);
  }

  /** An {@link AbortSignal}'s reason, a Node abort error or our own cancellation. */
  static isCancelled(error: unknown): boolean {
    if (AksmlError.is(error)) return error.fault === 'cancelled';
    return error instanceof Error && (error.name === 'AbortError' || error.name === 'CancelledError');
  }

  static cancelled(what: string): AksmlError {
    return new AksmlError('cancelled', `${what} was cancelled.`, { fault: 'cancelled' });
  }

  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      fault: this.fault,
      ...(this.subject === undefined ? {} : { subject: this.subject }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
      ...(this.problems.length === 0 ? {} : { problems: this.problems }),
      ...(this.logTail.length === 0 ? {} : { logTail: this.logTail }),
      ...(this.cause instanceof Error ? { cause: this.cause.message } : {}),
    };
  }

  static fromJSON(json: SerializedError): AksmlError {
    return new AksmlError(json.code, json.message, {
      ...json,
      cause: json.cause === undefined ? undefined : new Error(json.cause),
    });
  }
}
