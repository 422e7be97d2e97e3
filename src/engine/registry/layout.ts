import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline, type Readable, Transform } from 'node:stream';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { writeHashed } from './blob-file.ts';
import { close } from './blob-upload.ts';
import {
  type IndexEntry,
  isTagged,
  LayoutIndex,
  repositoryOf,
  without,
  withTag,
  withUntagged,
} from './layout-index.ts';
import { unfinishedName } from './leftover.ts';
import { checkDigest, checkRepository, checkTag, isDigest, sha256 } from './reference.ts';
import type { ReferrerOptions } from './referrers.ts';
import type { Arrival, Descriptor, Manifest, ManifestOptions, MountOptions, Registry } from './registry.ts';
import { asStorageError, isAbsent } from './storage-error.ts';

const READ_CHUNK = 1 << 20;
/** What registries accept at most (distribution specification). */
const LARGEST_MANIFEST = 4 << 20;

/** An OCI image layout in a folder, made on the first write. Several processes may use it at once; all repositories share the blobs. */
export function openLayout(home: Home, folder: string): Registry {
  return new Layout(home, resolve(folder));
}

/** Where a layout keeps its parts. `uploads` is our own: content that has not got its name yet. */
export function layoutFolders(folder: string): { readonly blobs: string; readonly uploads: string } {
  return { blobs: join(folder, 'blobs', 'sha256'), uploads: join(folder, 'uploads') };
}

/** Whoever changes the index, or removes blobs, holds this. The folder must exist. */
export async function withLayoutLock<T>(
  home: Home,
  folder: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const identity = sha256(await realpath(folder)).slice('sha256:'.length, 'sha256:'.length + 32);
  return await withLock(home, `layout-${identity}`, work, signal === undefined ? {} : { signal });
}

type PutBlobOptions = Parameters<Registry['putBlob']>[2];

class Layout implements Registry {
  readonly location: string;
  readonly readsInStep = true;
  readonly #home: Home;
  readonly #blobs: string;
  readonly #uploads: string;
  readonly #index: LayoutIndex;

