import { relative, resolve } from 'node:path';
import { shellLine } from '../contract/shell-words.ts';
import { importToV1, type V1Files } from '../engine/config/import-files.ts';
import type { V2Import } from '../engine/config/v2.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { type Result, valueResult } from './result.ts';

interface ImportOptions {
  readonly deployment: string;
  readonly endpointFile: string | undefined;
  readonly inferenceConfigFile: string | undefined;
  readonly deployConfigFile: string | undefined;
  readonly overwrite: boolean | undefined;
}

export async function importV2(context: CommandContext, options: ImportOptions): Promise<Result> {
  const { cwd } = context.host;
  const { deployment, endpointFile, inferenceConfigFile, deployConfigFile, overwrite = false } = options;
  const { imported, files } = await importToV1({
    deploymentFile: deployment,
    cwd,
    overwrite,
    ...defined({ endpointFile, inferenceConfigFile, deploymentConfigFile: deployConfigFile }),
  });
  for (const problem of imported.problems) context.warn(problem);
  const written = [files.inferenceConfigFile, files.deploymentConfigFile].filter((file) => file !== undefined);
  const next = deployCommand(context, imported, files);
  return valueResult(
    { files: written.map((file) => resolve(cwd, file)), deployCommand: next },
    { kind: 'facts', facts: written.map((file) => ['Written', file] as const), note: `Deploy it: ${shellLine(next)}` },
  );
}

function deployCommand(
  { host }: CommandContext,
  { endpoint, models, tags }: V2Import,
  { inferenceConfigFile, deploymentConfigFile }: V1Files,
): string[] {
  return [
    ...['aksml', 'model', 'deploy', '-n', endpoint.name ?? 'NAME'],
    ...models.flatMap((model) => ['-m', model.kind === 'registered' ? model.id : relative(host.cwd, model.path)]),
    ...(inferenceConfigFile === undefined ? [] : ['-ic', inferenceConfigFile]),
    ...['-dc', deploymentConfigFile],
    ...Object.entries({ ...endpoint.tags, ...tags }).flatMap(([key, value]) => ['--tag', `${key}=${value}`]),
  ];
}
