import { APP_ROOT, CONTAINER_USER } from '../../contract/container.ts';
import type { Model } from '../../contract/model.ts';
import type { CodeReference } from '../../contract/revision.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import type { Place } from '../registry/copy.ts';
import type { Descriptor } from '../registry/registry.ts';
import { type ComposedImage, composeImage, type Foundation, type ImageParts } from './compose.ts';
import { type FindModelLayer, type PackedModels, packModels } from './image-models.ts';
import type { PackageStore } from './image-request.ts';
import { type LayerEntry, type PlacedLayer, storeSmallLayer } from './layer.ts';
import { MAX_LAYERS } from './model-layers.ts';

/** What a deployment image is made of. */
export interface DeploymentParts extends Pick<ImageParts, 'start' | 'variables' | 'createdSeconds'> {
  readonly foundation: Foundation;
  /** Where the layers of the foundation are. */
  readonly place: Place;
  readonly models: readonly Model[];
  readonly findModel?: FindModelLayer;
  /** See `CustomContainer`. */
  readonly modelMountPath?: string;
  readonly code?: {
    readonly reference: CodeReference;
    readonly layer: Descriptor;
    readonly place: Place;
    readonly held?: Uint8Array;
    readonly isNew?: boolean;
  };
  readonly labels?: Readonly<Record<string, string>>;
}

/** An image and where the bytes of its layers are, from the lowest. */
export interface AssembledImage {
  readonly image: ComposedImage;
  readonly layers: readonly PlacedLayer[];
}

/** Code and the links to the models. */
const OWN_LAYERS = 2;

/**
 * Puts models and code on an environment. Layers that must be made, shared ones of many models and one of links, go to the registry of
 * `made`, that of links into its repository.
 * @throws AksmlError `image.tooManyLayers` | `registry.*`
 */
export async function assembleImage(
  store: PackageStore,
  parts: DeploymentParts,
  made: Place,
  options: RunOptions,
): Promise<AssembledImage> {
  const { foundation, place, code } = parts;
  const room = MAX_LAYERS - foundation.layers.length - OWN_LAYERS;
  const mountPath = parts.modelMountPath === undefined ? {} : { mountPath: parts.modelMountPath };
  const find = parts.findModel === undefined ? {} : { find: parts.findModel };
  const models = await packModels(store, parts.models, made.registry, { room, ...mountPath, ...find }, options);
  const added: PlacedLayer[] = [
    ...models.layers,
    ...(models.links.length > 0 ? [await packLinks(made, models, options)] : []),
    // On top: nodes unpack anew what is above a layer that changed, and nothing changes as often as code.
    ...(code
      ? [
          {
            descriptor: code.layer,
            diffId: code.layer.digest,
            title: 'code',
            isNew: code.isNew === true,
            ...(code.held === undefined ? {} : { held: code.held }),
            ...code.place,
          },
        ]
      : []),
  ];
  const image = composeImage({
    base: foundation,
    layers: added,
    variables: parts.variables,
    ...(parts.start === undefined ? {} : { start: parts.start }),
    labels: { ...provenance(store, parts), ...parts.labels },
    ...(parts.createdSeconds === undefined ? {} : { createdSeconds: parts.createdSeconds }),
  });
  const below = foundation.layers.map((layer) => ({ ...layer, ...place, title: '' }));
  return { image, layers: [...below, ...added] };
}

/** The links that give each model its place, and the app root, which the container's user may write to. */
async function packLinks(place: Place, { links }: PackedModels, options: RunOptions): Promise<PlacedLayer> {
  const entries: LayerEntry[] = [
    { kind: 'folder', path: APP_ROOT.slice(1), owner: CONTAINER_USER },
    ...links.map(({ path, target }): LayerEntry => ({ kind: 'link', path, target })),
  ];
  const layer = await storeSmallLayer(place.registry, place.repository, entries, options.signal);
  return { ...layer, title: 'model folders', ...place };
}

function provenance(store: PackageStore, { models, code }: DeploymentParts): Record<string, string> {
  return {
    'dev.aksml.version': store.version,
    'dev.aksml.models': JSON.stringify(models.map(({ id, treeDigest }) => ({ id, treeDigest }))),
    ...(code === undefined ? {} : { 'dev.aksml.code': code.reference.digest }),
  };
}
