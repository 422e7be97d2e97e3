import { isDeepStrictEqual } from 'node:util';
import { APP_ROOT } from '../../contract/container.ts';
import type { CustomContainer } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { together } from '../../parallel/parallel.ts';
import type { Engine, ImageStore } from '../engine.ts';
import { NO_ENVIRONMENT } from '../environments/no-environment.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { type AssembledImage, assembleImage, type DeploymentParts } from '../images/assemble.ts';
import type { Foundation, ImageParts } from '../images/compose.ts';
import { containerVariables } from '../images/container-variables.ts';
import { needsBuilder } from '../images/docker-steps.ts';
import {
  describeEnvironment,
  type EnvironmentImage,
  environmentImage,
  type FoundEnvironment,
} from '../images/environment-image.ts';
import { type BaseRequest, findBase } from '../images/image-base.ts';
import { type FindModelLayer, findModelLayers } from '../images/image-models.ts';
import { deploymentImages, ENVIRONMENT_IMAGES } from '../images/image-repositories.ts';
import { planForImage } from '../images/image-request.ts';
import { type Attachment, attach, type PushedImage, pushImage } from '../images/push.ts';
import { SBOM_TYPE, softwareBill } from '../images/sbom.ts';
import type { Place } from '../registry/copy.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { repositoryOf } from '../revisions/revisions.ts';
import { SNAPSHOTS } from '../snapshot/snapshot.ts';
import { architecturesFor } from './architecture.ts';
import type { BuildRequest, MadeVersion, RecordedVersion, Recorder } from './build.ts';
import { clusterFacts } from './cluster-facts.ts';
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
  record: Recorder,
): Promise<RecordedVersion> {
  const store = await imageStore(engine);
  const before = lookAtFormer(store, request, options.signal);
  const nodes = nodesOf(engine, request, options.signal);
  const recipe = await recipeOf(engine, request.source, options, request.known?.definition);
  const plan = planForImage(recipe.definition ?? NO_ENVIRONMENT);
  const variables = { ...plan.environmentVariables, ...request.environmentVariables };
  const split = splitVariables(variables, {
    environment: engine.environment,
    names: recipe.definition?.secretEnvironmentVariables ?? [],
    mayBeStored: request.secretsMayBeStored,
  });
  const job: ImageJob = {
    engine,
    store,
    request,
    recipe,
    plan,
    variables: split.plain,
    allVariables: variables,
    split,
    before,
    nodes,
  };
  return makeWhole(job, options, record);
}

/** Of which architectures the cluster's nodes are, if that can be known. */
async function nodesOf(
  engine: Engine,
  { architectures }: BuildRequest,
  signal?: AbortSignal,
): Promise<readonly string[] | undefined> {
  if (architectures !== undefined) return architectures;
  return (await clusterFacts(engine, signal).catch(() => undefined))?.status.architectures;
}

/** Most layers of an image are those of the one before: whoever reads its manifest need not look for each of them. */
async function lookAtFormer({ registry }: ImageStore, request: BuildRequest, signal?: AbortSignal): Promise<void> {
  const { endpoint, version, formerImage } = request;
  if (formerImage === undefined) return;
  await registry.getManifest(deploymentImages(endpoint), tagOf(version, formerImage), signal).catch(() => undefined);
}

function tagOf(version: string, digest: string): string {
  return `${version}-${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`;
}

async function imageStore({ images, target }: Engine): Promise<ImageStore> {
  if (images) return images();
  throw new AksmlError('images.noRegistry', `No registry is known that ${target.name} pulls images from.`, {
    subject: `computeTarget/${target.name}`,
    remedy: 'Attach the compute target with --registry HOST/PREFIX.',
  });
}

interface ImageJob {
  readonly engine: Engine;
  readonly store: ImageStore;
  readonly request: BuildRequest;
  readonly recipe: Recipe;
  readonly plan: EnvironmentPlan;
  /** None of them secret. */
  readonly variables: Readonly<Record<string, string>>;
  /** Secret ones as references. */
  readonly allVariables: Readonly<Record<string, string>>;
  readonly split: SplitVariables;
  /** What is known of the image that the version runs now. */
  readonly before: Promise<void>;
  /** Architectures of the cluster's nodes. */
  readonly nodes: Promise<readonly string[] | undefined>;
  readonly code?: PackedCode;
  readonly findModel?: FindModelLayer;
}

/** What models and code are put on. */
interface Ground {
  readonly foundation: Foundation;
  readonly place: Place;
  readonly environment: Pick<EnvironmentImage, 'hash' | 'pythonVersion' | 'lock'>;
  readonly start?: ImageParts['start'];
  /** The container with its image named by digest. */
  readonly container?: CustomContainer;
  /** The registry that had it; absent where it was built. */
  readonly foundIn?: string;
}

