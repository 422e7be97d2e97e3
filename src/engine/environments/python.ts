import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Command, RunCommand } from './command.ts';
import { type PythonVersion, parsePythonVersion } from './python-version.ts';
import { runtimeFile } from './runtime-files.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** An interpreter that answered. */
export interface Interpreter {
  /** Absolute, as it calls itself. */
  readonly path: string;
  readonly version: string;
  readonly parts: PythonVersion;
  /** Such as `linux-x86_64`, `macosx-14.0-arm64`, `win-amd64`. */
  readonly platform: string;
}

export interface PythonSearch {
  readonly environment: Variables;
  readonly platform: NodeJS.Platform;
  readonly run: RunCommand;
  /** Folders that hold one installed Python each, such as those that uv manages. */
  readonly managedFolders: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** A slow start on a cold disk is not a broken interpreter. */
const INSPECTION_TIMEOUT_MS = 20_000;
const OLDEST_MINOR = 6;
const NEWEST_MINOR = 15;

/** Every Python 3.6 or newer of this machine, the user's first choice (what `python3` is) first, each once. Searches as far as it is asked. */
export async function* interpreters(search: PythonSearch): AsyncGenerator<Interpreter, void, undefined> {
  const seen = new Set<string>();
  for (const candidates of [pathCandidates, folderCandidates, launcherCandidates]) {
    for (const path of await candidates(search)) {
      const interpreter = await inspectInterpreter(search, path);
      if (!interpreter || seen.has(interpreter.path)) continue;
      seen.add(interpreter.path);
      yield interpreter;
    }
  }
}

/** The first Python for which `accepts` holds; by default any, for aksml's own work, such as checking a script's syntax. */
export async function findPython(
  search: PythonSearch,
  accepts: (interpreter: Interpreter) => boolean = () => true,
): Promise<Interpreter | undefined> {
  for await (const interpreter of interpreters(search)) if (accepts(interpreter)) return interpreter;
  return undefined;
}

/** Asks a program whether it is a Python 3; undefined when it is not, or cannot be started (as pyenv's shims of versions that are not active). */
export async function inspectInterpreter(search: PythonSearch, path: string): Promise<Interpreter | undefined> {
  const result = await search.run(inspectionCommand(path, search.environment), {
    signal: search.signal,
    timeoutMs: INSPECTION_TIMEOUT_MS,
  });
  return result.exitCode === 0 ? parseInspection(result.stdout) : undefined;
}

export function inspectionCommand(path: string, environment: Variables): Command {
  return { command: path, args: ['-I', '-S', runtimeFile('inspect_python.py')], env: environment };
}

export function parseInspection(output: string): Interpreter | undefined {
  let value: unknown;
  try {
    value = JSON.parse(output.trim().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { executable, version, implementation, platform } = value as Record<string, unknown>;
  if (typeof executable !== 'string' || typeof version !== 'string' || typeof platform !== 'string') return undefined;
  const parts = parsePythonVersion(version);
  const isUsable =
    implementation === 'CPython' && parts[0] === 3 && (parts[1] ?? 0) >= OLDEST_MINOR && isAbsolute(executable);
  return isUsable ? { path: executable, version, parts, platform } : undefined;
}

/** Names to look for on PATH, in the order in which a user expects them. */
async function pathCandidates({ environment, platform }: PythonSearch): Promise<string[]> {
  const folders = (environment['PATH'] ?? environment['Path'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder));
  const suffix = platform === 'win32' ? '.exe' : '';
  const minors = Array.from(
    { length: NEWEST_MINOR - OLDEST_MINOR + 1 },
    (_, index) => `python3.${NEWEST_MINOR - index}`,
  );
  const names = ['python3', 'python', ...(platform === 'win32' ? [] : minors)];
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name + suffix)))
    .filter((path) => existsSync(path));
}

/** Versions that pyenv and uv have installed, whether they are on PATH or not. */
async function folderCandidates({ environment, platform, managedFolders }: PythonSearch): Promise<string[]> {
  const userHome = environment['HOME'] ?? environment['USERPROFILE'] ?? homedir();
  const pyenv = environment['PYENV_ROOT'] ?? join(userHome, '.pyenv', ...(platform === 'win32' ? ['pyenv-win'] : []));
  const uv =
    environment['UV_PYTHON_INSTALL_DIR'] ??
    (platform === 'win32'
      ? join(environment['APPDATA'] ?? userHome, 'uv', 'python')
      : join(environment['XDG_DATA_HOME'] ?? join(userHome, '.local', 'share'), 'uv', 'python'));
  const interpreter = platform === 'win32' ? ['python.exe'] : ['bin', 'python3'];
  const roots = [...managedFolders, join(pyenv, 'versions'), uv];
  const versions = await Promise.all(
    roots.map(async (root) => (await readdir(root).catch(() => [])).map((name) => join(root, name, ...interpreter))),
  );
  return versions.flat().filter((path) => existsSync(path));
}

/** Windows' launcher knows what is registered there. */
async function launcherCandidates({ environment, platform, run, signal }: PythonSearch): Promise<string[]> {
  if (platform !== 'win32') return [];
  const result = await run(
    { command: 'py.exe', args: ['-0p'], env: environment },
    { signal, timeoutMs: INSPECTION_TIMEOUT_MS },
  );
  return parseLauncherList(result.stdout);
}

/** Reads lines such as ` -V:3.12 *        C:\Python312\python.exe`. */
export function parseLauncherList(output: string): string[] {
  return output.split(/\r?\n/).flatMap((line) => /\s([A-Za-z]:\\.*\.exe)\s*$/.exec(line)?.[1] ?? []);
}
