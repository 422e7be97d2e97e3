import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { AksmlError } from '../../contract/error.ts';
import type { Answer } from '../../http/fetch.ts';
import { together } from '../../parallel/parallel.ts';
import { downloadBlob } from './blob-download.ts';
import { close, type UploadPorts, uploadBlob } from './blob-upload.ts';
import { CLAIM_TAG, putIfAbsent } from './claim.ts';
import { type ClientOptions, optionalSignal, RegistryClient } from './client.ts';
import { putEmpty } from './empty.ts';
import { backOff } from './http.ts';
import { KnownContent } from './known-content.ts';
import { checkDigest, isDigest, sha256 } from './reference.ts';
import { listReferrers, putReferrer, type ReferrerOptions, type ReferrerPorts } from './referrers.ts';
import {
  type Arrival,
  type Descriptor,
  type ImageIndex,
  type Manifest,
  type ManifestOptions,
  MEDIA_TYPE,
  type MountOptions,
  type OnBytes,
  type Registry,
} from './registry.ts';
import { notedRepositories, noteRepository } from './repository-index.ts';

export interface DistributionOptions extends ClientOptions {
  /** Bytes sent at a time, and held in memory meanwhile; default 8 MiB. */
  readonly chunkBytes?: number;
}

/** A manifest as the registry stores it, which may be an index or one of Docker's own types. */
export interface RawManifest {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
}

/** Docker's types of the same things; registries still answer with them. */
export const DOCKER_MEDIA_TYPE = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

const DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024;
const MANIFEST_ATTEMPTS = 4;
/** The distribution specification asks registries to take 4 MiB at least. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const ACCEPTED = [MEDIA_TYPE.manifest, MEDIA_TYPE.index, DOCKER_MEDIA_TYPE.manifest, DOCKER_MEDIA_TYPE.list].join(', ');

/**
 * A registry over the OCI distribution API 1.1. `address` is `HOST[:PORT][/PREFIX]`; the prefix is put before every repository name.
 * Spoken to over TLS, except on this machine.
 */
export class DistributionRegistry implements Registry {
  readonly location: string;
  readonly #client: RegistryClient;
  readonly #chunkBytes: number;
  /** Repositories that this client has noted in the index. */
  readonly #noted = new Set<string>();
  readonly #known: KnownContent;

  constructor(address: string, options: DistributionOptions) {
    this.#client = new RegistryClient(address, options);
    this.location = this.#client.location;
    this.#known = new KnownContent(this.#client.ports.now);
    this.#chunkBytes = options.chunkBytes ?? DEFAULT_CHUNK_BYTES;
  }

  async hasBlob(repository: string, digest: string, signal?: AbortSignal): Promise<boolean> {
    checkDigest(digest);
    if (this.#known.hasBlob(repository, digest)) return true;
    const response = await this.#client.send(
      'HEAD',
      this.#client.url(repository, `blobs/${digest}`),
      'pull',
      repository,
      { signal },
    );
    await response.body?.cancel();
    if (response.ok) return true;
    if (response.status === 404) return false;
    throw await this.#client.failures.of(response, `looking for ${digest} in ${repository}`);
  }

