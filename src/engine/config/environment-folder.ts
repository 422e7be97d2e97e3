import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type CondaSpecification, DEFAULT_CPU_IMAGE, type EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { ensureFolder } from '../../home/folder.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { DEFAULT_CONDA, readCondaFile } from './conda.ts';
import { readEnvironment } from './environment.ts';
import { exists } from './paths.ts';
import { JsonRefusal, parsePythonJson } from './python-json.ts';
import { decode } from './reader.ts';
import type { Report } from './report.ts';
import type { SourceValue } from './source.ts';

const DEFINITION = 'azureml_environment.json';
const CONDA = 'conda_dependencies.yml';
const DOCKERFILE = 'BaseDockerfile';

/**
 * Reads an environment in the form in which v1 kept it on disk: strict JSON for the definition, and the conda specification and the Dockerfile
 * beside it. Undefined: refused, `report` says why.
 */
export async function readEnvironmentFolder(
  folder: string,
  cwd: string,
  report: Report,
): Promise<EnvironmentDefinition | undefined> {
  const path = resolve(cwd, folder);
  const file = join(folder, DEFINITION);
  const content = await readFile(join(path, DEFINITION)).catch(() => undefined);
  if (content === undefined) {
    const remedy = 'Name a folder made by "aksml environment scaffold" or "aksml environment download".';
    report.error(
      'environmentDirectory.notFound',
      { path: '--environment-directory' },
      `${file} does not exist.`,
      remedy,
    );
    return undefined;
  }
  const value = parseDefinition(file, content, report);
  const reading = value && readEnvironment(value, { file, path: '' }, report);
  if (reading === undefined) return undefined;
  const definition = reading.kind === 'inline' ? reading.definition : { ...BLANK, name: reading.name };
  return mergeFiles(definition, folder, path, report);
}

function parseDefinition(file: string, content: Uint8Array, report: Report): SourceValue | undefined {
  const text = decode(content);
  try {
    if (text !== undefined) return parsePythonJson(text);
    report.error('file.unparsable', { file }, 'The file is not UTF-8 text.', 'Save it as UTF-8.');
  } catch (error) {
    if (!(error instanceof JsonRefusal)) throw error;
    report.error(
      'file.unparsable',
      { file, line: error.line },
      `The file is not JSON: ${error.message}.`,
      'Correct this line.',
    );
  }
  return undefined;
}

async function mergeFiles(
  definition: EnvironmentDefinition,
  folder: string,
  path: string,
  report: Report,
): Promise<EnvironmentDefinition> {
  const conda = await readFile(join(path, CONDA)).catch(() => undefined);
  const specification = conda && readCondaFile(join(folder, CONDA), conda, {}, report);
  const dockerfile = await readFile(join(path, DOCKERFILE)).catch(() => undefined);
  const baseDockerfile = dockerfile && decode(dockerfile);
  const { baseImage: _, ...docker } = definition.docker;
  return {
    ...definition,
    python: specification ? { ...definition.python, condaDependencies: specification } : definition.python,
    docker: baseDockerfile === undefined ? definition.docker : { ...docker, baseDockerfile },
  };
}

export interface WriteOptions {
  /** Allow a folder that already holds an environment. */
  readonly overwrite?: boolean;
}

/**
 * Writes v1's on-disk form. Returns the files written.
 * @throws AksmlError `environment.folderExists`
 */
