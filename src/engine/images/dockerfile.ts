import { stringify } from 'yaml';
import { APP_ROOT, CONTAINER_USER, SERVER_PORT } from '../../contract/container.ts';
import { DEFAULT_CPU_IMAGE, type EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { SERVER_PACKAGE } from '../environments/azureml-packages.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { wantedMinor } from '../environments/python-version.ts';
import { parsePipLine } from '../environments/requirement.ts';
import { containerVariables } from './container-variables.ts';
import { SETUP } from './docker-steps.ts';
import { namedBaseImage, type PackageRequest } from './image-request.ts';
import { BUILT_ENVIRONMENT, INSTALL_SCRIPT } from './install-script.ts';

/** First words of every Dockerfile of ours: a folder that begins so may be replaced. */
export const DOCKERFILE_MARK = '# Written by aksml';

export interface DockerfileParts {
  readonly request: PackageRequest;
  readonly plan: EnvironmentPlan;
  /** Without secrets. */
  readonly variables: Readonly<Record<string, string>>;
  readonly code: CodeReference;
  readonly reference: string;
  /** Of aksml. */
  readonly version: string;
}

/** The Dockerfile of v1's package: base image, environment, code and models, scoring server. @throws AksmlError `package.unsupported` */
export function dockerfile(parts: DockerfileParts): string {
  const { request, plan, code, reference, version } = parts;
  const variables = containerVariables({ ...parts, models: request.models });
  const python = plan.installer === 'none' ? plan.interpreterPath : `${BUILT_ENVIRONMENT}/bin/python`;
  const secrets = buildSecrets(plan, request.definition);
  const build = ['docker build', ...secrets.map((id) => `--secret id=${id},src=FILE`), `-t ${reference} .`].join(' ');
  const lines = [
    `${DOCKERFILE_MARK} ${version}. Build with: ${build}`,
    ...base(request),
    'USER root',
    `COPY ${SETUP} /${SETUP}`,
    ...(plan.installer === 'none' ? [] : [installStep(plan, secrets), `ENV PATH=${BUILT_ENVIRONMENT}/bin:$PATH`]),
    `COPY azureml-app ${APP_ROOT}`,
    ...Object.entries({ AML_APP_ROOT: APP_ROOT, HOME: '/tmp', ...variables }).map(
      ([name, value]) => `ENV ${name}=${quoted(name, value)}`,
    ),
    `LABEL dev.aksml.version=${quoted('version', version)}`,
    `LABEL dev.aksml.models=${quoted('models', JSON.stringify(request.models.map(({ id }) => id)))}`,
    `LABEL dev.aksml.code=${quoted('code', code.digest)}`,
    `WORKDIR ${APP_ROOT}`,
    `EXPOSE ${SERVER_PORT}`,
    `RUN chown ${CONTAINER_USER} ${APP_ROOT}`,
    `USER ${CONTAINER_USER}`,
    `CMD ${JSON.stringify([python, `/${SETUP}/serve.py`])}`,
  ];
  return `${lines.join('\n')}\n`;
}

function base(request: PackageRequest): string[] {
  const { docker } = request.definition;
  if (docker.buildContext !== undefined) {
    throw new AksmlError(
      'package.unsupported',
      'The environment is built from a Docker context that is stored elsewhere.',
      {
        fault: 'input',
        subject: docker.buildContext.location,
        remedy:
          'Build that image first, push it, and name it as docker.baseImage with python.userManagedDependencies true.',
      },
    );
  }
  const from =
    request.base === undefined && docker.baseDockerfile !== undefined
      ? docker.baseDockerfile.trimEnd().split(/\r?\n/)
      : [`FROM ${namedBaseImage(request) ?? DEFAULT_CPU_IMAGE}`];
  return [...from, ...(docker.extraSteps === undefined ? [] : docker.extraSteps.trimEnd().split(/\r?\n/))];
}

function installStep(plan: EnvironmentPlan, secrets: readonly string[]): string {
  const minor = wantedMinor(plan.python)?.join('.') ?? '';
  const mounts = secrets
    .map((id) => `--mount=type=secret,id=${id}${id === NETRC ? ',target=/root/.netrc' : ''} `)
    .join('');
  return `RUN ${mounts}sh /${SETUP}/install.sh '${minor}'${plan.installer === 'conda' ? ' conda' : ''}`;
}

const NETRC = 'netrc';

/** What the build must be given because it must not be in the context: variables that requirements refer to, credentials of indexes. */
function buildSecrets(plan: EnvironmentPlan, definition: EnvironmentDefinition): string[] {
  if (plan.installer === 'none') return [];
  const text = [...pipLines(plan), ...(definition.python.condaDependencies?.pip ?? [])].join('\n');
  const names = new Set([...text.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name]) => name ?? ''));
  return [...names, ...(withoutSecrets(text) === text ? [] : [NETRC])];
}

