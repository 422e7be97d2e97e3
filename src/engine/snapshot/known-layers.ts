import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import type { ReadFile, Stamp, TreeEntry } from './tree.ts';

/** The layer that a tree gave the last time, so that an unchanged tree is not read again. */
export interface KnownLayer {
  /** {@link fingerprint} of the tree. */
  readonly fingerprint: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** Changes when the same tree would give another layer. */
const FORMAT = 2;

/** Absent, too, when the file is damaged: then the layer is made anew. */
export async function readKnownLayer(home: Home, location: string): Promise<KnownLayer | undefined> {
  try {
    const known: unknown = JSON.parse(await readFile(fileOf(home, location), 'utf8'));
    return isKnownLayer(known) ? known : undefined;
  } catch {
    return undefined;
  }
}

export async function writeKnownLayer(home: Home, location: string, known: KnownLayer): Promise<void> {
  await writeFileAtomic(fileOf(home, location), JSON.stringify({ format: FORMAT, ...known }));
}

export async function forgetKnownLayer(home: Home, location: string): Promise<void> {
  await rm(fileOf(home, location), { force: true });
}

function fileOf(home: Home, location: string): string {
  return join(home.cache, 'snapshots', `${createHash('sha256').update(location).digest('hex')}.json`);
}

function isKnownLayer(value: unknown): value is KnownLayer {
  if (typeof value !== 'object' || value === null) return false;
  const { format, fingerprint, digest, size } = value as Partial<Record<string, unknown>>;
  return (
    format === FORMAT &&
    typeof fingerprint === 'string' &&
    /^sha256:[0-9a-f]{64}$/.test(String(digest)) &&
    Number.isSafeInteger(size)
  );
}

/** Stands for the names and stamps of a whole tree, without a byte of content. */
export function fingerprint(prefix: string, entries: readonly TreeEntry[]): string {
  const numbers = new Float64Array(entries.length * 5);
  const names: string[] = [prefix];
  let at = 0;
  for (const entry of entries) {
    names.push(entry.kind === 'folder' ? `${entry.path}/` : entry.path);
    const stamp = entry.kind === 'file' ? entry.stamp : undefined;
    if (stamp) {
      numbers[at] = stamp.size;
      numbers[at + 1] = stamp.mtimeMs;
      numbers[at + 2] = stamp.ctimeMs;
      numbers[at + 3] = stamp.ino;
      numbers[at + 4] = Number(stamp.executable);
    }
    at += 5;
  }
  return createHash('sha256').update(names.join('\0')).update(new Uint8Array(numbers.buffer)).digest('hex');
}

/**
 * Whether later changes will show in the stamps. A file that changed just before it was read could change again within the same tick of
 * the file system's clock, and keep its stamp: git calls such files "racily clean". `startedMs` is the time before the first look.
 */
export function isSettled(files: readonly ReadFile[], startedMs: number): boolean {
  return files.every(({ stamp }) => isPast(stamp, startedMs));
}

const TICK_MS = 20;
/** FAT and some network file systems count whole seconds, or two. */
const COARSE_TICK_MS = 2000;

/** Whether the file was last touched before this time, as far as the file system's clock can tell. */
export function isPast({ mtimeMs, ctimeMs }: Stamp, startedMs: number): boolean {
  const tick = (time: number) => (Number.isInteger(time / 1000) ? COARSE_TICK_MS : TICK_MS);
  const mtimeIsNear = Math.abs(mtimeMs - startedMs) <= tick(mtimeMs);
  return !mtimeIsNear && ctimeMs < startedMs - tick(ctimeMs);
}
