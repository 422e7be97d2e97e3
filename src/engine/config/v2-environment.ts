import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentSource } from '../../contract/deployment.ts';
import type { CustomContainer } from '../../contract/endpoint.ts';
import type { CondaSpecification, EnvironmentDefinition } from '../../contract/environment.ts';
import { readConda, readCondaFile } from './conda.ts';
import { warnAboutServer } from './environment-notices.ts';
import type { Origin, Report } from './report.ts';
import { isText, isTruthy, typeInWords } from './source.ts';
import type { V2Source } from './v2-source.ts';
import { parseReference } from './v2-values.ts';

/** Assets of shared registries are imported as assets of the workspace. */
export function warnAboutRegistry(registry: string | undefined, name: string, origin: Origin, report: Report): void {
  if (registry === undefined) return;
  const message = `"${name}" comes from the registry "${registry}", which aksml does not read.`;
  report.warning('v2.registryAsset', origin, message, `Register "${name}" in the workspace.`);
}

/** The routes of `environment.inference_config`, and where the container wants its models; undefined without it. */
export function readV2Container(source: V2Source, report: Report): CustomContainer | undefined {
  const config = ['environment', 'inference_config'];
  const modelMountPath = readMountPath(source, report);
  if (!isTruthy(source.value(...config))) return undefined;
  const image = source.text('environment', 'image');
  const ports = ['scoring_route', 'liveness_route', 'readiness_route'].map((route) =>
    source.value(...config, route, 'port'),
  );
  const numbers = new Set(ports.flatMap((port) => (port.type === 'int' ? [port.value] : [])));
  const [port] = numbers;
  if (port === undefined || numbers.size > 1) {
    const message =
      numbers.size > 1
        ? 'The routes of inference_config use different ports; a container has one.'
        : 'inference_config names no port.';
    report.error('v2.containerPort', source.origin(...config), message, 'Give all routes the same port.');
  }
  const route = (name: string, fallback: string) => source.text(...config, name, 'path') ?? fallback;
  const command = readCommand(source, report);
  return {
    ...(image === undefined ? {} : { image }),
    ...(command === undefined ? {} : { command }),
    ...(modelMountPath === undefined ? {} : { modelMountPath }),
    port: port ?? 0,
    scoringRoute: route('scoring_route', '/score'),
    livenessRoute: route('liveness_route', '/'),
    readinessRoute: route('readiness_route', '/'),
    ...(isTruthy(source.value(...config, 'http2')) ? { http2: true } : {}),
  };
}

/** As v2 had it: for containers alone, in which it takes the place of the models' folder in the app root. */
function readMountPath(source: V2Source, report: Report): string | undefined {
  const path = source.text('model_mount_path');
  if (path === undefined) return undefined;
  const origin = source.origin('model_mount_path');
  if (!isTruthy(source.value('environment', 'inference_config'))) {
    const message = 'model_mount_path has an effect only on containers, those with environment.inference_config.';
    report.warning('v2.modelMountPath', origin, message, 'Leave it out: the models are in AZUREML_MODEL_DIR.');
    return undefined;
  }
  const parts = path.replace(/\/+$/, '').split('/').slice(1);
  if (path.startsWith('/') && parts.length > 0 && parts.every((part) => part !== '' && part !== '.' && part !== '..')) {
    return `/${parts.join('/')}`;
  }
  const message = `model_mount_path "${path}" is not the absolute path of a folder in the image.`;
  report.error('v2.modelMountPath', origin, message, 'Write it such as /models.');
  return undefined;
}

/** aksml's own key, a list of texts. */
function readCommand(source: V2Source, report: Report): readonly string[] | undefined {
  const key = ['environment', 'inference_config', 'command'];
  const command = source.plain(...key);
  if (!isTruthy(source.value(...key))) return undefined;
  if (Array.isArray(command) && command.every((word) => typeof word === 'string')) return command;
  const message = 'command must be a list of texts: the program and its arguments.';
  report.error('v2.command', source.origin(...key), message, 'Write it such as [python, source/server.py, "{port}"].');
  return undefined;
}

/** Reads `environment` in all of its forms: a reference, or an object with an image, a conda file or a Dockerfile. */
export class V2EnvironmentReader {
  readonly #source: V2Source;
  readonly #report: Report;
  /** How people name a path. */
  readonly #shorten: (path: string) => string;

