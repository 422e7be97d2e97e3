import { createHash } from 'node:crypto';
import type { DeploymentSpec } from '../../contract/deployment.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { followsRule, SERVICE_NAME } from '../../contract/names.ts';
import { tryLock } from '../../home/lock.ts';
import type { Configuration } from '../config/configuration.ts';
import type { BuildOptions } from '../endpoints/build.ts';
import { deploy, findEndpoint } from '../endpoints/deploy.ts';
import type { ModelReference } from '../endpoints/models.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import type { Engine } from '../engine.ts';
import { repositoryOf } from '../revisions/revisions.ts';
import { measure, type QueryFailure, type ReadUsage } from './measure.ts';
import { CPU_LIMITS, MEMORY_LIMITS, type ProfileMetrics, profileMetrics } from './recommendation.ts';

/** `aksml model profile`. */
export interface ProfileRequest {
  readonly name: string;
  readonly description?: string;
  readonly models: readonly ModelReference[];
  /** Of the code and the environment; the deployment is the profile's own. */
  readonly configuration: Configuration;
  /** Request bodies, at least one. */
  readonly bodies: readonly string[];
  /** What `inputDatasetId` of the result says. */
  readonly input: string;
  /** The most that is recommended; default v1's limits. */
  readonly cpu?: number;
  readonly memoryInGB?: number;
  readonly build: BuildOptions;
  readonly cwd: string;
}

/** v1's `ModelProfile`, in the shape of its JSON. */
export interface ModelProfile extends ProfileMetrics {
  readonly name: string;
  readonly createdTime: string;
  readonly state: 'Succeeded' | 'Failed';
  readonly description: string | null;
  readonly requestedCpu: number;
  readonly requestedMemoryInGB: number;
  readonly requestedQueriesPerSecond: null;
  readonly inputDatasetId: string;
  readonly modelIds: readonly string[];
  /** Why it failed, or why something in it is missing. */
  readonly error: QueryFailure | null;
  readonly errorLogsUri: null;
}

/** By which a service is known for one that a profile left behind, and may be deleted. */
const MARK = 'aksml.profile';
/** v1's longest. */
const SCORING_TIMEOUT_MS = 300_000;

/**
 * Deploys the models as a service for the time of the measurement, scores with them, and says what CPU and memory they need. What a killed
 * run left is removed by the next one of the same name.
 * @throws AksmlError `profile.limits` | `profile.running` | `profile.nameTaken` | what a deployment throws
 */
export async function profileModels(
  engine: Engine,
  request: ProfileRequest,
  readUsage: ReadUsage,
  options: RunOptions = {},
): Promise<ModelProfile> {
  const requested = {
    cpu: checked('cpu', request.cpu, CPU_LIMITS),
    memoryInGB: checked('memory', request.memoryInGB, MEMORY_LIMITS),
  };
  const service = profileServiceName(request.name);
  const lock = await tryLock(engine.home, service);
  if (!lock) {
    throw new AksmlError('profile.running', `A profile ${request.name} is being made already.`, {
      subject: request.name,
      remedy: 'Wait for it to finish, or choose another name.',
    });
  }
  try {
    await removeService(engine, service, request.name);
    const createdTime = engine.clock().toISOString();
    const endpoint = await deployForProfile(engine, request, service, options);
    const { metrics, failure } = await runQueries(engine, endpoint, request, requested, readUsage, options);
    return {
      name: request.name,
      createdTime,
      state: metrics.successQueries > 0 ? 'Succeeded' : 'Failed',
      description: request.description ?? null,
      requestedCpu: requested.cpu,
      requestedMemoryInGB: requested.memoryInGB,
      requestedQueriesPerSecond: null,
      inputDatasetId: request.input,
      modelIds: endpoint.spec.versions.flatMap(({ models }) => models),
      ...metrics,
      error: failure ?? (metrics.recommendedMemoryInGB === null ? NOT_MEASURED : null),
      errorLogsUri: null,
    };
  } finally {
    // Also after Ctrl+C, so without its signal.
    try {
      await removeService(engine, service, request.name);
    } finally {
      lock.release();
    }
  }
}

