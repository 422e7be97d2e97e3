import type { Stats } from 'node:fs';
import type { IgnoreRules } from './ignore.ts';

/** What tells, without reading a file, that it is the one that was read before. */
export interface Stamp {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970, with fractions. */
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
  readonly executable: boolean;
}

/** A file to pack. One that is reached through a symbolic link has the stamp of the link's target. */
export interface TreeFile {
  readonly kind: 'file';
  /** Below the root, `/`-separated. */
  readonly path: string;
  /** Absent when the scan did not ask for it. */
  readonly stamp?: Stamp;
}

export interface TreeFolder {
  readonly kind: 'folder';
  readonly path: string;
}

export type TreeEntry = TreeFile | TreeFolder;

/** A file as it was read. */
export interface ReadFile {
  readonly path: string;
  readonly stamp: Stamp;
}

/** What the ignore rules left out. */
export interface Ignored {
  /** Files left out one by one, and folders left out whole, which count once because they are not read. */
  readonly count: number;
  /** Bytes of the files left out one by one. */
  readonly bytes: number;
  /** The first few paths; a folder's ends in `/`. */
  readonly examples: readonly string[];
  /** The file that says so. */
  readonly file: IgnoreRules['file'];
}

/** The tree was changed while it was read, so that what was read may not fit together. */
export class TreeChanged extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} changed while it was read`);
    this.path = path;
  }
}

/** Windows has no executable bit. */
export function stampOf(stats: Stats): Stamp {
  return {
    size: stats.size,
    mtimeMs: stats.mtimeMs,
    ctimeMs: stats.ctimeMs,
    ino: stats.ino,
    executable: process.platform !== 'win32' && (stats.mode & 0o100) !== 0,
  };
}

export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino;
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