  async putBlob(
    repository: string,
    content: AsyncIterable<Uint8Array> | Uint8Array,
    options: {
      readonly mediaType: string;
      readonly expected?: { readonly digest: string; readonly size: number };
      readonly isNew?: boolean;
      readonly onBytes?: OnBytes;
      readonly signal?: AbortSignal;
    },
  ): Promise<Descriptor> {
    try {
      const expected = options.expected ?? (content instanceof Uint8Array ? describe(content) : undefined);
      if (expected && !options.isNew && (await this.hasBlob(repository, expected.digest, options.signal))) {
        options.onBytes?.(expected.size);
        return { mediaType: options.mediaType, digest: expected.digest, size: expected.size };
      }
      const chunks = content instanceof Uint8Array ? [content] : content;
      const sent = await uploadBlob(this.#uploadPorts(repository), chunks, {
        start: this.#client.url(repository, 'blobs/uploads/'),
        chunkBytes: this.#chunkBytes,
        ...(expected === undefined ? {} : { expected }),
        ...(options.onBytes === undefined ? {} : { onBytes: options.onBytes }),
        ...optionalSignal(options.signal),
      });
      return { mediaType: options.mediaType, ...sent };
    } finally {
      close(content);
    }
  }

  async getBlob(repository: string, digest: string, signal?: AbortSignal): Promise<Readable> {
    checkDigest(digest);
    return await downloadBlob({
      digest,
      http: this.#client.ports,
      open: (offset) => this.#openBlob(repository, digest, offset, signal),
      corrupt: () => this.#client.failures.corrupt(repository, digest),
      broken: (cause) => this.#client.failures.broken(`reading ${digest} of ${repository}`, cause),
      ...optionalSignal(signal),
    });
  }

  async mountBlob(from: string, to: string, blob: Descriptor, options: MountOptions = {}): Promise<Arrival> {
    const { isNew = false, signal } = options;
    if (!isNew && (await this.hasBlob(to, blob.digest, signal))) return 'present';
    if (from !== to && (await this.mountFrom(this, from, to, blob, signal))) return 'mounted';
    // Not every registry mounts: it has opened an upload instead, which it will forget.
    await this.putBlob(to, blobContent(this, from, blob.digest, signal), {
      mediaType: blob.mediaType,
      expected: blob,
      ...optionalSignal(signal),
    });
    return 'sent';
  }

  /** Takes a blob over from any repository on the same host; false where that cannot be done. */
  async mountFrom(
    source: DistributionRegistry,
    from: string,
    to: string,
    blob: Descriptor,
    signal?: AbortSignal,
  ): Promise<boolean> {
    if (source.#client.origin !== this.#client.origin) return false;
    const url = this.#client.url(to, 'blobs/uploads/');
    url.searchParams.set('mount', blob.digest);
    url.searchParams.set('from', source.#client.prefix + from);
    const scopes = [source.#client.scope(from, 'pull'), this.#client.scope(to, 'pull,push')];
    const response = await this.#client.sendWithin({ method: 'POST', url, ...optionalSignal(signal) }, scopes);
    await response.body?.cancel();
    return response.status === 201;
  }

  async getManifest(
    repository: string,
    reference: string,
    signal?: AbortSignal,
  ): Promise<{ readonly manifest: Manifest; readonly descriptor: Descriptor }> {
    const { bytes, descriptor } = await this.getRawManifest(repository, reference, signal);
    const manifest = parseJson(bytes);
    if (!isManifest(manifest)) {
      throw new AksmlError(
        'registry.notManifest',
        `${this.location}/${repository}:${reference} is of type ${descriptor.mediaType}, not an OCI image manifest.`,
        { subject: `${repository}:${reference}` },
      );
    }
    this.#known.add(repository, reference, manifest);
    return { manifest, descriptor };
  }

  /** Manifests of any type, indexes too. @throws AksmlError `registry.notFound` | `registry.corrupt` */
  async getRawManifest(repository: string, reference: string, signal?: AbortSignal): Promise<RawManifest> {
    const response = await this.#client.send(
      'GET',
      this.#client.manifestUrl(repository, reference),
      'pull',
      repository,
      {
        headers: { accept: ACCEPTED },
        signal,
      },
    );
    if (!response.ok) throw await this.#client.failures.of(response, `reading ${repository}:${reference}`);
    const bytes = await this.#readWhole(response, repository, reference);
    const { digest, size } = describe(bytes);
    const named = isDigest(reference) ? reference : (response.headers.get('docker-content-digest') ?? digest);
    if (named !== digest) throw this.#client.failures.corrupt(repository, named);
    const mediaType = response.headers.get('content-type')?.split(';')[0]?.trim() || MEDIA_TYPE.manifest;
    return { bytes, descriptor: { mediaType, digest, size } };
  }

  async putManifest(
    repository: string,
    manifest: Manifest,
    options: ManifestOptions,
  ): Promise<{ readonly descriptor: Descriptor; readonly written: boolean }> {
    const bytes = Buffer.from(JSON.stringify(manifest));
    if (bytes.length > MAX_MANIFEST_BYTES) throw this.#client.failures.manifestTooLarge(repository, options.tag);
    const artifact = manifest.artifactType === undefined ? {} : { artifactType: manifest.artifactType };
    const descriptor: Descriptor = { mediaType: manifest.mediaType, ...describe(bytes), ...artifact };
    const { tag, after, signal } = options;
    if (tag !== undefined && options.ifAbsent) {
      const [, empty] = await together(this.#note(repository, signal), putEmpty(this, repository, signal));
      const claimed = {
        putManifest: this.putManifest.bind(this),
        deleteManifest: this.deleteManifest.bind(this),
        listTags: this.#client.listTags.bind(this.#client),
      };
      return { descriptor, written: await putIfAbsent(claimed, repository, manifest, { ...options, tag, empty }) };
    }
    if (tag !== undefined) await together(this.#note(repository, signal), after);
    else await after;
    const reference = tag ?? descriptor.digest;
    const response = await this.#sendManifest(repository, reference, manifest.mediaType, bytes, signal);
    if (!response.ok) {
      this.#known.distrust();
      throw await this.#client.failures.of(response, `writing ${repository}:${reference}`);
    }
    await response.body?.cancel();
    return { descriptor, written: true };
  }

  /** One name for the images of several platforms, which are there already. */
  async putIndex(repository: string, index: ImageIndex, tag: string, signal?: AbortSignal): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(index));
    await this.#note(repository, signal);
    const response = await this.#sendManifest(repository, tag, index.mediaType, bytes, signal);
    if (!response.ok) throw await this.#client.failures.of(response, `writing ${repository}:${tag}`);
    await response.body?.cancel();
    return { mediaType: index.mediaType, ...describe(bytes) };
  }

  /** Some registries refuse equal content that two clients send at the same moment, as if it were damaged. */
  async #sendManifest(
    repository: string,
    reference: string,
    mediaType: string,
    body: Buffer<ArrayBuffer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const headers = { 'content-type': mediaType };
    for (let attempt = 1; ; attempt += 1) {
      const request = { headers, body, signal };
      const url = this.#client.manifestUrl(repository, reference);
      const response = await this.#client.send('PUT', url, 'pull,push', repository, request);
      if (response.status !== 400 || attempt === MANIFEST_ATTEMPTS) return response;
      await response.body?.cancel();
      await this.#client.ports.sleep(backOff(this.#client.ports, attempt), signal);
    }
  }

  /** Once in the life of this client. */
  async #note(repository: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#noted.has(repository) || this.#known.isNoted(repository)) return;
    this.#noted.add(repository);
    await noteRepository(this, repository, signal).catch((error: unknown) => {
      this.#noted.delete(repository);
      throw error;
    });
  }

  async putReferrer(repository: string, manifest: Manifest, options: ReferrerOptions = {}): Promise<Descriptor> {
    const { mediaType, artifactType } = manifest;
    const artifact = artifactType === undefined ? {} : { artifactType };
    const descriptor = { mediaType, ...describe(Buffer.from(JSON.stringify(manifest))), ...artifact };
    await putReferrer(this.#referrerPorts(repository, options.signal), manifest, descriptor, options);
    return descriptor;
  }

  listReferrers(repository: string, digest: string, signal?: AbortSignal): Promise<readonly Descriptor[]> {
    checkDigest(digest);
    return listReferrers(this.#referrerPorts(repository, signal), digest);
  }

  #referrerPorts(repository: string, signal: AbortSignal | undefined): ReferrerPorts {
    return {
      put: (reference, mediaType, body) => this.#sendManifest(repository, reference, mediaType, body, signal),
      get: (path, accept) =>
        this.#client.send('GET', this.#client.url(repository, path), 'pull', repository, {
          headers: { accept },
          signal,
        }),
      failure: (response, doing) => this.#client.failures.of(response, `${doing} ${repository}`),
    };
  }

  async deleteManifest(repository: string, reference: string, signal?: AbortSignal): Promise<void> {
    this.#known.forget(repository);
    if (await this.#delete(repository, reference, signal)) return;
    if (isDigest(reference)) throw this.#client.failures.unsupported('delete manifests');
    if (!(await this.#hasTag(repository, reference, signal)))
      throw this.#client.failures.notFound(repository, reference);
    // Older registries delete by digest only, which takes every tag of a manifest along: give this tag one of its own first.
    const grave = await this.#putGrave(repository, reference, signal);
    if (!(await this.#delete(repository, grave, signal))) throw this.#client.failures.unsupported('delete manifests');
  }

  async #putGrave(repository: string, tag: string, signal?: AbortSignal): Promise<string> {
    const config = await putEmpty(this, repository, signal);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.manifest,
      artifactType: 'application/vnd.aksml.deleted',
      config,
      layers: [config],
      annotations: { 'dev.aksml.deleted': randomUUID() },
    };
    return (await this.putManifest(repository, manifest, { tag, ...optionalSignal(signal) })).descriptor.digest;
  }

  async listTags(repository: string, signal?: AbortSignal): Promise<string[]> {
    return withoutOwn(await this.#client.listTags(repository, signal));
  }

  async listRepositories(prefix: string, signal?: AbortSignal): Promise<string[]> {
    const names = await notedRepositories(this, signal);
    return names.filter((name) => name.startsWith(prefix));
  }

  /** False when the registry cannot delete by this kind of reference. */
  async #delete(repository: string, reference: string, signal?: AbortSignal): Promise<boolean> {
    const response = await this.#client.send(
      'DELETE',
      this.#client.manifestUrl(repository, reference),
      'pull,push,delete',
      repository,
      {
        signal,
      },
    );
    if (response.ok) {
      await response.body?.cancel();
      return true;
    }
    const failure = await this.#client.failures.of(response, `deleting ${repository}:${reference}`);
    if (response.status === 405 || response.status === 400) return false;
    throw failure;
  }

  async #openBlob(repository: string, digest: string, offset: number, signal?: AbortSignal): Promise<Answer> {
    const response = await this.#client.send(
      'GET',
      this.#client.url(repository, `blobs/${digest}`),
      'pull',
      repository,
      {
        ...(offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }),
        signal,
      },
    );
    if (!response.ok) {
      this.#known.distrust();
      throw await this.#client.failures.of(response, `reading ${digest} of ${repository}`);
    }
    return response;
  }

  async #hasTag(repository: string, tag: string, signal?: AbortSignal): Promise<boolean> {
    const response = await this.#client.send('HEAD', this.#client.manifestUrl(repository, tag), 'pull', repository, {
      headers: { accept: ACCEPTED },
      signal,
    });
    await response.body?.cancel();
    if (response.status === 404) return false;
    if (!response.ok) throw await this.#client.failures.of(response, `looking for ${repository}:${tag}`);
    return true;
  }

  async #readWhole(response: Answer, repository: string, reference: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > MAX_MANIFEST_BYTES) throw this.#client.failures.manifestTooLarge(repository, reference);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  #uploadPorts(repository: string): UploadPorts {
    return {
      http: this.#client.ports,
      send: (request) => this.#client.sendWithin(request, [this.#client.scope(repository, 'pull,push')]),
      exists: (digest, signal) => this.hasBlob(repository, digest, signal),
      failure: (response, doing) => this.#client.failures.of(response, `${doing} ${repository}`),
      broken: (doing, cause) => this.#client.failures.broken(`${doing} ${repository}`, cause),
      mismatch: (digest) => this.#client.failures.mismatch(digest),
    };
  }
}

/** A stored blob as content for another repository, read anew as often as it must be sent. */
export function blobContent(
  registry: Registry,
  repository: string,
  digest: string,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  return {
    async *[Symbol.asyncIterator]() {
      yield* await registry.getBlob(repository, digest, signal);
    },
  };
}

/** Tags that the protocol makes beside those of the content: claims, and lists of referrers. */
function withoutOwn(tags: readonly string[]): string[] {
  return tags.filter((tag) => !CLAIM_TAG.test(tag) && !/^sha256-[0-9a-f]{64}$/.test(tag));
}

function describe(bytes: Uint8Array): { readonly digest: string; readonly size: number } {
  return { digest: sha256(bytes), size: bytes.length };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

function isManifest(value: unknown): value is Manifest {
  return (
    typeof value === 'object' && value !== null && 'config' in value && 'layers' in value && Array.isArray(value.layers)
  );
}
