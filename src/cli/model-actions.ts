import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import type { Model } from '../contract/model.ts';
import { matching } from '../engine/endpoints/service.ts';
import { writeModelMetadata } from '../engine/models/metadata-file.ts';
import * as models from '../engine/models/models.ts';
import { serializeModel } from '../engine/models/serialize.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { readMetadata } from './metadata-file.ts';
import type { Filter } from './option.ts';
import { formatBytes } from './progress.ts';
import { NOTHING, type Result, type View, valueResult } from './result.ts';
import { asTuple } from './service-actions.ts';
import { labels, localTime } from './service-view.ts';

interface ResourceOptions {
  readonly cpuCores: number | undefined;
  readonly memoryGb: number | undefined;
  readonly gpuCores: number | undefined;
}

interface RegisterOptions extends ResourceOptions {
  readonly name: string;
  readonly modelPath: string | undefined;
  readonly description: string | undefined;
  readonly modelFramework: string | undefined;
  readonly modelFrameworkVersion: string | undefined;
  readonly tag: Readonly<Record<string, string>> | undefined;
  readonly property: Readonly<Record<string, string>> | undefined;
  readonly sampleInputDatasetId: string | undefined;
  readonly sampleOutputDatasetId: string | undefined;
  readonly experimentName: string | undefined;
  readonly runId: string | undefined;
  readonly runMetadataFile: string | undefined;
  readonly outputMetadataFile: string | undefined;
}

export async function registerModel(context: CommandContext, options: RegisterOptions): Promise<Result> {
  if (options.modelPath === undefined) {
    throw new AksmlError('option.missing', 'There is nothing to register: --model-path/-p is missing.', {
      fault: 'input',
      subject: '--model-path',
      remedy: 'Name the file or the folder of the model.',
    });
  }
  const engine = await context.engine();
  const run = await runFacts(context, options);
  const { model } = await models.registerModel(
    engine,
    defined({
      name: options.name,
      path: options.modelPath,
      cwd: context.host.cwd,
      description: options.description,
      tags: options.tag,
      properties: options.property,
      framework: options.modelFramework,
      frameworkVersion: options.modelFrameworkVersion,
      resourceRequirements: resourcesOf(options),
      sampleInputDatasetId: options.sampleInputDatasetId,
      sampleOutputDatasetId: options.sampleOutputDatasetId,
      ...run,
    }),
    context.run,
  );
  if (options.outputMetadataFile !== undefined) {
    await writeModelMetadata(resolve(context.host.cwd, options.outputMetadataFile), model.id, engine.workspace);
  }
  return valueResult(serializeModel(model), modelView(model));
}

async function runFacts(context: CommandContext, { runMetadataFile: file, runId, experimentName }: RegisterOptions) {
  const metadata = file === undefined ? {} : await readMetadata(context, file, '--run-metadata-file');
  const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return {
    runId: runId ?? textOf(metadata['runId']),
    experimentName: experimentName ?? textOf(metadata['experimentName']),
  };
}

interface ListOptions {
  readonly modelName: string | undefined;
  readonly latest: boolean | undefined;
  readonly tag: readonly Filter[] | undefined;
  readonly property: readonly Filter[] | undefined;
  readonly runId: string | undefined;
}

export async function listModels(context: CommandContext, options: ListOptions): Promise<Result> {
  const found = await models.listModels(
    await context.engine(),
    defined({
      name: options.modelName,
      latest: options.latest,
      tags: options.tag?.map(asTuple),
      properties: options.property?.map(asTuple),
      runId: options.runId,
    }),
    context.run.signal,
  );
  return valueResult(found.map(serializeModel), {
    kind: 'rows',
    columns: ['NAME', 'VERSION', 'FRAMEWORK', 'SIZE', 'TAGS', 'DESCRIPTION', 'CREATED'],
    rows: found.map((model) => [
      model.name,
      model.version,
      frameworkOf(model),
      formatBytes(model.size),
      pairsOf(model.tags),
      model.description,
      localTime(model.createdTime),
    ]),
    expendable: ['DESCRIPTION', 'TAGS', 'FRAMEWORK'],
    empty: 'There are no models. Register one with "aksml model register".',
  });
}

interface ShowOptions {
  readonly modelId: string | undefined;
  readonly modelName: string | undefined;
  readonly version: number | undefined;
  readonly runId: string | undefined;
}

