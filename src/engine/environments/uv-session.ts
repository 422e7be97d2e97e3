import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command, CommandResult } from './command.ts';
import {
  credentialsIn,
  expandVariables,
  gitVariables,
  netrcText,
  type Redact,
  redactor,
  withoutCredentials,
} from './credentials.ts';
import type { Preparation } from './environment.ts';
import { indexVariables, type PackageIndexes } from './package-indexes.ts';
import { readPipConfiguration } from './pip-configuration.ts';
import { findPython, type Interpreter, type PythonSearch } from './python.ts';
import { acceptsPython, parsePythonRequest } from './python-version.ts';
import { pythonInstallCommand, type Uv } from './uv.ts';
import { ensureUv } from './uv-bootstrap.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** uv, made ready for one environment: its variables hold the indexes and credentials, its folder is private and goes afterwards. */
export interface UvSession {
  readonly uv: Uv;
  readonly folder: string;
  /** Variables expanded, credentials taken out of URLs. */
  readonly requirements: readonly string[];
  readonly noIndex: boolean;
  /** For everything that uv says. */
  readonly redact: Redact;
  /** Runs uv and tells each line of its error output, redacted. */
  run(command: Command, onLine?: (line: string) => void, timeoutMs?: number): Promise<CommandResult>;
}

/** Variables of the caller that would make uv work on something else than what it is told. */
const MISLEADING = [
  'VIRTUAL_ENV',
  'CONDA_PREFIX',
  'PYTHONPATH',
  'PYTHONHOME',
  'UV_SYSTEM_PYTHON',
  'UV_PROJECT',
  'UV_WORKING_DIR',
  'UV_PYTHON',
];

export const PYTHON_DOWNLOAD_TIMEOUT_MS = 300_000;

export async function openUv({ tools, options, plan, search }: Preparation, folder: string): Promise<UvSession> {
  const { environment, home } = tools;
  const python = await findPython(search);
  const path = await ensureUv({
    ...tools,
    python: python?.path,
    onProgress: options.onProgress,
    signal: options.signal,
  });
  const pip = await readPipConfiguration(environment, tools.platform);
  const expanded = plan.requirements.map((line) => expandVariables(line, environment));
  const indexes = expandIndexes(plan.indexes, environment);
  const variables = indexVariables(indexes, environment, pip);
  const env = {
    ...variables,
    ...Object.fromEntries(MISLEADING.map((name) => [name, undefined])),
    ...(await credentialVariables(expanded, environment, folder)),
    UV_CACHE_DIR: environment['UV_CACHE_DIR'] || join(home.cache, 'uv'),
  };
  const redact = redactor([...expanded, ...Object.values(variables).map((value) => value ?? '')], environment);
  const { onProgress, signal } = options;
  return {
    uv: { path, env, cwd: folder },
    folder,
    requirements: expanded.map(withoutCredentials),
    noIndex: indexes.noIndex || pip.noIndex,
    redact,
    run: async (command, onLine, timeoutMs) => {
      const told = (line: string): void => {
        onLine?.(line);
        if (!/^\s*([+~-] |$)/.test(line))
          onProgress?.({ type: 'log', stage: 'environment', source: 'uv', line: redact(line) });
      };
      const result = await tools.run(command, {
        signal,
        onLine: told,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      return { exitCode: result.exitCode, stdout: result.stdout, stderr: redact(result.stderr) };
    },
  };
}

function expandIndexes(indexes: PackageIndexes, environment: Variables): PackageIndexes {
  const expand = (url: string): string => expandVariables(url, environment);
  return {
    ...indexes,
    ...(indexes.indexUrl === undefined ? {} : { indexUrl: expand(indexes.indexUrl) }),
    extraIndexUrls: indexes.extraIndexUrls.map(expand),
    findLinks: indexes.findLinks.map(expand),
  };
}

/** Credentials of single requirements go to uv by a netrc file that only the user can read, and to git by its environment. */
async function credentialVariables(
  requirements: readonly string[],
  environment: Variables,
  folder: string,
): Promise<Variables> {
  const credentials = requirements.flatMap(credentialsIn);
  if (credentials.length === 0) return {};
  const own = environment['NETRC'] ?? join(environment['HOME'] ?? environment['USERPROFILE'] ?? '', '.netrc');
  const file = join(folder, 'netrc');
  await writeFile(file, netrcText(credentials, await readFile(own, 'utf8').catch(() => '')), { mode: 0o600 });
  return { NETRC: file, ...gitVariables(credentials) };
}

/** A Python of that minor version by uv's own downloads; undefined when it cannot be had, for instance without a network. */
export async function obtainPython(
  session: UvSession,
  search: PythonSearch,
  minor: string,
  timeoutMs = PYTHON_DOWNLOAD_TIMEOUT_MS,
): Promise<Interpreter | undefined> {
  const [folder] = search.managedFolders;
  const request = parsePythonRequest(`=${minor}`);
  if (folder === undefined || request === undefined) return undefined;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const result = await session.run(pythonInstallCommand(session.uv, minor, folder), undefined, timeoutMs);
  if (result.exitCode !== 0) return undefined;
  return findPython(search, ({ parts }) => acceptsPython(request, parts));
}