  constructor(home: Home, folder: string) {
    this.location = folder;
    this.#home = home;
    ({ blobs: this.#blobs, uploads: this.#uploads } = layoutFolders(folder));
    this.#index = new LayoutIndex(folder);
  }

  async hasBlob(repository: string, digest: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    checkRepository(repository);
    return await this.#keep(digest);
  }

  async putBlob(
    repository: string,
    content: AsyncIterable<Uint8Array> | Uint8Array,
    options: PutBlobOptions,
  ): Promise<Descriptor> {
    try {
      options.signal?.throwIfAborted();
      checkRepository(repository);
      const expected =
        content instanceof Uint8Array && options.expected === undefined
          ? { digest: sha256(content), size: content.byteLength }
          : options.expected;
      if (expected && (await this.#keep(expected.digest, expected.size))) {
        return { mediaType: options.mediaType, digest: expected.digest, size: expected.size };
      }
      await this.#make();
      const chunks = content instanceof Uint8Array ? [content] : content;
      return await this.#store(chunks, { ...options, ...(expected === undefined ? {} : { expected }) });
    } catch (error) {
      throw asStorageError(error, 'Storing content', this.location);
    } finally {
      close(content);
    }
  }

  async getBlob(repository: string, digest: string, signal?: AbortSignal): Promise<Readable> {
    signal?.throwIfAborted();
    checkRepository(repository);
    try {
      const file = await open(this.#pathOf(digest), 'r');
      // The stream takes its buffer at once: a thousand small blobs would be a gigabyte of them.
      const highWaterMark = Math.min(READ_CHUNK, (await file.stat()).size + 1);
      const source = file.createReadStream({ highWaterMark, signal });
      const verifier = this.#verifier(digest);
      pipeline(source, verifier, () => {});
      return verifier;
    } catch (error) {
      throw isAbsent(error) ? this.#notFound(`blob ${digest}`) : error;
    }
  }

  async mountBlob(from: string, to: string, blob: Descriptor, { signal }: MountOptions = {}): Promise<Arrival> {
    checkRepository(to);
    if (!(await this.hasBlob(from, blob.digest, signal))) throw this.#notFound(`blob ${blob.digest}`);
    return 'present';
  }

  async getManifest(
    repository: string,
    reference: string,
    signal?: AbortSignal,
  ): Promise<{ readonly manifest: Manifest; readonly descriptor: Descriptor }> {
    signal?.throwIfAborted();
    checkRepository(repository);
    const { byReference } = await this.#index.read();
    const entry = byReference.get(isDigest(reference) ? `${repository}@${reference}` : `${repository}:${reference}`);
    if (!entry) throw this.#notFound(`${repository}:${reference}`);
    const content = await this.#readSmall(entry);
    const { annotations: _ofTheTag, ...descriptor } = entry;
    return { manifest: JSON.parse(content.toString('utf8')) as Manifest, descriptor };
  }

  async putManifest(
    repository: string,
    manifest: Manifest,
    options: ManifestOptions,
  ): Promise<{ readonly descriptor: Descriptor; readonly written: boolean }> {
    const { tag, signal } = options;
    await options.after;
    if (tag !== undefined) checkTag(tag);
    const content = Buffer.from(JSON.stringify(manifest));
    if (content.byteLength > LARGEST_MANIFEST) {
      throw new AksmlError('registry.manifestTooLarge', `The manifest for ${repository} is larger than 4 MiB.`, {
        remedy: 'Shorten its description, tags or properties.',
        fault: 'input',
      });
    }
    const { digest, size } = await this.putBlob(repository, content, { mediaType: manifest.mediaType, signal });
    const { mediaType, artifactType } = manifest;
    const descriptor = { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) };
    try {
      const written = await this.#change(async ({ entries, byReference }) => {
        if (options.ifAbsent && tag !== undefined && byReference.has(`${repository}:${tag}`)) return undefined;
        await this.#checkContent(repository, manifest);
        return tag === undefined
          ? withUntagged(entries, repository, descriptor)
          : withTag(entries, repository, tag, descriptor);
      }, signal);
      return { descriptor, written };
    } catch (error) {
      throw asStorageError(error, 'Storing a manifest', this.location);
    }
  }

  async putReferrer(repository: string, manifest: Manifest, { signal }: ReferrerOptions = {}): Promise<Descriptor> {
    return (await this.putManifest(repository, manifest, signal === undefined ? {} : { signal })).descriptor;
  }

  async listReferrers(repository: string, digest: string, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    signal?.throwIfAborted();
    const { entries } = await this.#index.read();
    const untagged = entries.filter((entry) => repositoryOf(entry) === repository && !isTagged(entry));
    const found: Descriptor[] = [];
    for (const { annotations: _ofTheIndex, ...descriptor } of untagged) {
      const manifest = JSON.parse((await this.#readSmall(descriptor)).toString('utf8')) as Manifest;
      if (manifest.subject?.digest === digest) found.push(descriptor);
    }
    return found;
  }

  async deleteManifest(repository: string, reference: string, signal?: AbortSignal): Promise<void> {
    checkRepository(repository);
    await this.#make();
    await this.#change(async ({ entries }) => {
      const rest = without(entries, repository, reference);
      if (rest.length === entries.length) throw this.#notFound(`${repository}:${reference}`);
      return rest;
    }, signal);
  }

  async listTags(repository: string, signal?: AbortSignal): Promise<string[]> {
    signal?.throwIfAborted();
    checkRepository(repository);
    return [...((await this.#index.read()).tags.get(repository) ?? [])];
  }

  async listRepositories(prefix: string, signal?: AbortSignal): Promise<string[]> {
    signal?.throwIfAborted();
    return [...(await this.#index.read()).tags.keys()].filter((repository) => repository.startsWith(prefix));
  }

  /** Replaces the index under the lock; `edit` answers undefined to leave it alone. */
  async #change(
    edit: (index: Awaited<ReturnType<LayoutIndex['read']>>) => Promise<readonly IndexEntry[] | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    return await withLayoutLock(
      this.#home,
      this.location,
      async () => {
        const entries = await edit(await this.#index.read());
        if (!entries) return false;
        await syncFolder(this.#blobs);
        await this.#index.replace(entries);
        await syncFolder(this.location);
        return true;
      },
      signal,
    );
  }

  /** Within the lock, so that what garbage collection has just removed cannot be referred to. */
  async #checkContent(repository: string, manifest: Manifest): Promise<void> {
    for (const blob of [manifest.config, ...manifest.layers]) {
      if (await this.#keep(blob.digest, blob.size)) continue;
      throw new AksmlError('registry.blobUnknown', `A manifest for ${repository} names content that is not stored.`, {
        subject: blob.digest,
        remedy: 'Run the command again: it stores the content anew.',
      });
    }
  }

  /** Whether the blob is there; if so it counts as new again, so that garbage collection leaves it to whoever asked. */
  async #keep(digest: string, size?: number): Promise<boolean> {
    const path = this.#pathOf(digest);
    try {
      if (size !== undefined && (await stat(path)).size !== size) return false;
      const now = new Date();
      await utimes(path, now, now);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  async #store(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, options: PutBlobOptions): Promise<Descriptor> {
    const temporary = join(this.#uploads, unfinishedName());
    try {
      const { digest, size } = await writeHashed(temporary, chunks, options.onBytes, options.signal);
      const { expected } = options;
      if (expected && (expected.digest !== digest || expected.size !== size)) {
        throw new AksmlError('registry.digestMismatch', `Content for ${expected.digest} turned out to be ${digest}.`, {
          subject: expected.digest,
        });
      }
      if (!(await this.#keep(digest, size))) {
        await rename(temporary, this.#pathOf(digest)).catch(async (error: unknown) => {
          // Windows refuses to replace a file that another process, which stored the same, has open.
          if (!(await this.#keep(digest, size))) throw error;
        });
      }
      return { mediaType: options.mediaType, digest, size };
    } finally {
      await rm(temporary, { force: true });
    }
  }

  #verifier(digest: string): Transform {
    const hash = createHash('sha256');
    return new Transform({
      readableHighWaterMark: READ_CHUNK,
      writableHighWaterMark: READ_CHUNK,
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk);
        done(null, chunk);
      },
      flush: (done) => {
        if (`sha256:${hash.digest('hex')}` === digest) done();
        else this.#setAside(digest).then(() => done(this.#corrupt(digest)), done);
      },
    });
  }

  async #readSmall(entry: IndexEntry): Promise<Buffer> {
    try {
      const content = await readFile(this.#pathOf(entry.digest));
      if (sha256(content) === entry.digest) return content;
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    throw this.#corrupt(entry.digest);
  }

  /** Damaged content loses its name, so that storing it again repairs the layout. */
  async #setAside(digest: string): Promise<void> {
    await rename(this.#pathOf(digest), join(this.#uploads, `damaged-${randomUUID()}`));
  }

  #pathOf(digest: string): string {
    checkDigest(digest);
    return join(this.#blobs, digest.slice('sha256:'.length));
  }

  /** Before every write: the folder may have been deleted since the last. */
  async #make(): Promise<void> {
    await mkdir(this.#blobs, { recursive: true, mode: 0o700 });
    await mkdir(this.#uploads, { recursive: true, mode: 0o700 });
    const marker = join(this.location, 'oci-layout');
    if (!(await stat(marker).catch(() => undefined))) {
      await writeFileAtomic(marker, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    }
    if (await this.#index.isAbsent()) {
      await withLayoutLock(this.#home, this.location, () => this.#index.makeIfAbsent());
    }
  }

  #notFound(what: string): AksmlError {
    return new AksmlError('registry.notFound', `${what} is not in ${this.location}.`, { subject: what });
  }

  #corrupt(digest: string): AksmlError {
    return new AksmlError('registry.corrupt', `${digest} in ${this.location} is damaged or gone.`, {
      subject: digest,
      remedy: 'Register or deploy what it belongs to again.',
    });
  }
}

/** Makes renames durable. Windows cannot open folders and needs no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
