import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import { inParallel } from '../../parallel/parallel.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import { type ModelLayer, modelLayer } from '../models/materialize.ts';
import { modelRepository } from '../models/record.ts';
import type { Registry } from '../registry/registry.ts';
import { MODEL_BUCKETS } from './image-repositories.ts';
import type { PackageStore } from './image-request.ts';
import type { PlacedLayer } from './layer.ts';
import { MAX_LAYERS, planModelLayers, type StoredModelLayer, storeBucket } from './model-layers.ts';
import { type LinkedModel, type ModelLink, modelLinks } from './model-links.ts';
import { refuseWhiteouts } from './whiteout-names.ts';

const RECORDS_AT_ONCE = 16;

export interface PackedModels {
  readonly layers: readonly PlacedLayer[];
  readonly links: readonly ModelLink[];
}

/** How a model's layer is found. */
export type FindModelLayer = (model: Model) => Promise<ModelLayer>;

/** Begins to look for the layers of the first models: they are known when their turn comes. */
export function findModelLayers(store: PackageStore, models: readonly Model[], signal?: AbortSignal): FindModelLayer {
  const begun = new Map(models.slice(0, RECORDS_AT_ONCE).map((model) => [model, modelLayer(store, model, signal)]));
  for (const finding of begun.values()) finding.catch(() => {});
  return (model) => begun.get(model) ?? modelLayer(store, model, signal);
}

/** The models' layers, in at most `room` of them, and the links that give each its place. Shared layers are made in `buckets`. */
export async function packModels(
  store: PackageStore,
  models: readonly Model[],
  buckets: Registry,
  {
    room,
    mountPath,
    find = (model) => modelLayer(store, model, options.signal),
  }: { readonly room: number; readonly mountPath?: string; readonly find?: FindModelLayer },
  options: RunOptions,
): Promise<PackedModels> {
  if (models.length === 0) return { layers: [], links: [] };
  if (room < 1) throw tooManyLayers();
  const names = models.map(({ id }) => id).join(', ');
  return runStage('models', `Packing ${models.length === 1 ? names : `${models.length} models`}`, options, async () => {
    const found = await inParallel(models, RECORDS_AT_ONCE, async (model) => {
      const { layer, files } = await find(model);
      const stored: StoredModelLayer = { repository: modelRepository(model.name), layer };
      const linked: LinkedModel = { ...model, files: files.map(({ path }) => path) };
      refuseWhiteouts(linked.files, model.id);
      return { stored, linked };
    });
    const plans = planModelLayers(
      found.map(({ stored }) => stored),
      room,
    );
    const layers: PlacedLayer[] = [];
    for (const plan of plans) {
      if (plan.kind === 'own') {
        const { layer, repository } = plan.model;
        layers.push({ descriptor: layer, diffId: layer.digest, title: 'model', registry: store.registry, repository });
      } else {
        const bucket = await storeBucket(
          store.registry,
          plan.models,
          { registry: buckets, repository: MODEL_BUCKETS },
          options.signal,
        );
        layers.push({ ...bucket, title: `${plan.models.length} models`, registry: buckets, repository: MODEL_BUCKETS });
      }
    }
    const links = modelLinks(
      found.map(({ linked }) => linked),
      { single: models.length === 1, ...(mountPath === undefined ? {} : { mountPath }) },
    );
    return { value: { layers, links }, reused: true, detail: `${models.length} in ${layers.length} layers` };
  });
}

function tooManyLayers(): AksmlError {
  return new AksmlError(
    'image.tooManyLayers',
    `The base image has nearly as many layers as an image may have (${MAX_LAYERS}).`,
    {
      fault: 'input',
      remedy: 'Name another base image, or squash its layers.',
    },
  );
}
