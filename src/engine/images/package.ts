import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { runtimeFile } from '../environments/runtime-files.ts';
import { openLayout } from '../registry/layout.ts';
import type { Registry } from '../registry/registry.ts';
import { SNAPSHOTS, takeSnapshot } from '../snapshot/snapshot.ts';
import { BASE_LAYERS } from './base-cache.ts';
import { APP_ROOT, CONTAINER_USER, composeImage, type ImageParts } from './compose.ts';
import { containerVariables } from './dockerfile.ts';
import { type PackedEnvironment, packEnvironment } from './image-environment.ts';
import { type PackedModels, packModels } from './image-models.ts';
import { type LayerContent, writeImage } from './image-output.ts';
import { type LayerEntry, type PlacedLayer, packEntries, storeLayer } from './layer.ts';
import { MAX_LAYERS } from './model-layers.ts';
import {
  imageReference,
  imageVariables,
  type PackageRequest,
  type PackageStore,
  planForImage,
} from './package-request.ts';
import { ENVIRONMENT_FOLDER, ENVIRONMENT_PYTHON } from './venv-entries.ts';

export interface PackageImageOptions extends RunOptions {
  /** A folder with an OCI image layout, or a tar that `docker load` and `podman load` take. */
  readonly format: 'layout' | 'tar';
}

export interface PackagedImage {
  /** Absolute. */
  readonly path: string;
  /** `name:label` */
  readonly reference: string;
  /** Of the manifest: equal inputs, equal digest. */
  readonly digest: string;
  /** Bytes written. */
  readonly size: number;
}

const LAUNCHER = 'opt/aksml/serve.py';
const CONTAINER_HOME = 'home/aksml';

/** Layers that an image has beside those of its base and its models: environment, code, runtime. */
const OWN_LAYERS = 3;

/**
 * Composes the deployment image without a container engine and writes it to the output path.
 * @throws AksmlError `package.needsBuilder` | `package.targetExists` | `image.*` | `environment.*` | what snapshot and models throw
 */
