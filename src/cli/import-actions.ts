import { stat } from 'node:fs/promises';
import { basename, parse, relative, resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { isModuleName } from '../engine/config/paths.ts';
import { importV2 as readV2, type V2Import } from '../engine/config/v2.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { CommandContext } from './context.ts';
import { type Result, valueResult } from './result.ts';

interface ImportOptions {
  readonly deployment: string;
  readonly endpointFile: string | undefined;
  readonly inferenceConfigFile: string | undefined;
  readonly deployConfigFile: string | undefined;
  readonly overwrite: boolean | undefined;
}

/** Reads v2's files. @throws AksmlError `import.invalid` with every problem */
export async function readDeployment(
  context: CommandContext,
  deploymentFile: string,
  endpointFile: string | undefined,
): Promise<V2Import> {
  const imported = await readV2({
    deploymentFile,
    cwd: context.host.cwd,
    ...(endpointFile === undefined ? {} : { endpointFile }),
  });
  if (imported.valid) return imported;
  const errors = imported.problems.filter(({ severity }) => severity === 'error');
  throw new AksmlError(
    'import.invalid',
    errors.length === 1 && errors[0] ? errors[0].message : `${errors.length} problems were found.`,
    {
      fault: 'input',
      subject: deploymentFile,
      problems: imported.problems,
    },
  );
}

export async function importV2(context: CommandContext, options: ImportOptions): Promise<Result> {
  const imported = await readDeployment(context, options.deployment, options.endpointFile);
  for (const problem of imported.problems) context.warn(problem);
  const hindrance = hindranceToV1(imported);
  if (hindrance) {
    throw new AksmlError(hindrance.code, hindrance.message, {
      fault: 'input',
      subject: options.deployment,
      remedy: `Deploy it as it is: aksml model deploy -n ${imported.endpoint.name ?? 'NAME'} --v2-deployment ${options.deployment}`,
    });
  }
  const inferenceConfigFile = options.inferenceConfigFile ?? 'inferenceconfig.json';
  const deployConfigFile = options.deployConfigFile ?? 'deploymentconfig.json';
  const files = [
    ...(imported.inferenceConfigJson ? [{ file: inferenceConfigFile, content: imported.inferenceConfigJson }] : []),
    ...(imported.deploymentConfigJson ? [{ file: deployConfigFile, content: imported.deploymentConfigJson }] : []),
  ];
  for (const { file } of files) await refuseExisting(context, file, options.overwrite === true);
  for (const { file, content } of files) {
    await writeFileAtomic(resolve(context.host.cwd, file), `${JSON.stringify(content, null, 2)}\n`, 0o644);
  }
  const next = deployCommand(context, imported, files.length > 1 ? inferenceConfigFile : undefined, deployConfigFile);
  return valueResult(
    { files: files.map(({ file }) => resolve(context.host.cwd, file)), deployCommand: next },
    { kind: 'facts', facts: files.map(({ file }) => ['Written', file] as const), note: `Deploy it: ${next.join(' ')}` },
  );
}

function hindranceToV1({
  container,
  inference,
}: V2Import): { readonly code: string; readonly message: string } | undefined {
  if (container) {
    return {
      code: 'import.container',
      message: 'The deployment is a container of its own, which no v1 configuration file can describe.',
    };
  }
  const script = inference && basename(inference.entryScript);
  if (script === undefined || isModuleName(parse(script).name)) return undefined;
  return {
    code: 'import.entryScript',
    message: `v1's configuration files take no scoring script of the name ${script}: it would have to be a Python identifier.`,
  };
}

function deployCommand(
  { host }: CommandContext,
  { endpoint, models, tags }: V2Import,
  inferenceConfig: string | undefined,
  deployConfig: string,
): string[] {
  return [
    ...['aksml', 'model', 'deploy', '-n', endpoint.name ?? 'NAME'],
    ...models.flatMap((model) => ['-m', model.kind === 'registered' ? model.id : relative(host.cwd, model.path)]),
    ...(inferenceConfig === undefined ? [] : ['-ic', inferenceConfig]),
    ...['-dc', deployConfig],
    ...Object.entries({ ...endpoint.tags, ...tags }).flatMap(([key, value]) => ['--tag', `${key}=${value}`]),
  ];
}

async function refuseExisting({ host }: CommandContext, file: string, overwrite: boolean): Promise<void> {
  const exists = await stat(resolve(host.cwd, file)).then(
    () => true,
    () => false,
  );
  if (!exists || overwrite) return;
  throw new AksmlError('file.exists', `${file} exists already.`, {
    fault: 'input',
    subject: file,
    remedy: 'Add --overwrite, or name another file with -ic or -dc.',
  });
}