  constructor(source: V2Source, report: Report, shorten: (path: string) => string) {
    this.#source = source;
    this.#report = report;
    this.#shorten = shorten;
  }

  async read(isContainer: boolean): Promise<EnvironmentSource | undefined> {
    const source = this.#source;
    const value = source.value('environment');
    if (value.type === 'NoneType') return undefined;
    if (isText(value)) return this.#registered();
    if (value.type !== 'dict') {
      this.#report.error(
        'v2.environment',
        source.origin('environment'),
        `environment must be a reference or an object, but is ${typeInWords(value)}.`,
        'Write "azureml:NAME:VERSION" or an object.',
      );
      return undefined;
    }
    const conda = await this.#conda();
    const image = source.text('environment', 'image') ?? source.text('environment', 'docker', 'image');
    const dockerfile = await this.#dockerfile();
    if (image === undefined && dockerfile === undefined && conda === undefined && !isContainer) {
      this.#report.error(
        'v2.environment',
        source.origin('environment'),
        'The environment has neither an image nor a conda file.',
        'Add one of them.',
      );
    }
    const name = source.text('environment', 'name');
    const version = source.text('environment', 'version');
    const definition: EnvironmentDefinition = {
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      environmentVariables: {
        ...source.texts('environment', 'environment_variables'),
        ...source.texts('environment_variables'),
      },
      secretEnvironmentVariables: [],
      python: {
        userManagedDependencies: conda === undefined,
        interpreterPath: 'python',
        ...(conda === undefined ? {} : { condaDependencies: conda }),
      },
      docker: {
        ...(image === undefined ? {} : { baseImage: image }),
        ...(dockerfile === undefined ? {} : { baseDockerfile: dockerfile }),
        platform: { os: 'Linux', architecture: 'amd64' },
        arguments: [],
        enableGpu: false,
      },
      ...(isContainer ? {} : { inferencingStackVersion: 'latest' }),
    };
    if (!isContainer) warnAboutServer(definition, source.origin('environment'), this.#report);
    return { kind: 'inline', definition };
  }

  #registered(): EnvironmentSource | undefined {
    const text = this.#source.text('environment');
    const reference = text === undefined ? undefined : parseReference(text);
    const origin = this.#source.origin('environment');
    if (text === undefined) return undefined;
    if (!reference) {
      this.#report.error(
        'v2.reference',
        origin,
        `environment "${text}" is not a reference.`,
        'Write "azureml:NAME:VERSION".',
      );
      return undefined;
    }
    warnAboutRegistry(reference.registry, reference.name, origin, this.#report);
    const { name, version } = reference;
    return { kind: 'registered', name, ...(version === undefined ? {} : { version }) };
  }

  async #conda(): Promise<CondaSpecification | undefined> {
    const source = this.#source;
    const value = source.value('environment', 'conda_file');
    if (value.type === 'NoneType') return undefined;
    if (value.type === 'dict')
      return readConda(value, { file: source.file, path: 'environment.conda_file' }, this.#report);
    const path = source.path('environment', 'conda_file');
    const content = path && (await readFile(path).catch(() => undefined));
    if (path !== undefined && !content) {
      const message = `The conda file ${path} cannot be read.`;
      this.#report.error(
        'condaFile.notFound',
        source.origin('environment', 'conda_file'),
        message,
        'Correct the path; it is relative to this file.',
      );
    }
    return path && content ? readCondaFile(this.#shorten(path), content, {}, this.#report) : undefined;
  }

  async #dockerfile(): Promise<string | undefined> {
    const folder = this.#source.path('environment', 'build', 'path');
    if (folder === undefined) return undefined;
    const name = this.#source.text('environment', 'build', 'dockerfile_path') ?? 'Dockerfile';
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    const origin = this.#source.origin('environment', 'build');
    if (text === undefined)
      this.#report.error(
        'v2.dockerfile',
        origin,
        `The Dockerfile ${join(folder, name)} cannot be read.`,
        'Correct the path.',
      );
    else if (/^\s*(?:COPY|ADD)\s/im.test(text)) {
      this.#report.warning(
        'v2.buildContext',
        origin,
        'The Dockerfile copies files from its folder, but only its text is imported.',
        'Fetch the files in a RUN step, or build the image yourself.',
      );
    }
    return text;
  }
}
