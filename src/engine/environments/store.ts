import { createHash } from 'node:crypto';
import { access, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import type { Problem } from '../../contract/problem.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';

/** What is installed in `environments/HASH`, written last: a folder without it is an unfinished attempt. */
export interface InstalledEnvironment {
  readonly hash: string;
  /** Absolute path of the interpreter, inside the folder unless the user manages it. */
  readonly python: string;
  readonly pythonVersion: string;
  readonly lock: readonly string[];
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  /** What lies in its `site-packages`, so that an environment that has lost packages is told from a whole one. */
  readonly sitePackages?: readonly string[];
}

/** What a definition was resolved to, so that it gives the same packages the next time, without the network. */
export interface LockRecord {
  readonly hash: string;
  readonly pythonVersion: string;
  readonly lock: readonly string[];
  /** Found while resolving; told again whenever the record is used. */
  readonly problems: readonly Problem[];
}

export const MARKER = 'aksml-environment.json';

export function environmentFolder(home: Home, hash: string): string {
  return join(home.environments, hash);
}

/** Undefined when nothing is there, the attempt was not finished, or its base interpreter has gone. */
export async function readInstalled(home: Home, hash: string): Promise<InstalledEnvironment | undefined> {
  const installed = await readJson<InstalledEnvironment>(join(environmentFolder(home, hash), MARKER));
  if (!installed) return undefined;
  try {
    await access(installed.python);
  } catch {
    return undefined;
  }
  const present = new Set(await listSitePackages(installed.python));
  return (installed.sitePackages ?? []).every((name) => present.has(name)) ? installed : undefined;
}

/** As {@link readInstalled}; from now on garbage collection spares it for a while. */
export async function useInstalled(home: Home, hash: string): Promise<InstalledEnvironment | undefined> {
  const now = new Date();
  // What is not there is told by reading it.
  await utimes(join(environmentFolder(home, hash), MARKER), now, now).catch(() => undefined);
  return readInstalled(home, hash);
}

export async function writeInstalled(home: Home, installed: InstalledEnvironment): Promise<void> {
  const folder = environmentFolder(home, installed.hash);
  // What the user installs and removes in a Python of their own is not ours to judge.
  const isOurs = installed.python.startsWith(folder + sep);
  const complete = { ...installed, ...(isOurs ? { sitePackages: await listSitePackages(installed.python) } : {}) };
  await writeFileAtomic(join(folder, MARKER), `${JSON.stringify(complete, undefined, 2)}\n`);
}

/** Without what Python itself writes there. Empty where the layout is another. */
async function listSitePackages(python: string): Promise<string[]> {
  const folder = dirname(python);
  // venv and conda: `bin/python` beside `lib/python3.11`; on Windows `Scripts` or the root itself beside `Lib`.
  const prefix = /^(bin|Scripts)$/.test(basename(folder)) ? dirname(folder) : folder;
  const versions = (await readdir(join(prefix, 'lib')).catch(() => [])).filter((name) => /^python\d/.test(name));
  const candidates = [...versions.map((name) => join('lib', name, 'site-packages')), join('Lib', 'site-packages')];
  const listings = await Promise.all(
    candidates.map((candidate) => readdir(join(prefix, candidate)).catch((): string[] => [])),
  );
  return [...new Set(listings.flat())].filter((name) => name !== '__pycache__').sort();
}

export function readLockRecord(home: Home, key: string): Promise<LockRecord | undefined> {
  return readJson<LockRecord>(lockRecordPath(home, key));
}

export async function writeLockRecord(home: Home, key: string, record: LockRecord): Promise<void> {
  await writeFileAtomic(lockRecordPath(home, key), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Removes what unfinished attempts left. Only under the environment's lock, and only when nothing is installed. */
export async function removeAttempts(home: Home, hash: string): Promise<void> {
  const folder = environmentFolder(home, hash);
  const names = await readdir(folder).catch(() => []);
  // An installer that outlived its killed parent may still write there; what cannot be removed now goes the next time.
  await Promise.allSettled(
    names.map((name) => rm(join(folder, name), { recursive: true, force: true, maxRetries: 2 })),
  );
}

/** 128 bits suffice, and Windows' path length is short. */
export function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

function lockRecordPath(home: Home, key: string): string {
  return join(home.environments, 'locks', `${key}.json`);
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error && error.code === 'ENOENT'))
      return undefined;
    throw error;
  }
}
