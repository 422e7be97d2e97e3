import { resolve } from 'node:path';
import type { EnvironmentSource } from '../contract/deployment.ts';
import type { EnvironmentDefinition } from '../contract/environment.ts';
import { AksmlError } from '../contract/error.ts';
import type { Problem } from '../contract/problem.ts';
import { registerPaths, resolveModels } from '../engine/endpoints/models.ts';
import type { Engine } from '../engine/engine.ts';
import { getEnvironment } from '../engine/environments/registered.ts';
import { packageBuildContext } from '../engine/images/build-context.ts';
import type { PackageRequest } from '../engine/images/image-request.ts';
import { packageImage } from '../engine/images/package.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { configurationOf, type DeploymentOptions, type ModelOptions, modelReferences } from './deploying.ts';
import { formatBytes } from './progress.ts';
import { type Result, valueResult } from './result.ts';

type PackageOptions = DeploymentOptions &
  ModelOptions & {
    readonly outputPath: string;
    readonly format: 'context' | 'layout' | 'tar' | undefined;
    readonly imageName: string | undefined;
    readonly imageLabel: string | undefined;
    readonly base: string | undefined;
  };

export async function packageModels(context: CommandContext, options: PackageOptions): Promise<Result> {
  const engine = await context.engine();
  const { inference, problems } = await configurationOf(context, options);
  const resolved = await resolveModels(
    engine,
    (await modelReferences(context, engine, options)) ?? [],
    context.host.cwd,
  );
  const all: readonly Problem[] = [...problems, ...resolved.problems];
  if (inference === undefined || all.some(({ severity }) => severity === 'error')) throw refusal(all);
  for (const problem of all) context.warn(problem);
  const registered = await registerPaths(engine, resolved.paths, context.host.cwd, context.run);
  const request: PackageRequest = {
    inference,
    definition: await definitionOf(engine, inference.environment),
    models: [...resolved.registered, ...registered],
    outputPath: resolve(context.host.cwd, options.outputPath),
    ...defined({ imageName: options.imageName, imageLabel: options.imageLabel, base: options.base }),
  };
  if (options.format === undefined || options.format === 'context') return contextResult(context, engine, request);
  const image = await packageImage(engine, request, { ...context.run, format: options.format });
  return valueResult(image, {
    kind: 'facts',
    facts: [
      ['Image', image.reference],
      ['Digest', image.digest],
      ['Written', `${image.path}, ${formatBytes(image.size)}`],
    ],
    ...(options.format === 'tar' ? { note: `Load it: docker load -i ${image.path}` } : {}),
  });
}

async function contextResult(context: CommandContext, engine: Engine, request: PackageRequest): Promise<Result> {
  const { folder, files } = await packageBuildContext(engine, request, context.run);
  return valueResult(
    { folder, files },
    {
      kind: 'facts',
      facts: [['Written', `${folder}, ${files} files`]],
      note: `Build it: docker build -t ${request.imageName ?? 'aksml-package'} ${folder}`,
    },
  );
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
