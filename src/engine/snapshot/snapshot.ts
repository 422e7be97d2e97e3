import { posix } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';
import type { CodeReference } from '../../contract/revision.ts';
import type { Home } from '../../home/home.ts';
import { sha256 } from '../registry/reference.ts';
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
  /** A deterministic, uncompressed tar, in the repository {@link SNAPSHOTS} unless it is held. */
  readonly layer: Descriptor;
  /** The layer, where it was to be held and is small: it is in no repository yet. */
  readonly held?: Uint8Array;
  readonly code: CodeReference;
  /** In the order of the layer; paths below the source directory. */
  readonly files: readonly SnapshotFile[];
  readonly ignored: Ignored;
  /** Warnings; whatever is an error was thrown. */
  readonly problems: readonly Problem[];
  /** The tree is the one of the last time. */
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
  /** Whether a small layer is handed out instead of stored: it goes where it is needed without the way over {@link SNAPSHOTS}. */
  readonly hold?: boolean;
  /** Nothing is stored in the registry before this has ended well. */
  readonly storeAfter?: Promise<unknown>;
  /** For tests: the clock that the file system's times are compared with. */
  readonly clock?: () => Date;
}

interface SnapshotStore {
  readonly home: Home;
  readonly registry: Registry;
}

/** The repository that code layers are stored in first, unless they are held; a revision takes them over. */
export const SNAPSHOTS = 'snapshots';

const ATTEMPTS = 3;
const FILES_PER_EVENT = 500;
/** Read and sent in so short a time that looking for what is stored is not worth it. */
const SMALL_BYTES = 1 << 20;

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
  const isStored =
    known !== undefined &&
    !(options.hold && known.size <= SMALL_BYTES) &&
    known.fingerprint === fingerprint(source.prefix, tree.entries) &&
    (await store.registry.hasBlob(SNAPSHOTS, known.digest, options.signal));
  const packed = isStored ? sameAsBefore(known, tree) : await makeLayer(store, source, tree, options, startedMs);
  checkUnreadable(source, packed.unreadable);
  if (!isStored) await remember(store.home, source, tree, packed, startedMs);
  const { held } = packed;
  return {
    layer: packed.layer,
    ...(held === undefined ? {} : { held }),
    code: codeReference(source, packed),
    files: packed.files.map(({ path, stamp: { size, executable } }) => ({ path, size, executable })),
    ignored: tree.ignored,
    problems: [
      ...source.rules.problems,
      ...tree.problems,
      ...packed.unreadable.map(leftOut),
      ...(source.liftLimits ? [] : overLimits(packed.files)),
    ],
    reused: isStored || (held !== undefined && known?.digest === packed.layer.digest),
  };
}

function scan(source: Source, stamps: boolean, signal: AbortSignal | undefined): ScannedTree | Promise<ScannedTree> {
  if (source.folderName === undefined) return scanFile(source.root, source.entryScript);
  return scanTree({ ...source, stamps, ...(signal === undefined ? {} : { signal }) });
}

interface Packed {
  readonly layer: Descriptor;
  readonly held?: Uint8Array;
  readonly files: readonly ReadFile[];
  readonly unreadable: readonly string[];
}

function sameAsBefore({ digest, size }: KnownLayer, { entries }: ScannedTree): Packed {
  const files = entries.flatMap((entry) =>
    entry.kind === 'file' && entry.stamp ? [{ path: entry.path, stamp: entry.stamp }] : [],
  );
  return { layer: { mediaType: MEDIA_TYPE.layer, digest, size }, files, unreadable: [] };
}

async function makeLayer(
  { registry }: SnapshotStore,
  { root, prefix }: Source,
  tree: ScannedTree,
  { onProgress, signal, hold = false, storeAfter }: SnapshotOptions,
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
  const { whole: held, rest } = hold ? await holdSmall(content) : { rest: content };
  const { layer: mediaType } = MEDIA_TYPE;
  if (held) {
    return { layer: { mediaType, digest: sha256(held), size: held.length }, held, files, unreadable };
  }
  try {
    await storeAfter;
    const layer = await registry.putBlob(SNAPSHOTS, rest, { mediaType, ...(signal === undefined ? {} : { signal }) });
    return { layer, files, unreadable };
  } finally {
    // A file is open in it until it has ended.
    await content.return(undefined);
  }
}

/** The content where it is small, else what can be stored instead of it. */
async function holdSmall(
  content: AsyncGenerator<Uint8Array>,
): Promise<{ readonly whole?: Uint8Array; readonly rest: AsyncIterable<Uint8Array> }> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let next = await content.next(); !next.done; next = await content.next()) {
    size += next.value.length;
    if (size > SMALL_BYTES) return { rest: continued(pieces, next.value, content) };
    pieces.push(Uint8Array.from(next.value));
  }
  return { whole: Buffer.concat(pieces), rest: content };
}

async function* continued(
  before: readonly Uint8Array[],
  piece: Uint8Array,
  content: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* before;
  yield piece;
  yield* content;
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
