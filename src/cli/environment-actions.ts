import { resolve } from 'node:path';
import type { CondaSpecification, EnvironmentDefinition, RegisteredEnvironment } from '../contract/environment.ts';
import { AksmlError } from '../contract/error.ts';
import * as folders from '../engine/config/environment-folder.ts';
import { Report } from '../engine/config/report.ts';
import * as environments from '../engine/environments/registered.ts';
import type { CommandContext } from './context.ts';
import { writeMetadataFile } from './metadata-file.ts';
import { type Result, type View, valueResult } from './result.ts';
import { localTime } from './service-view.ts';

interface MetadataOption {
  readonly outputMetadataFile: string | undefined;
}

interface NamedOptions extends MetadataOption {
  readonly name: string;
  readonly version: string | undefined;
}

export async function listEnvironments(context: CommandContext, options: MetadataOption): Promise<Result> {
  const found = await environments.listEnvironments(await context.engine(), { latest: true }, context.run.signal);
  const value = found.map(serialize);
  await writeMetadataFile(context, options.outputMetadataFile, value);
  return valueResult(value, {
    kind: 'rows',
    columns: ['NAME', 'VERSION', 'BASE', 'PACKAGES', 'CREATED'],
    rows: found.map(({ name, version, definition, createdTime }) => [
      name,
      version,
      baseOf(definition),
      packagesOf(definition).length,
      localTime(createdTime),
    ]),
    empty: 'There are no environments. Make one with "aksml environment scaffold".',
  });
}

export async function showEnvironment(context: CommandContext, options: NamedOptions): Promise<Result> {
  const found = await environments.getEnvironment(await context.engine(), options.name, options.version, {
    signal: context.run.signal,
  });
  return environmentResult(context, found, options);
}

export async function scaffoldEnvironment(
  context: CommandContext,
  options: MetadataOption & { readonly name: string; readonly directory: string },
): Promise<Result> {
  const files = await folders.scaffoldEnvironment(resolve(context.host.cwd, options.directory), options.name);
  return writtenResult(context, files, options);
}

export async function registerEnvironment(
  context: CommandContext,
  options: MetadataOption & { readonly directory: string },
): Promise<Result> {
  const report = new Report();
  const definition = await folders.readEnvironmentFolder(options.directory, context.host.cwd, report);
  if (definition === undefined || report.hasErrors) {
    const errors = report.problems.filter(({ severity }) => severity === 'error');
    throw new AksmlError(
      'environment.invalid',
      `The environment in ${options.directory} has ${errors.length} ${errors.length === 1 ? 'error' : 'errors'}.`,
      {
        fault: 'input',
        subject: options.directory,
        problems: report.problems,
      },
    );
  }
  for (const problem of report.problems) context.warn(problem);
  const { environment, reused } = await environments.registerEnvironment(
    await context.engine(),
    definition,
    context.run.signal,
  );
  if (reused) context.say(`Version ${environment.version} has the same content already.`);
  return environmentResult(context, environment, options);
}

export async function downloadEnvironment(
  context: CommandContext,
  options: NamedOptions & { readonly directory: string; readonly overwrite: boolean | undefined },
): Promise<Result> {
  const found = await environments.getEnvironment(await context.engine(), options.name, options.version, {
    signal: context.run.signal,
  });
  const files = await folders.writeEnvironmentFolder(resolve(context.host.cwd, options.directory), found.definition, {
    overwrite: options.overwrite === true,
  });
  return writtenResult(context, files, options);
}

async function writtenResult(
  context: CommandContext,
  files: readonly string[],
  { outputMetadataFile }: MetadataOption,
): Promise<Result> {
  const value = { files };
  await writeMetadataFile(context, outputMetadataFile, value);
  return valueResult(value, { kind: 'facts', facts: files.map((file) => ['Written', file]) });
}

async function environmentResult(
  context: CommandContext,
  environment: RegisteredEnvironment,
  { outputMetadataFile }: MetadataOption,
): Promise<Result> {
  const value = serialize(environment);
  await writeMetadataFile(context, outputMetadataFile, value);
  return valueResult(value, environmentView(environment));
}

/** v1's JSON of an environment, with the time of its registration. */
function serialize({
  name,
  version,
  definition,
  createdTime,
}: RegisteredEnvironment): Readonly<Record<string, unknown>> {
  const { condaDependencies, ...python } = definition.python;
  return {
    ...definition,
    name,
    version,
    python: { ...python, condaDependencies: condaDependencies ? condaJson(condaDependencies) : null },
    createdTime,
  };
}

/** As conda writes it: the pip packages are one member of the dependencies. */
function condaJson({ pip, dependencies, ...rest }: CondaSpecification): object {
  return { ...rest, dependencies: pip.length === 0 ? dependencies : [...dependencies, { pip }] };
}

function environmentView({ name, version, definition, createdTime }: RegisteredEnvironment): View {
  const variables = Object.keys(definition.environmentVariables);
  return {
    kind: 'facts',
    facts: [
      ['Name', name],
      ['Version', version],
      ['Base', baseOf(definition)],
      ...packagesOf(definition).map((line, index) => [index === 0 ? 'Packages' : '', line] as const),
      ...(variables.length === 0 ? [] : ([['Variables', variables.join(', ')]] as const)),
      ['Created', localTime(createdTime)],
    ],
  };
}

function baseOf({ docker }: EnvironmentDefinition): string {
  return docker.baseDockerfile === undefined ? (docker.baseImage ?? '') : 'a Dockerfile';
}

function packagesOf({ python }: EnvironmentDefinition): readonly string[] {
  const { condaDependencies: conda } = python;
  return conda ? [...conda.dependencies, ...conda.pip] : [];
}
