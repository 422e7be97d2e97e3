import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DEPLOYMENT_KEYS } from '../../contract/configuration/deployment-keys.ts';
import type { ConfigurationFlags, FlagName } from '../../contract/configuration/flags.ts';
import type { DeploymentSpec, EffectiveSettings, InferenceSpec } from '../../contract/deployment.ts';
import type { Problem } from '../../contract/problem.ts';
import { readDeployment } from './deployment.ts';
import { effectiveSettings } from './effective-settings.ts';
import { readInference } from './inference.ts';
import type { ScriptChecks } from './inference-files.ts';
import { exists } from './paths.ts';
import { readConfiguration } from './reader.ts';
import { Report } from './report.ts';
import type { SourceValue } from './source.ts';

export { effectiveSettings, mergeSettings } from './effective-settings.ts';
export { mergeFrontEnd, mergeMirror, withFrontEnd } from './front-end.ts';
export { validateUpdate } from './update.ts';

export interface ConfigurationInput extends ScriptChecks {
  /** As the user named them. */
  readonly inferenceConfigFile?: string;
  readonly deploymentConfigFile?: string;
  /** A folder with an environment in v1's on-disk form. */
  readonly environmentDirectory?: string;
  readonly flags: ConfigurationFlags;
  /** It describes a version of an endpoint, whatever its compute type says. */
  readonly isVersion?: boolean;
  readonly cwd: string;
  /** Contents that an editor has not saved yet, by the name of the file: read instead of what is on the disk. */
  readonly texts?: Readonly<Record<string, string>>;
}

export interface Configuration {
  /** No problem is an error. */
  readonly valid: boolean;
  readonly problems: readonly Problem[];
  /** Absent without an inference configuration, and when it is refused. */
  readonly inference?: InferenceSpec;
  readonly deployment?: DeploymentSpec;
  /** For people and programs: both, without secrets, plus the settings with v1's defaults filled in. */
  readonly spec: ConfigurationSummary;
}

export interface ConfigurationSummary {
  readonly inference?: InferenceSpec;
  readonly deployment?: DeploymentSpec;
  readonly settings?: EffectiveSettings;
}

/** What `config validate` prints. */
export type ValidationReport = Pick<Configuration, 'valid' | 'problems' | 'spec'>;

/** Reads both files with the flags over them, and judges them as v1 did. Never throws for what the user gave: every problem is in `problems`. */
export async function loadConfiguration(input: ConfigurationInput): Promise<Configuration> {
  const inferenceReport = new Report();
  const deploymentReport = new Report();
  const inference = await loadInference(input, inferenceReport);
  const deployment = await loadDeployment(input, deploymentReport);
  const problems = [...inferenceReport.problems, ...deploymentReport.problems];
  const accepted = deploymentReport.hasErrors ? undefined : deployment;
  return {
    valid: !problems.some(({ severity }) => severity === 'error'),
    problems,
    ...(inference === undefined ? {} : { inference }),
    ...(accepted === undefined ? {} : { deployment: accepted }),
    spec: summarize(inference, accepted),
  };
}

const INFERENCE_FLAGS: readonly FlagName[] = [
  'entryScript',
  'sourceDirectory',
  'runtime',
  'condaFile',
  'extraDockerFileSteps',
  'enableGpu',
  'cudaVersion',
  'baseImage',
  'baseImageRegistry',
  'environmentName',
];

async function loadInference(input: ConfigurationInput, report: Report): Promise<InferenceSpec | undefined> {
  const { inferenceConfigFile: file, environmentDirectory, flags } = input;
  const isGiven = INFERENCE_FLAGS.some((name) => flags[name] !== undefined && flags[name] !== '');
  if (file === undefined && !isGiven && environmentDirectory === undefined) return undefined;
  const content = file === undefined ? undefined : await readContent(file, input, report);
  if (file !== undefined && content === undefined) return undefined;
  return readInference(
    {
      ...input,
      ...(file === undefined ? {} : { file }),
      ...(content === undefined ? {} : { content }),
    },
    report,
  );
}

