import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { type Descriptor, MEDIA_TYPE } from './registry.ts';
import { isAbsent } from './storage-error.ts';

/** `<repository>:<tag>`, as other tools that read image layouts expect it. */
const REF_NAME = 'org.opencontainers.image.ref.name';
/** Marks a manifest that no tag names, or no longer. */
const REPOSITORY = 'dev.aksml.repository';

/** One manifest of `index.json`. A manifest has an entry for each of its tags, or one untagged entry. */
export type IndexEntry = Descriptor;

/** The parsed index with its look-ups. */
export interface IndexView {
  readonly entries: readonly IndexEntry[];
  readonly byReference: ReadonlyMap<string, IndexEntry>;
  readonly tags: ReadonlyMap<string, readonly string[]>;
}

export function repositoryOf(entry: IndexEntry): string | undefined {
  const reference = entry.annotations?.[REF_NAME];
  if (reference === undefined) return entry.annotations?.[REPOSITORY];
  const colon = reference.lastIndexOf(':');
  return colon < 0 ? undefined : reference.slice(0, colon);
}

export function isTagged(entry: IndexEntry): boolean {
  return entry.annotations?.[REF_NAME] !== undefined;
}

function isTag(entry: IndexEntry, repository: string, tag: string): boolean {
  return entry.annotations?.[REF_NAME] === `${repository}:${tag}`;
}

/** The tag moves; a manifest that loses its last one stays readable by digest until garbage is collected, as in a registry. */
export function withTag(
  entries: readonly IndexEntry[],
  repository: string,
  tag: string,
  manifest: Descriptor,
): IndexEntry[] {
  const previous = entries.find((entry) => isTag(entry, repository, tag));
  const rest = entries.filter(
    (entry) =>
      entry !== previous &&
      !(entry.digest === manifest.digest && !isTagged(entry) && repositoryOf(entry) === repository),
  );
  const tagged = { ...manifest, annotations: { [REF_NAME]: `${repository}:${tag}` } };
  return previous && previous.digest !== manifest.digest
    ? withUntagged([...rest, tagged], repository, previous)
    : [...rest, tagged];
}

export function withUntagged(entries: readonly IndexEntry[], repository: string, manifest: Descriptor): IndexEntry[] {
  const known = entries.some((entry) => entry.digest === manifest.digest && repositoryOf(entry) === repository);
  return known ? [...entries] : [...entries, { ...manifest, annotations: { [REPOSITORY]: repository } }];
}

/** Without that tag, or without every entry of that digest in the repository. */
export function without(entries: readonly IndexEntry[], repository: string, reference: string): IndexEntry[] {
  return entries.filter(
    (entry) =>
      !isTag(entry, repository, reference) && !(entry.digest === reference && repositoryOf(entry) === repository),
  );
}

/**
 * Reads and replaces `index.json`. Parsed once per file version: a replaced file has another inode and time. Nothing else knows which
 * content has which name, so there is a copy of it beside it, which is read when the index is damaged or gone.
 */
export class LayoutIndex {
  readonly #file: string;
  readonly #copy: string;
  #known: { readonly identity: string; readonly view: IndexView } | undefined;

  constructor(folder: string) {
    this.#file = join(folder, 'index.json');
    this.#copy = join(folder, 'index.copy.json');
  }

  async read(): Promise<IndexView> {
    try {
      return await this.#read(this.#file);
    } catch (error) {
      if (!isAbsent(error) && !AksmlError.is(error, 'registry.corrupt')) throw error;
      const copy = await this.#read(this.#copy).catch(() => undefined);
      if (copy) return copy;
      if (isAbsent(error)) return toView([]);
      throw error;
    }
  }

  async #read(file: string): Promise<IndexView> {
    const { ino, mtimeNs, size } = await stat(file, { bigint: true });
    const identity = `${ino} ${mtimeNs} ${size}`;
    if (this.#known?.identity === identity) return this.#known.view;
    const view = toView(parse(await readFile(file, 'utf8'), this.#file));
    this.#known = { identity, view };
    return view;
  }

  /** An image layout always has an index. To be called under the layout's lock. */
  async makeIfAbsent(): Promise<void> {
    if (await this.isAbsent()) await this.replace((await this.read()).entries);
  }

  async isAbsent(): Promise<boolean> {
    return (await stat(this.#file).catch(() => undefined)) === undefined;
  }

  async replace(entries: readonly IndexEntry[]): Promise<void> {
    const content = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: entries };
    const text = `${JSON.stringify(content, undefined, 1)}\n`;
    // The copy first: it must not know less than the index, or garbage collection would take the difference.
    await writeFileAtomic(this.#copy, text);
    await writeFileAtomic(this.#file, text);
  }
}

function toView(entries: readonly IndexEntry[]): IndexView {
  const byReference = new Map<string, IndexEntry>();
  const tags = new Map<string, string[]>();
  for (const entry of entries) {
    const repository = repositoryOf(entry);
    if (repository === undefined) continue;
    byReference.set(`${repository}@${entry.digest}`, entry);
    const reference = entry.annotations?.[REF_NAME];
    if (reference === undefined) continue;
    byReference.set(reference, entry);
    const known = tags.get(repository);
    const tag = reference.slice(repository.length + 1);
    if (known) known.push(tag);
    else tags.set(repository, [tag]);
  }
  return { entries, byReference, tags };
}

function parse(text: string, file: string): IndexEntry[] {
  try {
    const { manifests } = JSON.parse(text) as { manifests: IndexEntry[] };
    if (Array.isArray(manifests) && manifests.every((entry) => typeof entry.digest === 'string')) return manifests;
  } catch {
    // Reported below: not JSON and not an index are one thing to the user.
  }
  throw new AksmlError('registry.corrupt', `${file} is not the index of an OCI image layout.`, {
    subject: file,
    remedy: 'Restore the file from a backup, or move the folder away and register its models again.',
  });
}
