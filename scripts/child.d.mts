import type { SpawnOptions } from 'node:child_process';

/**
 * Runs a program until it ends, and passes on to it the signals that are to end this one: `stoppedBy` is the last of them. A `detached` one is
 * ended with all that it has started.
 */
export function runToEnd(
  command: string,
  args: readonly string[],
  options?: SpawnOptions,
): Promise<{ readonly code: number; readonly stoppedBy: NodeJS.Signals | undefined }>;
