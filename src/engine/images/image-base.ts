import { homedir } from 'node:os';
import { AksmlError } from '../../contract/error.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { acceptsPython, type PythonRequest, parsePythonVersion, wantedMinor } from '../environments/python-version.ts';
import { type CredentialSource, type Credentials, dockerCredentials } from '../registry/credentials.ts';
import type { Registry } from '../registry/registry.ts';
import { fetchBase } from './base-cache.ts';
import { type BaseImage, readBaseImage } from './base-image.ts';
import { type BaseContent, chooseBasePython } from './base-python.ts';
import type { LayerTarget } from './environment-layer.ts';
import { readVariables } from './image-config.ts';
import { findImage } from './image-source.ts';
import { namedBaseImage, type PackageRequest, type PackageStore } from './package-request.ts';

/** A base image whose layers are in the cache, and its Python. */
export interface ReadyBase {
  readonly base: BaseImage;
  /** Absent when the image brings its packages itself. */
  readonly target?: LayerTarget;
}

/** When the environment names neither base image nor Python. */
const DEFAULT_PYTHON = '3.12';

/**
 * The base image of the request, fetched: the one that is named, else Debian with the wanted Python as Docker's library has it. (v1's own
 * default image is 2 GB and has another Python in it.)
 * @throws AksmlError `image.pythonMissing` | `image.*` | `registry.*`
 */
export async function prepareBase(
  store: PackageStore,
  request: PackageRequest,
  plan: EnvironmentPlan,
  cache: Registry,
  options: RunOptions,
): Promise<ReadyBase> {
  const { definition } = request;
  const { python } = plan;
  const wanted = wantedMinor(python)?.join('.') ?? DEFAULT_PYTHON;
  const name = namedBaseImage(request) ?? `docker.io/library/python:${wanted}-slim`;
  const source = await findImage(name, { fetch: store.fetch, credentials: credentialsFor(store, request) });
  const { os, architecture } = definition.docker.platform;
  const base = await readBaseImage(source, { os: os.toLowerCase(), architecture }, options.signal);
  const total = base.layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const content = await fetchBase(base, cache, {
    onBytes: (done) =>
      options.onProgress?.({
        type: 'progress',
        stage: 'environment',
        done,
        total,
        unit: 'bytes',
        detail: `fetching ${name}`,
      }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return plan.installer === 'none' ? { base } : { base, target: choosePython(base, content, python) };
}

function choosePython(base: BaseImage, content: BaseContent, request: PythonRequest): LayerTarget {
  const searchPath = readVariables(base.config.config?.Env).get('PATH') ?? '/usr/local/bin:/usr/bin:/bin';
  const chosen = chooseBasePython(content, searchPath, (minor) => acceptsPython(request, parsePythonVersion(minor)));
  if (!chosen) throw pythonMissing(base, content, request);
  const { os, architecture } = base.config;
  return {
    platform: { os, architecture },
    libc: content.libc === 'musl' ? 'musl' : 'gnu',
    minor: chosen.minor,
    python: chosen.path,
  };
}

function pythonMissing(base: BaseImage, content: BaseContent, request: PythonRequest): AksmlError {
  const there = content.pythons.map(({ minor }) => minor).join(', ');
  const wanted = wantedMinor(request)?.join('.') ?? DEFAULT_PYTHON;
  return new AksmlError(
    'image.pythonMissing',
    `The base image ${base.name} has ${there === '' ? 'no Python' : `Python ${there}`}, and the environment wants ${request.text === '' ? 'one' : request.text}.`,
    {
      fault: 'input',
      subject: base.name,
      remedy: `Name a base image with that Python, such as docker.io/library/python:${wanted}-slim, or write the Docker build context instead.`,
    },
  );
}

/** Those of the environment for its own registry, else what docker and podman have stored. */
function credentialsFor(store: PackageStore, { definition }: PackageRequest): CredentialSource {
  const stored = dockerCredentials({ environment: store.environment, homeFolder: homeFolder(store) });
  const { address, username, password } = definition.docker.baseImageRegistry ?? {};
  if (address === undefined || username === undefined || password === undefined) return stored;
  const own: Credentials = { kind: 'password', username, password };
  const host = address.replace(/^https?:\/\//, '').split('/')[0];
  return async (asked, signal) => (asked === host ? own : stored(asked, signal));
}

function homeFolder({ environment }: PackageStore): string {
  return environment['HOME'] ?? environment['USERPROFILE'] ?? homedir();
}
