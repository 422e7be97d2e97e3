import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { AksmlError } from '../../contract/error.ts';
import { runtimeFile } from './runtime-files.ts';

export type SyntaxVerdict =
  | { readonly ok: true }
  | { readonly ok: false /** 1-based. */; readonly line?: number; readonly message: string };

export type CheckSyntax = (scriptPath: string) => Promise<SyntaxVerdict>;

/**
 * A check of Python files by the given interpreter, with the rules of v1's SDK (`ast.parse` of UTF-8 text). One child process serves all
 * checks; it starts at once, so that it is ready when the first file is known, and does not keep this process alive.
 * The check throws AksmlError `python.failed`.
 */
export function checkSyntax(python: string, environment: Readonly<Record<string, string | undefined>>): CheckSyntax {
  let checker = startChecker(python, environment);
  return (scriptPath) => {
    if (!checker.isAlive()) checker = startChecker(python, environment);
    return checker.check(scriptPath);
  };
}

interface Checker {
  isAlive(): boolean;
  check(scriptPath: string): Promise<SyntaxVerdict>;
}

interface Waiting {
  resolve(verdict: SyntaxVerdict): void;
  reject(error: Error): void;
}

function startChecker(python: string, environment: Readonly<Record<string, string | undefined>>): Checker {
  const child = spawn(python, ['-I', '-S', runtimeFile('check_syntax.py')], {
    env: { ...environment },
    windowsHide: true,
  });
  const waiting: Waiting[] = [];
  let alive = true;
  const end = (reason: string): void => {
    alive = false;
    for (const { reject } of waiting.splice(0)) reject(failure(python, reason));
  };
  child.once('error', (error) => end(error.message));
  child.once('close', (code) => end(`it ended with code ${code}`));
  child.stdin.on('error', () => undefined);
  child.stderr.resume();
  keepProcessAlive(child, false);
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line) as SyntaxVerdict);
    if (waiting.length === 0) keepProcessAlive(child, false);
  });
  return {
    isAlive: () => alive,
    check: (scriptPath) =>
      new Promise((resolve, reject) => {
        keepProcessAlive(child, true);
        waiting.push({ resolve, reject });
        child.stdin.write(`${Buffer.from(scriptPath, 'utf16le').toString('hex')}\n`);
      }),
  };
}

function keepProcessAlive(child: ChildProcessWithoutNullStreams, keep: boolean): void {
  for (const handle of [child, child.stdin, child.stdout, child.stderr]) {
    const [ref, unref] = ['ref', 'unref'].map((name) => Reflect.get(handle, name));
    const change = keep ? ref : unref;
    if (typeof change === 'function') change.call(handle);
  }
}

function failure(python: string, reason: string): AksmlError {
  return new AksmlError('python.failed', `The Python interpreter ${python} could not check a script: ${reason}.`, {
    subject: python,
    remedy: 'Choose another interpreter with --python.',
  });
}
