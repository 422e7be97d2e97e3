import { readFile } from 'node:fs/promises';
import { APP_ROOT, CONTAINER_USER, SERVER_PORT } from '../../contract/container.ts';
import { withLock } from '../../home/lock.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import { withoutChannelTokens } from '../environments/conda.ts';
import { withoutCredentials } from '../environments/credentials.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { runtimeFile, SERVER_FILES } from '../environments/runtime-files.ts';
import { shortHash } from '../environments/store.ts';
import { sha256 } from '../registry/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { withBuiltBase } from './built-base.ts';
import { composeImage, type Foundation, type ImageParts } from './compose.ts';
import { type DockerSteps, needsBuilder } from './docker-steps.ts';
import { environmentLayer } from './environment-layer.ts';
import { byHash, byKey, recall, remember, takeFromGlobal } from './environment-record.ts';
import { layerWorkshop } from './environment-workshop.ts';
import { type BaseRequest, findBase, findSteps, prepareBase } from './image-base.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import type { ImageTools } from './image-request.ts';
import { BUILT_ENVIRONMENT } from './install-script.ts';
import { type Compression, type Layer, type LayerEntry, storeSmallLayer } from './layer.ts';
import { ENVIRONMENT_FOLDER, ENVIRONMENT_PYTHON } from './venv-entries.ts';

/** An environment as an image, all of whose content is in {@link ENVIRONMENT_IMAGES} of a registry. */
export interface EnvironmentImage extends Foundation {
  /** Over everything that is in it: base image, packages, Docker steps, scoring server. */
  readonly hash: string;
  /** `3.11`; empty where the image brings its packages itself. */
  readonly pythonVersion: string;
  /** Exact requirements, with hashes. */
  readonly lock: readonly string[];
}

export interface EnvironmentImageRequest extends BaseRequest {
  readonly plan: EnvironmentPlan;
  readonly compression: Compression;
  /** What an earlier deploy used: exactly that is taken again. */
  readonly recorded?: { readonly hash: string; readonly lock: readonly string[] };
  /** The image starts what its base image starts, not aksml's scoring server. */
  readonly keepsStart?: boolean;
  /** Resolve anew, whatever was locked before. */
  readonly refresh?: boolean;
  /** Build it although there is a record, whose content is gone, of these packages. */
  readonly rebuild?: { readonly lock: readonly string[] };
}

/** Where environment images are. */
export interface EnvironmentPlaces {
  readonly registry: Registry;
  /** Looked into after the first; what is there is taken over. */
  readonly global?: Registry;
}

export interface FoundEnvironment {
  readonly image: EnvironmentImage;
  /** The location of the registry that had it; absent when it was built. */
  readonly foundIn?: string;
}

/** Changes when the same parts would make another image. */
const FORMAT = 1;
const LAUNCHER_FOLDER = 'opt/aksml';
export const LAUNCHER = `${LAUNCHER_FOLDER}/serve.py`;
export const CONTAINER_HOME = 'home/aksml';

/**
 * The environment's image: found by the digest of its base image, its Docker steps, its packages and its scoring server, first in the
 * registry, then in the global one; else built and stored.
 * @throws AksmlError `image.*` | `environment.*` | `registry.*`
 */