/** Without the credentials in URLs; references to variables stay, because the build resolves them. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/([^/\s@'"]+)@/g, (found, userInfo: string) =>
    /^(?:[^:$]+:|\$\{[A-Z0-9_]+\}:)?\$\{[A-Z0-9_]+\}$/.test(userInfo) ? found : '://',
  );
}

/** The files that the build installs from: v1's conda file, the same for pip, and the script that decides. */
export function setupFiles(plan: EnvironmentPlan, definition: EnvironmentDefinition): [string, string][] {
  if (plan.installer === 'none') return [];
  return [
    ['conda_dependencies.yml', condaFile(definition)],
    ['requirements.txt', `${pipLines(plan).map(withoutSecrets).join('\n')}\n`],
    ['install.sh', INSTALL_SCRIPT],
  ];
}

function pipLines({ requirements, indexes }: EnvironmentPlan): string[] {
  return [
    ...(indexes.noIndex ? ['--no-index'] : []),
    ...(indexes.indexUrl === undefined ? [] : [`--index-url ${indexes.indexUrl}`]),
    ...indexes.extraIndexUrls.map((url) => `--extra-index-url ${url}`),
    ...indexes.findLinks.map((url) => `--find-links ${url}`),
    ...indexes.trustedHosts.map((host) => `--trusted-host ${host}`),
    ...(indexes.preReleases ? ['--pre'] : []),
    ...requirements,
  ];
}

/** v1's own when the environment names none. */
const DEFAULT_CONDA = {
  channels: ['anaconda', 'conda-forge'],
  dependencies: ['python=3.8.13'],
  pip: ['azureml-defaults'],
} as const;

const BRING_THE_SERVER: ReadonlySet<string> = new Set([SERVER_PACKAGE, 'azureml-defaults', 'azureml-sdk']);

function condaFile(definition: EnvironmentDefinition): string {
  const { channels, dependencies, pip } = definition.python.condaDependencies ?? DEFAULT_CONDA;
  const hasServer = pip.some((line) => {
    const parsed = parsePipLine(line);
    return parsed.kind === 'requirement' && BRING_THE_SERVER.has(parsed.name);
  });
  const pipSection = [...pip.map(withoutSecrets), ...(hasServer ? [] : [SERVER_PACKAGE])];
  const hasPip = dependencies.some((dependency) => /^pip\b/.test(dependency));
  return stringify({
    name: 'aksml',
    channels: channels.length === 0 ? ['conda-forge'] : channels,
    dependencies: [...dependencies, ...(hasPip ? [] : ['pip']), { pip: pipSection }],
  });
}

function quoted(name: string, value: string): string {
  if (/[\r\n\0]/.test(value)) {
    throw new AksmlError(
      'package.unsupported',
      `The environment variable ${name} has several lines, which a Dockerfile cannot hold.`,
      {
        fault: 'input',
        subject: name,
        remedy: 'Give it when the container is started, or package an image instead of a build context.',
      },
    );
  }
  return `"${value.replace(/[\\"$]/g, '\\$&')}"`;
}
