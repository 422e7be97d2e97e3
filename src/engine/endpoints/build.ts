import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import type { EffectiveSettings, EnvironmentSource, InferenceSpec } from '../../contract/deployment.ts';
import type { CustomContainer } from '../../contract/endpoint.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { Model } from '../../contract/model.ts';
import type { CodeReference, Revision } from '../../contract/revision.ts';
import type { Engine } from '../engine.ts';
import { type PreparedEnvironment, prepareEnvironment } from '../environments/environment.ts';
import { type NoCodeFramework, noCodeDeployment } from '../environments/no-code.ts';
import { getEnvironment } from '../environments/registered.ts';
import { materializeModel } from '../models/materialize.ts';
import type { Descriptor } from '../registry/registry.ts';
import { createRevision } from '../revisions/revisions.ts';
import { takeSnapshot } from '../snapshot/snapshot.ts';
import { gitProperties } from './git.ts';
import { composeBundle } from './image.ts';
import { splitVariables } from './secrets.ts';
import { type RunOptions, runStage } from './stages.ts';

/** Where a version's code comes from. */
export type CodeSource =
  | { readonly kind: 'inference'; readonly inference: InferenceSpec }
  /** aksml's own scoring script for the model's framework. */
  | { readonly kind: 'noCode'; readonly model: Model }
  /** The code, environment and custom container of an earlier revision. */
  | { readonly kind: 'revision'; readonly revision: Revision }
  | {
      readonly kind: 'container';
      readonly container: CustomContainer;
      /** Code that its command finds in the app root. */
      readonly code?: InferenceSpec;
      readonly environment?: EnvironmentSource;
    };

export interface BuildRequest {
  readonly endpoint: string;
  readonly version: string;
  readonly source: CodeSource;
  readonly models: readonly Model[];
  readonly settings: EffectiveSettings;
  /** Added to the environment's own. */
  readonly environmentVariables?: Readonly<Record<string, string>>;
  /** The version exists, so that secret values may be stored already. */
  readonly secretsMayBeStored: boolean;
  readonly build: BuildOptions;
}

/** What the person asks of the build beyond the configuration. */
export interface BuildOptions {
  /** Interpreter or version to use instead of the one that the environment names. */
  readonly python?: string;
  /** Resolve the environment anew instead of using what was locked. */
  readonly refreshEnvironment?: boolean;
  readonly liftSnapshotLimits?: boolean;
}

export interface BuiltVersion {
  readonly image: string;
  readonly revision: Revision;
  readonly revisionDigest: string;
  readonly environment: { readonly name?: string; readonly version?: string; readonly hash: string };
  /** The origins that the scoring server's own variable `AML_CORS_ORIGINS` allows; absent when it is not set. */
  readonly corsAllowedOrigins?: readonly string[];
  /** Values for the compute target's secret store, by variable name. */
  readonly secretVariables: Readonly<Record<string, string>>;
}

/** Brings every part of a version into place and records the revision. Nothing that serves is touched. */
export async function buildVersion(engine: Engine, request: BuildRequest, options: RunOptions): Promise<BuiltVersion> {
  const git = gitFacts(engine, request.source);
  const models = await placeModels(engine, request.models, options);
  const recipe = await recipeOf(engine, request.source);
  const code = await packCode(engine, request, recipe, options);
  const environment = recipe.definition
    ? await installEnvironment(engine, recipe.definition, recipe.recorded, request.build, options)
    : undefined;
  const variables = { ...environment?.environmentVariables, ...request.environmentVariables };
  const split = splitVariables(variables, engine.environment, request.secretsMayBeStored);

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
      ...(recipe.container === undefined ? {} : { container: recipe.container }),
      ...(Object.keys(split.secret).length > 0 ? { secretsNonce: randomUUID() } : {}),
    });
    return { value: composed, reused: composed.reused, detail: composed.image.slice(0, 19) };
  });

  const definition = recipe.definition ?? EMPTY_ENVIRONMENT;
  const { revision, digest } = await createRevision(
    engine,
    {
      endpoint: request.endpoint,
      version: request.version,
      createdTime: engine.clock().toISOString(),
      createdBy: engine.user,
      aksmlVersion: engine.version,
      models: request.models.map(({ id, treeDigest, basename }) => ({ id, treeDigest, basename })),
      environment: {
        definition: { ...definition, environmentVariables: variables },
        hash: environment?.hash ?? '',
        pythonVersion: environment?.pythonVersion ?? '',
        lock: environment?.lock ?? [],
      },
      settings: request.settings,
      git: await git,
      ...(code === undefined ? {} : { code: code.reference }),
      ...(recipe.container === undefined ? {} : { container: recipe.container }),
      ...(recipe.noCode === undefined ? {} : { noCode: recipe.noCode }),
    },
    code?.layer,
    options.signal,
  );
  return {
    image,
    revision,
    revisionDigest: digest,
    secretVariables: split.secret,
    ...corsOrigins(split.plain['AML_CORS_ORIGINS']),
    environment: {
      hash: environment?.hash ?? '',
      ...(definition.name === undefined ? {} : { name: definition.name }),
      ...(definition.version === undefined ? {} : { version: definition.version }),
    },
  };
}

