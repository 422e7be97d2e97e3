import { posix } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';
import type { CodeReference } from '../../contract/revision.ts';
import type { Home } from '../../home/home.ts';
import { type Descriptor, MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import { readIgnoreRules } from './ignore.ts';
import {
  fingerprint,
  forgetKnownLayer,
  isSettled,
  type KnownLayer,
  readKnownLayer,
  writeKnownLayer,
} from './known-layers.ts';
import { packLayer } from './pack.ts';
import { checkUnreadable, leftOut, overLimits, refuseIfFaulty } from './problems.ts';
import { type ScannedTree, scanFile, scanTree } from './scan.ts';
import { foldersTo, openSource, type SnapshotRequest, type Source } from './source.ts';
import { type Ignored, type ReadFile, TreeChanged, type TreeEntry } from './tree.ts';

export type { SnapshotRequest } from './source.ts';

export interface Snapshot {
  /** A deterministic, uncompressed tar in the repository {@link SNAPSHOTS}. */
  readonly layer: Descriptor;
  readonly code: CodeReference;
  /** In the order of the layer; paths below the source directory. */
  readonly files: readonly SnapshotFile[];
  readonly ignored: Ignored;
  /** Warnings; whatever is an error was thrown. */
  readonly problems: readonly Problem[];
  /** The tree is the one of the last time: no file was read. */
  readonly reused: boolean;
}

export interface SnapshotFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
}

export interface SnapshotOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** For tests: the clock that the file system's times are compared with. */
  readonly clock?: () => Date;
}

interface SnapshotStore {
  readonly home: Home;
  readonly registry: Registry;
}

/** The repository that code layers are stored in first; a revision takes them over. */
export const SNAPSHOTS = 'snapshots';

const ATTEMPTS = 3;
const FILES_PER_EVENT = 500;

/**
 * Packs the source directory into a layer. Equal trees give equal layers on every machine, and a tree that has not changed since the last
 * time costs only the look at its file names and times.
 * @throws AksmlError `snapshot.refused` with every problem found | `snapshot.sourceMissing` | `snapshot.treeChanged` | `snapshot.unreadable`
 */
export async function takeSnapshot(
  store: SnapshotStore,
  request: SnapshotRequest,
  options: SnapshotOptions = {},
): Promise<Snapshot> {
  const source = await openSource(request, store.home);
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    try {
      return await attemptSnapshot(store, source, options);
    } catch (error) {
      if (!(error instanceof TreeChanged)) throw error;
      if (attempt === ATTEMPTS) {
        throw new AksmlError('snapshot.treeChanged', `${error.path} changes while the source directory is packed.`, {
          subject: error.path,
          remedy: 'Wait until whatever writes it has finished, or ignore the file, then run the command again.',
        });
      }
    }
  }
}

/** Whether a snapshot leaves this file out: by the rules alone, before what the configuration names is taken back in. */
export async function isIgnored(sourceDirectory: string, relativePath: string): Promise<boolean> {
  const rules = await readIgnoreRules(sourceDirectory);
  return rules.ignores(posix.normalize(relativePath));
}

async function attemptSnapshot(store: SnapshotStore, source: Source, options: SnapshotOptions): Promise<Snapshot> {
  const startedMs = (options.clock?.() ?? new Date()).getTime();
  const known = await readKnownLayer(store.home, source.location);
  const tree = await scan(source, known !== undefined, options.signal);
  refuseIfFaulty(source, tree);
  const reused =
    known !== undefined &&
    known.fingerprint === fingerprint(source.prefix, tree.entries) &&
    (await store.registry.hasBlob(SNAPSHOTS, known.digest, options.signal));
  const packed = reused ? sameAsBefore(known, tree) : await storeLayer(store, source, tree, options, startedMs);
  checkUnreadable(source, packed.unreadable);
  if (!reused) await remember(store.home, source, tree, packed, startedMs);
  return {
    layer: packed.layer,
    code: codeReference(source, packed),
    files: packed.files.map(({ path, stamp: { size, executable } }) => ({ path, size, executable })),
    ignored: tree.ignored,
    problems: [
      ...source.rules.problems,
      ...tree.problems,
      ...packed.unreadable.map(leftOut),
      ...(source.liftLimits ? [] : overLimits(packed.files)),
    ],
    reused,
  };
}

function scan(source: Source, stamps: boolean, signal: AbortSignal | undefined): ScannedTree | Promise<ScannedTree> {
  if (source.folderName === undefined) return scanFile(source.root, source.entryScript);
  return scanTree({ ...source, stamps, ...(signal === undefined ? {} : { signal }) });
}

interface Packed {
  readonly layer: Descriptor;
  readonly files: readonly ReadFile[];
  readonly unreadable: readonly string[];
}

function sameAsBefore({ digest, size }: KnownLayer, { entries }: ScannedTree): Packed {
  const files = entries.flatMap((entry) =>
    entry.kind === 'file' && entry.stamp ? [{ path: entry.path, stamp: entry.stamp }] : [],
  );
  return { layer: { mediaType: MEDIA_TYPE.layer, digest, size }, files, unreadable: [] };
}

async function storeLayer(
  { registry }: SnapshotStore,
  { root, prefix }: Source,
  tree: ScannedTree,
  { onProgress, signal }: SnapshotOptions,
  startedMs: number,
): Promise<Packed> {
  const files: ReadFile[] = [];
  const unreadable: string[] = [];
  const content = packLayer({
    root,
    prefix,
    above: foldersTo(prefix),
    entries: tree.entries,
    startedMs,
    onUnreadable: (path) => unreadable.push(path),
    onFile(file) {
      files.push(file);
      if (files.length % FILES_PER_EVENT !== 0) return;
      onProgress?.({ type: 'progress', stage: 'snapshot', done: files.length, total: tree.fileCount, unit: 'files' });
    },
    ...(signal === undefined ? {} : { signal }),
  });
  const layer = await registry.putBlob(SNAPSHOTS, content, {
    mediaType: MEDIA_TYPE.layer,
    ...(signal === undefined ? {} : { signal }),
  });
  return { layer, files, unreadable };
}

async function remember(
  home: Home,
  { prefix, location }: Source,
  tree: ScannedTree,
  { layer, files, unreadable }: Packed,
  startedMs: number,
): Promise<void> {
  if (!isSettled(files, startedMs) || unreadable.length > 0) {
    await forgetKnownLayer(home, location);
    return;
  }
  // All were read, in the order of the tree.
  const read = files.values();
  const entries = tree.entries.map((entry): TreeEntry => {
    if (entry.kind === 'folder') return entry;
    const stamp = read.next().value?.stamp;
    return stamp === undefined ? entry : { kind: 'file', path: entry.path, stamp };
  });
  const { digest, size } = layer;
  await writeKnownLayer(home, location, { fingerprint: fingerprint(prefix, entries), digest, size });
}

function codeReference({ folderName, entryScript }: Source, { layer, files }: Packed): CodeReference {
  return {
    digest: layer.digest,
    size: layer.size,
    fileCount: files.length,
    ...(folderName === undefined ? {} : { sourceDirectory: folderName }),
    entryScript: folderName === undefined ? entryScript : `${folderName}/${entryScript}`,
  };
}
