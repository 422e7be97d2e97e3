import { readFile } from 'node:fs/promises';
import type { EnvironmentSource } from '../../contract/deployment.ts';
import {
  type CondaSpecification,
  DEFAULT_CPU_IMAGE,
  DEFAULT_GPU_IMAGE,
  type EnvironmentDefinition,
} from '../../contract/environment.ts';
import { type CondaFileRules, DEFAULT_CONDA, readCondaFile } from './conda.ts';
import { warnAboutServer } from './environment-notices.ts';
import type { InferenceFiles } from './inference-files.ts';
import { decode } from './reader.ts';
import type { Report } from './report.ts';
import { inferenceSetting, type Setting, SettingConverter, type SettingsSource } from './settings-source.ts';
import { get, isText, isTruthy } from './source.ts';

/** v1 wrote it without a registry, where no one can pull it. */
const CUDA_9_IMAGE = 'mcr.microsoft.com/azureml/base-gpu:intelmpi2018.3-cuda9.0-cudnn7-ubuntu16.04';

/** Builds the environment that v1 made of the older keys (`runtime`, `condaFile`, `baseImage` …). */
export async function buildLegacyEnvironment(
  source: SettingsSource,
  files: InferenceFiles,
  report: Report,
): Promise<EnvironmentSource | undefined> {
  const builder = new LegacyEnvironment(source, files, report);
  const definition = await builder.build();
  return definition && { kind: 'inline', definition };
}

class LegacyEnvironment {
  readonly #source: SettingsSource;
  readonly #files: InferenceFiles;
  readonly #report: Report;
  readonly #read: SettingConverter;

  constructor(source: SettingsSource, files: InferenceFiles, report: Report) {
    this.#source = source;
    this.#files = files;
    this.#report = report;
    this.#read = new SettingConverter(report);
  }

  async build(): Promise<EnvironmentDefinition | undefined> {
    const runtime = this.#read.text(this.#setting('runtime'))?.toLowerCase();
    const baseImage = this.#read.text(this.#setting('baseImage'));
    const enableGpu = this.#read.boolean(this.#setting('enableGpu')) ?? false;
    const cudaVersion = this.#read.text(this.#setting('cudaVersion'));
    this.#judgeRuntime(runtime, baseImage);
    const isEnvironment = this.#becameEnvironment(isTruthy(this.#setting('enableGpu').value));
    const conda = await this.#conda({ pinPython: isEnvironment, lenient: !isEnvironment });
    const extraSteps = await this.#steps();
    const isGpu = enableGpu || cudaVersion !== undefined;
    const registry = this.#registry(this.#setting('baseImageRegistry'));
    return {
      environmentVariables: { EXAMPLE_ENV_VAR: 'EXAMPLE_VALUE' },
      secretEnvironmentVariables: [],
      python: { userManagedDependencies: false, interpreterPath: 'python', condaDependencies: conda ?? DEFAULT_CONDA },
      docker: {
        baseImage: baseImage ?? defaultImage(isGpu, cudaVersion),
        ...(extraSteps === undefined ? {} : { extraSteps }),
        ...(registry === undefined ? {} : { baseImageRegistry: registry }),
        platform: { os: 'Linux', architecture: 'amd64' },
        shmSize: '2g',
        arguments: [],
        enableGpu: isGpu,
        ...(isGpu ? { cudaVersion: cudaVersion ?? '9.1' } : {}),
      },
      ...(baseImage === undefined ? {} : { inferencingStackVersion: 'latest' }),
    };
  }

  #setting(path: string): Setting {
    return inferenceSetting(this.#source, path);
  }

