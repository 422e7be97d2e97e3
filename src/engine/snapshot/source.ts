import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, posix, relative, sep } from 'node:path';
import { CONTAINER_USER } from '../../contract/container.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Home } from '../../home/home.ts';
import { type IgnoreRules, parseIgnoreRules, readIgnoreRules } from './ignore.ts';
import type { TarEntry } from './tar-header.ts';
import { hasCode } from './tree.ts';

export interface SnapshotRequest {
  /** Absolute; without one, the entry script alone is packed. */
  readonly sourceDirectory?: string;
  /** Relative to `sourceDirectory`, `/`-separated; without one, the script's absolute path. */
  readonly entryScript: string;
  /** Relative to `sourceDirectory`: packed whatever the ignore rules say. */
  readonly namedFiles: readonly string[];
  /** v1's limits on size and number of files are not even worth a warning. */
  readonly liftLimits?: boolean;
}

/** Where code lies in an image. */
export const APP_ROOT = 'var/azureml-app';

/**
 * The folders that a prefix names, for the layer itself: container engines that unpack a layer apart from those below it give folders that it
 * only goes through owners of their own choice, and code may write to the app root.
 */
export function foldersTo(prefix: string): TarEntry[] {
  const parts = prefix.split('/').slice(0, -1);
  return parts.map((_, index): TarEntry => {
    const path = parts.slice(0, index + 1).join('/');
    const owner = path === APP_ROOT ? { owner: CONTAINER_USER } : {};
    return { kind: 'folder', path, executable: false, size: 0, ...owner };
  });
}

/** What is packed, and what it becomes. */
export interface Source {
  /** Absolute; the folder that paths are below. */
  readonly root: string;
  /** Where paths lie in the archive. */
  readonly prefix: string;
  readonly folderName?: string;
  /** What the layer is remembered by. */
  readonly location: string;
  /** Below `root`: the home folder of aksml, which grows while it is packed. */
  readonly ownHome?: string;
  /** Below `root`. */
  readonly entryScript: string;
  readonly namedFiles: ReadonlySet<string>;
  readonly rules: IgnoreRules;
  readonly liftLimits: boolean;
}

export async function openSource(request: SnapshotRequest, home: Home): Promise<Source> {
  const { sourceDirectory, entryScript, liftLimits = false } = request;
  if (sourceDirectory === undefined) {
    const root = dirname(entryScript);
    const script = basename(entryScript);
    const rules = parseIgnoreRules('', undefined);
    const namedFiles = new Set<string>();
    return { root, prefix: `${APP_ROOT}/`, location: entryScript, entryScript: script, namedFiles, rules, liftLimits };
  }
  const location = realFolder(sourceDirectory);
  const folderName = basename(location);
  if (folderName === '') {
    throw new AksmlError('snapshot.sourceMissing', 'The root of a file system cannot be the source directory.', {
      fault: 'input',
      subject: sourceDirectory,
      remedy: 'Put the code into a folder of its own.',
    });
  }
  const script = posix.normalize(entryScript);
  return {
    root: sourceDirectory,
    prefix: `${APP_ROOT}/${folderName}/`,
    folderName,
    location,
    ...ownHomeBelow(location, home),
    entryScript: script,
    namedFiles: new Set([script, ...request.namedFiles.map((path) => posix.normalize(path))]),
    rules: await readIgnoreRules(sourceDirectory),
    liftLimits,
  };
}

function ownHomeBelow(folder: string, home: Home): Pick<Source, 'ownHome'> {
  if (!existsSync(home.root)) return {};
  const path = relative(folder, realpathSync(home.root)).replaceAll(sep, '/');
  return path === '' || path.startsWith('../') || isAbsolute(path) ? {} : { ownHome: path };
}

/** v1 took the real path's name, so that `.` and links have one. */
function realFolder(path: string): string {
  try {
    const real = realpathSync(path);
    if (lstatSync(real).isDirectory()) return real;
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
  throw new AksmlError('snapshot.sourceMissing', `The source directory ${path} is not a folder, or is not there.`, {
    fault: 'input',
    subject: path,
    remedy: 'Correct "sourceDirectory"; a relative path is taken from the folder that the command runs in.',
  });
}