/** When somebody has removed content from the registry that a record still names, the environment is built once more. */
async function makeWhole(job: ImageJob, options: RunOptions, record: Recorder): Promise<RecordedVersion> {
  const { engine, recipe, request } = job;
  const findModel = findModelLayers(engine, request.models, options.signal);
  const [code, ground] = await together(
    packCode(engine, recipe, { ...request.build, hold: true }, options, request.ahead?.snapshot),
    prepareGround(job, options),
  );
  // The first deploy of somebody may be of code that others have deployed.
  const isNew = code?.isNew === true && request.formerImage !== undefined;
  const whole: ImageJob = { ...job, findModel, ...(code === undefined ? {} : { code: { ...code, isNew } }) };
  try {
    return await makeOn(whole, ground, options, record);
  } catch (error) {
    const isGone = AksmlError.is(error, 'registry.notFound') || AksmlError.is(error, 'registry.blobUnknown');
    if (!isGone || ground.foundIn === undefined) throw error;
    return makeOn(whole, await prepareGround(job, options, { lock: ground.environment.lock }), options, record);
  }
}

function prepareGround(
  job: ImageJob,
  options: RunOptions,
  rebuild?: { readonly lock: readonly string[] },
): Promise<Ground> {
  const { recipe, plan, store } = job;
  const { container } = recipe;
  return runStage('environment', 'Preparing the environment image', options, async () => {
    for (const problem of plan.problems) options.onProgress?.({ type: 'problem', problem });
    const bringsAll = plan.installer === 'none' && !needsBuilder(recipe.definition ?? NO_ENVIRONMENT, plan);
    if (container && bringsAll) {
      const ground = await containerGround(job, container, options);
      return { value: ground, reused: true, detail: ground.foundation.reference ?? ground.foundation.digest };
    }
    const { image, foundIn } = await findEnvironment(job, await job.nodes, options, rebuild);
    const ground: Ground = {
      foundation: image,
      place: { registry: store.registry, repository: ENVIRONMENT_IMAGES },
      environment: image,
      ...(container === undefined ? {} : { container, ...startOf(container) }),
      ...(foundIn === undefined ? {} : { foundIn }),
    };
    const where = foundIn === undefined ? '' : `, found in ${foundIn}`;
    return { value: ground, reused: foundIn !== undefined, detail: `${describeEnvironment(image)}${where}` };
  });
}

async function findEnvironment(
  { engine, store, request, recipe, plan }: ImageJob,
  nodes: readonly string[] | undefined,
  options: RunOptions,
  rebuild: { readonly lock: readonly string[] } | undefined,
): Promise<FoundEnvironment> {
  const { recorded, container, definition = NO_ENVIRONMENT } = recipe;
  const base = container?.image;
  const architectures = architecturesFor(definition, nodes);
  const isAsStated = isDeepStrictEqual(architectures, [definition.docker.platform.architecture]);
  const readAhead = isAsStated ? await request.ahead?.base : undefined;
  return environmentImage(
    engine,
    store,
    {
      definition,
      plan,
      architectures,
      ...(nodes === undefined ? {} : { nodes }),
      compression: 'zstd',
      keepsStart: container !== undefined,
      refresh: request.build.refreshEnvironment ?? false,
      ...(base === undefined ? {} : { base }),
      ...(readAhead === undefined ? {} : { found: readAhead }),
      ...foundBase(request),
      ...(recorded === undefined || request.build.refreshEnvironment ? {} : { recorded }),
      ...(rebuild === undefined ? {} : { rebuild }),
    },
    options,
  );
}

function foundBase({ known }: BuildRequest): Pick<BaseRequest, 'found'> {
  return known?.base === undefined ? {} : { found: known.base };
}

/** A custom container's own image, by its digest of now. */
async function containerGround(
  { engine, store, request, recipe, plan, nodes }: ImageJob,
  container: CustomContainer,
  options: RunOptions,
): Promise<Ground> {
  const definition = recipe.definition ?? NO_ENVIRONMENT;
  const named = container.image ?? definition.docker.baseImage;
  if (named === undefined) throw noImage();
  const architectures = architecturesFor(definition, await nodes);
  const wanted = { definition, base: named, architectures, ...foundBase(request) };
  const base = await findBase(engine, wanted, plan, options.signal);
  if (!base.place) {
    const { fetchBase } = await import('../images/base-cache.ts');
    await fetchBase(base, store.registry, options.signal === undefined ? {} : { signal: options.signal });
  }
  const { host, repository } = base.place ? parseImageReference(named) : { host: '', repository: '' };
  return {
    foundation: base,
    place: base.place ?? { registry: store.registry, repository: ENVIRONMENT_IMAGES },
    environment: { hash: base.digest.slice('sha256:'.length, 'sha256:'.length + 32), pythonVersion: '', lock: [] },
    container: base.place ? { ...container, image: `${host}/${repository}@${base.digest}` } : container,
    ...startOf(container),
  };
}

function startOf({ command, port }: CustomContainer): Pick<Ground, 'start'> {
  if (command === undefined) return {};
  const words = command.map((word) => word.replaceAll('{port}', String(port)));
  return { start: { Entrypoint: words, WorkingDir: APP_ROOT } };
}

function noImage(): AksmlError {
  return new AksmlError('container.noImage', 'A cluster runs images, and the container names none.', {
    fault: 'input',
    subject: 'environment.image',
    remedy: 'Name the image in environment.image.',
  });
}

