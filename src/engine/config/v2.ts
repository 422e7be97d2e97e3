import { join, relative, sep } from 'node:path';
import type { DeploymentSpec, EnvironmentSource, InferenceSpec } from '../../contract/deployment.ts';
import type { AuthMode, CustomContainer } from '../../contract/endpoint.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { followsRule, SERVICE_NAME } from '../../contract/names.ts';
import type { Problem } from '../../contract/problem.ts';
import { readDeployment } from './deployment.ts';
import { prune } from './deployment-spec.ts';
import { environmentToV1 } from './environment-folder.ts';
import { exists, isInside, kindOf, relativeTo } from './paths.ts';
import { Report } from './report.ts';
import { fromPlain, isTruthy } from './source.ts';
import { deploymentOfV2 } from './v2-deployment.ts';
import { readV2Container, V2EnvironmentReader, warnAboutRegistry } from './v2-environment.ts';
import { V2_DEPLOYMENT_KEYS, V2_ENDPOINT_KEYS } from './v2-keys.ts';
import { V2Source } from './v2-source.ts';
import { parseReference } from './v2-values.ts';

export interface V2ImportInput {
  readonly endpointFile?: string;
  readonly deploymentFile: string;
  readonly cwd: string;
}

export interface V2Endpoint {
  readonly name?: string;
  readonly description?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly properties: Readonly<Record<string, string>>;
  readonly auth: AuthMode;
  /** Percent by deployment name. */
  readonly traffic: Readonly<Record<string, number>>;
  readonly mirrorTraffic: Readonly<Record<string, number>>;
  readonly computeTargetName?: string;
}

export type V2Model =
  /** Absolute; register it under `name` if there is one. */
  | { readonly kind: 'path'; readonly path: string; readonly name?: string; readonly isTriton: boolean }
  /** `name:version`, or `name` for the latest. */
  | { readonly kind: 'registered'; readonly id: string };

export interface V2Import {
  readonly problems: readonly Problem[];
  readonly valid: boolean;
  readonly endpoint: V2Endpoint;
  readonly versionName?: string;
  readonly description?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly inference?: InferenceSpec;
  readonly deployment?: DeploymentSpec;
  readonly models: readonly V2Model[];
  readonly container?: CustomContainer;
  /** v1's files with the same meaning; the first is absent without a scoring script. Paths are relative to the working directory. */
  readonly inferenceConfigJson?: Readonly<Record<string, unknown>>;
  readonly deploymentConfigJson?: Readonly<Record<string, unknown>>;
}

/** Reads v2's endpoint and deployment YAML (Kubernetes and managed online) as the v1 configuration with the same meaning. */
export async function importV2(input: V2ImportInput): Promise<V2Import> {
  const report = new Report();
  const endpointSource =
    input.endpointFile === undefined
      ? undefined
      : await V2Source.open(input.endpointFile, input.cwd, V2_ENDPOINT_KEYS, report);
  const source = await V2Source.open(input.deploymentFile, input.cwd, V2_DEPLOYMENT_KEYS, report);
  const endpoint = readEndpoint(endpointSource, source, report);
  if (!source) return { ...verdict(report), endpoint, tags: {}, models: [] };
  return new Importer(input, source, endpoint, report).run();
}

function verdict(report: Report): Pick<V2Import, 'problems' | 'valid'> {
  return { problems: report.problems, valid: !report.hasErrors };
}

const AUTH_MODES: Readonly<Record<string, AuthMode>> = { key: 'key', aml_token: 'token', aad_token: 'token' };

