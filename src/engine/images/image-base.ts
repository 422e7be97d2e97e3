import { homedir } from 'node:os';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { wantedMinor } from '../environments/python-version.ts';
import { type CredentialSource, type Credentials, dockerCredentials } from '../registry/credentials.ts';
import { recallDocument } from '../registry/documents.ts';
import { parseImageReference } from '../registry/image-reference.ts';
import { type BaseImage, type RecallDocument, readBaseImage } from './base-image.ts';
import { pinContext } from './context-pin.ts';
import { type DockerSteps, imagesOf, stepsDockerfile, withImages } from './docker-steps.ts';
import { type ImageTools, namedBaseImage } from './image-request.ts';
import { findImage } from './image-source.ts';

/** When the environment names neither base image nor Python. */
export const DEFAULT_PYTHON = '3.12';

/** For packages from conda when no base image is named: Debian with micromamba. */
const CONDA_BASE = 'docker.io/mambaorg/micromamba:latest';

/** What decides the base image. */
export interface BaseRequest {
  readonly definition: EnvironmentDefinition;
  /** Instead of the environment's: a name, or the path of an image layout or of a tar of one. */
  readonly base?: string;
  /** For which machines it may be, those that are wished first; default: what the environment says. */
  readonly architectures?: readonly string[];
  /** As it was found a moment ago: it is not looked for again. */
  readonly found?: BaseImage;
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
  const { definition, found } = request;
  if (found !== undefined) return found;
  const wanted = wantedMinor(python)?.join('.') ?? DEFAULT_PYTHON;
  const preset = installer === 'conda' ? CONDA_BASE : `docker.io/library/python:${wanted}-slim`;
  const name = namedBaseImage(request) ?? preset;
  const source = await findImage(name, {
    fetch: store.registryFetch ?? store.fetch,
    credentials: credentialsFor(store, definition),
  });
  const { os, architecture } = definition.docker.platform;
  const { architectures = [architecture] } = request;
  const platforms = architectures.map((one) => ({ os: os.toLowerCase(), architecture: one }));
  const recall: RecallDocument = (digest, read) => recallDocument(store.home, digest, read);
  return readBaseImage(source, platforms, signal, recall);
}

/** The environment's Docker steps, with every image that they begin from named by its digest of now. @throws AksmlError `image.*` */
export async function findSteps(
  tools: ImageTools,
  { definition, base: named }: BaseRequest,
  plan: EnvironmentPlan,
  signal?: AbortSignal,
): Promise<DockerSteps> {
  // A builder builds for what the environment says.
  const request: BaseRequest = { definition, ...(named === undefined ? {} : { base: named }) };
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
