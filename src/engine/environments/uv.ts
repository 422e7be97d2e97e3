import type { Command } from './command.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** A uv to use, with the variables that every call of it gets: caches, indexes, certificates. */
export interface Uv {
  readonly path: string;
  readonly env: Variables;
  /** Where it runs: a folder without a project, so that no `pyproject.toml` or `uv.toml` of the user's code changes what it does. */
  readonly cwd: string;
}

export interface ResolutionOptions {
  readonly python: string;
  readonly preReleases: boolean;
  readonly noIndex: boolean;
}

/**
 * Packages whose source distributions take minutes and a compiler: an old version without a wheel for the chosen Python is refused at once,
 * with that reason, instead of failing in the middle of a build.
 */
const NEVER_BUILT =
  `cryptography fastparquet grpcio h5py lightgbm llvmlite lxml matplotlib mkl numba numpy onnx onnxruntime opencv-python
  opencv-python-headless pandas pillow protobuf pyarrow scikit-image scikit-learn scipy shap statsmodels tensorflow tokenizers torch
  torchvision xgboost`.split(/\s+/);

/** Packages from several indexes are chosen by version, as pip chose them in v1, and not by the first index that knows the name. */
const AS_PIP_DID = ['--index-strategy', 'unsafe-best-match', ...NEVER_BUILT.flatMap((name) => ['--only-binary', name])];

export function versionCommand(path: string, env: Variables): Command {
  return { command: path, args: ['--version'], env };
}

/** Resolves a requirements file to exact versions with hashes, on standard output. */
export function compileCommand(uv: Uv, requirementsFile: string, options: ResolutionOptions): Command {
  return call(uv, [
    ...['pip', 'compile', requirementsFile, '--python', options.python],
    ...['--generate-hashes', '--no-header', '--no-annotate', '--upgrade'],
    ...AS_PIP_DID,
    ...(options.preReleases ? ['--prerelease', 'allow'] : []),
    ...(options.noIndex ? ['--no-index'] : []),
  ]);
}

export function venvCommand(uv: Uv, folder: string, python: string): Command {
  return call(uv, ['venv', folder, '--python', python, '--no-project']);
}

/** Installs exactly what a lock file lists, or, with `dependencies`, a requirements file and what it needs. */
export function installCommand(
  uv: Uv,
  requirementsFile: string,
  options: ResolutionOptions & { readonly dependencies: boolean },
): Command {
  return call(uv, [
    ...['pip', 'install', '--python', options.python, '--requirements', requirementsFile],
    ...(options.dependencies ? [] : ['--no-deps']),
    ...AS_PIP_DID,
    ...(options.preReleases ? ['--prerelease', 'allow'] : []),
    ...(options.noIndex ? ['--no-index'] : []),
  ]);
}

/** Downloads a Python into a folder of aksml's own, without putting it on anybody's PATH. */
export function pythonInstallCommand(uv: Uv, version: string, folder: string): Command {
  const command = call(uv, ['python', 'install', version, '--install-dir', folder]);
  return {
    ...command,
    env: { ...command.env, UV_PYTHON_INSTALL_BIN: '0', UV_PYTHON_INSTALL_REGISTRY: '0', UV_HTTP_RETRIES: '0' },
  };
}

function call(uv: Uv, args: readonly string[]): Command {
  return { command: uv.path, args: [...args, '--color', 'never'], env: uv.env, cwd: uv.cwd };
}

/** `0.5.12` of `uv 0.5.12 (abc 2025-01-01)`. */
export function parseUvVersion(output: string): readonly number[] | undefined {
  const match = /^uv (\d+)\.(\d+)\.(\d+)/.exec(output.trim());
  return match ? match.slice(1, 4).map(Number) : undefined;
}

/** The requirements of `uv pip compile`'s output, a line each, hashes included. */
export function parseLock(output: string): string[] {
  return output
    .replace(/\\\r?\n\s*/g, '')
    .split(/\r?\n/)
    .map((line) =>
      line
        .replace(/(^|\s)#.*$/, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '' && !line.startsWith('-'));
}

/** Name and version of a lock line, for people. */
export function lockedPackage(line: string): string {
  return line.split(/\s*(?:;|--hash|@)/)[0]?.trim() ?? line;
}

const LONGEST_EXPLANATION = 14;

/** uv's own explanation of a failure: its error with causes and hints, without progress and warnings. */
export function explainFailure(stderr: string): string[] {
  const lines = stderr.split(/\r?\n/).map((line) => line.trimEnd());
  const first = lines.findIndex((line) => /^\s*(error:|\u00d7)/.test(line));
  const told = lines
    .slice(Math.max(first, 0))
    .filter((line) => line !== '' && !/^(warning:|Using |Resolved |Prepared |Downloading |\s*Download)/.test(line));
  // A long derivation ends with what the user asked for.
  return told.length <= LONGEST_EXPLANATION ? told : [...told.slice(0, 2), '…', ...told.slice(3 - LONGEST_EXPLANATION)];
}

/** Why uv failed, as far as it decides what the user can do about it. */
export type UvFailure = 'network' | 'authentication' | 'notFound' | 'noWheel' | 'conflict' | 'build' | 'disk' | 'other';

export function classifyFailure(stderr: string): UvFailure {
  if (/No space left|os error 28\b|not enough space/i.test(stderr)) return 'disk';
  if (/\b(401|403)\b.*(Unauthorized|Forbidden)|status client error \((401|403)/i.test(stderr)) return 'authentication';
  if (/dns error|error sending request|Connection (refused|reset)|timed out|tls|certificate/i.test(stderr))
    return 'network';
  if (/Failed to build|build backend|Call to `/i.test(stderr)) return 'build';
  if (/no (usable )?wheels|Wheels are required/i.test(stderr)) return 'noWheel';
  if (/was not found in the (package registry|provided package locations)|there are no versions of/i.test(stderr))
    return 'notFound';
  if (/No solution found/i.test(stderr)) return 'conflict';
  return 'other';
}
