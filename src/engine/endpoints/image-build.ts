import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Engine, ImageStore } from '../engine.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { type AssembledImage, assembleImage, type DeploymentParts } from '../images/assemble.ts';
import { containerVariables } from '../images/dockerfile.ts';
import {
  describeEnvironment,
  type EnvironmentImage,
  environmentImage,
  type FoundEnvironment,
} from '../images/environment-image.ts';
import { deploymentImages, ENVIRONMENT_IMAGES } from '../images/image-repositories.ts';
import { planForImage } from '../images/image-request.ts';
import { type PushedImage, pushImage } from '../images/push.ts';
import { repositoryOf } from '../revisions/revisions.ts';
import { SNAPSHOTS } from '../snapshot/snapshot.ts';
import type { BuildRequest, MadeVersion } from './build.ts';
import { type PackedCode, packCode, type Recipe, recipeOf } from './recipe.ts';
import { type SplitVariables, splitVariables } from './secrets.ts';
import { type RunOptions, runStage } from './stages.ts';

/**
 * Composes the image that a cluster runs and pushes it to the registry that the cluster pulls from. What is in the registry already is
 * neither built nor sent.
 */
export async function makeDeploymentImage(
  engine: Engine,
  request: BuildRequest,
  options: RunOptions,
): Promise<MadeVersion> {
  const store = await imageStore(engine);
  const recipe = await recipeOf(engine, request.source);
  const code = await packCode(engine, recipe, request.build, options);
  const plan = planForImage(recipe.definition ?? NO_ENVIRONMENT);
  const variables = { ...plan.environmentVariables, ...request.environmentVariables };
  const split = keepSecret(
    splitVariables(variables, engine.environment, request.secretsMayBeStored),
    recipe.definition?.secretEnvironmentVariables ?? [],
  );
  const job: ImageJob = { engine, store, request, recipe, plan, variables: split.plain, ...(code ? { code } : {}) };
  const { environment, image } = await makeWhole(job, options);
  return {
    recipe,
    image: image.image.descriptor.digest,
    imageRepository: `${store.pullAddress}/${deploymentImages(request.endpoint)}`,
    environment,
    variables,
    split,
    ...(code === undefined ? {} : { code }),
  };
}

async function imageStore({ images, target }: Engine): Promise<ImageStore> {
  if (images) return images();
  throw new AksmlError('images.noRegistry', `No registry is known that ${target.name} pulls images from.`, {
    subject: `computeTarget/${target.name}`,
    remedy: 'Attach the compute target with --registry HOST/PREFIX.',
  });
}

/** Values that the definition calls secret belong into no image. */
function keepSecret({ plain, secret }: SplitVariables, names: readonly string[]): SplitVariables {
  const isSecret = ([name]: readonly [string, string]): boolean => names.includes(name);
  const entries = Object.entries(plain);
  return {
    plain: Object.fromEntries(entries.filter((entry) => !isSecret(entry))),
    secret: { ...Object.fromEntries(entries.filter(isSecret)), ...secret },
  };
}

interface ImageJob {
  readonly engine: Engine;
  readonly store: ImageStore;
  readonly request: BuildRequest;
  readonly recipe: Recipe;
  readonly plan: EnvironmentPlan;
  /** None of them secret. */
  readonly variables: Readonly<Record<string, string>>;
  readonly code?: PackedCode;
}

interface MadeImage {
  readonly environment: EnvironmentImage;
  readonly image: AssembledImage;
}

/** When somebody has removed content from the registry that a record still names, the environment is built once more. */
async function makeWhole(job: ImageJob, options: RunOptions): Promise<MadeImage> {
  const found = await prepareEnvironment(job, options);
  try {
    return await makeOn(job, found.image, options);
  } catch (error) {
    const isGone = AksmlError.is(error, 'registry.notFound') || AksmlError.is(error, 'registry.blobUnknown');
    if (!isGone || found.foundIn === undefined) throw error;
    const { image } = await prepareEnvironment(job, options, { lock: found.image.lock });
    return makeOn(job, image, options);
  }
}