async function makeOn(job: ImageJob, ground: Ground, options: RunOptions, record: Recorder): Promise<RecordedVersion> {
  const asItIs = untouched(job, ground);
  if (asItIs !== undefined) {
    const { digest } = ground.foundation;
    const made = madeOf(job, ground, { digest, repository: asItIs });
    return runStage('image', 'Taking the image as it is', options, async () => {
      const value = { made, recorded: await record(made) };
      return { value, reused: true, detail: `${asItIs}@${digest.slice(0, 19)}` };
    });
  }
  const { engine, store, request, code } = job;
  const place = { registry: store.registry, repository: deploymentImages(request.endpoint) };
  // The layer of links is in the former image, as a rule.
  await job.before;
  const image = await assembleImage(
    engine,
    {
      foundation: ground.foundation,
      place: ground.place,
      models: request.models,
      ...(job.findModel === undefined ? {} : { findModel: job.findModel }),
      ...mountPathOf(job),
      variables: ground.container ? containerSettings(job) : serverSettings(job),
      labels: { 'dev.aksml.endpoint': request.endpoint },
      ...(ground.start === undefined ? {} : { start: ground.start }),
      ...(code === undefined ? {} : { code: placedCode(job, code) }),
    },
    place,
    options,
  );
  const { digest } = image.image.descriptor;
  const made = madeOf(job, ground, {
    digest,
    repository: `${store.pullAddress}/${place.repository}`,
  });
  // A revision needs no image: it says how to make it.
  const [recorded, { reused }] = await together(record(made), push(job, image, place, options));
  const describe = () => attach(image, place, billOf(job, ground, digest), options.signal);
  return { made, recorded, ...(reused ? {} : { describe }) };
}

function madeOf(
  { recipe, code, allVariables, split }: ImageJob,
  { container, environment, foundation }: Ground,
  image: { readonly digest: string; readonly repository: string },
): MadeVersion {
  return {
    recipe: container === undefined ? recipe : { ...recipe, container },
    image: image.digest,
    imageRepository: image.repository,
    architecture: foundation.config.architecture,
    environment,
    variables: allVariables,
    split,
    ...(code === undefined ? {} : { code }),
  };
}

function push(job: ImageJob, image: AssembledImage, place: Place, options: RunOptions): Promise<PushedImage> {
  const { digest } = image.image.descriptor;
  return runStage('image', 'Pushing the deployment image', options, async () => {
    const total = image.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const tag = tagOf(job.request.version, digest);
    const pushed = await pushImage(
      image,
      { ...place, tag },
      {
        described: true,
        onBytes: (done) => options.onProgress?.({ type: 'progress', stage: 'image', done, total, unit: 'bytes' }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
    );
    return { value: pushed, reused: pushed.reused, detail: describePush(digest, pushed, image.layers.length) };
  });
}

function billOf({ engine, store, request, code }: ImageJob, ground: Ground, digest: string): Attachment {
  const content = softwareBill({
    repository: `${store.pullAddress}/${deploymentImages(request.endpoint)}`,
    digest,
    base: ground.foundation,
    lock: ground.environment.lock,
    models: request.models,
    version: engine.version,
    ...(code === undefined ? {} : { code: code.reference }),
  });
  return { mediaType: SBOM_TYPE, content };
}

/** The repository of a container's image to which nothing is added: it is pulled from where it is, however large. */
function untouched({ request, code, variables }: ImageJob, { container, start, place }: Ground): string | undefined {
  if (container?.image === undefined || start !== undefined || !container.image.includes('@')) return undefined;
  if (request.models.length > 0 || code !== undefined || Object.keys(variables).length > 0) return undefined;
  if (place.repository === ENVIRONMENT_IMAGES) return undefined;
  return container.image.slice(0, container.image.indexOf('@'));
}

function placedCode(
  { engine, request }: ImageJob,
  { reference, layer, held, isNew = false }: PackedCode,
): DeploymentParts['code'] {
  const { registry } = engine;
  if (layer) {
    const place = { registry, repository: SNAPSHOTS };
    return { reference, layer, place, isNew, ...(held === undefined ? {} : { held }) };
  }
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
function serverSettings({ request, variables, code }: ImageJob): Record<string, string> {
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

/** A server of the user's own finds its files as v2's containers did. */
function containerSettings(job: ImageJob): Record<string, string> {
  const { request, variables, code } = job;
  return containerVariables({
    models: request.models,
    ...mountPathOf(job),
    variables: { AML_APP_ROOT: APP_ROOT, ...variables },
    ...(code === undefined ? {} : { code: code.reference }),
  });
}

function mountPathOf({ recipe }: ImageJob): { readonly modelMountPath?: string } {
  const path = recipe.container?.modelMountPath;
  return path === undefined ? {} : { modelMountPath: path };
}

function describePush(digest: string, { reused, sentBytes, reusedLayers }: PushedImage, layers: number): string {
  const name = digest.slice(0, 19);
  return reused
    ? `${name} was there`
    : `${name}, ${Math.ceil(sentBytes / 1000)} kB sent, ${reusedLayers} of ${layers} layers reused`;
}
