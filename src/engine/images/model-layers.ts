import type { Readable } from 'node:stream';
import { AksmlError } from '../../contract/error.ts';
import type { Place } from '../registry/copy.ts';
import { sha256 } from '../registry/reference.ts';
import type { Descriptor, Registry } from '../registry/registry.ts';
import { TAR_END } from '../snapshot/tar-header.ts';
import { type Layer, storeLayer } from './layer.ts';
import { layerOnce } from './layer-once.ts';

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

/** One layer of several models', stored; made once, and found again by the digests of its members. */
export function storeBucket(
  from: Registry,
  models: readonly StoredModelLayer[],
  to: Place,
  signal?: AbortSignal,
): Promise<Layer> {
  const joined = {
    async *[Symbol.asyncIterator]() {
      for (const { repository, layer } of models) {
        yield* withoutEnd(await from.getBlob(repository, layer.digest, signal), layer.size);
      }
      yield TAR_END;
    },
  };
  const tag = sha256(models.map(({ layer }) => layer.digest).join(' ')).slice('sha256:'.length);
  const options = { compression: 'none', ...(signal === undefined ? {} : { signal }) } as const;
  return layerOnce(to, tag, () => storeLayer(to.registry, to.repository, joined, options), signal);
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