const NOT_MEASURED: QueryFailure = {
  message: 'CPU and memory of the replica could not be measured on this system, so nothing is recommended.',
};

/** The same for the same profile, so that a later run finds what an earlier one left. */
export function profileServiceName(name: string): string {
  const readable = `profile-${name}`;
  if (followsRule(SERVICE_NAME, readable)) return readable;
  return `profile-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

function checked(what: string, value: number | undefined, { min, max }: { min: number; max: number }): number {
  if (value === undefined) return max;
  if (value >= min && value <= max) return value;
  throw new AksmlError('profile.limits', `The ${what} of a profile must be ${min} to ${max}, not ${value}.`, {
    fault: 'input',
    subject: what === 'cpu' ? '--cpu-cores' : '--memory-in-gb',
    remedy: `Give a number from ${min} to ${max}, or leave it out for ${max}.`,
  });
}

function deployForProfile(
  engine: Engine,
  request: ProfileRequest,
  service: string,
  options: RunOptions,
): Promise<Endpoint> {
  const deployment: DeploymentSpec = {
    computeType: 'aks',
    authEnabled: false,
    autoscaleEnabled: false,
    numReplicas: 1,
    maxConcurrentRequestsPerContainer: 1,
    scoringTimeoutMs: SCORING_TIMEOUT_MS,
    ...(request.cpu === undefined ? {} : { cpu: request.cpu }),
    ...(request.memoryInGB === undefined ? {} : { memoryInGB: request.memoryInGB }),
  };
  return deploy(
    engine,
    {
      name: service,
      models: request.models,
      configuration: { ...request.configuration, deployment },
      properties: { [MARK]: request.name },
      description: `Made by the profile ${request.name}, removed when it ends`,
      overwrite: false,
      wait: true,
      build: request.build,
      cwd: request.cwd,
    },
    options,
  );
}

async function runQueries(
  engine: Engine,
  endpoint: Endpoint,
  { bodies }: ProfileRequest,
  requested: { readonly cpu: number; readonly memoryInGB: number },
  readUsage: ReadUsage,
  options: RunOptions,
): Promise<{ readonly metrics: ProfileMetrics; readonly failure?: QueryFailure }> {
  const uri = endpoint.status?.scoringUri ?? '';
  const pid = endpoint.status?.versions[0]?.replicas.find(({ state }) => state === 'ready')?.pid;
  return runStage(
    'smoke',
    `Scoring with ${bodies.length === 1 ? 'one request' : `${bodies.length} requests`}`,
    options,
    async () => {
      const { measurement, failure } = await measure(uri, bodies, {
        fetch: engine.fetch,
        readUsage: async () => (pid === undefined ? undefined : readUsage(pid)),
        now: () => performance.now(),
        onQuery: (done) => options.onProgress?.({ type: 'progress', stage: 'smoke', done, unit: 'requests' }),
        signal: options.signal,
      });
      const metrics = profileMetrics(measurement, requested);
      const { successQueries, totalQueries } = metrics;
      return {
        value: { metrics, ...(failure === undefined ? {} : { failure }) },
        reused: false,
        detail: `${successQueries} of ${totalQueries} succeeded`,
      };
    },
  );
}

/** With its history: nobody would look for it. @throws AksmlError `profile.nameTaken` */
async function removeService(engine: Engine, service: string, profile: string): Promise<void> {
  const endpoint = await findEndpoint(engine, service);
  if (endpoint !== undefined && endpoint.spec.properties[MARK] !== profile) {
    throw new AksmlError('profile.nameTaken', `A service ${service} exists, which the profile would have to use.`, {
      fault: 'input',
      subject: service,
      remedy: 'Choose another name for the profile.',
    });
  }
  if (endpoint !== undefined) await engine.target.deleteEndpoint(service);
  const history = repositoryOf(service, service);
  for (const tag of await engine.registry.listTags(history)) await engine.registry.deleteManifest(history, tag);
}
