import { ENVIRONMENT_FIELDS } from '../../contract/configuration/environment-keys.ts';
import type { ConfigurationFlags } from '../../contract/configuration/flags.ts';
import {
  CUDA_VERSIONS,
  INFERENCE_KEY_MISTAKES,
  INFERENCE_KEYS,
  RUNTIMES,
} from '../../contract/configuration/inference-keys.ts';
import type { EnvironmentSource, InferenceSpec } from '../../contract/deployment.ts';
import { pathsOf, readEnvironment } from './environment.ts';
import { readEnvironmentFolder } from './environment-folder.ts';
import { warnAboutServer } from './environment-notices.ts';
import { InferenceFiles, type ScriptChecks } from './inference-files.ts';
import { buildLegacyEnvironment } from './legacy-environment.ts';
import type { Origin, Report } from './report.ts';
import { inferenceSetting, isSendable, type Setting, SettingConverter, SettingsSource } from './settings-source.ts';
import { isText, isTruthy, type MapValue, type SourceValue, show, typeInWords } from './source.ts';
import { normalize, reportUnknownKeys } from './unknown-keys.ts';

export interface InferenceInput extends ScriptChecks {
  /** As the user named it; absent when only flags are given. */
  readonly file?: string;
  readonly content?: SourceValue;
  readonly environmentDirectory?: string;
  readonly flags: ConfigurationFlags;
  readonly cwd: string;
}

/** Judges an inference configuration as v1's SDK did, except that it does not stop at the first problem. */
export async function readInference(input: InferenceInput, report: Report): Promise<InferenceSpec | undefined> {
  const root = input.content === undefined ? undefined : readRoot(input, input.content, report);
  if (input.content !== undefined && root === undefined) return undefined;
  const source = new SettingsSource(input.file, root, truthyFlags(input.flags));
  reportUnreadKeys(source, report);
  const environment = await chooseEnvironment(input, source, report);
  validateLegacy(source, environment !== undefined, report);
  const files = await InferenceFiles.open(input, source, report);
  await files.check();
  const chosen = environment === undefined ? await buildLegacyEnvironment(source, files, report) : environment.source;
  if (report.hasErrors || chosen === undefined) return undefined;
  const description = readDescription(source, report);
  return {
    ...(await files.paths()),
    environment: chosen,
    ...(description === undefined ? {} : { description }),
  };
}

/** v1 let a flag win when it was truthy; `--enable-gpu` also when it was false. */
function truthyFlags(flags: ConfigurationFlags): ConfigurationFlags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== ''));
}

function readRoot(input: InferenceInput, content: SourceValue, report: Report): MapValue | undefined {
  if (content.type === 'dict') return content;
  const origin: Origin = { ...(input.file === undefined ? {} : { file: input.file }), line: content.line || 1 };
  const message =
    content.type === 'NoneType'
      ? 'The file is empty.'
      : `The file must hold an object, but holds ${typeInWords(content)}.`;
  report.error(
    `type.noAttribute:${content.type}.get`,
    origin,
    message,
    'Write an object with at least an entryScript.',
  );
  return undefined;
}

const PATHS = [
  ...INFERENCE_KEYS.map(({ path }) => path),
  'extraDockerFileSteps',
  'baseImageRegistry.address',
  'baseImageRegistry.username',
  'baseImageRegistry.password',
  'baseImageRegistry.registry_identity',
  ...pathsOf(ENVIRONMENT_FIELDS, 'environment'),
];
const ALIASES = new Map(
  INFERENCE_KEYS.flatMap(({ flag, path }) => (flag === undefined ? [] : [[normalize(flag), path] as const])),
);

function reportUnreadKeys({ root, file }: SettingsSource, report: Report): void {
  if (!root || file === undefined) return;
  const top: MapValue = { ...root, entries: new Map([...root.entries].filter(([key]) => key !== 'environment')) };
  reportUnknownKeys(top, { file, paths: PATHS, mistakes: INFERENCE_KEY_MISTAKES, aliases: ALIASES }, report);
}

interface ChosenEnvironment {
  /** Undefined when it was refused. */
  readonly source: EnvironmentSource | undefined;
}