/** `--compute-target` alone describes no deployment. */
const DEPLOYMENT_FLAGS = DEPLOYMENT_KEYS.flatMap(({ flag }) =>
  flag === undefined || flag === 'computeTarget' ? [] : [flag],
);

async function loadDeployment(input: ConfigurationInput, report: Report): Promise<DeploymentSpec | undefined> {
  const { deploymentConfigFile: file, flags, isVersion = false } = input;
  const isGiven = DEPLOYMENT_FLAGS.some((name) => flags[name] !== undefined);
  if (file === undefined && !isGiven) return undefined;
  const content = file === undefined ? undefined : await readContent(file, input, report);
  if (file !== undefined && content === undefined) return undefined;
  return readDeployment(
    { ...(file === undefined ? {} : { file }), ...(content === undefined ? {} : { content }), flags, isVersion },
    report,
    { exists: (path) => exists(resolve(input.cwd, path)) },
  );
}

const CORRECT_THE_PATH = 'Correct the path; it is relative to the working directory.';

const UNREADABLE: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  ENOENT: ['does not exist', CORRECT_THE_PATH],
  ENOTDIR: ['does not exist: a part of its path is a file', CORRECT_THE_PATH],
  EISDIR: ['is a folder', 'Name the file in it.'],
  ELOOP: ['is a symbolic link that leads back to itself', 'Let the link lead to the file.'],
  EACCES: ['may not be read', 'Change its permissions.'],
  EPERM: ['may not be read', 'Change its permissions.'],
};

async function readContent(
  file: string,
  { cwd, texts }: Pick<ConfigurationInput, 'cwd' | 'texts'>,
  report: Report,
): Promise<SourceValue | undefined> {
  const text = texts?.[file];
  let content: Uint8Array;
  try {
    content = text === undefined ? await readFile(resolve(cwd, file)) : Buffer.from(text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const [reason, remedy] = UNREADABLE[code] ?? [`cannot be read (${code})`, 'Check the file.'];
    report.error('file.notFound', { file }, `The file ${file} ${reason}.`, remedy);
    return undefined;
  }
  const result = readConfiguration(file, content);
  report.addAll(result.problems);
  return result.ok ? result.value : undefined;
}

const HIDDEN = '***';

function summarize(inference: InferenceSpec | undefined, deployment: DeploymentSpec | undefined): ConfigurationSummary {
  return {
    ...(inference === undefined ? {} : { inference: hideSecrets(inference) }),
    ...(deployment === undefined ? {} : { deployment: hideKeys(deployment), settings: effectiveSettings(deployment) }),
  };
}

function hideKeys(deployment: DeploymentSpec): DeploymentSpec {
  return {
    ...deployment,
    ...(deployment.primaryKey === undefined ? {} : { primaryKey: HIDDEN }),
    ...(deployment.secondaryKey === undefined ? {} : { secondaryKey: HIDDEN }),
  };
}

function hideSecrets(inference: InferenceSpec): InferenceSpec {
  const { environment } = inference;
  if (environment.kind !== 'inline') return inference;
  const { docker, environmentVariables, secretEnvironmentVariables } = environment.definition;
  const { baseImageRegistry } = docker;
  const isSecret = (name: string): boolean => secretEnvironmentVariables.includes(name);
  const variables = Object.entries(environmentVariables).map(([name, value]) => [
    name,
    isSecret(name) ? HIDDEN : value,
  ]);
  const definition = {
    ...environment.definition,
    environmentVariables: Object.fromEntries(variables),
    ...(baseImageRegistry?.password === undefined
      ? {}
      : { docker: { ...docker, baseImageRegistry: { ...baseImageRegistry, password: HIDDEN } } }),
  };
  return { ...inference, environment: { kind: 'inline', definition } };
}
