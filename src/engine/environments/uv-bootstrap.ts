import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises';
import { arch as machineArch } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { asStorageError } from '../registry/storage-error.ts';
import type { Command, RunCommand } from './command.ts';
import { redactor } from './credentials.ts';
import { readPipConfiguration } from './pip-configuration.ts';
import { comparePrefix } from './python-version.ts';
import { parseUvVersion, versionCommand } from './uv.ts';
import { downloadIndexFile, type IndexFile, listIndexFiles, unpackScripts } from './wheel.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export const UV_VERSION = '0.13.9';
/** The first with the index variables that credentials need. */
const OLDEST_UV = [0, 5, 0];
/** Of uv with its wheel, about. */
const UV_SIZE = 64 << 20;
const VENV_TIMEOUT_MS = 120_000;

export interface UvTools {
  readonly home: Home;
  readonly environment: Variables;
  readonly platform: NodeJS.Platform;
  readonly run: RunCommand;
  readonly fetch: typeof fetch;
  /** A Python to fetch uv with; its pip knows the user's proxies and certificates. */
  readonly python: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The path of a uv: the user's own if it is new enough, else one that aksml keeps in its home, fetched once.
 * @throws AksmlError `uv.unobtainable`
 */
export async function ensureUv(tools: UvTools): Promise<string> {
  const own = await uvOnPath(tools);
  if (own) return own;
  const folder = join(tools.home.tools, `uv-${UV_VERSION}`);
  const uv = join(folder, tools.platform === 'win32' ? 'uv.exe' : 'uv');
  if (existsSync(uv)) return uv;
  return withLock(
    tools.home,
    'tools-uv',
    async () => {
      if (!existsSync(uv)) await fetchUv(tools, folder);
      return uv;
    },
    tools.signal === undefined ? {} : { signal: tools.signal },
  );
}

async function uvOnPath({ environment, platform, run, signal }: UvTools): Promise<string | undefined> {
  const name = platform === 'win32' ? 'uv.exe' : 'uv';
  const folders = (environment['PATH'] ?? environment['Path'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder));
  for (const path of folders.map((folder) => join(folder, name)).filter((candidate) => existsSync(candidate))) {
    const { exitCode, stdout } = await run(versionCommand(path, environment), { signal });
    const version = parseUvVersion(stdout);
    if (exitCode === 0 && version && comparePrefix(version, OLDEST_UV) >= 0) return path;
  }
  return undefined;
}

/** Works in a folder of its own and renames it last, so that a killed attempt leaves nothing that is taken for uv. */
async function fetchUv(tools: UvTools, folder: string): Promise<void> {
  await removeLeftovers(tools.home.tools);
  const work = join(tools.home.tools, `.uv-${randomUUID()}`);
  await mkdir(work, { recursive: true, mode: 0o700 });
  tools.onProgress?.({ type: 'log', stage: 'environment', source: 'aksml', line: `Fetching uv ${UV_VERSION}` });
  try {
    const wheel = (await wheelByPip(tools, work)) ?? (await wheelByFetch(tools, await withRoom(tools.home, work)));
    const ready = join(work, 'ready');
    await unpackScripts(wheel, ready);
    const uv = join(ready, tools.platform === 'win32' ? 'uv.exe' : 'uv');
    const { exitCode, stderr } = await tools.run(versionCommand(uv, tools.environment), { signal: tools.signal });
    if (exitCode !== 0) throw unobtainable(`it does not run on this machine (${stderr.trim()})`);
    await rm(folder, { recursive: true, force: true });
    await rename(ready, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** What failed for want of room does not always say so. @returns the folder. @throws AksmlError `disk.full` */
async function withRoom({ root }: Home, folder: string): Promise<string> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= UV_SIZE) return folder;
  throw new AksmlError(
    'disk.full',
    `The disk that holds ${root} is full: ${inMegabytes(free)} are left, and uv needs ${inMegabytes(UV_SIZE)}.`,
    {
      subject: root,
      remedy: 'Free some space there, or set AKSML_HOME to a folder on another disk, then run the command again.',
    },
  );
}

function inMegabytes(bytes: number): string {
  return `${Math.floor(bytes / (1 << 20))} MiB`;
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  await Promise.all(
    names
      .filter((name) => name.startsWith('.uv-'))
      .map((name) => rm(join(folder, name), { recursive: true, force: true })),
  );
}

export function pipDownloadCommand(python: string, folder: string, env: Variables): Command {
  return {
    command: python,
    args: [
      ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--no-input'],
      ...['--disable-pip-version-check', '--dest', folder, `uv==${UV_VERSION}`],
    ],
    env,
  };
}

/** Debian's bare Python has no pip, and perhaps no venv either: then undefined. */
async function wheelByPip(tools: UvTools, work: string): Promise<string | undefined> {
  if (tools.python === undefined) return undefined;
  const { run, environment, signal } = tools;
  const downloaded = await run(pipDownloadCommand(tools.python, work, environment), { signal });
  if (downloaded.exitCode === 0) return findWheel(work);
  if (!downloaded.stderr.includes('No module named pip')) return undefined;
  const venv = join(work, 'venv');
  const created = await run(
    { command: tools.python, args: ['-m', 'venv', venv], env: environment },
    { signal, timeoutMs: VENV_TIMEOUT_MS },
  );
  if (created.exitCode !== 0) return undefined;
  const python = tools.platform === 'win32' ? join(venv, 'Scripts', 'python.exe') : join(venv, 'bin', 'python');
  const again = await run(pipDownloadCommand(python, work, environment), { signal });
  return again.exitCode === 0 ? findWheel(work) : undefined;
}

async function findWheel(folder: string): Promise<string | undefined> {
  const name = (await readdir(folder)).find((file) => file.endsWith('.whl'));
  return name && join(folder, name);
}

/** Without a pip, which would know its default: the wheel straight from the package index that is configured. */
async function wheelByFetch(tools: UvTools, work: string): Promise<string> {
  const pip = await readPipConfiguration(tools.environment, tools.platform);
  const index = tools.environment['UV_DEFAULT_INDEX'] ?? tools.environment['UV_INDEX_URL'] ?? pip.indexUrl;
  if (index === undefined)
    throw unobtainable('this Python has neither venv nor pip, and no package index is configured');
  try {
    const files = await listIndexFiles(tools.fetch, index, 'uv', tools.signal);
    const file = chooseUvWheel(files, tools.platform, machineArch());
    if (!file) throw new Error(`${index} offers no uv ${UV_VERSION} for ${tools.platform} ${machineArch()}`);
    const target = join(work, 'uv.whl');
    await downloadIndexFile(tools.fetch, index, file, target, tools.signal);
    return target;
  } catch (error) {
    tools.signal?.throwIfAborted();
    const known = asStorageError(error, 'Fetching uv', work);
    if (known !== error) throw known;
    const reason = error instanceof Error ? error.message : String(error);
    throw unobtainable(redactor([index], tools.environment)(reason), error);
  }
}

/** On Linux the musl build, which is static and runs everywhere. */
export function chooseUvWheel(
  files: readonly IndexFile[],
  platform: NodeJS.Platform,
  arch: string,
): IndexFile | undefined {
  const machine = arch === 'x64' ? '(x86_64|amd64)' : arch === 'arm64' ? '(aarch64|arm64)' : arch;
  const system = platform === 'win32' ? 'win' : platform === 'darwin' ? 'macosx' : 'musllinux';
  const pattern = new RegExp(`^uv-${UV_VERSION.replaceAll('.', '\\.')}-.*${system}.*${machine}.*\\.whl$`);
  return files.find(({ filename }) => pattern.test(filename));
}

function unobtainable(reason: string, cause?: unknown): AksmlError {
  return new AksmlError('uv.unobtainable', `uv, which installs Python environments, could not be fetched: ${reason}`, {
    remedy:
      'Install venv or pip for this Python (on Debian: python3-venv), or uv so that it is on PATH, or set PIP_INDEX_URL to a package index.',
    cause,
  });
}
