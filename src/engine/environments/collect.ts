import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Home } from '../../home/home.ts';
import { tryLock } from '../../home/lock.ts';
import { environmentFolder, MARKER } from './store.ts';

export interface CollectOptions {
  /** What was used more recently stays, because a deploy may be about to refer to it; milliseconds, default one hour. */
  readonly graceMs?: number;
  readonly clock: () => Date;
  /** Only tell what would go. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal;
  /** One for all that is removed together. */
  readonly freed: FreedBytes;
}

/** Bytes that removing files gives back: none for a file that has a name elsewhere, as packages have in uv's cache. */
export class FreedBytes {
  #bytes = 0;
  readonly #linked = new Map<string, number>();

  get bytes(): number {
    return this.#bytes;
  }

  add({ dev, ino, nlink, size }: Stats): void {
    const file = `${dev}:${ino}`;
    const seen = (this.#linked.get(file) ?? 0) + 1;
    if (nlink > 1) this.#linked.set(file, seen);
    if (seen >= nlink) this.#bytes += size;
  }
}

const DEFAULT_GRACE_MS = 3_600_000;
/** A folder goes by renaming it first: half of it must never be found under its own name. */
const REMOVED = '.removed-';
const LOCK_RECORDS = 'locks';

/**
 * Removes installed environments that nothing in `live` (hashes) needs, and what attempts left that never finished. What was resolved is
 * kept, so that the same packages are installed again on demand. Safe beside other processes, and to be repeated after a kill.
 * @returns how many environments went
 */
export async function collectEnvironments(
  home: Home,
  live: ReadonlySet<string>,
  options: CollectOptions,
): Promise<number> {
  let count = 0;
  for (const name of await list(home.environments)) {
    options.signal?.throwIfAborted();
    const folder = environmentFolder(home, name);
    if (name === LOCK_RECORDS) continue;
    if (name.startsWith(REMOVED)) await remove(folder, options);
    else if (live.has(name)) await removeOldAttempts(home, name, options);
    else if (await removeEnvironment(home, name, options)) count += 1;
  }
  return count;
}

async function removeEnvironment(home: Home, hash: string, options: CollectOptions): Promise<boolean> {
  const folder = environmentFolder(home, hash);
  if (await wasUsed(home, hash, options)) return false;
  if (options.dryRun) {
    await measure(folder, options.freed);
    return true;
  }
  // Whoever installs it holds this.
  const lock = await tryLock(home, `environment-${hash}`);
  if (!lock) return false;
  try {
    if (await wasUsed(home, hash, options)) return false;
    const doomed = join(home.environments, `${REMOVED}${randomUUID()}`);
    if (!(await renamed(folder, doomed))) return false;
    // Whoever has found it installed in between has made it young.
    if (await isYoung(join(doomed, MARKER), options)) {
      await renamed(doomed, folder);
      return false;
    }
    await remove(doomed, options);
    return true;
  } finally {
    lock.release();
  }
}

/** By its marker; an unfinished one by the folders in it. */
async function wasUsed(home: Home, hash: string, options: CollectOptions): Promise<boolean> {
  const folder = environmentFolder(home, hash);
  const paths = [folder, ...(await list(folder)).map((name) => join(folder, name))];
  for (const path of paths) if (await isYoung(path, options)) return true;
  return false;
}

/** Those beside the one that counts. */
async function removeOldAttempts(home: Home, hash: string, options: CollectOptions): Promise<void> {
  const marker = await readFile(join(environmentFolder(home, hash), MARKER), 'utf8').catch(() => undefined);
  if (marker === undefined) return;
  const lock = await tryLock(home, `environment-${hash}`);
  if (!lock) return;
  try {
    const folder = environmentFolder(home, hash);
    for (const name of await list(folder)) {
      const path = join(folder, name);
      // The marker names the interpreter in it.
      if (!/^(venv|conda)-/.test(name) || marker.includes(name) || (await isYoung(path, options))) continue;
      await remove(path, options);
    }
  } finally {
    lock.release();
  }
}

/**
 * Removes what is only kept to save time: uv's package cache, base images and notes of what was seen before. What another process is
 * working with stays.
 * @returns how many folders and files went, of those directly below the cache
 */
export async function clearCaches(home: Home, options: CollectOptions): Promise<number> {
  const names = await list(home.cache);
  const busy = new Set<string>();
  for (const name of names) {
    // The work folder of a preparation has the name of its lock.
    if (!/^environment-/.test(name)) continue;
    const lock = await tryLock(home, name);
    if (lock) lock.release();
    else busy.add(name).add('uv').add('images');
  }
  let count = 0;
  for (const name of names) {
    options.signal?.throwIfAborted();
    if (busy.has(name)) continue;
    const path = join(home.cache, name);
    const doomed = name.startsWith(REMOVED) || options.dryRun ? path : join(home.cache, `${REMOVED}${randomUUID()}`);
    if (doomed !== path && !(await renamed(path, doomed))) continue;
    await remove(doomed, options);
    count += 1;
  }
  return count;
}

async function remove(path: string, options: CollectOptions): Promise<void> {
  await measure(path, options.freed);
  if (options.dryRun) return;
  // What a process on Windows has open goes another time.
  await rm(path, { recursive: true, force: true, maxRetries: 2 }).catch(() => undefined);
}

async function renamed(from: string, to: string): Promise<boolean> {
  return rename(from, to).then(
    () => true,
    () => false,
  );
}

async function isYoung(path: string, { clock, graceMs = DEFAULT_GRACE_MS }: CollectOptions): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs > clock().getTime() - graceMs;
}

async function measure(path: string, freed: FreedBytes): Promise<void> {
  const status = await lstat(path).catch(() => undefined);
  if (!status) return;
  if (!status.isDirectory()) return freed.add(status);
  for (const name of await list(path)) await measure(join(path, name), freed);
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