  /** v1 turned these keys into an environment in some cases; in the others it sent the conda file to its older image builder, unread. */
  #becameEnvironment(hasGpu: boolean): boolean {
    const runtime = this.#read.text(this.#setting('runtime')) ?? 'python';
    const cudaVersion = this.#read.text(this.#setting('cudaVersion'));
    const hasBaseImage = isTruthy(this.#setting('baseImage').value);
    if (runtime !== 'python' || isTruthy(this.#files.setting('extraDockerfileSteps').value)) return false;
    return cudaVersion !== '9.1' && !(hasBaseImage && (hasGpu || cudaVersion !== undefined));
  }

  #judgeRuntime(runtime: string | undefined, baseImage: string | undefined): void {
    const setting = this.#setting('runtime');
    if (baseImage !== undefined && runtime !== undefined && runtime !== 'python') {
      this.#report.error(
        'baseImage.runtimeUnsupported',
        this.#setting('baseImage').origin,
        `baseImage needs runtime "python", but runtime is "${runtime}"; v1 refused this when it built the image.`,
        'Set runtime to "python", or remove baseImage.',
      );
    } else if (runtime === 'spark-py') {
      this.#report.warning(
        'runtime.spark',
        setting.origin,
        'runtime "spark-py" no longer brings Spark; the script runs in plain Python.',
        'Add pyspark to the packages, or use a base image with Spark.',
      );
    }
    if (runtime === undefined) this.#noticeNoRuntime();
  }

  #noticeNoRuntime(): void {
    for (const path of ['condaFile', 'extraDockerfileSteps', 'enableGpu', 'cudaVersion', 'baseImage']) {
      const { value, origin } = this.#files.setting(path);
      if (!isTruthy(value)) continue;
      const isCrash = path === 'condaFile' || path === 'extraDockerfileSteps';
      const message = `${path} is honoured without a runtime, as with "python"; v1 ${isCrash ? 'broke on this when deploying' : 'ignored it'}.`;
      this.#report.notice(
        'difference.no-runtime',
        origin,
        message,
        'Add runtime "python", or describe an environment instead.',
      );
    }
  }

  async #conda(rules: CondaFileRules): Promise<CondaSpecification | undefined> {
    const path = await this.#files.find('condaFile');
    if (path === undefined) return undefined;
    const setting = this.#files.setting('condaFile');
    const name = isText(setting.value) ? setting.value.value : path;
    const content = await readFile(path).catch(() => undefined);
    if (content === undefined) {
      this.#report.error(
        'condaFile.unreadable',
        setting.origin,
        `The conda file ${path} cannot be read.`,
        'Name a readable file.',
      );
      return undefined;
    }
    const specification = readCondaFile(name, content, rules, this.#report);
    if (specification) {
      const python = { userManagedDependencies: false, condaDependencies: specification };
      warnAboutServer({ ...EMPTY, python }, { file: name }, this.#report);
    }
    return specification;
  }

  async #steps(): Promise<string | undefined> {
    const path = await this.#files.find('extraDockerfileSteps');
    if (path === undefined) return undefined;
    const { origin } = this.#files.setting('extraDockerfileSteps');
    const content = await readFile(path).catch(() => undefined);
    const text = content && decode(content);
    if (text === undefined) {
      this.#report.error(
        'extraDockerfileSteps.unreadable',
        origin,
        `The file ${path} cannot be read as UTF-8 text.`,
        'Name a readable text file.',
      );
    }
    return text;
  }

  #registry({ value, origin }: Setting): EnvironmentDefinition['docker']['baseImageRegistry'] {
    if (isText(value) && value.value !== '') {
      if (origin.file !== undefined) {
        const message = 'baseImageRegistry is taken as the address of the registry; v1 passed the text on as it was.';
        this.#report.notice(
          'difference.registry-as-text',
          origin,
          message,
          `Write {"address": ${JSON.stringify(value.value)}}.`,
        );
      }
      return { address: value.value };
    }
    if (value.type !== 'dict') return undefined;
    const text = (key: string) => {
      const part = get(value, key);
      return isText(part) && part.value !== '' ? part.value : undefined;
    };
    const address = text('address');
    const username = text('username');
    const password = text('password');
    return {
      ...(address === undefined ? {} : { address }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }
}

function defaultImage(isGpu: boolean, cudaVersion: string | undefined): string {
  if (!isGpu) return DEFAULT_CPU_IMAGE;
  return cudaVersion === '9.0' ? CUDA_9_IMAGE : DEFAULT_GPU_IMAGE;
}

const EMPTY: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: false },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};