function corsOrigins(list: string | undefined): Pick<BuiltVersion, 'corsAllowedOrigins'> {
  const origins = list?.split(',').map((origin) => origin.trim());
  return origins === undefined ? {} : { corsAllowedOrigins: origins.filter((origin) => origin !== '') };
}

/** Begun first and awaited last, because git may be slow. */
async function gitFacts(engine: Engine, source: CodeSource): Promise<Readonly<Record<string, string>>> {
  switch (source.kind) {
    case 'inference': {
      const { sourceDirectory, entryScript } = source.inference;
      return gitProperties(sourceDirectory ?? dirname(entryScript), engine.environment);
    }
    case 'revision':
      return source.revision.git;
    case 'noCode':
    case 'container':
      return {};
  }
}

const EMPTY_ENVIRONMENT: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: true },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};

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

/** What is to be packed and installed, whichever way it was asked for. */
interface Recipe {
  readonly inference?: Pick<InferenceSpec, 'sourceDirectory' | 'entryScript' | 'namedFiles'>;
  readonly code?: CodeReference;
  readonly definition?: EnvironmentDefinition;
  /** What an earlier revision installed for that definition; installed again exactly. */
  readonly recorded?: Revision['environment'];
  readonly noCode?: NoCodeFramework;
  readonly container?: CustomContainer;
}

async function recipeOf(engine: Engine, source: CodeSource): Promise<Recipe> {
  switch (source.kind) {
    case 'inference':
      return { inference: source.inference, definition: await resolveDefinition(engine, source.inference.environment) };
    case 'noCode': {
      const deployment = await noCodeDeployment(engine, source.model);
      return {
        inference: { entryScript: deployment.entryScript, namedFiles: [] },
        definition: deployment.definition,
        noCode: deployment.framework,
      };
    }
    case 'container':
      return {
        container: source.container,
        ...(source.code === undefined ? {} : { inference: source.code }),
        ...(source.environment === undefined
          ? {}
          : { definition: await resolveDefinition(engine, source.environment) }),
      };
    case 'revision': {
      const { revision } = source;
      return {
        ...(revision.code === undefined ? {} : { code: revision.code }),
        ...(revision.environment.hash === ''
          ? {}
          : { definition: revision.environment.definition, recorded: revision.environment }),
        ...(revision.noCode === undefined ? {} : { noCode: revision.noCode }),
        ...(revision.container === undefined ? {} : { container: revision.container }),
      };
    }
  }
}

async function resolveDefinition(engine: Engine, source: EnvironmentSource): Promise<EnvironmentDefinition> {
  if (source.kind === 'inline') return source.definition;
  const registered = await getEnvironment(engine, source.name, source.version, { withSecrets: true });
  return { ...registered.definition, name: registered.name, version: registered.version };
}

interface PackedCode {
  readonly reference: CodeReference;
  readonly layer?: Descriptor;
}

async function packCode(
  engine: Engine,
  request: BuildRequest,
  recipe: Recipe,
  options: RunOptions,
): Promise<PackedCode | undefined> {
  if (recipe.code) return { reference: recipe.code };
  const { inference } = recipe;
  if (!inference) return undefined;
  return runStage('snapshot', 'Packing the source directory', options, async () => {
    const snapshot = await takeSnapshot(
      engine,
      { ...inference, liftLimits: request.build.liftSnapshotLimits ?? false },
      options,
    );
    for (const problem of snapshot.problems) options.onProgress?.({ type: 'problem', problem });
    const left =
      snapshot.ignored.count === 0
        ? ''
        : `, ${snapshot.ignored.count} left out (${snapshot.ignored.examples.join(', ')})`;
    const value: PackedCode = { reference: snapshot.code, layer: snapshot.layer };
    return {
      value,
      reused: snapshot.reused,
      detail: `${snapshot.code.fileCount === 1 ? '1 file' : `${snapshot.code.fileCount} files`}${left}`,
    };
  });
}

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
