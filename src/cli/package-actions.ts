import type { Engine } from '../engine/engine.ts';
import { packageBuildContext } from '../engine/images/build-context.ts';
import type { PackageRequest } from '../engine/images/image-request.ts';
import { packageImage } from '../engine/images/package.ts';
import { preparePackage } from '../engine/images/project-package.ts';
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
  const request = await preparePackage(
    engine,
    {
      configuration: await configurationOf(context, options),
      models: (await modelReferences(context, engine, options)) ?? [],
      outputPath: options.outputPath,
      cwd: context.host.cwd,
      ...defined({ imageName: options.imageName, imageLabel: options.imageLabel, base: options.base }),
    },
    context.run,
  );
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
