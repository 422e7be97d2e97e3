import { readFile } from 'node:fs/promises';
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
import type { Foundation } from './compose.ts';
import { type DockerSteps, needsBuilder } from './docker-steps.ts';
import { byHash, byKey, recall, takeFromGlobal } from './environment-record.ts';
import { type BaseRequest, findBase, findSteps } from './image-base.ts';
import type { ImageTools } from './image-request.ts';
import type { Compression } from './layer.ts';

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
  /** What an earlier deploy used: exactly that is taken again, for other nodes the same packages. */
  readonly recorded?: { readonly hash: string; readonly lock: readonly string[] };
  /** Of which architectures the nodes are that it is to run on; absent where they are not known. */
  readonly nodes?: readonly string[];
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
const FORMAT = 2;
export const LAUNCHER_FOLDER = 'opt/aksml';
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
    if (image && runsOn(image, request)) return { image, foundIn: registry.location };
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
  const build = async (base: BaseImage) => {
    // Most deployments find their environment: what installs one is loaded by the others alone.
    const { buildOn } = await import('./environment-build.ts');
    return buildOn(base, tools, registry, request, { launcher, key }, options);
  };
  const found = await lookUp();
  if (found) return found;
  return withLock(
    tools.home,
    `environment-image-${key}`,
    async () => (await lookUp()) ?? { image: await onGround(tools, request, ground, options, build) },
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

function runsOn({ config }: EnvironmentImage, { nodes = [] }: EnvironmentImageRequest): boolean {
  return nodes.length === 0 || nodes.includes(config.architecture);
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
  const { withBuiltBase } = await import('./built-base.ts');
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
export function packagesOf({ requirements, indexes }: EnvironmentPlan): unknown {
  return {
    requirements: requirements.map(withoutCredentials),
    indexes: JSON.parse(withoutCredentials(JSON.stringify(indexes))) as unknown,
  };
}

export interface LauncherFile {
  readonly name: string;
  readonly content: Uint8Array;
}

function launcherFiles(): Promise<LauncherFile[]> {
  return Promise.all(SERVER_FILES.map(async (name) => ({ name, content: await readFile(runtimeFile(name)) })));
}

/** For people. */
export function describeEnvironment({ pythonVersion, lock, reference, digest }: EnvironmentImage): string {
  const base = reference ?? digest.slice(0, 19);
  return pythonVersion === '' ? base : `Python ${pythonVersion} of ${base}, ${lock.length} packages`;
}
