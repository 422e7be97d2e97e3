import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import { inParallel } from '../../parallel/parallel.ts';
import type { Engine } from '../engine.ts';
import { findModel } from '../models/catalog.ts';
import type { RunOptions } from './stages.ts';

/** v1 named a model that was given as a path by the first characters of its basename. */
const AUTO_NAME_LENGTH = 30;
const REFERENCES_AT_ONCE = 8;
/** The records of more models than this are not kept on this machine: they would take the place of each other. */
const FEW_REFERENCES = 16;

/** What a deployment may call a model: an id, a name (its latest version), a path, or a path with the name to register it under. */
export type ModelReference = string | ModelPath;

export interface ModelPath {
  readonly path: string;
  readonly name?: string;
  /** The newest version of the name is taken where it has the same files: they may have been registered a moment ago. */
  readonly reuse?: boolean;
}

/** Stands for a model that {@link registerPaths} will make. */
export interface UnregisteredModel {
  /** Absolute. */
  readonly path: string;
  readonly name: string;
  readonly isMlflow: boolean;
  readonly reuse: boolean;
}

export interface ResolvedModels {
  readonly registered: readonly Model[];
  readonly paths: readonly UnregisteredModel[];
  readonly problems: readonly Problem[];
}

/** Finds the models of a deployment; a path is v1's, too. What cannot be found becomes a problem each. */
export async function resolveModels(
  engine: Engine,
  references: readonly ModelReference[],
  cwd: string,
): Promise<ResolvedModels> {
  const store = references.length > FEW_REFERENCES ? { registry: engine.registry } : engine;
  const found = await inParallel(references, REFERENCES_AT_ONCE, (reference) => resolveModel(store, reference, cwd));
  return {
    registered: found.flatMap(({ registered }) => registered ?? []),
    paths: found.flatMap(({ path }) => path ?? []),
    problems: found.flatMap(({ problem }) => problem ?? []),
  };
}

interface ResolvedModel {
  readonly registered?: Model;
  readonly path?: UnregisteredModel;
  readonly problem?: Problem;
}

async function resolveModel(
  store: Pick<Engine, 'registry'> & Partial<Pick<Engine, 'home'>>,
  reference: ModelReference,
  cwd: string,
): Promise<ResolvedModel> {
  const path = resolve(cwd, typeof reference === 'string' ? reference : reference.path);
  if (typeof reference !== 'string') {
    return (await exists(path)) ? { path: await unregistered(path, reference) } : { problem: pathMissing(path) };
  }
  try {
    const { model } = await findModel(store, reference);
    const isPathToo = !reference.includes(':') && (await exists(path));
    return { registered: model, ...(isPathToo ? { problem: notThePath(model, reference) } : {}) };
  } catch (error) {
    if (!AksmlError.is(error) || error.fault !== 'input') throw error;
    return (await exists(path)) ? { path: await unregistered(path) } : { problem: notFound(error, reference) };
  }
}

async function unregistered(
  path: string,
  { name = basename(path).slice(0, AUTO_NAME_LENGTH), reuse = false }: Omit<ModelPath, 'path'> = {},
): Promise<UnregisteredModel> {
  return { path, name, reuse, isMlflow: await exists(join(path, 'MLmodel')) };
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** What a command that was cut off has registered is taken by the same command, run again. */
export function pathsToRegister({ paths }: ResolvedModels, isBegun: boolean): readonly UnregisteredModel[] {
  return isBegun ? paths.map((path) => ({ ...path, reuse: true })) : paths;
}

/** Registers what was given as a path, and tells so. */
export async function registerPaths(
  engine: Engine,
  paths: readonly UnregisteredModel[],
  cwd: string,
  options: RunOptions,
): Promise<Model[]> {
  if (paths.length === 0) return [];
  const { registerModel } = await import('../models/models.ts');
  const models: Model[] = [];
  for (const { path, name, reuse } of paths) {
    const { model, notices } = await registerModel(engine, { name, path, cwd, reuse }, options);
    const notice: Problem = {
      severity: 'notice',
      code: 'model.registered',
      path: '--model',
      message: `${path} was registered as the model ${model.id}.`,
    };
    for (const problem of [notice, ...notices]) options.onProgress?.({ type: 'problem', problem });
    models.push(model);
  }
  return models;
}

function pathMissing(path: string): Problem {
  return {
    severity: 'error',
    code: 'model.pathMissing',
    path: '--model',
    message: `${path} does not exist.`,
    remedy: 'Restore it, or choose another model.',
  };
}

function notThePath({ id }: Model, reference: string): Problem {
  return {
    severity: 'notice',
    code: 'model.notThePath',
    path: '--model',
    message: `"${reference}" is the registered model ${id}, not the file or folder of this name.`,
    remedy: `Write "./${reference}" to register what is there.`,
  };
}

function notFound(error: AksmlError, reference: string): Problem {
  return {
    severity: 'error',
    code: error.code,
    path: `--model ${reference}`,
    message: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}
