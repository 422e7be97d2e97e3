import { randomUUID } from 'node:crypto';
import { lstat, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { layoutFolders, withLayoutLock } from './layout.ts';
import { type IndexEntry, isTagged, LayoutIndex } from './layout-index.ts';
import { isInWork, isLeftover } from './leftover.ts';
import type { Descriptor, Manifest } from './registry.ts';
import { isAbsent } from './storage-error.ts';

/** What something that lives needs, beyond what the index names. */
export interface GcRoots {
  /** Manifests (`sha256:…`) to keep although no tag names them: revisions of live endpoints. */
  readonly manifests: ReadonlySet<string>;
  /** Tree digests (`sha256:…`) of the models that live versions load from `home.models`. */
  readonly trees: ReadonlySet<string>;
  /** Names of the folders in `home.bundles` that live versions run from. */
  readonly bundles: ReadonlySet<string>;
}

export interface GcOptions {
  readonly roots: GcRoots;
  /** What is younger stays, because another process may be about to refer to it; milliseconds, default one hour. */
  readonly graceMs?: number;
  readonly clock: () => Date;
  /** Only tell what would go. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface Freed {
  readonly count: number;
  readonly bytes: number;
}

/** What was freed, or would be. */
export interface GcResult {
  /** Manifests that had lost their tag. Their bytes are counted as blobs. */
  readonly manifests: Freed;
  readonly blobs: Freed;
  /** Unfinished content of processes that have ended. */
  readonly uploads: Freed;
  readonly models: Freed;
  readonly bundles: Freed;
  readonly bytes: number;
}

const DEFAULT_GRACE_MS = 3_600_000;
/** An upload whose process seems to have ended is spared this long: the process may live in another container. */
const QUIET_UPLOAD_MS = 60_000;
/** Whoever uses or removes an unpacked model tree by name holds this. */
export const MODEL_TREES_LOCK = 'model-trees';

interface Sweep {
  readonly olderThan: number;
  readonly now: number;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Removes what nothing names any more: from the workspace's image layout, and from the caches of unpacked models and of bundles.
 * Safe beside other processes, and to be repeated after a kill.
 * @throws AksmlError `registry.corrupt` when a manifest cannot be read, so that nothing is removed by mistake
 */
export async function gc(home: Home, workspace: { readonly folder: string }, options: GcOptions): Promise<GcResult> {
  const now = options.clock().getTime();
  const sweep: Sweep = {
    olderThan: now - (options.graceMs ?? DEFAULT_GRACE_MS),
    now,
    dryRun: options.dryRun ?? false,
    signal: options.signal,
  };
  const uploads = await sweepUploads(workspace.folder, sweep);
  const { manifests, blobs } = await sweepLayout(home, workspace.folder, options.roots.manifests, sweep);
  const trees = new Set([...options.roots.trees].map((digest) => digest.slice(digest.indexOf(':') + 1)));
  const models = await sweepCache(home, home.models, trees, sweep);
  const bundles = await sweepCache(home, home.bundles, options.roots.bundles, sweep);
  const bytes = uploads.bytes + blobs.bytes + models.bytes + bundles.bytes;
  return { manifests, blobs, uploads, models, bundles, bytes };
}

async function sweepLayout(
  home: Home,
  folder: string,
  roots: ReadonlySet<string>,
  sweep: Sweep,
): Promise<{ manifests: Freed; blobs: Freed }> {
  const { blobs: blobFolder } = layoutFolders(folder);
  if (!(await stat(blobFolder).catch(() => undefined))) return { manifests: NOTHING, blobs: NOTHING };
  return await withLayoutLock(
    home,
    folder,
    async () => {
      const index = new LayoutIndex(folder);
      const { entries } = await index.read();
      const { kept, marked } = await mark(entries, blobFolder, roots, sweep);
      const dropped = entries.filter((entry) => !kept.includes(entry));
      if (dropped.length > 0 && !sweep.dryRun) await index.replace(kept);
      const blobs = await sweepFiles(
        blobFolder,
        (name) => (marked.has(`sha256:${name}`) ? undefined : sweep.olderThan),
        sweep,
      );
      return { manifests: { count: dropped.length, bytes: 0 }, blobs };
    },
    sweep.signal,
  );
}

/** Which index entries stay, and every digest that they lead to. */
async function mark(
  entries: readonly IndexEntry[],
  blobFolder: string,
  roots: ReadonlySet<string>,
  sweep: Sweep,
): Promise<{ kept: IndexEntry[]; marked: Set<string> }> {
  const marked = new Set<string>();
  const kept: IndexEntry[] = [];
  const undecided: IndexEntry[] = [];
  for (const entry of entries) {
    if (isTagged(entry) || roots.has(entry.digest) || (await isYoung(join(blobFolder, hex(entry)), sweep))) {
      kept.push(entry);
      await markManifest(entry, blobFolder, marked);
    } else undecided.push(entry);
  }
  for (const entry of undecided) if (marked.has(entry.digest)) kept.push(entry);
  return { kept, marked };
}

async function markManifest(descriptor: Descriptor, blobFolder: string, marked: Set<string>): Promise<void> {
  if (marked.has(descriptor.digest)) return;
  const content = await readManifest(descriptor, blobFolder);
  marked.add(descriptor.digest);
  for (const blob of [content.config, ...(content.layers ?? [])]) if (blob) marked.add(blob.digest);
  for (const child of [content.subject, ...(content.manifests ?? [])]) {
    if (child && (await isThere(child, blobFolder))) await markManifest(child, blobFolder, marked);
  }
}

/** A subject, and an index's image for another platform, may be absent (image specification). */
async function isThere(descriptor: Descriptor, blobFolder: string): Promise<boolean> {
  return await stat(join(blobFolder, hex(descriptor))).then(
    () => true,
    () => false,
  );
}

async function readManifest(
  descriptor: Descriptor,
  blobFolder: string,
): Promise<Partial<Manifest> & { readonly manifests?: readonly Descriptor[] }> {
  try {
    return JSON.parse(await readFile(join(blobFolder, hex(descriptor)), 'utf8'));
  } catch (cause) {
    throw new AksmlError('registry.corrupt', `The manifest ${descriptor.digest} in ${blobFolder} cannot be read.`, {
      subject: Object.values(descriptor.annotations ?? {}).join(' ') || descriptor.digest,
      remedy: 'Delete what it belongs to, or register it again; then run the command again.',
      cause,
    });
  }
}

/** What `writeFileAtomic` was writing when its process was killed. */
const UNFINISHED_FILE = /^\..+\.[0-9a-f-]{36}\.tmp$/;

async function sweepUploads(folder: string, sweep: Sweep): Promise<Freed> {
  const uploads = await sweepFiles(
    layoutFolders(folder).uploads,
    (name) => (isLeftover(name) ? sweep.now - QUIET_UPLOAD_MS : sweep.olderThan),
    sweep,
  );
  const files = await sweepFiles(
    folder,
    (name) => (UNFINISHED_FILE.test(name) ? sweep.now - QUIET_UPLOAD_MS : undefined),
    sweep,
  );
  return { count: uploads.count + files.count, bytes: uploads.bytes + files.bytes };
}

/** `goesBefore` tells up to which time of its last change a file goes; undefined keeps it. */
async function sweepFiles(
  folder: string,
  goesBefore: (name: string) => number | undefined,
  sweep: Sweep,
): Promise<Freed> {
  let count = 0;
  let bytes = 0;
  for (const name of await list(folder)) {
    sweep.signal?.throwIfAborted();
    const limit = goesBefore(name);
    if (limit === undefined) continue;
    const path = join(folder, name);
    const { mtimeMs, size } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY, size: 0 }));
    if (mtimeMs > limit) continue;
    if (!sweep.dryRun && !(await removed(path))) continue;
    count += 1;
    bytes += size;
  }
  return { count, bytes };
}