/** The file's own environment beats the flags; `-e` beats the folder. Undefined: none of them is given. */
async function chooseEnvironment(
  input: InferenceInput,
  source: SettingsSource,
  report: Report,
): Promise<ChosenEnvironment | undefined> {
  const { environmentName, environmentVersion } = input.flags;
  const own = source.fromFile('environment');
  const isNamed = environmentName !== undefined && environmentName !== '';
  if (own.value.type !== 'NoneType') {
    warnUnused(isNamed ? '--environment-name' : undefined, 'the environment in the file', report);
    warnUnused(
      input.environmentDirectory === undefined ? undefined : '--environment-directory',
      'the environment in the file',
      report,
    );
    const reading = readEnvironment(own.value, { file: input.file ?? '', path: 'environment' }, report);
    if (reading?.kind === 'inline') warnAboutServer(reading.definition, own.origin, report);
    return { source: reading };
  }
  if (isNamed) {
    warnUnused(
      input.environmentDirectory === undefined ? undefined : '--environment-directory',
      '--environment-name',
      report,
    );
    const version =
      environmentVersion === undefined || environmentVersion === '' ? {} : { version: environmentVersion };
    return { source: { kind: 'registered', name: environmentName, ...version } };
  }
  if (input.environmentDirectory === undefined) return undefined;
  const definition = await readEnvironmentFolder(input.environmentDirectory, input.cwd, report);
  if (definition) warnAboutServer(definition, { path: '--environment-directory' }, report);
  return { source: definition && { kind: 'inline', definition } };
}

function warnUnused(option: string | undefined, winner: string, report: Report): void {
  if (option === undefined) return;
  report.warning(
    'environment.flagIgnored',
    { path: option },
    `${option} has no effect, because ${winner} counts.`,
    `Leave out ${option}.`,
  );
}

const EXCLUDED_BY_ENVIRONMENT = [
  'runtime',
  'condaFile',
  'extraDockerfileSteps',
  'enableGpu',
  'cudaVersion',
  'baseImage',
];

function validateLegacy(source: SettingsSource, hasEnvironment: boolean, report: Report): void {
  for (const { path } of INFERENCE_KEYS) {
    if (path !== 'environment') reportUnsendable(inferenceSetting(source, path), path, report);
  }
  if (hasEnvironment) reportExcluded(source, report);
  validateRuntime(inferenceSetting(source, 'runtime'), report);
  validateCuda(inferenceSetting(source, 'cudaVersion'), report);
  const registry = inferenceSetting(source, 'baseImageRegistry');
  if (!isTruthy(registry.value) || isTruthy(inferenceSetting(source, 'baseImage').value)) return;
  report.error(
    `type.noAttribute:${registry.value.type}.address`,
    registry.origin,
    'baseImageRegistry is given without a baseImage.',
    'Add baseImage, or remove baseImageRegistry.',
  );
}

function reportExcluded(source: SettingsSource, report: Report): void {
  const excluded = EXCLUDED_BY_ENVIRONMENT.map((path) => inferenceSetting(source, path)).filter(({ value }) =>
    isTruthy(value),
  );
  for (const { origin } of excluded) {
    const message = `${origin.path} cannot be combined with an environment.`;
    report.error('environment.withLegacyKeys', origin, message, 'Remove it; describe the same inside the environment.');
  }
}

function validateRuntime({ value, origin }: Setting, report: Report): void {
  if (!isTruthy(value)) return;
  const remedy = `Write runtime as one of ${RUNTIMES.join(', ')}, or describe an environment instead.`;
  if (value.type !== 'str') {
    report.error(
      `type.noAttribute:${value.type}.lower`,
      origin,
      `runtime must be text, but is ${typeInWords(value)}.`,
      remedy,
    );
  } else if (!RUNTIMES.includes(value.value.toLowerCase())) {
    report.error('runtime.unsupported', origin, `runtime ${show(value)} is not supported.`, remedy);
  }
}

function validateCuda({ value, origin }: Setting, report: Report): void {
  if (value.type === 'NoneType') return;
  const remedy = `Write cudaVersion as ${CUDA_VERSIONS.map((version) => `"${version}"`).join(', ')}, with quotes, or remove it.`;
  if (value.type !== 'str') {
    const message = `cudaVersion must be text, but is ${typeInWords(value)}: ${show(value)}.`;
    report.error(`type.noAttribute:${value.type}.lower`, origin, message, remedy);
  } else if (!CUDA_VERSIONS.includes(value.value)) {
    report.error('cudaVersion.unsupported', origin, `cudaVersion ${show(value)} is not supported.`, remedy);
  }
}

function reportUnsendable({ value, origin }: Setting, path: string, report: Report): void {
  if (isSendable(value)) return;
  const message = `${path} is ${show(value)} (${typeInWords(value)}), which cannot be written as JSON, so v1 could not send it.`;
  report.error('value.notSendable', origin, message, 'Write text in quotes.');
}

function readDescription(source: SettingsSource, report: Report): string | undefined {
  const setting = inferenceSetting(source, 'description');
  const description = new SettingConverter(report).text(setting);
  if (description !== undefined && setting.origin.file !== undefined && isText(setting.value)) {
    report.notice(
      'difference.description-in-file',
      setting.origin,
      'The description in the file is used; v1 took it only from --description.',
    );
  }
  return description;
}
