import { resolve } from 'node:path';
import type { EnvironmentSource } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Configuration } from '../config/configuration.ts';
import { type ModelReference, registerPaths, resolveModels } from '../endpoints/models.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import type { Engine } from '../engine.ts';
import { getEnvironment } from '../environments/registered.ts';
import type { PackageRequest } from './image-request.ts';

/** What is packaged, as a project describes it. */
export interface ProjectPackage extends Pick<PackageRequest, 'imageName' | 'imageLabel' | 'base'> {
  readonly configuration: Configuration;
  /** Paths are registered first. */
  readonly models: readonly ModelReference[];
  /** Relative to `cwd`. */
  readonly outputPath: string;
  readonly cwd: string;
}

/** Finds every part of a package; what is worth a warning is told as progress. @throws AksmlError `package.invalid` | `inferenceConfig.missing` */
export async function preparePackage(
  engine: Engine,
  { configuration, models, outputPath, cwd, ...image }: ProjectPackage,
  options: RunOptions,
): Promise<PackageRequest> {
  const { inference, problems } = configuration;
  const resolved = await resolveModels(engine, models, cwd);
  const all: readonly Problem[] = [...problems, ...resolved.problems];
  if (inference === undefined || all.some(({ severity }) => severity === 'error')) throw refusal(all);
  for (const problem of all) options.onProgress?.({ type: 'problem', problem });
  const registered = await registerPaths(engine, resolved.paths, cwd, options);
  return {
    ...image,
    inference,
    definition: await definitionOf(engine, inference.environment),
    models: [...resolved.registered, ...registered],
    outputPath: resolve(cwd, outputPath),
  };
}

async function definitionOf(engine: Engine, source: EnvironmentSource): Promise<EnvironmentDefinition> {
  if (source.kind === 'inline') return source.definition;
  return (await getEnvironment(engine, source.name, source.version, { withSecrets: true })).definition;
}

function refusal(problems: readonly Problem[]): AksmlError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first) {
    return new AksmlError(
      'package.invalid',
      errors.length === 1 ? first.message : `${errors.length} problems were found.`,
      { fault: 'input', problems },
    );
  }
  return new AksmlError('inferenceConfig.missing', 'There is nothing to package without an inference configuration.', {
    fault: 'input',
    subject: '--inference-config-file',
    problems,
    remedy: 'Give an inference configuration (-ic) or an entry script (-es).',
  });
}
