import { homedir } from 'node:os';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { acceptsPython, type PythonRequest, parsePythonVersion, wantedMinor } from '../environments/python-version.ts';
import { type CredentialSource, type Credentials, dockerCredentials } from '../registry/credentials.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { fetchBase } from './base-cache.ts';
import { type BaseImage, readBaseImage } from './base-image.ts';
import { type BaseContent, type BasePython, chooseBasePython } from './base-python.ts';
import { pinContext } from './context-pin.ts';
import { type DockerSteps, imagesOf, stepsDockerfile, withImages } from './docker-steps.ts';
import type { LayerTarget, LayerWorkshop } from './environment-layer.ts';
import { readVariables } from './image-config.ts';
import { type ImageTools, namedBaseImage } from './image-request.ts';
import { findImage } from './image-source.ts';
import type { Compression, Layer } from './layer.ts';
import { pythonLayer, pythonPath } from './python-layer.ts';

/** When the environment names neither base image nor Python. */
const DEFAULT_PYTHON = '3.12';

/** For packages from conda when no base image is named: Debian with micromamba. */
const CONDA_BASE = 'docker.io/mambaorg/micromamba:latest';

/** What decides the base image. */
export interface BaseRequest {
  readonly definition: EnvironmentDefinition;
  /** Instead of the environment's: a name, or the path of an image layout or of a tar of one. */
  readonly base?: string;
}

/**
 * The base image of the environment as it is now: the one that is named, else Debian with the wanted Python as Docker's library has it, or
 * with micromamba.
 * (v1's own default image is 2 GB and has another Python in it.) Only manifest and configuration are read.
 * @throws AksmlError `image.*` | `registry.*`
 */
export async function findBase(
  store: ImageTools,
  request: BaseRequest,
  { python, installer }: Pick<EnvironmentPlan, 'python' | 'installer'>,
  signal?: AbortSignal,
): Promise<BaseImage> {
  const { definition } = request;
  const wanted = wantedMinor(python)?.join('.') ?? DEFAULT_PYTHON;
  const preset = installer === 'conda' ? CONDA_BASE : `docker.io/library/python:${wanted}-slim`;
  const name = namedBaseImage(request) ?? preset;
  const source = await findImage(name, {
    fetch: store.registryFetch ?? store.fetch,
    credentials: credentialsFor(store, definition),
  });
  const { os, architecture } = definition.docker.platform;
  return readBaseImage(source, { os: os.toLowerCase(), architecture }, signal);
}

/** The environment's Docker steps, with every image that they begin from named by its digest of now. @throws AksmlError `image.*` */
export async function findSteps(
  tools: ImageTools,
  request: BaseRequest,
  plan: EnvironmentPlan,
  signal?: AbortSignal,
): Promise<DockerSteps> {
  const { definition } = request;
  const { buildContext, baseDockerfile } = definition.docker;
  if (buildContext) return { dockerfile: '', fetched: await pinContext(tools, buildContext, signal) };
  const base = baseDockerfile === undefined ? await findBase(tools, request, plan, signal) : undefined;
  const dockerfile = stepsDockerfile(definition, plan, base?.reference ?? base?.name ?? '');
  const digests = new Map<string, string>();
  for (const image of imagesOf(dockerfile)) {
    const { host, repository } = parseImageReference(image);
    const { digest } =
      image === base?.reference ? base : await findBase(tools, { ...request, base: image }, plan, signal);
    digests.set(image, `${host}/${repository}@${digest}`);
  }
  return { dockerfile: withImages(dockerfile, digests) };
}

/** The Python that packages are for, and the layer that brings it where the base image has none. */
export interface ChosenPython {
  readonly target: LayerTarget;
  readonly layer?: Layer;
}

/**
 * Brings the base image into the registry and chooses its Python; one without any gets one. Undefined where the image brings its packages
 * itself.
 * @throws AksmlError `image.pythonMissing` | `registry.*`
 */