function prepareEnvironment(
  { engine, store, request, recipe, plan }: ImageJob,
  options: RunOptions,
  rebuild?: { readonly lock: readonly string[] },
): Promise<FoundEnvironment> {
  const { recorded } = recipe;
  return runStage('environment', 'Preparing the environment image', options, async () => {
    for (const problem of plan.problems) options.onProgress?.({ type: 'problem', problem });
    const found = await environmentImage(
      engine,
      store,
      {
        definition: recipe.definition ?? NO_ENVIRONMENT,
        plan,
        compression: 'zstd',
        refresh: request.build.refreshEnvironment ?? false,
        ...(recorded === undefined || request.build.refreshEnvironment ? {} : { recorded }),
        ...(rebuild === undefined ? {} : { rebuild }),
      },
      options,
    );
    const where = found.foundIn === undefined ? '' : `, found in ${found.foundIn}`;
    return {
      value: found,
      reused: found.foundIn !== undefined,
      detail: `${describeEnvironment(found.image)}${where}`,
    };
  });
}

async function makeOn(job: ImageJob, environment: EnvironmentImage, options: RunOptions): Promise<MadeImage> {
  const { engine, store, request, code } = job;
  const { registry } = store;
  const repository = deploymentImages(request.endpoint);
  const image = await assembleImage(
    engine,
    {
      foundation: environment,
      place: { registry, repository: ENVIRONMENT_IMAGES },
      models: request.models,
      variables: replicaVariables(job),
      labels: { 'dev.aksml.endpoint': request.endpoint },
      ...(code === undefined ? {} : { code: placedCode(job, code) }),
    },
    registry,
    options,
  );
  await runStage('image', 'Pushing the deployment image', options, async () => {
    const { digest } = image.image.descriptor;
    const total = image.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const tag = `${request.version}-${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
    const pushed = await pushImage(
      image,
      { registry, repository, tag },
      {
        onBytes: (done) => options.onProgress?.({ type: 'progress', stage: 'image', done, total, unit: 'bytes' }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
    );
    return { value: pushed, reused: pushed.reused, detail: describePush(digest, pushed, image.layers.length) };
  });
  return { environment, image };
}

function placedCode({ engine, request }: ImageJob, { reference, layer }: PackedCode): DeploymentParts['code'] {
  const { registry } = engine;
  if (layer) return { reference, layer, place: { registry, repository: SNAPSHOTS } };
  // An earlier revision's: its repository has the layer for good.
  const { digest, size } = reference;
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  return {
    reference,
    layer: { mediaType, digest, size },
    place: { registry, repository: repositoryOf(request.endpoint, request.version) },
  };
}

/** The scoring server's own limit: a little later than the front end's 504, so that the worker is free again soon after it. */
const SCORING_GRACE_MS = 1000;

/** The variables of v1's scoring container, and those by which the scoring server knows its settings. */
function replicaVariables({ request, variables, code }: ImageJob): Record<string, string> {
  const { models, settings } = request;
  return containerVariables({
    models,
    variables: {
      SERVICE_NAME: request.endpoint,
      SCORING_TIMEOUT_MS: String(settings.scoringTimeoutMs + SCORING_GRACE_MS),
      ...(settings.appInsightsEnabled ? { AML_APP_INSIGHTS_ENABLED: 'true' } : {}),
      ...variables,
      WORKER_COUNT: String(settings.maxConcurrentRequestsPerContainer),
    },
    ...(code === undefined ? {} : { code: code.reference }),
  });
}

function describePush(digest: string, { reused, sentBytes, reusedLayers }: PushedImage, layers: number): string {
  const name = digest.slice(0, 19);
  return reused
    ? `${name} was there`
    : `${name}, ${Math.ceil(sentBytes / 1000)} kB sent, ${reusedLayers} of ${layers} layers reused`;
}

/** A container brings everything itself. */
const NO_ENVIRONMENT: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: true },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};
