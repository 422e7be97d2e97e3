import type { DeploymentPlan, DeploymentSpec } from '../../contract/deployment.ts';
import type { Endpoint, EndpointSpec, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import {
  type Configuration,
  effectiveSettings,
  mergeFrontEnd,
  mergeMirror,
  mergeSettings,
  validateUpdate,
  withFrontEnd,
} from '../config/configuration.ts';
import type { Engine } from '../engine.ts';
import { getModel } from '../models/models.ts';
import { getRevision } from '../revisions/revisions.ts';
import { applyAndWait, applyNew } from './apply.ts';
import { type ArchitectureFacts, judgeArchitecture } from './architecture.ts';
import { type BuiltVersion, buildVersion } from './build.ts';
import { clusterFacts } from './cluster-facts.ts';
import { builtParts, newSource, planned, secretVariables, withoutBuild } from './deploy.ts';
import { begunBy, readHandOver } from './handed-over.ts';
import { pathsToRegister, type ResolvedModels, registerPaths, resolveModels } from './models.ts';
import { frontEndHasNoEffect, machineFacts, modelFacts, preflight } from './preflight.ts';
import type { CodeSource } from './recipe.ts';
import { settingsOf, versionSettings } from './settings.ts';
import { type RunOptions, refusal, refuseErrors } from './stages.ts';
import {
  changesSomething,
  createProblems,
  defaultProblems,
  emptinessProblems,
  isOfAllVersions,
  otherDefault,
  pickVersion,
  propertyProblems,
  serviceLabels,
  tagProblems,
  trafficProblems,
  type VersionChange,
  versionIsThere,
  withTags,
  withVersion,
} from './versions.ts';

type NewVersion = VersionChange & { readonly versionName: string };

/** @throws AksmlError `update.invalid` | `version.notFound` | what {@link buildVersion} and {@link applyAndWait} throw */
export async function updateVersion(
  engine: Engine,
  change: VersionChange,
  options: RunOptions = {},
): Promise<Endpoint> {
  const { configuration, name } = change;
  const [current, cluster, given] = await Promise.all([
    engine.target.getEndpoint(name, options.signal),
    clusterFacts(engine, options.signal),
    changedModels(engine, change),
  ]);
  if (isOfAllVersions(current, change)) return updateEndpoint(engine, sharedPart(change), options);
  const version = pickVersion(current, change.versionName, 'aksml endpoint realtime update-version');
  const deployment: DeploymentSpec = configuration.deployment ?? { computeType: 'aks' };
  const settings = settingsOf(current.spec, version);
  const code = await changedCode(engine, name, version, configuration);
  const fit = await judgeArchitecture(engine, changedParts(configuration, code, given), cluster, options.signal);
  const problems = [
    ...configuration.problems,
    ...validateUpdate(deployment, { settings }),
    ...effectProblems(engine, deployment),
    ...tagProblems(current, version, change),
    ...trafficProblems(current.spec, version, change),
    ...defaultProblems(name, version, change),
    ...(given?.problems ?? []),
    ...fit.problems,
    ...emptinessProblems(changesSomething(change), configuration.problems),
  ];
  refuseErrors('update.invalid', problems, name, options);

  const models =
    given === undefined
      ? await currentModels(engine, version)
      : [...given.registered, ...(await registerPaths(engine, given.paths, change.cwd, options))];
  const merged = mergeSettings(settings, deployment);
  const built = await buildVersion(
    engine,
    {
      endpoint: name,
      version: version.name,
      source: withModels(code, models),
      models,
      settings: merged,
      secretsMayBeStored: true,
      formerImage: version.image,
      ...fit.found,
      build: change.build,
      ...(deployment.environmentVariables === undefined
        ? {}
        : { environmentVariables: deployment.environmentVariables }),
    },
    options,
  );
  const changed = withBuild(engine, version, change, built, models, versionSettings(merged));
  const mirror = mergeMirror(current.spec.mirror, version.name, deployment);
  const wanted: Endpoint = {
    ...current,
    spec: {
      ...withFrontEnd(current.spec, merged.frontEnd, mirror),
      versions: withVersion(current.spec.versions, changed, change),
      corsAllowedOrigins: built.corsAllowedOrigins ?? current.spec.corsAllowedOrigins,
      auth: merged.auth,
      appInsightsEnabled: merged.appInsightsEnabled,
      ...(current.spec.form === 'service' ? serviceLabels(current.spec, change) : {}),
    },
  };
  return applyAndWait(
    engine,
    wanted,
    { versionName: version.name, secrets: secretVariables(version.name, built), wait: change.wait, built },
    options,
  );
}

/** What {@link createVersion} would do. */
export async function planVersion(engine: Engine, change: NewVersion, signal?: AbortSignal): Promise<DeploymentPlan> {
  return (await prepareVersion(engine, change, signal)).plan;
}

async function prepareVersion(engine: Engine, change: NewVersion, signal: AbortSignal | undefined) {
  const { name, versionName, configuration } = change;
  const [present, resolved, cluster, handOver] = await Promise.all([
    engine.target.getEndpoint(name, signal),
    resolveModels(engine, change.models ?? [], change.cwd),
    clusterFacts(engine, signal),
    readHandOver(engine, { endpoint: name, version: versionName }),
  ]);
  const begun = begunBy(handOver, present, () => refusal('update.invalid', [versionIsThere(name, versionName)], name));
  const current = begun === undefined ? present : withoutVersion(present, versionName);
  const deployment: DeploymentSpec = configuration.deployment ?? { computeType: 'aksendpoint' };
  const models = resolved.registered;
  const settings = effectiveSettings(deployment, models.length === 1 ? models[0]?.resourceRequirements : undefined);
  const fit = await judgeArchitecture(engine, { configuration, deployment, resolved }, cluster, signal);
  const problems = [
    ...configuration.problems,
    ...createProblems(current, change),
    ...trafficProblems(current.spec, { name: versionName, isDefault: false }, change),
    ...resolved.problems,
    ...preflight({
      name,
      versionName,
      targetKind: engine.target.kind,
      current: undefined,
      overwrite: false,
      ...modelFacts(resolved),
      configuration,
      deployment,
      settings,
      machine: await machineFacts(engine.home),
      cluster,
    }),
    ...fit.problems,
  ];
  const plan: DeploymentPlan = {
    action: 'add',
    name,
    target: engine.target.name,
    form: current.spec.form,
    versionName,
    ...planned(configuration, deployment, resolved),
    // Callers are let in by the endpoint, not by its versions.
    settings: { ...settings, auth: current.spec.auth },
    problems,
  };
  return { plan, current, begun, deployment, resolved, found: fit.found };
}

/** As it was before a command that was cut off has made the version. */
function withoutVersion(endpoint: Endpoint, versionName: string): Endpoint {
  const { spec } = endpoint;
  return { ...endpoint, spec: { ...spec, versions: spec.versions.filter(({ name }) => name !== versionName) } };
}

/** @throws AksmlError `version.exists` | `endpoint.full` | as {@link updateVersion} */
export async function createVersion(engine: Engine, change: NewVersion, options: RunOptions = {}): Promise<Endpoint> {
  const { plan, current, begun, deployment, resolved, found } = await prepareVersion(engine, change, options.signal);
  const { settings } = plan;
  refuseErrors('update.invalid', plan.problems, change.name, options);
  const paths = pathsToRegister(resolved, begun !== undefined);
  const models = [...resolved.registered, ...(await registerPaths(engine, paths, change.cwd, options))];
  const built = await buildVersion(
    engine,
    {
      endpoint: change.name,
      version: change.versionName,
      source: newSource(change.configuration, deployment, models),
      models,
      settings,
      secretsMayBeStored: begun !== undefined,
      ...(begun === undefined ? {} : { begun }),
      ...found,
      build: change.build,
      ...(deployment.environmentVariables === undefined
        ? {}
        : { environmentVariables: deployment.environmentVariables }),
    },
    options,
  );
  const blank: VersionSpec = {
    name: change.versionName,
    isDefault: false,
    tags: {},
    properties: {},
    createdTime: engine.clock().toISOString(),
    ...versionSettings(settings),
    ...builtParts(engine, built, models),
  };
  const version = withBuild(engine, blank, change, built, models, versionSettings(settings));
  const mirror = mergeMirror(current.spec.mirror, version.name, deployment);
  const wanted: Endpoint = {
    ...current,
    spec: {
      ...current.spec,
      ...(mirror === undefined ? {} : { mirror }),
      versions: withVersion(current.spec.versions, version, change),
    },
  };
  const { name: endpoint, versionName, wait } = change;
  const secrets = secretVariables(versionName, built);
  const making = { endpoint, version: versionName };
  return applyNew(engine, making, wanted, { versionName, secrets, wait, built, begun }, options);
}

/** @throws AksmlError `version.notFound` | `version.isDefault` */
export async function deleteVersion(
  engine: Engine,
  request: { readonly name: string; readonly versionName: string },
  options: RunOptions = {},
): Promise<Endpoint> {
  const current = await engine.target.getEndpoint(request.name, options.signal);
  const version = pickVersion(current, request.versionName);
  if (version.isDefault) {
    const only = current.spec.versions.length === 1;
    throw new AksmlError(
      'version.isDefault',
      `${version.name} is the default version of ${request.name}, which takes all unassigned traffic.`,
      {
        fault: 'input',
        subject: version.name,
        remedy: only
          ? `Delete the endpoint: aksml endpoint realtime delete -n ${request.name}`
          : otherDefault(request.name),
      },
    );
  }
  const versions = current.spec.versions.filter(({ name }) => name !== version.name);
  const mirror = mergeMirror(current.spec.mirror, version.name, { computeType: 'aksendpoint', mirrorPercentile: 0 });
  const spec = { ...withFrontEnd(current.spec, mergeFrontEnd(current.spec, { computeType: 'aks' }), mirror), versions };
  return applyAndWait(engine, { ...current, spec }, { wait: false }, options);
}

type EndpointChange = Pick<VersionChange, 'name' | 'description' | 'addTags' | 'removeTags' | 'addProperties'> & {
  readonly authEnabled?: boolean;
  readonly tokenAuthEnabled?: boolean;
  readonly appInsightsEnabled?: boolean;
  /** What it says of the front end changes. */
  readonly configuration?: Pick<Configuration, 'problems' | 'deployment'>;
};

/** `endpoint realtime update` and the endpoint's part of `service update`. */
export async function updateEndpoint(
  engine: Engine,
  change: EndpointChange,
  options: RunOptions = {},
): Promise<Endpoint> {
  const current = await engine.target.getEndpoint(change.name, options.signal);
  const [version] = current.spec.versions;
  const deployment: DeploymentSpec = {
    computeType: 'aksendpoint',
    ...(change.authEnabled === undefined ? {} : { authEnabled: change.authEnabled }),
    ...(change.tokenAuthEnabled === undefined ? {} : { tokenAuthEnabled: change.tokenAuthEnabled }),
    ...(change.appInsightsEnabled === undefined ? {} : { appInsightsEnabled: change.appInsightsEnabled }),
    ...frontEndOf(change.configuration?.deployment),
  };
  const settings = version && settingsOf(current.spec, version);
  const problems = [
    ...(change.configuration?.problems ?? []),
    ...(settings === undefined ? [] : validateUpdate(deployment, { settings })),
    ...effectProblems(engine, deployment),
    ...propertyProblems(current.spec.properties, change.addProperties),
    ...emptinessProblems(changesWhatIsShared(change), change.configuration?.problems),
  ];
  refuseErrors('update.invalid', problems, change.name, options);
  const merged = settings && mergeSettings(settings, deployment);
  const spec: EndpointSpec = {
    ...withFrontEnd(current.spec, mergeFrontEnd(current.spec, deployment), current.spec.mirror),
    ...serviceLabels(current.spec, change),
    ...(merged === undefined ? {} : { auth: merged.auth, appInsightsEnabled: merged.appInsightsEnabled }),
  };
  return applyAndWait(engine, { ...current, spec }, { wait: false }, options);
}

function sharedPart(change: VersionChange): EndpointChange {
  const { name, description, addTags, removeTags, addProperties, configuration } = change;
  const { authEnabled, tokenAuthEnabled, appInsightsEnabled } = configuration.deployment ?? {};
  const labels = { description, addTags, removeTags, addProperties };
  return { name, ...labels, authEnabled, tokenAuthEnabled, appInsightsEnabled, configuration };
}

function changesWhatIsShared({ name, configuration, ...given }: EndpointChange): boolean {
  const settings = [...Object.values(given), ...Object.values(frontEndOf(configuration?.deployment))];
  return settings.some((value) => value !== undefined);
}

function frontEndOf({ stickiness, requestsPerSecond, allowedAddresses }: Partial<DeploymentSpec> = {}) {
  return {
    ...(stickiness === undefined ? {} : { stickiness }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses }),
  };
}