export async function showModel(
  context: CommandContext,
  { modelId, modelName, version, runId }: ShowOptions,
): Promise<Result> {
  const engine = await context.engine();
  if (modelId === undefined && modelName === undefined && runId === undefined) {
    throw new AksmlError('option.missing', 'No model is named.', {
      fault: 'input',
      subject: '--model-id',
      remedy: 'Give --model-id/-i NAME:VERSION, --model-name/-n NAME, or --run-id ID.',
    });
  }
  const id = modelId ?? modelName;
  const model = id === undefined ? await latestOfRun(engine, runId ?? '') : await models.getModel(engine, id, version);
  return valueResult(serializeModel(model), modelView(model));
}

async function latestOfRun(engine: models.ModelStore, runId: string): Promise<Model> {
  const made = await models.listModels(engine, { runId });
  const [latest] = made.sort((a, b) => (a.createdTime < b.createdTime ? 1 : -1));
  if (latest) return latest;
  throw new AksmlError('model.notFound', `No model is recorded as made by the run ${JSON.stringify(runId)}.`, {
    fault: 'input',
    subject: '--run-id',
    remedy: 'List what there is: aksml model list.',
  });
}

interface UpdateOptions extends ResourceOptions {
  readonly modelId: string;
  readonly description: string | undefined;
  readonly addTag: Readonly<Record<string, string>> | undefined;
  readonly removeTag: readonly string[] | undefined;
  readonly addProperty: Readonly<Record<string, string>> | undefined;
  readonly sampleInputDatasetId: string | undefined;
  readonly sampleOutputDatasetId: string | undefined;
}

export async function updateModel(context: CommandContext, options: UpdateOptions): Promise<Result> {
  const model = await models.updateModel(
    await context.engine(),
    options.modelId,
    defined({
      description: options.description,
      addTags: options.addTag,
      removeTags: options.removeTag,
      addProperties: options.addProperty,
      resourceRequirements: resourcesOf(options),
      sampleInputDatasetId: options.sampleInputDatasetId,
      sampleOutputDatasetId: options.sampleOutputDatasetId,
    }),
  );
  return valueResult(serializeModel(model), modelView(model));
}

export async function deleteModel(context: CommandContext, id: string, yes: boolean | undefined): Promise<Result> {
  const engine = await context.engine();
  const model = await models.getModel(engine, id);
  await context.confirm(`Delete the model ${model.id}?`, yes);
  await models.deleteModel(engine, id, {
    usedBy: async (modelId) => {
      const { found, problems } = await (await context.session()).listEndpoints(undefined, context.run.signal);
      for (const problem of problems) context.warn(problem);
      const users = found.flatMap(({ endpoints }) => matching(endpoints, { modelId }));
      return users.map(({ metadata }) => metadata.name);
    },
  });
  context.say(`The model ${model.id} is deleted. "aksml gc" frees its space.`);
  return NOTHING;
}

export async function downloadModel(
  context: CommandContext,
  options: { readonly modelId: string; readonly targetDir: string; readonly overwrite: boolean | undefined },
): Promise<Result> {
  const path = await models.downloadModel(
    await context.engine(),
    options.modelId,
    resolve(context.host.cwd, options.targetDir),
    {
      ...context.run,
      overwrite: options.overwrite === true,
    },
  );
  return valueResult({ downloadedTo: path }, { kind: 'facts', facts: [['Downloaded to', path]] });
}

function resourcesOf({ cpuCores, memoryGb, gpuCores }: ResourceOptions): Model['resourceRequirements'] {
  if (cpuCores === undefined && memoryGb === undefined && gpuCores === undefined) return undefined;
  return defined({ cpu: cpuCores, memoryInGB: memoryGb, gpu: gpuCores });
}

function modelView(model: Model): View {
  const { resourceRequirements: resources } = model;
  return {
    kind: 'facts',
    facts: [
      ['Id', model.id],
      ['Framework', frameworkOf(model)],
      ...(model.description ? ([['Description', model.description]] as const) : []),
      ...labels('Tags', model.tags),
      ...labels('Properties', model.properties),
      ...(resources
        ? ([
            [
              'Default resources',
              Object.entries(resources)
                .map(([key, value]) => `${key} ${value}`)
                .join(', '),
            ],
          ] as const)
        : []),
      [
        'Content',
        model.isFolder
          ? `${model.basename}/, ${model.fileCount === 1 ? '1 file' : `${model.fileCount} files`}, ${formatBytes(model.size)}`
          : `${model.basename}, ${formatBytes(model.size)}`,
      ],
      ['Digest', model.treeDigest],
      ['Created', `${localTime(model.createdTime)} by ${model.createdBy}`],
    ],
  };
}

function frameworkOf({ framework, frameworkVersion, isMlflow }: Model): string {
  if (isMlflow && framework === 'Custom') return 'MLflow';
  return frameworkVersion === undefined ? framework : `${framework} ${frameworkVersion}`;
}

function pairsOf(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}
