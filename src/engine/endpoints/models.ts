import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Engine } from '../engine.ts';
import { getModel, registerModel } from '../models/models.ts';
import type { RunOptions } from './stages.ts';

/** v1 named a model that was given as a path by the first characters of its basename. */
const AUTO_NAME_LENGTH = 30;

export interface ResolvedModels {
  readonly registered: readonly Model[];
  /** Absolute paths that stand for models which {@link registerPaths} will make. */
  readonly paths: readonly string[];
  readonly problems: readonly Problem[];
}

/** Finds the models of a deployment: an id, a name (its latest version), or, as in v1, a path. What cannot be found becomes a problem each. */
export async function resolveModels(
  engine: Engine,
  references: readonly string[],
  cwd: string,
): Promise<ResolvedModels> {
  const registered: Model[] = [];
  const paths: string[] = [];
  const problems: Problem[] = [];
  for (const reference of references) {
    try {
      registered.push(await getModel(engine, reference));
    } catch (error) {
      if (!AksmlError.is(error) || error.fault !== 'input') throw error;
      const path = resolve(cwd, reference);
      if (await stat(path).catch(() => undefined)) paths.push(path);
      else problems.push(notFound(error, reference));
    }
  }
  return { registered, paths, problems };
}

/** Registers what was given as a path, and tells so. */
export async function registerPaths(
  engine: Engine,
  paths: readonly string[],
  cwd: string,
  options: RunOptions,
): Promise<Model[]> {
  const models: Model[] = [];
  for (const path of paths) {
    const { model, notices } = await registerModel(
      engine,
      { name: basename(path).slice(0, AUTO_NAME_LENGTH), path, cwd },
      options,
    );
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

function notFound(error: AksmlError, reference: string): Problem {
  return {
    severity: 'error',
    code: error.code,
    path: `--model ${reference}`,
    message: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}
