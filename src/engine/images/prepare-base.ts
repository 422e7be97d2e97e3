import { AksmlError } from '../../contract/error.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { acceptsPython, type PythonRequest, parsePythonVersion, wantedMinor } from '../environments/python-version.ts';
import { fetchBase } from './base-cache.ts';
import type { BaseImage } from './base-image.ts';
import { type BaseContent, type BasePython, chooseBasePython } from './base-python.ts';
import type { LayerTarget, LayerWorkshop } from './environment-layer.ts';
import { DEFAULT_PYTHON } from './image-base.ts';
import { readVariables } from './image-config.ts';
import type { Compression, Layer } from './layer.ts';
import { pythonLayer, pythonPath } from './python-layer.ts';

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
