import type { EndpointSecrets } from '../../contract/compute-target.ts';
import type { DeploymentPlan, DeploymentSpec } from '../../contract/deployment.ts';
import { ENDPOINT_API_VERSION, type Endpoint, type VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import { type Configuration, effectiveSettings, mergeMirror } from '../config/configuration.ts';
import type { Engine } from '../engine.ts';
import { type BuildAhead, readAhead } from './ahead.ts';
import { applyAndWait, applyNew } from './apply.ts';
import { type ArchitectureJudgement, judgeArchitecture } from './architecture.ts';
import { type BuildOptions, type BuiltVersion, buildVersion, preloadBuild } from './build.ts';
import { type ClusterFacts, clusterFacts } from './cluster-facts.ts';
import { patientSettings } from './debugging.ts';
import { type Begun, begunBy, type HandOver, readHandOver } from './handed-over.ts';
import { type ModelReference, pathsToRegister, type ResolvedModels, registerPaths, resolveModels } from './models.ts';
import { closedPorts } from './ports.ts';
import { machineFacts, modelFacts, nameIsTaken, preflight } from './preflight.ts';
import type { CodeSource } from './recipe.ts';
import { versionSettings } from './settings.ts';
import { type RunOptions, refusal, refuseErrors } from './stages.ts';

/** `aksml model deploy`. */
export interface DeployRequest {
  readonly name: string;
  /** Paths are registered first. */
  readonly models: readonly ModelReference[];
  readonly configuration: Configuration;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly properties?: Readonly<Record<string, string>>;
  readonly overwrite: boolean;
  /** False: return once the cluster, or the supervisor, has taken the wish. */
  readonly wait: boolean;
  readonly build: BuildOptions;
  /** The folder that relative model paths start from. */
  readonly cwd: string;
  /** What {@link lookAround} found, where that was begun before the configuration was known. */
  readonly surroundings?: Promise<Surroundings>;
}

/** What a deployment meets, whatever its configuration says. */
export interface Surroundings {
  readonly current: Endpoint | undefined;
  readonly resolved: ResolvedModels;
  /** Undefined for this machine. */
  readonly cluster: ClusterFacts | undefined;
  /** What a deploy that was cut off has handed over. */
  readonly handOver: HandOver | undefined;
}

/** Reads only. @throws what keeps the compute target or the registry from being reached */
export async function lookAround(
  engine: Engine,
  { name, models, cwd }: Pick<DeployRequest, 'name' | 'models' | 'cwd'>,
  signal?: AbortSignal,
): Promise<Surroundings> {
  const asking = Promise.all([
    findEndpoint(engine, name, signal),
    resolveModels(engine, models, cwd),
    clusterFacts(engine, signal),
    readHandOver(engine, { endpoint: name }),
  ]);
  // Once the questions are on their way.
  setImmediate(() => preloadBuild(engine));
  const [current, resolved, cluster, handOver] = await asking;
  return { current, resolved, cluster, handOver };
}

interface Prepared {
  readonly plan: DeploymentPlan;
  readonly current: Endpoint | undefined;
  readonly begun: Begun | undefined;
  readonly resolved: ResolvedModels;
  readonly deployment: DeploymentSpec;
  /** What the build need not find out again. */
  readonly found: ArchitectureJudgement['found'];
}

/** All checks, and what would be done. Problems of severity `error` would stop the deployment. */
export async function planDeployment(
  engine: Engine,
  request: DeployRequest,
  signal?: AbortSignal,
): Promise<DeploymentPlan> {
  return (await prepare(engine, request, signal)).plan;
}

/**
 * From a configuration to a Healthy endpoint. Until the last step nothing that serves has changed; after it, the compute target finishes
 * the job by itself.
 * @throws AksmlError `deployment.invalid` with every problem | `deployment.failed` | what the parts throw
 */
export async function deploy(engine: Engine, request: DeployRequest, options: RunOptions = {}): Promise<Endpoint> {
  const judging = judge(engine, request, options);
  const ahead = beginAhead(engine, request, judging, options);
  const { plan, current, begun, resolved, deployment, found } = await judging;

  const paths = pathsToRegister(resolved, begun !== undefined);
  const models = [...resolved.registered, ...(await registerPaths(engine, paths, request.cwd, options))];
  const before = current?.spec.versions.find(({ name }) => name === plan.versionName);
  const built = await buildVersion(
    engine,
    {
      endpoint: plan.name,
      version: plan.versionName,
      source: newSource(request.configuration, deployment, models),
      models,
      settings: plan.settings,
      secretsMayBeStored: before !== undefined,
      ...(before === undefined ? {} : { formerImage: before.image }),
      ...found,
      ...(deployment.environmentVariables === undefined
        ? {}
        : { environmentVariables: deployment.environmentVariables }),
      build: request.build,
      ...(begun === undefined ? {} : { begun }),
      ...(ahead === undefined ? {} : { ahead }),
    },
    options,
  );
  const replaced = begun === undefined ? current : undefined;
  const wanted = composeEndpoint(engine, request, { plan, current: replaced, deployment, models }, built);
  const secrets = { ...secretVariables(plan.versionName, built), ...givenKeys(deployment) };
  const change = { versionName: plan.versionName, secrets, wait: request.wait, built };
  if (request.overwrite) return applyAndWait(engine, wanted, change, options);
  return applyNew(engine, { endpoint: plan.name }, wanted, { ...change, begun }, options);
}

/** @throws AksmlError `deployment.invalid` */
async function judge(engine: Engine, request: DeployRequest, options: RunOptions): Promise<Prepared> {
  const prepared = await prepare(engine, request, options.signal);
  refuseErrors('deployment.invalid', prepared.plan.problems, request.name, options);
  return prepared;
}

/** Where the cluster is asked what it is like, the own code is at hand. */
function beginAhead(
  engine: Engine,
  { name, configuration: { valid, inference, deployment }, build }: DeployRequest,
  judging: Promise<unknown>,
  options: RunOptions,
): BuildAhead | undefined {
  if (engine.target.kind === 'local' || !valid || inference === undefined || deployment?.container) return undefined;
  const version = deployment === undefined ? name : versionNameOf(name, deployment);
  const liftLimits = build.liftSnapshotLimits ?? false;
  return readAhead(engine, { endpoint: name, version, inference, liftLimits }, judging, options);
}

const ARCHITECTURE_LABEL = 'kubernetes.io/arch';

/** What a build has made, for a version that runs it: on nodes that can, of those that `before` names. */
export function builtParts(
  engine: Engine,
  { image, imageRepository, architecture, environment, revision, revisionDigest }: BuiltVersion,
  models: readonly Model[],
  before?: Pick<VersionSpec, 'nodeSelector'>,
) {
  return {
    ...(architecture === undefined
      ? {}
      : { nodeSelector: { ...before?.nodeSelector, [ARCHITECTURE_LABEL]: architecture } }),
    revision: revisionDigest,
    revisionNumber: revision.number,
    image,
    ...(imageRepository === undefined ? {} : { imageRepository }),
    ...(revision.container === undefined ? {} : { container: revision.container }),
    models: models.map(({ id }) => id),
    environment,
    updatedTime: engine.clock().toISOString(),
  } satisfies Partial<VersionSpec>;
}

/** What no configuration file says, and somebody may have written into the endpoint itself. */
function placeOf(before: VersionSpec | undefined): Pick<VersionSpec, 'tolerations' | 'secretVariables'> {
  const { tolerations, secretVariables } = before ?? {};
  return {
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(secretVariables === undefined ? {} : { secretVariables }),
  };
}

/** A version without what the builds before have made of it, where the next one may not make it. */
export function withoutBuild({
  container: _,
  imageRepository: _former,
  rollout: _policy,
  ...version
}: VersionSpec): Omit<VersionSpec, 'container' | 'imageRepository' | 'rollout'> {
  return version;
}

export function secretVariables(
  versionName: string,
  built: BuiltVersion,
): Pick<EndpointSecrets, 'environmentVariables'> {
  return Object.keys(built.secretVariables).length === 0
    ? {}
    : { environmentVariables: { [versionName]: built.secretVariables } };
}

async function prepare(engine: Engine, request: DeployRequest, signal: AbortSignal | undefined): Promise<Prepared> {
  const { configuration, name } = request;
  const deployment: DeploymentSpec = configuration.deployment ?? { computeType: 'aks' };
  const { current, resolved, cluster, handOver } = await (request.surroundings ?? lookAround(engine, request, signal));
  const models = resolved.registered;
  const [onlyModel] = models;
  const configured = effectiveSettings(
    deployment,
    models.length + resolved.paths.length === 1 ? onlyModel?.resourceRequirements : undefined,
  );
  const settings = request.build.debugPort === undefined ? configured : patientSettings(configured);
  const form = deployment.computeType === 'aksendpoint' ? 'endpoint' : 'service';
  const versionName = versionNameOf(name, deployment);
  const begun = request.overwrite ? undefined : begunBy(handOver, current, takenBy);
  const fit = await judgeArchitecture(engine, { configuration, deployment, resolved }, cluster, signal);
  const wanted = { debug: request.build.debugPort, service: deployment.port };
  const closed = engine.target.kind === 'local' ? await closedPorts(wanted, current) : undefined;
  const problems = [
    ...configuration.problems,
    ...resolved.problems,
    ...preflight({
      name,
      versionName,
      targetKind: engine.target.kind,
      current,
      overwrite: request.overwrite || begun !== undefined,
      ...modelFacts(resolved),
      configuration,
      deployment,
      settings,
      debugPort: request.build.debugPort,
      ...(closed === undefined ? {} : { closedPorts: closed }),
      machine: await machineFacts(engine.home),
      cluster,
    }),
    ...fit.problems,
  ];
  const plan: DeploymentPlan = {
    action: current === begun?.endpoint ? 'create' : 'replace',
    name,
    target: engine.target.name,
    form,
    versionName,
    ...planned(configuration, deployment, resolved),
    settings,
    problems,
  };
  return { plan, current, begun, resolved, deployment, found: fit.found };
}

function takenBy(endpoint: Endpoint): AksmlError {
  return refusal('deployment.invalid', [nameIsTaken(endpoint)], endpoint.metadata.name);
}

function versionNameOf(endpoint: string, { computeType, versionName }: DeploymentSpec): string {
  return (computeType === 'aksendpoint' ? versionName : undefined) ?? endpoint;
}

/** What a replica would run, in words. */
export function planned(
  configuration: Configuration,
  deployment: DeploymentSpec,
  resolved: ResolvedModels,
): Pick<DeploymentPlan, 'models' | 'code' | 'environment'> {
  return {
    models: [...resolved.registered.map(({ id }) => id), ...resolved.paths.map(({ path }) => path)],
    code: describeCode(configuration, deployment, resolved),
    environment: describeEnvironment(configuration, deployment),
  };
}

export function newSource(
  configuration: Configuration,
  deployment: DeploymentSpec,
  models: readonly Model[],
): CodeSource {
  const [model] = models;
  const { container, containerEnvironment: environment } = deployment;
  if (container) {
    return {
      kind: 'container',
      container,
      ...(configuration.inference === undefined ? {} : { code: configuration.inference }),
      ...(environment === undefined ? {} : { environment }),
    };
  }
  if (configuration.inference) return { kind: 'inference', inference: configuration.inference };
  if (model) return { kind: 'noCode', model };
  throw new AksmlError('inferenceConfig.missing', 'A version needs a model or an inference configuration.', {
    fault: 'input',
  });
}

function describeCode(
  { inference }: Configuration,
  { container }: DeploymentSpec,
  { registered, paths }: ResolvedModels,
): string {
  if (container) return container.command?.join(' ') ?? container.image ?? 'custom container';
  if (inference) {
    const { sourceDirectory, entryScript } = inference;
    return sourceDirectory === undefined ? entryScript : `${entryScript} in ${sourceDirectory}`;
  }
  const [model] = [...registered, ...paths.map((path) => ({ ...path, framework: 'Custom' }))];
  return model ? `none: aksml's own scoring script for ${model.isMlflow ? 'MLflow' : model.framework}` : 'none';
}

function describeEnvironment(
  { inference }: Configuration,
  { container, containerEnvironment }: DeploymentSpec,
): string {
  const environment = container ? containerEnvironment : inference?.environment;
  if (environment === undefined) return container ? 'what this machine has' : "aksml's own";
  if (environment.kind === 'registered') return `${environment.name}:${environment.version ?? 'latest'}`;
  return environment.definition.name ?? 'inline';
}

function composeEndpoint(
  engine: Engine,
  request: DeployRequest,
  {
    plan,
    current,
    deployment,
    models,
  }: Pick<Prepared, 'plan' | 'current' | 'deployment'> & { readonly models: readonly Model[] },
  built: BuiltVersion,
): Endpoint {
  const before = current?.spec.versions.find((version) => version.name === plan.versionName);
  const version: VersionSpec = {
    name: plan.versionName,
    isDefault: true,
    tags: request.tags ?? before?.tags ?? {},
    properties: { ...before?.properties, ...built.revision.git, ...request.properties },
    ...placeOf(before),
    ...builtParts(engine, built, models, before),
    ...versionSettings(plan.settings),
    createdTime: before?.createdTime ?? engine.clock().toISOString(),
    ...(deployment.trafficPercentile === undefined ? {} : { trafficPercentile: deployment.trafficPercentile }),
    ...(request.description === undefined ? {} : { description: request.description }),
  };
  const description = request.description ?? current?.spec.description;
  const mirror = mergeMirror(undefined, version.name, deployment);
  return {
    apiVersion: ENDPOINT_API_VERSION,
    kind: 'Endpoint',
    metadata: {
      name: plan.name,
      ...(deployment.namespace === undefined ? {} : { namespace: deployment.namespace }),
      ...(current?.metadata.resourceVersion === undefined ? {} : { resourceVersion: current.metadata.resourceVersion }),
    },
    spec: {
      form: plan.form,
      computeType: deployment.computeType === 'local' ? 'local' : 'aks',
      tags: request.tags ?? current?.spec.tags ?? {},
      properties: { ...current?.spec.properties, ...built.revision.git, ...request.properties },
      auth: plan.settings.auth,
      appInsightsEnabled: plan.settings.appInsightsEnabled,
      corsAllowedOrigins: built.corsAllowedOrigins ?? [],
      versions: [version],
      ...(deployment.port === undefined ? {} : { port: deployment.port }),
      ...(description === undefined ? {} : { description }),
      ...plan.settings.frontEnd,
      ...(mirror === undefined ? {} : { mirror }),
    },
  };
}

/** v1 ignored a secondary key without a primary one. */
function givenKeys(deployment: DeploymentSpec): Pick<EndpointSecrets, 'keys'> {
  if (!deployment.primaryKey) return {};
  return {
    keys: {
      primaryKey: deployment.primaryKey,
      ...(deployment.secondaryKey ? { secondaryKey: deployment.secondaryKey } : {}),
    },
  };
}

export async function findEndpoint(engine: Engine, name: string, signal?: AbortSignal): Promise<Endpoint | undefined> {
  try {
    return await engine.target.getEndpoint(name, signal);
  } catch (error) {
    // A damaged record is replaced.
    if (AksmlError.is(error, 'service.notFound') || AksmlError.is(error, 'service.damaged')) return undefined;
    throw error;
  }
}