export async function prepareBase(
  base: BaseImage,
  { python, installer }: Pick<EnvironmentPlan, 'python' | 'installer'>,
  workshop: LayerWorkshop,
  options: { readonly compression: Compression; readonly refresh: boolean },
): Promise<ChosenPython | undefined> {
  const { registry, onProgress, signal } = workshop;
  const total = base.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const detail = `fetching ${base.name}`;
  const content = await fetchBase(base, registry, {
    onBytes: (done) => onProgress?.({ type: 'progress', stage: 'environment', done, total, unit: 'bytes', detail }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (installer !== 'uv') return undefined;
  const target = choosePython(base, content, python);
  if (target) return { target };
  return bringPython(base, content, python, workshop, options);
}

function choosePython(base: BaseImage, content: BaseContent, request: PythonRequest): LayerTarget | undefined {
  const searchPath = readVariables(base.config.config?.Env).get('PATH') ?? '/usr/local/bin:/usr/bin:/bin';
  const chosen = chooseBasePython(content, searchPath, (minor) => acceptsPython(request, parsePythonVersion(minor)));
  return chosen && targetOn(base, content, chosen);
}

function targetOn(
  { config: { os, architecture } }: BaseImage,
  { libc }: BaseContent,
  { minor, path }: BasePython,
): LayerTarget {
  return { platform: { os, architecture }, libc: libc === 'musl' ? 'musl' : 'gnu', minor, python: path };
}

async function bringPython(
  base: BaseImage,
  content: BaseContent,
  request: PythonRequest,
  workshop: LayerWorkshop,
  options: { readonly compression: Compression; readonly refresh: boolean },
): Promise<ChosenPython> {
  const minor = minorToBring(request);
  if (minor === undefined) throw pythonMissing(base, content, request);
  if (content.libc === 'unknown') throw pythonMissing(base, content, request, 'It has no C library to run one with.');
  const target = targetOn(base, content, { minor, path: pythonPath(minor) });
  try {
    return { target, layer: await pythonLayer(workshop, target, options) };
  } catch (error) {
    if (!AksmlError.is(error, 'python.unobtainable')) throw error;
    throw pythonMissing(base, content, request, error.message, error);
  }
}

/** Newest first, behind the default. */
const MINORS_TO_BRING = [DEFAULT_PYTHON, '3.13', '3.11', '3.10', '3.9', '3.8'];

/** Undefined for a demand that none of those which can be had meets. */
export function minorToBring(request: PythonRequest): string | undefined {
  const wanted = wantedMinor(request)?.join('.');
  const candidates = wanted === undefined ? MINORS_TO_BRING : [wanted, ...MINORS_TO_BRING];
  return candidates.find((minor) => acceptsPython(request, parsePythonVersion(minor)));
}

function pythonMissing(
  base: BaseImage,
  content: BaseContent,
  request: PythonRequest,
  why?: string,
  cause?: AksmlError,
): AksmlError {
  const there = content.pythons.map(({ minor }) => minor).join(', ');
  const wanted = wantedMinor(request)?.join('.') ?? DEFAULT_PYTHON;
  const message = `The base image ${base.name} has ${there === '' ? 'no Python' : `Python ${there}`}, and the environment wants ${request.text === '' ? 'one' : request.text}.`;
  return new AksmlError('image.pythonMissing', why === undefined ? message : `${message} ${why}`, {
    fault: 'input',
    subject: base.name,
    ...(cause === undefined ? {} : { cause, logTail: cause.logTail }),
    remedy: `Name a base image with that Python, such as docker.io/library/python:${wanted}-slim, or a mirror that uv can fetch it from (UV_PYTHON_INSTALL_MIRROR), or write the Docker build context instead.`,
  });
}

/** What docker and podman have stored. */
export function storedCredentials({ environment }: Pick<ImageTools, 'environment'>): CredentialSource {
  return dockerCredentials({ environment, homeFolder: environment['HOME'] ?? environment['USERPROFILE'] ?? homedir() });
}

/** Those of the environment for its own registry, else what is stored. */
function credentialsFor(tools: ImageTools, { docker }: EnvironmentDefinition): CredentialSource {
  const stored = storedCredentials(tools);
  const { address, username, password } = docker.baseImageRegistry ?? {};
  if (address === undefined || username === undefined || password === undefined) return stored;
  const own: Credentials = { kind: 'password', username, password };
  const host = address.replace(/^https?:\/\//, '').split('/')[0];
  return async (asked, signal) => (asked === host ? own : stored(asked, signal));
}
