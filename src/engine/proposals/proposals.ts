import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { parse } from 'smol-toml';
import { AksmlError } from '../../contract/error.ts';
import { firstFree, followsRule, SERVICE_NAME, serviceNameFrom } from '../../contract/names.ts';
import type { DeploymentProposal, ProposedFile, RecognizedModel } from '../../contract/proposal.ts';
import type { Engine } from '../engine.ts';
import { type EnvironmentTools, pythonSearch } from '../environments/environment.ts';
import { findPython } from '../environments/python.ts';
import { parsePipLine } from '../environments/requirement.ts';
import { modelTitle, recognizeModel } from './recognize.ts';
import { condaFile, scaffoldCondaFile, scaffoldScript } from './scaffold.ts';
import { lookAround, type Surroundings } from './surroundings.ts';

export interface ProposalRequest {
  /** Absolute path of a model file or folder. */
  readonly model: string;
  /** Absolute; paths of a configuration start from it, as v1's did from the working directory. */
  readonly project: string;
}

/**
 * Fits a model into its project: what is there is taken, what is missing is scaffolded for the model's framework.
 * @throws AksmlError `model.notRecognized`
 */
export async function proposeDeployment(
  engine: Pick<Engine, 'target'> & EnvironmentTools,
  request: ProposalRequest,
  signal?: AbortSignal,
): Promise<DeploymentProposal> {
  const model = await recognizeModel(request.model);
  if (model === undefined) {
    throw new AksmlError('model.notRecognized', `${basename(request.model)} is in no model format that aksml knows.`, {
      fault: 'input',
      subject: request.model,
      remedy: 'Register it and deploy it with an inference configuration of your own.',
    });
  }
  const title = modelTitle(request.model);
  const [found, taken] = await Promise.all([
    lookAround(request.model, request.project),
    engine.target.listEndpoints(signal),
  ]);
  const name = freeName(title, new Set(taken.map(({ metadata }) => metadata.name)));
  const folder = join(request.project, name);
  return {
    model,
    modelName: modelName(title),
    name,
    deploymentConfig:
      found.deploymentConfig === undefined
        ? { path: join(folder, 'deploymentconfig.json'), content: DEPLOYMENT_CONFIG }
        : { path: found.deploymentConfig },
    ...(found.inferenceConfig === undefined
      ? await proposeCode(model, found, folder, request.project, () => pythonOf(engine, signal))
      : { inferenceConfig: { path: found.inferenceConfig } }),
  };
}

/** What carrying out a proposal writes. */
export function filesToWrite(proposal: DeploymentProposal): Required<ProposedFile>[] {
  const { inferenceConfig, deploymentConfig, entryScript, condaFile } = proposal;
  return [entryScript, condaFile, inferenceConfig, deploymentConfig].flatMap((file) =>
    file?.content === undefined ? [] : [{ path: file.path, content: file.content }],
  );
}

type Code = Pick<DeploymentProposal, 'inferenceConfig' | 'entryScript' | 'condaFile' | 'environmentFrom'>;

async function proposeCode(
  model: RecognizedModel,
  found: Surroundings,
  folder: string,
  project: string,
  pythonVersion: () => Promise<string>,
): Promise<Code> {
  const script = found.entryScript === undefined ? await scaffoldScript(model) : undefined;
  if (found.entryScript === undefined && script === undefined) return {};
  const source = found.entryScript === undefined ? join(folder, 'source') : dirname(found.entryScript);
  const entryScript = found.entryScript ?? join(source, 'score.py');
  const environment = await proposeEnvironment(model, found, source, pythonVersion);
  const inferenceConfig = {
    entryScript: basename(entryScript),
    sourceDirectory: fromFolder(project, source),
    runtime: 'python',
    condaFile: fromFolder(source, environment.condaFile.path),
  };
  return {
    inferenceConfig: { path: join(folder, 'inferenceconfig.json'), content: asJson(inferenceConfig) },
    entryScript: { path: entryScript, ...(script === undefined ? {} : { content: script }) },
    ...environment,
  };
}

async function proposeEnvironment(
  model: RecognizedModel,
  { environment }: Surroundings,
  source: string,
  pythonVersion: () => Promise<string>,
): Promise<{ readonly condaFile: ProposedFile; readonly environmentFrom?: string }> {
  // v1 looked for the file below the source directory.
  if (environment?.kind === 'conda' && isBelow(source, environment.path)) {
    return { condaFile: { path: environment.path } };
  }
  const path = join(source, 'conda_dependencies.yml');
  if (environment === undefined)
    return { condaFile: { path, content: scaffoldCondaFile(model, await pythonVersion()) } };
  const content =
    environment.kind === 'conda'
      ? await readFile(environment.path, 'utf8')
      : condaFile(await pythonVersion(), await listedPackages(environment));
  return { condaFile: { path, content }, environmentFrom: environment.path };
}

async function listedPackages({ kind, path }: NonNullable<Surroundings['environment']>): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8');
  if (kind === 'pyproject') return projectDependencies(text);
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => !['blank', 'relative', 'unknown'].includes(parsePipLine(line).kind));
}

function projectDependencies(text: string): readonly string[] {
  try {
    const { project } = parse(text) as { readonly project?: { readonly dependencies?: unknown } };
    const dependencies = project?.dependencies;
    return Array.isArray(dependencies) ? dependencies.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

/** Of this machine, so that what is proposed runs here. */
async function pythonOf(tools: EnvironmentTools, signal: AbortSignal | undefined): Promise<string> {
  const found = await findPython(
    pythonSearch(tools, signal),
    ({ parts: [major, minor = 0] }) => major === 3 && minor >= 9,
  );
  return found === undefined ? RECENT_PYTHON : found.version.split('.').slice(0, 2).join('.');
}

const RECENT_PYTHON = '3.11';

function modelName(title: string): string {
  return title.replace(/[^a-zA-Z0-9\-._]+/g, '-').replace(/^[^a-zA-Z0-9]+/, '') || 'model';
}

function freeName(title: string, taken: ReadonlySet<string>): string {
  const wanted = serviceNameFrom(title, ROOM_FOR_NUMBER);
  return firstFree(followsRule(SERVICE_NAME, wanted) ? wanted : 'model', taken);
}

const ROOM_FOR_NUMBER = 5;

function isBelow(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== '..' && !below.startsWith(`..${sep}`);
}

/** As configurations name it, on every system. */
function fromFolder(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/') || '.';
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** A small start; every key has its help in the form. */
const DEPLOYMENT_CONFIG = asJson({
  computeType: 'aks',
  containerResourceRequirements: { cpu: 0.5, memoryInGB: 1 },
  authEnabled: true,
  scoringTimeoutMs: 60_000,
  maxConcurrentRequestsPerContainer: 1,
  maxQueueWaitMs: 500,
  livenessProbeRequirements: { periodSeconds: 10, initialDelaySeconds: 310, timeoutSeconds: 2 },
  autoScaler: { autoscaleEnabled: true, minReplicas: 1, maxReplicas: 3, targetUtilization: 70 },
});