function readEndpoint(source: V2Source | undefined, deployment: V2Source | undefined, report: Report): V2Endpoint {
  const name = source?.text('name') ?? deployment?.text('endpoint_name');
  if (name !== undefined && !followsRule(SERVICE_NAME, name)) {
    const origin =
      source?.value('name').type === 'str' ? source.origin('name') : (deployment?.origin('endpoint_name') ?? {});
    report.error(
      'serviceName.invalid',
      origin,
      `"${name}" is not a valid endpoint name.`,
      `Write ${SERVICE_NAME.hint}.`,
    );
  }
  const mode = source?.text('auth_mode') ?? 'key';
  const auth = AUTH_MODES[mode];
  if (auth === undefined && source) {
    report.error(
      'v2.authMode',
      source.origin('auth_mode'),
      `auth_mode "${mode}" is not known.`,
      'Write key, aml_token or aad_token.',
    );
  } else if (mode === 'aad_token' && source) {
    const message = 'auth_mode aad_token becomes token authentication: "service get-access-token" issues the tokens.';
    report.notice('v2.authMode', source.origin('auth_mode'), message);
  }
  const compute = source?.text('compute');
  const description = source?.text('description');
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    tags: source?.texts('tags') ?? {},
    properties: source?.texts('properties') ?? {},
    auth: auth ?? 'key',
    traffic: readTraffic('traffic', source, report),
    mirrorTraffic: readTraffic('mirror_traffic', source, report),
    ...(compute === undefined ? {} : { computeTargetName: compute.replace(/^azureml:/, '') }),
  };
}

function readTraffic(
  key: 'traffic' | 'mirror_traffic',
  source: V2Source | undefined,
  report: Report,
): Record<string, number> {
  const traffic: Record<string, number> = {};
  for (const [name, text] of Object.entries(source?.texts(key) ?? {})) {
    const share = Number(text);
    if (text !== '' && share >= 0 && share <= 100) traffic[name] = share;
    else if (source)
      report.error(
        'trafficPercentile.outOfRange',
        source.origin(key, name),
        `The traffic of ${name} must be 0 to 100.`,
        'Write a number from 0 to 100.',
      );
  }
  return traffic;
}

class Importer {
  readonly #input: V2ImportInput;
  readonly #source: V2Source;
  readonly #endpoint: V2Endpoint;
  readonly #report: Report;

  constructor(input: V2ImportInput, source: V2Source, endpoint: V2Endpoint, report: Report) {
    this.#input = input;
    this.#source = source;
    this.#endpoint = endpoint;
    this.#report = report;
  }