/** Undefined where the version keeps its models. */
async function changedModels(engine: Engine, change: VersionChange): Promise<ResolvedModels | undefined> {
  if (change.models === undefined || (change.models.length === 0 && change.versionName === undefined)) return undefined;
  return resolveModels(engine, change.models, change.cwd);
}

function currentModels(engine: Engine, version: VersionSpec): Promise<Model[]> {
  return Promise.all(version.models.map((id) => getModel(engine, id)));
}

/** New code where an inference configuration is given, the present one otherwise: unlike v1, a new model alone keeps the code. */
async function changedCode(
  engine: Engine,
  endpoint: string,
  version: VersionSpec,
  { inference }: Configuration,
): Promise<CodeSource> {
  if (inference) return { kind: 'inference', inference };
  const { revision } = await getRevision(engine, endpoint, version.name, version.revision);
  return { kind: 'revision', revision };
}

/** A revision without code of its own is served as its model now is. */
function withModels(code: CodeSource, [model]: readonly Model[]): CodeSource {
  return code.kind === 'revision' && code.revision.noCode !== undefined && model ? { kind: 'noCode', model } : code;
}

/** What is to run somewhere anew: an update that brings neither code nor models is not refused for the nodes of today. */
function changedParts(
  configuration: Configuration,
  code: CodeSource,
  given: ResolvedModels | undefined,
): ArchitectureFacts {
  return {
    configuration,
    deployment: {},
    resolved: given ?? { registered: [], paths: [] },
    ...(given !== undefined && code.kind === 'revision' ? { kept: code.revision } : {}),
  };
}

function withBuild(
  engine: Engine,
  version: VersionSpec,
  change: VersionChange,
  built: BuiltVersion,
  models: readonly Model[],
  settings: ReturnType<typeof versionSettings>,
): VersionSpec {
  return {
    ...withoutBuild(version),
    ...settings,
    ...builtParts(engine, built, models, version),
    ...(change.description === undefined ? {} : { description: change.description }),
    ...(change.trafficPercentile === undefined ? {} : { trafficPercentile: change.trafficPercentile }),
    tags: withTags(version.tags, change),
    properties: { ...version.properties, ...change.addProperties },
  };
}

function effectProblems({ target }: Engine, deployment: DeploymentSpec): readonly Problem[] {
  const problem = frontEndHasNoEffect({ targetKind: target.kind, settings: effectiveSettings(deployment), deployment });
  return problem === undefined ? [] : [problem];
}