export async function packageImage(
  store: PackageStore,
  request: PackageRequest,
  options: PackageImageOptions,
): Promise<PackagedImage> {
  const reference = imageReference(request);
  const plan = planForImage(request.definition);
  refuseBuildSteps(request, plan);
  const { variables, problems } = imageVariables(plan, request.definition);
  for (const problem of [...plan.problems, ...problems]) options.onProgress?.({ type: 'problem', problem });
  const cache = openLayout(store.home, join(store.home.cache, 'images'));

  const code = await packCode(store, request, options);
  const environment = await packEnvironment(store, request, plan, cache, options);
  const room = MAX_LAYERS - environment.base.layers.length - OWN_LAYERS;
  const models = await packModels(store, request.models, cache, room, options);
  return runStage('image', `Writing ${reference}`, options, async () => {
    const runtime = await packRuntime(cache, models, options);
    const added = [...(environment.layer ? [environment.layer] : []), ...models.layers, code.layer, runtime];
    const image = composeImage({
      base: environment.base,
      layers: added,
      variables: { ...containerVariables({ request, variables, code: code.reference }), HOME: `/${CONTAINER_HOME}` },
      ...interpreter(plan),
      labels: labels(store, request, environment, code.reference),
      ...creationTime(store),
    });
    const written = await writeImage(image, [...baseContents(environment, cache), ...added.map(contentOf)], {
      path: request.outputPath,
      format: options.format,
      reference,
      onBytes: (done) => options.onProgress?.({ type: 'progress', stage: 'image', done, unit: 'bytes' }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const value: PackagedImage = { ...written, reference, digest: image.descriptor.digest };
    return { value, reused: false, detail: `${written.path} (${image.descriptor.digest.slice(0, 19)})` };
  });
}

/** A container engine is needed where the environment has steps of its own. */
function refuseBuildSteps({ definition, base }: PackageRequest, plan: EnvironmentPlan): void {
  const { docker } = definition;
  const steps = [
    base === undefined && docker.baseDockerfile !== undefined ? 'a Dockerfile' : '',
    docker.extraSteps === undefined ? '' : 'extra Docker steps',
    docker.buildContext === undefined ? '' : 'a Docker build context',
    plan.installer === 'conda' ? `packages from conda (${plan.conda.only.join(', ')})` : '',
  ].filter((step) => step !== '');
  if (steps.length === 0) return;
  throw new AksmlError(
    'package.needsBuilder',
    `The environment has ${steps.join(' and ')}, which a container engine must carry out.`,
    {
      fault: 'input',
      remedy: 'Write the Docker build context instead (--output-path) and build it with docker, podman or buildah.',
    },
  );
}

async function packCode(
  store: PackageStore,
  request: PackageRequest,
  options: RunOptions,
): Promise<{ readonly layer: PlacedLayer; readonly reference: CodeReference }> {
  return runStage('snapshot', 'Packing the source directory', options, async () => {
    const { layer, code, problems, reused } = await takeSnapshot(store, request.inference, options);
    for (const problem of problems) options.onProgress?.({ type: 'problem', problem });
    const placed = {
      descriptor: layer,
      diffId: layer.digest,
      title: 'code',
      registry: store.registry,
      repository: SNAPSHOTS,
    };
    return { value: { layer: placed, reference: code }, reused, detail: `${code.fileCount} files` };
  });
}

/** Launcher, links to the models, and folders that the container's user may write to. Above the code, whose layer has the app root too. */
async function packRuntime(cache: Registry, models: PackedModels, options: RunOptions): Promise<PlacedLayer> {
  const appRoot = APP_ROOT.slice(1);
  const user = Number(CONTAINER_USER);
  const entries: LayerEntry[] = [
    { kind: 'file', path: LAUNCHER, executable: false, content: await readFile(runtimeFile('serve.py')) },
    { kind: 'folder', path: appRoot, owner: user },
    { kind: 'folder', path: CONTAINER_HOME, owner: user, mode: 0o777 },
    ...models.links.map(({ path, target }): LayerEntry => ({ kind: 'link', path: `${appRoot}/${path}`, target })),
  ];
  const repository = 'runtime-layers';
  const layer = await storeLayer(cache, repository, packEntries(entries, options.signal), { compression: 'none' });
  return { ...layer, title: 'scoring server launcher and model folders', registry: cache, repository };
}

function interpreter(plan: EnvironmentPlan): Pick<ImageParts, 'entrypoint' | 'pathFolders'> {
  return plan.installer === 'none'
    ? { entrypoint: [plan.interpreterPath, `/${LAUNCHER}`], pathFolders: [] }
    : { entrypoint: [ENVIRONMENT_PYTHON, `/${LAUNCHER}`], pathFolders: [`/${ENVIRONMENT_FOLDER}/bin`] };
}

function labels(
  store: PackageStore,
  request: PackageRequest,
  environment: PackedEnvironment,
  code: CodeReference,
): Record<string, string> {
  return {
    'dev.aksml.version': store.version,
    'dev.aksml.models': JSON.stringify(request.models.map(({ id, treeDigest }) => ({ id, treeDigest }))),
    'dev.aksml.code': code.digest,
    ...(environment.layer === undefined ? {} : { 'dev.aksml.environment': environment.layer.diffId }),
    'org.opencontainers.image.base.digest': environment.base.digest,
  };
}

/** Reproducible Builds' `SOURCE_DATE_EPOCH`. */
function creationTime(store: PackageStore): Pick<ImageParts, 'createdSeconds'> {
  const seconds = Number(store.environment['SOURCE_DATE_EPOCH'] || 0);
  return Number.isSafeInteger(seconds) && seconds >= 0 ? { createdSeconds: seconds } : {};
}

function baseContents({ base }: PackedEnvironment, cache: Registry): LayerContent[] {
  return base.layers.map((layer) => contentOf({ ...layer, title: '', registry: cache, repository: BASE_LAYERS }));
}

function contentOf({ descriptor, registry, repository }: PlacedLayer): LayerContent {
  return { descriptor, open: (signal) => registry.getBlob(repository, descriptor.digest, signal) };
}
