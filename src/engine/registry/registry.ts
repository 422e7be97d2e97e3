import type { Readable } from 'node:stream';
import type { ReferrerOptions } from './referrers.ts';

/** A content descriptor of the OCI image specification. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<64 hex>` */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
}

/** An OCI image manifest (media type `application/vnd.oci.image.manifest.v1+json`). */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: typeof MEDIA_TYPE.manifest;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An OCI image index: one name for images of several platforms. */
export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType: typeof MEDIA_TYPE.index;
  readonly manifests: readonly (Descriptor & {
    readonly platform: { readonly os: string; readonly architecture: string };
  })[];
}

export const MEDIA_TYPE = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  imageConfig: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  empty: 'application/vnd.oci.empty.v1+json',
} as const;

/** How a blob came to be where it is wanted: it was there, it was taken over within the registry, or its bytes were sent. */
export type Arrival = 'present' | 'mounted' | 'sent';

export interface ManifestOptions {
  readonly tag?: string;
  readonly ifAbsent?: boolean;
  /** What the manifest names may still be on its way: it is written after that. */
  readonly after?: Promise<unknown>;
  /** Is given what is left to do once the manifest is there, which otherwise is waited for. */
  readonly later?: (work: Promise<unknown>) => void;
  readonly signal?: AbortSignal;
}

/** Bytes transferred so far. */
export type OnBytes = (bytes: number) => void;

export interface MountOptions {
  /** Looking for it in the other repository first would be in vain. */
  readonly isNew?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Where OCI content lives: a registry over the distribution API, or an OCI image layout on disk. Repositories are named as in the
 * distribution specification (`models/diabetes`). Every method may throw AksmlError `registry.*`; `registry.notFound` for what is absent.
 */
export interface Registry {
  /** For messages: the host and prefix, or the folder. */
  readonly location: string;
  /** `putBlob` is through with a chunk when it asks for the next, so that its source may use one buffer for all. */
  readonly readsInStep?: boolean;

  hasBlob(repository: string, digest: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Streams the content in; with `expected`, content that differs is refused and nothing is kept. Known content is not sent again.
   * A chunk may be valid only until the next is asked for (see `packLayer`): who needs it longer copies it.
   */
  putBlob(
    repository: string,
    content: AsyncIterable<Uint8Array> | Uint8Array,
    options: {
      readonly mediaType: string;
      readonly expected?: { readonly digest: string; readonly size: number };
      /** The content has just been made: looking for it first would be in vain. */
      readonly isNew?: boolean;
      readonly onBytes?: OnBytes;
      readonly signal?: AbortSignal;
    },
  ): Promise<Descriptor>;
  /** Verified against the digest while it is read. */
  getBlob(repository: string, digest: string, signal?: AbortSignal): Promise<Readable>;
  /** Makes a blob of one repository available in another without moving it where possible. */
  mountBlob(from: string, to: string, blob: Descriptor, options?: MountOptions): Promise<Arrival>;

  /** By tag or digest. */
  getManifest(
    repository: string,
    reference: string,
    signal?: AbortSignal,
  ): Promise<{ readonly manifest: Manifest; readonly descriptor: Descriptor }>;
  /**
   * Stores the manifest and points `tag` at it; with `ifAbsent` an existing tag is left alone and the answer is false. False, too, for a tag that somebody else began to write
   * and did not finish: whoever looks for a free tag takes the next one.
   */
  putManifest(
    repository: string,
    manifest: Manifest,
    options: ManifestOptions,
  ): Promise<{ readonly descriptor: Descriptor; readonly written: boolean }>;
  /** Stores a manifest that names another as its subject, without a tag. */
  putReferrer(repository: string, manifest: Manifest, options?: ReferrerOptions): Promise<Descriptor>;
  /** What names the manifest of that digest as its subject. */
  listReferrers(repository: string, digest: string, signal?: AbortSignal): Promise<readonly Descriptor[]>;
  deleteManifest(repository: string, reference: string, signal?: AbortSignal): Promise<void>;

  /** Unordered. An unknown repository has none. */
  listTags(repository: string, signal?: AbortSignal): Promise<string[]>;
  /** Those with something tagged whose name starts with `prefix`, and perhaps some that have lost it since. */
  listRepositories(prefix: string, signal?: AbortSignal): Promise<string[]>;
}
