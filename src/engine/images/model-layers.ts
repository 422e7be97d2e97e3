import type { Readable } from 'node:stream';
import { AksmlError } from '../../contract/error.ts';
import { sha256 } from '../registry/reference.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import { TAR_END } from '../snapshot/tar-header.ts';
import { type Layer, storeLayer } from './layer.ts';

/** What kernels and container runtimes mount at most, one on another. */
export const MAX_LAYERS = 127;
/** Layers that hold several models each; a change of one model changes one of them. */
const BUCKETS = 16;

/** A model's stored layer: an uncompressed tar. */
export interface StoredModelLayer {
  readonly repository: string;
  readonly layer: Descriptor;
}

export type LayerPlan =
  | { readonly kind: 'own'; readonly model: StoredModelLayer }
  | { readonly kind: 'bucket'; readonly models: readonly StoredModelLayer[] };

/**
 * Gives every model a layer of its own while there is room for them. Otherwise the largest keep theirs and the others share buckets,
 * chosen by their digests, so that most buckets stay as they are when a model comes or goes. Equal layers count once.
 */
export function planModelLayers(models: readonly StoredModelLayer[], room: number): LayerPlan[] {
  const distinct = [...new Map(models.map((model) => [model.layer.digest, model])).values()].sort(byDigest);
  if (distinct.length <= room) return distinct.map((model) => ({ kind: 'own', model }));
  const bySize = distinct.toSorted((a, b) => b.layer.size - a.layer.size || byDigest(a, b));
  const buckets = Math.min(BUCKETS, room);
  const own = bySize.slice(0, room - buckets).toSorted(byDigest);
  const shared = Map.groupBy(bySize.slice(room - buckets).toSorted(byDigest), (model) =>
    bucketOf(model.layer.digest, buckets),
  );
  return [
    ...own.map((model): LayerPlan => ({ kind: 'own', model })),
    ...[...shared].sort(([a], [b]) => a - b).map(([, members]): LayerPlan => ({ kind: 'bucket', models: members })),
  ];
}

function byDigest(a: StoredModelLayer, b: StoredModelLayer): number {
  return a.layer.digest < b.layer.digest ? -1 : 1;
}

function bucketOf(digest: string, buckets: number): number {
  return Number.parseInt(digest.slice('sha256:'.length, 'sha256:'.length + 8), 16) % buckets;
}

const BUCKET_ARTIFACT = 'application/vnd.aksml.model-bucket.v1';

/** One layer of several models', stored; made once, and found again by the digests of its members. */
export async function storeBucket(
  from: Registry,
  models: readonly StoredModelLayer[],
  to: { readonly registry: Registry; readonly repository: string },
  signal?: AbortSignal,
): Promise<Layer> {
  const { registry, repository } = to;
  const tag = sha256(models.map(({ layer }) => layer.digest).join(' ')).slice('sha256:'.length);
  const known = await findBucket(registry, repository, tag, signal);
  if (known) return known;
  const joined = {
    async *[Symbol.asyncIterator]() {
      for (const model of models) {
        yield* withoutEnd(await from.getBlob(model.repository, model.layer.digest, signal), model.layer.size);
      }
      yield TAR_END;
    },
  };
  const aborting = signal === undefined ? {} : { signal };
  const layer = await storeLayer(registry, repository, joined, { compression: 'none', ...aborting });
  const config = await registry.putBlob(repository, Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty, ...aborting });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: BUCKET_ARTIFACT,
    config,
    layers: [layer.descriptor],
  };
  await registry.putManifest(repository, manifest, { tag, ...aborting });
  return layer;
}

async function findBucket(
  registry: Registry,
  repository: string,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<Layer | undefined> {
  try {
    const [descriptor] = (await registry.getManifest(repository, tag, signal)).manifest.layers;
    if (!descriptor || !(await registry.hasBlob(repository, descriptor.digest, signal))) return undefined;
    // Not compressed, so that both digests are one.
    return { descriptor, diffId: descriptor.digest };
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}

/** A tar without its end, so that another can follow. */
async function* withoutEnd(tar: Readable, size: number): AsyncGenerator<Uint8Array> {
  let left = size - TAR_END.length;
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    const kept = chunk.subarray(0, Math.max(0, left));
    if (chunk.subarray(kept.length).some((byte) => byte !== 0)) {
      throw new AksmlError('registry.corrupt', 'The layer of a model does not end as a tar does.', {
        remedy: 'Register the model again from its source.',
      });
    }
    left -= kept.length;
    if (kept.length > 0) yield kept;
  }
}
