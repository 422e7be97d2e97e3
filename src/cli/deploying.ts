import { resolve } from 'node:path';
import type { ConfigurationFlags } from '../contract/configuration/flags.ts';
import { AksmlError } from '../contract/error.ts';
import type { Configuration } from '../engine/config/configuration.ts';
import type { BuildOptions } from '../engine/endpoints/build.ts';
import type { Engine } from '../engine/engine.ts';
import { readModelMetadata } from '../engine/models/metadata-file.ts';
import { ProjectReader } from '../session/configuration.ts';
import type { CommandContext } from './context.ts';
import { CONFIGURATION_FLAGS } from './deploy-options.ts';

/** The part of a command's options that describes a deployment. */
export interface DeploymentOptions extends ConfigurationFlags {
  readonly inferenceConfigFile?: string | undefined;
  readonly deployConfigFile?: string | undefined;
  readonly environmentDirectory?: string | undefined;
}

/** Both files with the options over them, and the scoring script. */
export async function configurationOf(
  context: CommandContext,
  options: DeploymentOptions,
  isVersion = false,
): Promise<Configuration> {
  const { inferenceConfigFile, deployConfigFile, environmentDirectory } = options;
  const given = Object.entries(options).filter(
    ([name, value]) => value !== undefined && CONFIGURATION_FLAGS.includes(name),
  );
  const { home, host } = context;
  return new ProjectReader({ home, environment: host.environment }).read({
    ...(inferenceConfigFile === undefined ? {} : { inferenceConfigFile }),
    ...(deployConfigFile === undefined ? {} : { deploymentConfigFile: deployConfigFile }),
    ...(environmentDirectory === undefined ? {} : { environmentDirectory }),
    flags: Object.fromEntries(given),
    isVersion,
    cwd: host.cwd,
  });
}

export interface BuildingOptions {
  readonly python?: string | undefined;
  readonly refresh?: boolean | undefined;
  readonly liftSnapshotLimits?: boolean | undefined;
  readonly debugPort?: number | undefined;
}

/** `AML_SNAPSHOT_NO_FILE_LIMIT` is v1's own way to lift the limits. */
export function buildOptionsOf(context: CommandContext, options: BuildingOptions): BuildOptions {
  return {
    ...(options.python === undefined ? {} : { python: options.python }),
    ...(options.debugPort === undefined ? {} : { debugPort: options.debugPort }),
    ...(options.refresh ? { refreshEnvironment: true } : {}),
    ...(options.liftSnapshotLimits || context.host.environment['AML_SNAPSHOT_NO_FILE_LIMIT']
      ? { liftSnapshotLimits: true }
      : {}),
  };
}

export interface ModelOptions {
  readonly model?: readonly string[] | undefined;
  readonly modelMetadataFile?: readonly string[] | undefined;
}

/** The models named, and those that metadata files of `model register -t` name. Undefined when none is. */
export async function modelReferences(
  context: CommandContext,
  { workspace }: Pick<Engine, 'workspace'>,
  options: ModelOptions,
): Promise<readonly string[] | undefined> {
  const files = options.modelMetadataFile ?? [];
  const fromFiles = await Promise.all(
    files.map((file) => readModelMetadata(resolve(context.host.cwd, file), workspace)),
  );
  const all = [...(options.model ?? []), ...fromFiles];
  return all.length === 0 ? undefined : all;
}

type Run = CommandContext['run'];

/** Runs a change of a service; when it is cancelled, says what became of it. */
export async function changing<T>({ run }: CommandContext, name: string, work: (run: Run) => Promise<T>): Promise<T> {
  let handedOver = false;
  const onProgress: Run['onProgress'] = (event) => {
    if (event.type === 'done' && event.stage === 'apply') handedOver = true;
    run.onProgress(event);
  };
  try {
    return await work({ ...run, onProgress });
  } catch (error) {
    if (!AksmlError.isCancelled(error)) throw error;
    throw new AksmlError(
      'cancelled',
      error instanceof Error && AksmlError.is(error) ? error.message : 'The command was cancelled.',
      {
        fault: 'cancelled',
        remedy: handedOver
          ? `The change of ${name} goes on without this command; see "aksml service show -n ${name}", or run the same command again to wait for it.`
          : 'Nothing that serves has changed; the same command goes on where this one ended.',
      },
    );
  }
}
