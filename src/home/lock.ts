import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../contract/error.ts';
import { type Home, makeFolder, unusable } from './home.ts';

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** How long to wait for the other process, milliseconds; default 10 minutes. */
  readonly timeoutMs?: number;
  /** Called once when the lock is taken by another process. */
  readonly onWait?: () => void;
}

/** A lock held until released or until this process ends, however it ends. */
export interface HeldLock {
  release(): void;
}

const RETRY_MS = 20;

/**
 * One process at a time. Node has no file locks of its own, so an empty SQLite database lends its operating-system lock:
 * unlike lock files, it cannot outlive a killed process.
 * @throws AksmlError `lock.timeout`
 */
export async function acquireLock(home: Home, name: string, options: LockOptions = {}): Promise<HeldLock> {
  const deadline = Date.now() + (options.timeoutMs ?? 600_000);
  for (let told = false; ; told = true) {
    const lock = await tryLock(home, name);
    if (lock) return lock;
    if (!told) options.onWait?.();
    if (Date.now() >= deadline) {
      throw new AksmlError('lock.timeout', `Another aksml process has held "${name}" for too long.`, {
        subject: name,
        remedy: 'Wait for it to finish, or end it, then run the command again.',
      });
    }
    await sleep(RETRY_MS, undefined, { signal: options.signal });
  }
}

/** The lock, or undefined when another process, or another part of this one, has it. */
export async function tryLock(home: Home, name: string): Promise<HeldLock | undefined> {
  const { DatabaseSync } = await import('node:sqlite');
  await makeFolder(home, home.locks);
  const database = openDatabase(home, () => new DatabaseSync(join(home.locks, `${name}.lock`)));
  try {
    database.exec('PRAGMA busy_timeout=0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}

/** SQLite takes paths of 512 bytes at most. */
function openDatabase<T>(home: Home, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw unusable(home, home.locks.length > 400 ? new Error('its path is too long', { cause: error }) : error);
  }
}

/** Runs `work` while holding the lock. */
export async function withLock<T>(home: Home, name: string, work: () => Promise<T>, options?: LockOptions): Promise<T> {
  const lock = await acquireLock(home, name, options);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
