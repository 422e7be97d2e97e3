import { randomUUID } from 'node:crypto';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { Model } from '../../contract/model.ts';
import type { Revision } from '../../contract/revision.ts';
import type { Engine } from '../engine.ts';
import { type PreparedEnvironment, prepareEnvironment } from '../environments/environment.ts';
import { materializeModel } from '../models/materialize.ts';
import type { BuildOptions, BuildRequest, MadeVersion, RecordedVersion, Recorder } from './build.ts';
import { debuggedSource, withDebugger } from './debugging.ts';
import { composeBundle } from './image.ts';
import { packCode, recipeOf } from './recipe.ts';
import { splitVariables } from './secrets.ts';
import { type RunOptions, runStage } from './stages.ts';

/** Brings everything that a replica on this machine runs from into place. */
export async function makeBundle(
  engine: Engine,
  request: BuildRequest,
  options: RunOptions,
  record: Recorder,
): Promise<RecordedVersion> {
  const models = await placeModels(engine, request.models, options);
  const { debugPort } = request.build;
  const recipe = await recipeOf(engine, request.source, options);
  const debugged = debugPort === undefined ? undefined : debuggedSource(debugPort, recipe.inference);
  const code = await packCode(engine, recipe, request.build, options);
  const environment = recipe.definition
    ? await installEnvironment(
        engine,
        debugged === undefined ? recipe.definition : withDebugger(recipe.definition),
        recipe.recorded,
        request.build,
        options,
      )
    : undefined;
  const variables = { ...environment?.environmentVariables, ...request.environmentVariables };
  const split = splitVariables(variables, {
    environment: engine.environment,
    names: recipe.definition?.secretEnvironmentVariables ?? [],
    mayBeStored: request.secretsMayBeStored,
  });
  const { image } = await runStage('image', 'Composing the deployment image', options, async () => {
    const composed = await composeBundle(engine, {
      models,
      settings: request.settings,
      environment: {
        hash: environment?.hash ?? '',
        variables: split.plain,
        ...(environment === undefined ? {} : { python: environment.python }),
      },
      ...(code === undefined ? {} : { code: code.reference }),
      ...(debugged === undefined ? {} : { debugged }),
      ...(recipe.container === undefined ? {} : { container: recipe.container }),
      ...(Object.values(split.secret).some((value) => value !== null) ? { secretsNonce: randomUUID() } : {}),
    });
    return { value: composed, reused: composed.reused, detail: composed.image.slice(0, 19) };
  });
  const made: MadeVersion = {
    recipe,
    image,
    variables,
    split,
    ...(environment === undefined ? {} : { environment }),
    ...(code === undefined ? {} : { code }),
  };
  return { made, recorded: await record(made) };
}

async function placeModels(
  engine: Engine,
  models: readonly Model[],
  options: RunOptions,
): Promise<{ readonly model: Model; readonly folder: string }[]> {
  if (models.length === 0) return [];
  return runStage(
    'models',
    `Placing ${models.length === 1 ? models[0]?.id : `${models.length} models`}`,
    options,
    async () => {
      const placed = [];
      for (const model of models) placed.push({ model, folder: await materializeModel(engine, model, options) });
      return { value: placed, reused: false, detail: models.length === 1 ? '' : shortList(models.map(({ id }) => id)) };
    },
  );
}

function shortList(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return more > 0 ? `${names.slice(0, MOST_NAMED).join(', ')} and ${more} more` : names.join(', ');
}

const MOST_NAMED = 5;

async function installEnvironment(
  engine: Engine,
  definition: EnvironmentDefinition,
  recorded: Revision['environment'] | undefined,
  build: BuildOptions,
  options: RunOptions,
): Promise<PreparedEnvironment> {
  return runStage('environment', 'Preparing the environment', options, async () => {
    const prepared = await prepareEnvironment(engine, definition, {
      ...options,
      ...(recorded === undefined || build.refreshEnvironment ? {} : { recorded }),
      ...(build.python === undefined ? {} : { pythonOverride: build.python }),
      refresh: build.refreshEnvironment ?? false,
    });
    for (const problem of prepared.problems) options.onProgress?.({ type: 'problem', problem });
    return {
      value: prepared,
      reused: prepared.reused,
      detail: `Python ${prepared.pythonVersion}, ${prepared.lock.length} packages`,
    };
  });
}