/** A folder goes by renaming it first: half of a tree must never be found under its own name. */
async function sweepCache(home: Home, folder: string, live: ReadonlySet<string>, sweep: Sweep): Promise<Freed> {
  let count = 0;
  let bytes = 0;
  for (const name of await list(folder)) {
    sweep.signal?.throwIfAborted();
    const path = join(folder, name);
    if (live.has(name) || isInWork(name) || (await isYoung(path, sweep))) continue;
    const size = await sizeOf(path);
    if (!sweep.dryRun) {
      const doomed = join(folder, `.removed-${randomUUID()}`);
      const moved = await withLock(home, MODEL_TREES_LOCK, async () => {
        if (await isYoung(path, sweep)) return false;
        return await rename(path, doomed).then(
          () => true,
          () => false,
        );
      });
      if (!moved || !(await removed(doomed))) continue;
    }
    count += 1;
    bytes += size;
  }
  return { count, bytes };
}

/** False when the system does not let it go, such as a file that a process on Windows has open: it goes another time. */
async function removed(path: string): Promise<boolean> {
  return await rm(path, { recursive: true, force: true }).then(
    () => true,
    () => false,
  );
}

async function isYoung(path: string, sweep: Sweep): Promise<boolean> {
  try {
    return (await lstat(path)).mtimeMs > sweep.olderThan;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  const status = await lstat(path);
  if (!status.isDirectory()) return status.size;
  let bytes = 0;
  for (const name of await list(path)) bytes += await sizeOf(join(path, name));
  return bytes;
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

function hex(descriptor: Descriptor): string {
  return descriptor.digest.slice('sha256:'.length);
}

const NOTHING: Freed = { count: 0, bytes: 0 };
