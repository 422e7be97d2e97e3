import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { readProfileInput } from '../engine/profiles/input.ts';
import { type ModelProfile, profileModels } from '../engine/profiles/profile.ts';
import { readProcessUsage } from '../local/process-usage.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import {
  type BuildingOptions,
  buildOptionsOf,
  configurationOf,
  type DeploymentOptions,
  type ModelOptions,
  modelReferences,
} from './deploying.ts';
import { EXIT } from './failure.ts';
import { writeMetadataFile } from './metadata-file.ts';
import type { Cell, Result } from './result.ts';

type ProfileOptions = Omit<DeploymentOptions, 'cpuCores' | 'memoryGb'> &
  ModelOptions &
  BuildingOptions & {
    readonly name: string;
    readonly inputDatasetId: string;
    readonly cpuCores: number | undefined;
    readonly memoryInGb: number | undefined;
    readonly description: string | undefined;
    readonly outputMetadataFile: string | undefined;
  };

export async function profile(context: CommandContext, options: ProfileOptions): Promise<Result> {
  const { cpuCores, memoryInGb, inputDatasetId, ...described } = options;
  const bodies = await readProfileInput(resolve(context.host.cwd, inputDatasetId));
  const engine = await context.engine();
  const made = await profileModels(
    engine,
    {
      name: options.name,
      models: (await modelReferences(context, engine, options)) ?? [],
      configuration: await configurationOf(context, described),
      bodies,
      input: inputDatasetId,
      build: buildOptionsOf(context, options),
      cwd: context.host.cwd,
      ...defined({ description: options.description, cpu: cpuCores, memoryInGB: memoryInGb }),
    },
    readProcessUsage,
    context.run,
  ).catch(async (error: unknown) => {
    // Whoever reads the file next must not take an older profile for this one.
    if (AksmlError.is(error, 'deployment.failed')) {
      const failed = { name: options.name, state: 'Failed', error: { message: error.message } };
      await writeMetadataFile(context, options.outputMetadataFile, failed);
    }
    throw error;
  });
  await writeMetadataFile(context, options.outputMetadataFile, made);
  return {
    kind: 'value',
    value: made,
    view: { kind: 'facts', facts: factsOf(made), ...noteOf(made, options.outputMetadataFile) },
    exitCode: made.state === 'Succeeded' ? EXIT.done : EXIT.failed,
  };
}

function factsOf(made: ModelProfile): (readonly [string, Cell])[] {
  const amount = (value: number | null, unit: string) => (value === null ? 'not measured' : `${short(value)} ${unit}`);
  const { latencyPercentile50InMs: p50, latencyPercentile95InMs: p95, latencyPercentile99InMs: p99 } = made;
  return [
    ['Name', made.name],
    ['State', made.state],
    ...(made.error === null
      ? []
      : ([['Error', [made.error.statusCode, made.error.message].filter(Boolean).join(': ')]] as const)),
    ['Models', made.modelIds.join(', ')],
    [
      'Requests',
      `${made.successQueries} of ${made.totalQueries} succeeded, ${amount(made.measuredQueriesPerSecond, 'a second')}`,
    ],
    [
      'Latency',
      made.successQueries === 0
        ? 'not measured'
        : `p50 ${short(p50)} ms, p95 ${short(p95)} ms, p99 ${short(p99)} ms, max ${short(made.maxLatencyInMs)} ms`,
    ],
    ['CPU', `${amount(made.maxUtilizedCpu, 'cores at most')}, ${amount(made.cpuTimePerQueryInMs, 'ms a request')}`],
    ['Memory', amount(made.maxUtilizedMemoryInGB, 'GB at most')],
    ['Recommended', `${amount(made.recommendedCpu, 'CPU')}, ${amount(made.recommendedMemoryInGB, 'GB')}`],
  ];
}

/** The JSON has the rest. */
function short(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(3));
}

function noteOf(made: ModelProfile, file: string | undefined): { readonly note?: string } {
  if (made.recommendedCpu === null || made.recommendedMemoryInGB === null) return {};
  const how =
    file === undefined ? `-cc ${made.recommendedCpu} -gb ${made.recommendedMemoryInGB}` : `--profile-input ${file}`;
  return { note: `Deploy with it: aksml model deploy … ${how}` };
}
