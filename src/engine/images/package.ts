import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { openLayout } from '../registry/layout.ts';
import type { Registry } from '../registry/registry.ts';
import { SNAPSHOTS, takeSnapshot } from '../snapshot/snapshot.ts';
import { assembleImage, type DeploymentParts } from './assemble.ts';
import type { ImageParts } from './compose.ts';
import { containerVariables } from './container-variables.ts';
import {
  describeEnvironment,
  type EnvironmentImage,
  type EnvironmentImageRequest,
  environmentImage,
} from './environment-image.ts';
import { type LayerContent, writeImage } from './image-output.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import {
  imageReference,
  imageVariables,
  type PackageRequest,
  type PackageStore,
  planForImage,
} from './image-request.ts';
import type { PlacedLayer } from './layer.ts';
import { refuseWhiteouts } from './whiteout-names.ts';

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
  const environment = await packEnvironment(store, { ...request, plan }, cache, options);
  const place = { registry: cache, repository: ENVIRONMENT_IMAGES };
  const { image, layers } = await assembleImage(
    store,
    {
      foundation: environment,
      place,
      models: request.models,
      code,
      variables: containerVariables({ models: request.models, variables, code: code.reference }),
      ...creationTime(store),
    },
    place,
    options,
  );
  return runStage('image', `Writing ${reference}`, options, async () => {
    const written = await writeImage(image, layers.map(contentOf), {
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

/** Uncompressed, which every container engine can load. */
function packEnvironment(
  store: PackageStore,
  request: Omit<EnvironmentImageRequest, 'compression'>,
  cache: Registry,
  options: RunOptions,
): Promise<EnvironmentImage> {
  return runStage('environment', 'Preparing base image and packages', options, async () => {
    const found = await environmentImage(store, { registry: cache }, { ...request, compression: 'none' }, options);
    return { value: found.image, reused: found.foundIn !== undefined, detail: describeEnvironment(found.image) };
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
): Promise<NonNullable<DeploymentParts['code']>> {
  return runStage('snapshot', 'Packing the source directory', options, async () => {
    const { layer, code, files, problems, reused } = await takeSnapshot(store, request.inference, options);
    refuseWhiteouts(
      files.map(({ path }) => path),
      'the source directory',
    );
    for (const problem of problems) options.onProgress?.({ type: 'problem', problem });
    const value = { reference: code, layer, place: { registry: store.registry, repository: SNAPSHOTS } };
    return { value, reused, detail: `${code.fileCount} files` };
  });
}

/** Reproducible Builds' `SOURCE_DATE_EPOCH`. */
function creationTime(store: PackageStore): Pick<ImageParts, 'createdSeconds'> {
  const seconds = Number(store.environment['SOURCE_DATE_EPOCH'] || 0);
  return Number.isSafeInteger(seconds) && seconds >= 0 ? { createdSeconds: seconds } : {};
}

function contentOf({ descriptor, registry, repository }: PlacedLayer): LayerContent {
  return { descriptor, open: (signal) => registry.getBlob(repository, descriptor.digest, signal) };
}