export async function environmentImage(
  tools: ImageTools,
  places: EnvironmentPlaces,
  request: EnvironmentImageRequest,
  options: RunOptions,
): Promise<FoundEnvironment> {
  const { registry } = places;
  const { recorded } = request;
  if (recorded !== undefined && request.rebuild === undefined) {
    const image = await recall(tools.home, registry, byHash(recorded.hash), options.signal);
    if (image) return { image, foundIn: registry.location };
  }
  const launcher = request.keepsStart ? [] : await launcherFiles();
  const ground = await findGround(tools, request, options.signal);
  const key = keyOf(request, ground, launcher);
  const lookUp = async (): Promise<FoundEnvironment | undefined> => {
    if (request.refresh || request.rebuild) return undefined;
    const image = await recall(tools.home, registry, byKey(key), options.signal);
    if (image) return { image, foundIn: registry.location };
    return places.global && takeFromGlobal(tools.home, places.global, registry, key, options.signal);
  };
  const build = (base: BaseImage) => buildOn(base, tools, registry, request, { launcher, key }, options);
  const found = await lookUp();
  if (found) return found;
  return withLock(
    tools.home,
    `environment-image-${key}`,
    async () => (await lookUp()) ?? { image: await onGround(tools, request, ground, options, build) },
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

/** What packages and scoring server are put on: an image as it is, or what a container builder makes. */
type Ground =
  | { readonly kind: 'image'; readonly base: BaseImage }
  | { readonly kind: 'steps'; readonly steps: DockerSteps };

async function findGround(tools: ImageTools, request: EnvironmentImageRequest, signal?: AbortSignal): Promise<Ground> {
  const { definition, plan } = request;
  if (!needsBuilder(definition, plan)) return { kind: 'image', base: await findBase(tools, request, plan, signal) };
  return { kind: 'steps', steps: await findSteps(tools, request, plan, signal) };
}

async function onGround<T>(
  tools: ImageTools,
  { definition, plan }: EnvironmentImageRequest,
  ground: Ground,
  options: RunOptions,
  use: (base: BaseImage) => Promise<T>,
): Promise<T> {
  if (ground.kind === 'image') return use(ground.base);
  return withBuiltBase(tools, { definition, plan, steps: ground.steps }, options, use);
}

/** Of the base image its digest counts, not its name: v1 never noticed that a base image had been rebuilt. */
function keyOf(request: EnvironmentImageRequest, ground: Ground, launcher: readonly LauncherFile[]): string {
  const { plan, recorded, compression } = request;
  return shortHash({
    format: FORMAT,
    base: ground.kind === 'image' ? ground.base.digest : contentOf(ground.steps),
    platform: request.definition.docker.platform,
    packages: plan.installer === 'none' ? plan.interpreterPath : (recorded?.lock ?? packagesOf(plan)),
    conda: plan.installer === 'conda' ? withoutChannelTokens(withoutCredentials(JSON.stringify(plan.conda))) : '',
    python: plan.python.text,
    launcher: launcher.map(({ content }) => sha256(content)),
    compression,
  });
}

/** Where a context was fetched from does not count. */
function contentOf({ dockerfile, fetched }: DockerSteps): unknown {
  return { dockerfile, ...(fetched === undefined ? {} : { context: fetched.content }) };
}

/** What decides which packages are installed. The user's own index settings do not: they are no part of the environment. */
function packagesOf({ requirements, indexes }: EnvironmentPlan): unknown {
  return {
    requirements: requirements.map(withoutCredentials),
    indexes: JSON.parse(withoutCredentials(JSON.stringify(indexes))) as unknown,
  };
}

interface Ingredients {
  readonly launcher: readonly LauncherFile[];
  readonly key: string;
}

async function buildOn(
  base: BaseImage,
  tools: ImageTools,
  registry: Registry,
  request: EnvironmentImageRequest,
  { launcher, key }: Ingredients,
  options: RunOptions,
): Promise<EnvironmentImage> {
  const { plan, compression } = request;
  const lock = (request.rebuild ?? request.recorded)?.lock;
  const workshop = layerWorkshop(tools, plan, registry, options);
  const refresh = request.refresh ?? false;
  const python = await prepareBase(base, plan, workshop, { compression, refresh });
  const target = python?.target;
  const packages =
    target &&
    (await environmentLayer(workshop, {
      target,
      identity: packagesOf(plan),
      preReleases: plan.indexes.preReleases,
      compression,
      refresh,
      ...(lock === undefined ? {} : { lock }),
    }));
  const runtime = await storeSmallLayer(registry, ENVIRONMENT_IMAGES, runtimeEntries(launcher), options.signal);
  const added = [
    ...(python?.layer ? [{ ...python.layer, title: `Python ${python.target.minor}` }] : []),
    ...(packages ? [{ ...packages, title: `packages for Python ${target.minor}` }] : []),
    { ...runtime, title: 'scoring server launcher' },
  ];
  const composed = composeImage({
    base,
    layers: added,
    variables: { AML_APP_ROOT: APP_ROOT, ...(request.keepsStart ? {} : { HOME: `/${CONTAINER_HOME}` }) },
    pathFolders: target === undefined ? [] : [`/${ENVIRONMENT_FOLDER}/bin`],
    ...(request.keepsStart ? {} : { start: serverStart(plan) }),
    labels: {
      ...(packages === undefined ? {} : { 'dev.aksml.environment': packages.diffId }),
      'org.opencontainers.image.base.digest': base.digest,
    },
  });
  const layers: Layer[] = [...base.layers, ...added];
  return remember(registry, key, {
    composed,
    layers: layers.map(({ descriptor, diffId }) => ({ descriptor, diffId })),
    record: {
      hash: shortHash(composed.config.toString()),
      pythonVersion: target?.minor ?? '',
      lock: packages?.lock ?? [],
      baseDigest: base.digest,
      ...(base.reference === undefined ? {} : { baseReference: base.reference }),
    },
  });
}

function serverStart(plan: EnvironmentPlan): ImageParts['start'] {
  return {
    User: String(CONTAINER_USER),
    ExposedPorts: { [`${SERVER_PORT}/tcp`]: {} },
    Entrypoint: [interpreterOf(plan), `/${LAUNCHER}`],
    WorkingDir: APP_ROOT,
    StopSignal: 'SIGTERM',
  };
}

function interpreterOf({ installer, interpreterPath }: EnvironmentPlan): string {
  switch (installer) {
    case 'none':
      return interpreterPath;
    case 'uv':
      return ENVIRONMENT_PYTHON;
    case 'conda':
      return `${BUILT_ENVIRONMENT}/bin/python`;
    default:
      return installer satisfies never;
  }
}

interface LauncherFile {
  readonly name: string;
  readonly content: Uint8Array;
}

function launcherFiles(): Promise<LauncherFile[]> {
  return Promise.all(SERVER_FILES.map(async (name) => ({ name, content: await readFile(runtimeFile(name)) })));
}

function runtimeEntries(launcher: readonly LauncherFile[]): LayerEntry[] {
  const owner = CONTAINER_USER;
  return [
    ...launcher.map(({ name, content }): LayerEntry => {
      return { kind: 'file', path: `${LAUNCHER_FOLDER}/${name}`, executable: false, content };
    }),
    { kind: 'folder', path: APP_ROOT.slice(1), owner },
    { kind: 'folder', path: CONTAINER_HOME, owner, mode: 0o777 },
  ];
}

/** For people. */
export function describeEnvironment({ pythonVersion, lock, reference, digest }: EnvironmentImage): string {
  const base = reference ?? digest.slice(0, 19);
  return pythonVersion === '' ? base : `Python ${pythonVersion} of ${base}, ${lock.length} packages`;
}
