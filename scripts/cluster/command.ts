import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program to its end; what it printed. An error holds what it said. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): Promise<string> {
  const { input, ...rest } = options;
  const running = promisify(execFile)(command, args, { maxBuffer: 1 << 26, ...rest });
  if (input !== undefined) running.child.stdin?.end(input);
  return (await running).stdout.trim();
}

/** Whether the program ended well. */
export function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}