  async run(): Promise<V2Import> {
    const source = this.#source;
    if (!['model', 'environment', 'code_configuration'].some((key) => isTruthy(source.value(key)))) {
      const message = 'The file describes no online deployment: it has no model, environment or code_configuration.';
      this.#report.error(
        'v2.notDeployment',
        { file: source.file },
        message,
        'Name the YAML file of an online deployment.',
      );
    }
    const versionName = source.text('name');
    const container = readV2Container(source, this.#report);
    const reader = new V2EnvironmentReader(source, this.#report, (path) => this.#shorten(path));
    const environment = await reader.read(container !== undefined);
    const inference = await this.#inference(environment, container !== undefined);
    const models = await this.#models();
    const { json, spec } = await this.#deployment(versionName, container, environment);
    const description = source.text('description');
    return {
      ...verdict(this.#report),
      endpoint: this.#endpoint,
      tags: source.texts('tags'),
      ...(versionName === undefined ? {} : { versionName }),
      ...(description === undefined ? {} : { description }),
      ...(inference === undefined ? {} : { inference, inferenceConfigJson: this.#inferenceJson(inference) }),
      ...(spec === undefined ? {} : { deployment: spec }),
      models,
      ...(container === undefined ? {} : { container }),
      deploymentConfigJson: json,
    };
  }

  /** Judged by v1's rules, with problems at v2's keys. */
  async #deployment(
    versionName: string | undefined,
    container: CustomContainer | undefined,
    environment: EnvironmentSource | undefined,
  ) {
    const { json, origins } = deploymentOfV2(this.#source, this.#endpoint, versionName, this.#report);
    const judged = new Report();
    const content = fromPlain(json);
    const files = { exists: async () => true };
    const spec = await readDeployment({ file: this.#source.file, content, flags: {} }, judged, files);
    // What v1 did with these keys is of no interest here.
    const problems = judged.problems.filter(({ code }) => !code.startsWith('difference.'));
    this.#report.addAll(problems.map((problem) => ({ ...problem, ...origins.get(problem.path ?? '') })));
    const environmentVariables = this.#source.texts('environment_variables');
    return {
      json,
      spec:
        spec && !judged.hasErrors
          ? prune({
              ...spec,
              container,
              containerEnvironment: container && environment && hasPackages(environment) ? environment : undefined,
              environmentVariables: Object.keys(environmentVariables).length === 0 ? undefined : environmentVariables,
            })
          : undefined,
    };
  }

  async #inference(
    environment: EnvironmentSource | undefined,
    isContainer: boolean,
  ): Promise<InferenceSpec | undefined> {
    const source = this.#source;
    if (!isTruthy(source.value('code_configuration'))) return undefined;
    const folder = source.path('code_configuration', 'code');
    const script = source.text('code_configuration', 'scoring_script');
    const origin = source.origin('code_configuration', 'scoring_script');
    if (script === undefined)
      this.#report.error('entryScript.missing', origin, 'scoring_script is missing.', 'Name the scoring script.');
    if (folder === undefined) return undefined;
    if ((await kindOf(folder)) !== 'folder') {
      this.#report.error(
        'sourceDirectory.notFound',
        source.origin('code_configuration', 'code'),
        `The folder ${folder} does not exist.`,
        'Correct the path; it is relative to this file.',
      );
      return undefined;
    }
    if (script === undefined) return undefined;
    const path = join(folder, script);
    if (!(await exists(path)))
      this.#report.error(
        'entryScript.notFound',
        origin,
        `The scoring script ${path} does not exist.`,
        'Correct the path; it is relative to code.',
      );
    if (!isContainer && !script.endsWith('.py'))
      this.#report.error(
        'entryScript.notPy',
        origin,
        `The scoring script "${script}" does not end in ".py".`,
        'Use a Python script, or a container of your own.',
      );
    const description = source.text('description');
    return {
      sourceDirectory: folder,
      entryScript: relativeTo(folder, path),
      environment: environment ?? { kind: 'inline', definition: NOTHING },
      ...(description === undefined ? {} : { description }),
      namedFiles: [relativeTo(folder, path)].filter(isInside),
    };
  }

  async #models(): Promise<V2Model[]> {
    const source = this.#source;
    const value = source.value('model');
    if (value.type === 'NoneType') return [];
    const name = value.type === 'dict' ? source.text('model', 'name') : undefined;
    const key = value.type === 'dict' ? ['model', 'path'] : ['model'];
    const text = source.text(...key);
    if (text === undefined) {
      if (name !== undefined)
        return [{ kind: 'registered', id: [name, source.text('model', 'version')].filter(Boolean).join(':') }];
      return [];
    }
    const origin = source.origin(...key);
    const reference = parseReference(text);
    if (reference) {
      warnAboutRegistry(reference.registry, reference.name, origin, this.#report);
      return [{ kind: 'registered', id: [reference.name, reference.version].filter(Boolean).join(':') }];
    }
    if (/^(?:azureml|https?|wasbs?|abfss?):/.test(text)) {
      this.#report.error(
        'v2.modelPath',
        origin,
        `The model "${text}" lies in cloud storage, which aksml does not read.`,
        'Download it, and name the local path.',
      );
      return [];
    }
    const path = source.path(...key) ?? text;
    if (!(await exists(path)))
      this.#report.error(
        'model.notFound',
        origin,
        `The model ${path} does not exist.`,
        'Correct the path; it is relative to this file.',
      );
    const isTriton = source.text('model', 'type') === 'triton_model';
    if (isTriton)
      this.#report.warning(
        'v2.triton',
        origin,
        'Triton is not started for triton_model.',
        'Add an environment with a Triton image and its inference_config.',
      );
    return [{ kind: 'path', path, isTriton, ...(name === undefined ? {} : { name }) }];
  }

  #inferenceJson(inference: InferenceSpec): Record<string, unknown> {
    const { environment, sourceDirectory, entryScript, description } = inference;
    return prune({
      entryScript,
      sourceDirectory: sourceDirectory === undefined ? undefined : this.#shorten(sourceDirectory),
      environment:
        environment.kind === 'inline'
          ? environmentToV1(environment.definition)
          : prune({ name: environment.name, version: environment.version }),
      description,
    });
  }

  #shorten(path: string): string {
    const name = relative(this.#input.cwd, path).split(sep).join('/');
    return name === '' ? '.' : name;
  }
}

/** What the image holds is not known, so that only what is named besides can be installed. */
function hasPackages(environment: EnvironmentSource): boolean {
  return environment.kind === 'registered' || environment.definition.python.condaDependencies !== undefined;
}

const NOTHING: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: false, interpreterPath: 'python' },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};
