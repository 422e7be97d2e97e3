import { AksmlError } from '../../contract/error.ts';
import type { Framework, Model } from '../../contract/model.ts';
import { encodeName } from '../registry/reference.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE } from '../registry/registry.ts';

export const MODEL_ARTIFACT = 'application/vnd.aksml.model.v1';
/** Takes the place of a deleted model that had the highest version, so that the version is never given out again. */
const DELETED_ARTIFACT = 'application/vnd.aksml.deleted-model.v1';
export const MODEL_CONFIG = 'application/vnd.aksml.model.config.v1+json';
export const MODEL_LISTING = 'application/vnd.aksml.model.listing.v1+json-lines';
const METADATA = 'dev.aksml.model.metadata';

export const MODEL_REPOSITORIES = 'models/';

export const FRAMEWORKS: readonly Framework[] = [
  'Custom',
  'TensorFlow',
  'ScikitLearn',
  'Onnx',
  'TfKeras',
  'PyTorch',
  'Multi',
];

/** What can be changed after registration: it lives in the manifest's annotations, so that a change moves no content. */
const MUTABLE = [
  'description',
  'tags',
  'properties',
  'resourceRequirements',
  'sampleInputDatasetId',
  'sampleOutputDatasetId',
  'modifiedTime',
] as const satisfies readonly (keyof Model)[];

type Metadata = Pick<Model, (typeof MUTABLE)[number]>;
type Config = Omit<Model, (typeof MUTABLE)[number]>;

/** A stored model with the content that its manifest names. */
export interface StoredModel {
  readonly model: Model;
  readonly manifest: Manifest;
  /** The tar that images take as it is. */
  readonly layer: Descriptor;
  readonly listing: Descriptor;
}

/** Those whose records were read in this process. */
const STORED = new WeakMap<Model, StoredModel>();

/** The record that a model was read from: it need not be read again. */
export function storedAs(model: Model): StoredModel | undefined {
  return STORED.get(model);
}

export function modelRepository(name: string): string {
  return `${MODEL_REPOSITORIES}${encodeName(name)}`;
}

export function configOf(model: Model): Buffer {
  const config = Object.fromEntries(Object.entries(model).filter(([key]) => !isMutable(key)));
  return Buffer.from(JSON.stringify(config));
}

export function manifestOf(model: Model, config: Descriptor, layer: Descriptor, listing: Descriptor): Manifest {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: MODEL_ARTIFACT,
    config,
    layers: [layer, listing],
    annotations: {
      'org.opencontainers.image.title': model.name,
      'org.opencontainers.image.version': String(model.version),
      'org.opencontainers.image.created': model.createdTime,
      [METADATA]: metadataOf(model),
    },
  };
}

export function withMetadata(manifest: Manifest, model: Model): Manifest {
  return { ...manifest, annotations: { ...manifest.annotations, [METADATA]: metadataOf(model) } };
}

export function deletedManifest(name: string, empty: Descriptor): Manifest {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: DELETED_ARTIFACT,
    config: empty,
    layers: [empty],
    annotations: { 'org.opencontainers.image.title': name },
  };
}

export function isModel(manifest: Manifest): boolean {
  return manifest.artifactType === MODEL_ARTIFACT;
}

/** @throws AksmlError `registry.corrupt` for what this program did not write */
export function readRecord(manifest: Manifest, config: Uint8Array): StoredModel {
  const [layer, listing] = manifest.layers;
  const immutable = parse(Buffer.from(config).toString('utf8'));
  const metadata = parse(manifest.annotations?.[METADATA] ?? '');
  if (!layer || !isConfig(immutable) || !isMetadata(metadata) || listing?.digest !== immutable.treeDigest) {
    throw new AksmlError('registry.corrupt', 'A stored model has a record that cannot be read.', {
      subject: manifest.annotations?.['org.opencontainers.image.title'] ?? manifest.config.digest,
      remedy: 'Use the version of aksml that registered it, or register it again.',
    });
  }
  const stored: StoredModel = { model: { ...immutable, ...metadata }, manifest, layer, listing };
  STORED.set(stored.model, stored);
  return stored;
}

function metadataOf(model: Model): string {
  return JSON.stringify(Object.fromEntries(Object.entries(model).filter(([key]) => isMutable(key))));
}

function isMutable(key: string): boolean {
  return MUTABLE.some((mutable) => mutable === key);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Only what becomes a path, a name or a number elsewhere is checked: records of a shared registry are not trusted blindly. */
function isConfig(value: unknown): value is Config {
  if (!isObject(value)) return false;
  const { id, name, version, basename, treeDigest, framework } = value;
  return (
    typeof name === 'string' &&
    typeof version === 'number' &&
    id === `${name}:${version}` &&
    typeof basename === 'string' &&
    !/^\.{0,2}$|[/\0]/.test(basename) &&
    typeof treeDigest === 'string' &&
    /^sha256:[0-9a-f]{64}$/.test(treeDigest) &&
    FRAMEWORKS.some((known) => known === framework)
  );
}

function isMetadata(value: unknown): value is Metadata {
  return isObject(value) && isObject(value['tags']) && isObject(value['properties']);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
