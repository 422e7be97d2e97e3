import { join } from 'node:path';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { AksmlError } from '../../contract/error.ts';
import type { Revision } from '../../contract/revision.ts';
import type { Home } from '../../home/home.ts';
import { SNAPSHOTS, type SnapshotOptions, type SnapshotRequest, takeSnapshot } from '../snapshot/snapshot.ts';
import { type CodeFile, type CodeTree, readContents, readTree } from './code-tree.ts';
import { type RevisionStore, repositoryOf } from './revisions.ts';
import { compareValues, type ValueChange } from './value-change.ts';

/** What differs between two revisions, from the first to the second. Empty lists where nothing does. */
export interface RevisionDiff {
  readonly code: readonly FileChange[];
  /** By model name: the ids, `name:version`. */
  readonly models: readonly ValueChange[];
  readonly environment: {
    /** Of the definition and the Python version, by key. */
    readonly definition: readonly ValueChange[];
    /** Of the requirements that were installed, by package name: the lines. */
    readonly lock: readonly ValueChange[];
  };
  /** Of the deployment's settings, the entry script and the custom container, by key. */
  readonly settings: readonly ValueChange[];
  readonly git: readonly ValueChange[];
}

export interface FileChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** Below the source directory. */
  readonly path: string;
  /** Bytes; absent where the file is. */
  readonly before?: number;
  readonly after?: number;
  readonly executableBefore?: boolean;
  readonly executableAfter?: boolean;
  /** In unified form; absent for binary and for very large files, and when only the executable bit differs. */
  readonly patch?: string;
}

/** Larger files, and texts that differ in more than this takes, get no patch. */
const PATCH_BYTES = 512 * 1024;
const PATCH_MS = 1000;

export async function diffRevisions(
  store: RevisionStore,
  a: Revision,
  b: Revision,
  signal?: AbortSignal,
): Promise<RevisionDiff> {
  const python = ({ environment }: Revision) => ({
    ...environment.definition,
    pythonVersion: environment.pythonVersion,
  });
  return {
    code: await compareCode(codeTreeOf(store, a, signal), codeTreeOf(store, b, signal)),
    models: compareValues(modelsByName(a), modelsByName(b)),
    environment: {
      definition: compareValues(python(a), python(b)),
      lock: compareValues(linesByPackage(a.environment.lock), linesByPackage(b.environment.lock)),
    },
    settings: compareValues(settingsOf(a), settingsOf(b)),
    git: compareValues(a.git, b.git),
  };
}

/**
 * What a deploy from this folder, or of the single script in it, would pack.
 * @throws AksmlError `diff.noCode`
 */
export function workingTreeOf({ code, endpoint }: Revision, folder: string): SnapshotRequest {
  if (code === undefined) {
    throw new AksmlError('diff.noCode', `The revision of ${endpoint} has no code of its own to compare.`, {
      fault: 'input',
      subject: endpoint,
      remedy: 'Compare two revisions.',
    });
  }
  const { sourceDirectory, entryScript } = code;
  if (sourceDirectory === undefined) return { entryScript: join(folder, entryScript), namedFiles: [] };
  return { sourceDirectory: folder, entryScript: entryScript.replace(`${sourceDirectory}/`, ''), namedFiles: [] };
}

/**
 * What a deploy of the source directory as it is now would change in the code.
 * @throws AksmlError as {@link takeSnapshot}
 */
export async function diffWithWorkingTree(
  store: RevisionStore & { readonly home: Home },
  revision: Revision,
  request: SnapshotRequest,
  options: SnapshotOptions = {},
): Promise<FileChange[]> {
  const { code } = await takeSnapshot(store, request, options);
  const { signal } = options;
  const now = { registry: store.registry, repository: SNAPSHOTS, code, ...(signal === undefined ? {} : { signal }) };
  return compareCode(codeTreeOf(store, revision, signal), now);
}

/** A revision's code, to be read by `code-tree.ts`. */
export function codeTreeOf({ registry }: RevisionStore, revision: Revision, signal: AbortSignal | undefined): CodeTree {
  const { endpoint, version, code } = revision;
  return {
    registry,
    repository: repositoryOf(endpoint, version),
    ...(code === undefined ? {} : { code }),
    ...(signal === undefined ? {} : { signal }),
  };
}

async function compareCode(a: CodeTree, b: CodeTree): Promise<FileChange[]> {
  if (a.code?.digest === b.code?.digest) return [];
  const [before, after] = [await readTree(a), await readTree(b)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter((path) =>
    differ(before.get(path), after.get(path)),
  );
  const fits = (path: string) => Math.max(before.get(path)?.size ?? 0, after.get(path)?.size ?? 0) <= PATCH_BYTES;
  const wanted = new Set(paths.filter(fits));
  const [old, current] = [await readContents(a, wanted), await readContents(b, wanted)];
  return paths.sort().map((path) => {
    const patch = wanted.has(path) ? makePatch(path, old.get(path), current.get(path)) : undefined;
    return { ...describe(path, before.get(path), after.get(path)), ...(patch === undefined ? {} : { patch }) };
  });
}

function differ(a: CodeFile | undefined, b: CodeFile | undefined): boolean {
  return a?.sha256 !== b?.sha256 || a?.executable !== b?.executable;
}

function describe(path: string, before: CodeFile | undefined, after: CodeFile | undefined): FileChange {
  return {
    kind: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    path,
    ...(before === undefined ? {} : { before: before.size, executableBefore: before.executable }),
    ...(after === undefined ? {} : { after: after.size, executableAfter: after.executable }),
  };
}

function makePatch(path: string, before: Uint8Array | undefined, after: Uint8Array | undefined): string | undefined {
  const [old, current] = [textOf(before), textOf(after)];
  if (old === undefined || current === undefined || old === current) return undefined;
  const names = [
    before === undefined ? '/dev/null' : `a/${path}`,
    after === undefined ? '/dev/null' : `b/${path}`,
  ] as const;
  return createTwoFilesPatch(...names, old, current, undefined, undefined, {
    timeout: PATCH_MS,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

/** Undefined for what is no text. */
function textOf(content: Uint8Array | undefined): string | undefined {
  if (content === undefined) return '';
  if (content.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

function modelsByName({ models }: Revision): Record<string, string> {
  return Object.fromEntries(models.map(({ id }) => [id.slice(0, id.lastIndexOf(':')), id]));
}

/** `numpy==1.26` and `numpy @ URL` both by `numpy`. */
function linesByPackage(lock: readonly string[]): Record<string, string> {
  return Object.fromEntries(lock.map((line) => [/^[\w.-]+/.exec(line)?.[0] ?? line, line]));
}

function settingsOf({ settings, container, noCode, code }: Revision): unknown {
  const { entryScript, sourceDirectory } = code ?? {};
  return { ...settings, container, noCode, entryScript, sourceDirectory };
}
