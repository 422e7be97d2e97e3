import type { EnvironmentSource, InferenceSpec } from '../../contract/deployment.ts';
import type { CustomContainer } from '../../contract/endpoint.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { Model } from '../../contract/model.ts';
import type { CodeReference, Revision } from '../../contract/revision.ts';
import type { Engine } from '../engine.ts';
import { type NoCodeFramework, noCodeDeployment } from '../environments/no-code.ts';
import { getEnvironment } from '../environments/registered.ts';
import { refuseWhiteouts } from '../images/whiteout-names.ts';
import type { Descriptor } from '../registry/registry.ts';
import { type Snapshot, takeSnapshot } from '../snapshot/snapshot.ts';
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

/** What is to be packed and installed, whichever way it was asked for. */
export interface Recipe {
  readonly inference?: Pick<InferenceSpec, 'sourceDirectory' | 'entryScript' | 'namedFiles'>;
  readonly code?: CodeReference;
  readonly definition?: EnvironmentDefinition;
  /** What an earlier revision installed for that definition; installed again exactly. */
  readonly recorded?: Revision['environment'];
  readonly noCode?: NoCodeFramework;
  readonly container?: CustomContainer;
}

/** What is worth a warning is told as progress. `known`: the definition of the source's environment, where it has been read already. */
export async function recipeOf(
  engine: Engine,
  source: CodeSource,
  options: RunOptions,
  known?: EnvironmentDefinition,
): Promise<Recipe> {
  switch (source.kind) {
    case 'inference':
      return {
        inference: source.inference,
        definition: known ?? (await resolveDefinition(engine, source.inference.environment, options.signal)),
      };
    case 'noCode': {
      const deployment = await noCodeDeployment(engine, source.model);
      for (const problem of deployment.problems) options.onProgress?.({ type: 'problem', problem });
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
          : { definition: known ?? (await resolveDefinition(engine, source.environment, options.signal)) }),
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

/** With the secrets that this user registered of it. @throws AksmlError `environment.notFound` | `registry.*` */
export async function resolveDefinition(
  engine: Engine,
  source: EnvironmentSource,
  signal?: AbortSignal,
): Promise<EnvironmentDefinition> {
  if (source.kind === 'inline') return source.definition;
  const registered = await getEnvironment(engine, source.name, source.version, {
    withSecrets: true,
    ...(signal === undefined ? {} : { signal }),
  });
  return { ...registered.definition, name: registered.name, version: registered.version };
}

export interface PackedCode {
  readonly reference: CodeReference;
  readonly layer?: Descriptor;
  /** See {@link Snapshot.held}. */
  readonly held?: Uint8Array;
  /** It was packed just now: nobody else is expected to have it. */
  readonly isNew?: boolean;
}

/** Undefined where a container brings its own. */
export async function packCode(
  engine: Engine,
  recipe: Recipe,
  build: { readonly liftSnapshotLimits?: boolean; readonly hold?: boolean },
  options: RunOptions,
  /** Of this source, taken before. */
  taken?: Promise<Snapshot>,
): Promise<PackedCode | undefined> {
  if (recipe.code) return { reference: recipe.code };
  const { inference } = recipe;
  if (!inference) return undefined;
  return runStage('snapshot', 'Packing the source directory', options, async () => {
    const snapshot = await (taken ??
      takeSnapshot(
        engine,
        { ...inference, liftLimits: build.liftSnapshotLimits ?? false },
        { ...options, hold: build.hold ?? false },
      ));
    if (engine.images) {
      refuseWhiteouts(
        snapshot.files.map(({ path }) => path),
        'the source directory',
      );
    }
    for (const problem of snapshot.problems) options.onProgress?.({ type: 'problem', problem });
    const left =
      snapshot.ignored.count === 0
        ? ''
        : `, ${snapshot.ignored.count} left out (${snapshot.ignored.examples.join(', ')})`;
    const { code, layer, held } = snapshot;
    const value = { reference: code, layer, isNew: !snapshot.reused, ...(held === undefined ? {} : { held }) };
    return {
      value,
      reused: snapshot.reused,
      detail: `${snapshot.code.fileCount === 1 ? '1 file' : `${snapshot.code.fileCount} files`}${left}`,
    };
  });
}