export async function writeEnvironmentFolder(
  folder: string,
  definition: EnvironmentDefinition,
  options: WriteOptions = {},
): Promise<string[]> {
  if (!options.overwrite && (await exists(join(folder, DEFINITION)))) {
    throw new AksmlError('environment.folderExists', `The folder ${folder} already holds an environment.`, {
      fault: 'input',
      subject: folder,
      remedy: 'Choose another folder, or add --overwrite.',
    });
  }
  await ensureFolder(folder).catch((error: unknown) => {
    throw asStorageError(error, 'Writing the environment', folder);
  });
  const files: string[] = [];
  const hasPassword = definition.docker.baseImageRegistry?.password !== undefined;
  const write = async (name: string, content: string) => {
    await writeFileAtomic(join(folder, name), content, hasPassword ? 0o600 : 0o644);
    files.push(join(folder, name));
  };
  const { condaDependencies } = definition.python;
  if (condaDependencies) await write(CONDA, await formatConda(condaDependencies));
  if (definition.docker.baseDockerfile !== undefined) await write(DOCKERFILE, definition.docker.baseDockerfile);
  await write(DEFINITION, `${JSON.stringify(toV1Json(definition), undefined, 4)}\n`);
  return files;
}

/** Writes a new environment to start from. Returns the files written. */
export async function scaffoldEnvironment(folder: string, name: string): Promise<string[]> {
  return writeEnvironmentFolder(folder, {
    ...BLANK,
    name,
    environmentVariables: { EXAMPLE_ENV_VAR: 'EXAMPLE_VALUE' },
    python: { userManagedDependencies: false, interpreterPath: 'python', condaDependencies: DEFAULT_CONDA },
    docker: { ...BLANK.docker, baseImage: DEFAULT_CPU_IMAGE, shmSize: '2g' },
  });
}

/** The environment object of v1's `inferenceconfig.json`. */
export function environmentToV1(definition: EnvironmentDefinition): Record<string, unknown> {
  const json = toV1Json(definition);
  const { condaDependencies } = definition.python;
  const { baseDockerfile } = definition.docker;
  return {
    ...json,
    python: condaDependencies ? { ...json.python, condaDependencies: condaToJson(condaDependencies) } : json.python,
    docker: baseDockerfile === undefined ? json.docker : { ...json.docker, baseDockerfile },
  };
}

/** A conda environment file's text. */
export async function formatConda(specification: CondaSpecification): Promise<string> {
  // Whoever only reads environments does not load what writes YAML.
  const { stringify } = await import('yaml');
  return stringify(condaToJson(specification));
}

function condaToJson({ name, channels, dependencies, pip, prefix, variables }: CondaSpecification): object {
  return {
    ...(name === undefined ? {} : { name }),
    ...(channels.length === 0 ? {} : { channels }),
    dependencies: [...dependencies, ...(pip.length === 0 ? [] : [{ pip }])],
    ...(prefix === undefined ? {} : { prefix }),
    ...(variables === undefined ? {} : { variables }),
  };
}

/** The keys of v1, without what has a file of its own on disk. */
function toV1Json(definition: EnvironmentDefinition) {
  const { name, version, environmentVariables, secretEnvironmentVariables, python, docker, inferencingStackVersion } =
    definition;
  const { baseImageRegistry } = docker;
  return {
    name: name ?? null,
    version: version ?? null,
    environmentVariables,
    ...(secretEnvironmentVariables.length === 0 ? {} : { secretEnvironmentVariables }),
    python: {
      userManagedDependencies: python.userManagedDependencies,
      interpreterPath: python.interpreterPath ?? null,
      condaDependenciesFile: null,
      baseCondaEnvironment: null,
    },
    docker: {
      enabled: false,
      baseImage: docker.baseImage ?? null,
      ...(docker.baseDockerfile === undefined ? { baseDockerfile: null } : {}),
      buildContext: docker.buildContext ?? null,
      sharedVolumes: true,
      shmSize: docker.shmSize ?? null,
      arguments: docker.arguments,
      baseImageRegistry: {
        address: baseImageRegistry?.address ?? null,
        username: baseImageRegistry?.username ?? null,
        password: baseImageRegistry?.password ?? null,
        registryIdentity: null,
      },
      platform: docker.platform,
    },
    inferencingStackVersion: inferencingStackVersion ?? null,
  };
}

const BLANK: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: false, interpreterPath: 'python' },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};
