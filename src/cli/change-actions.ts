import * as engineUpdate from '../engine/endpoints/update.ts';
import type { VersionChange } from '../engine/endpoints/versions.ts';
import type { Engine } from '../engine/engine.ts';
import type { CommandContext, ServiceReference } from './context.ts';
import { defined } from './defined.ts';
import {
  type BuildingOptions,
  buildOptionsOf,
  changing,
  configurationOf,
  type DeploymentOptions,
  type ModelOptions,
  modelReferences,
} from './deploying.ts';
import type { Result } from './result.ts';
import { endpointResult } from './service-view.ts';
import { describedByV2, type V2Description } from './v2-deployment.ts';

interface LabelOptions {
  readonly description?: string | undefined;
  readonly addTag?: Readonly<Record<string, string>> | undefined;
  readonly removeTag?: readonly string[] | undefined;
  readonly addProperty?: Readonly<Record<string, string>> | undefined;
}

export type UpdateOptions = DeploymentOptions &
  ModelOptions &
  BuildingOptions &
  LabelOptions &
  ServiceReference & { readonly noWait?: boolean | undefined };

export type VersionOptions = UpdateOptions & {
  readonly versionName: string;
  readonly isDefault?: boolean | undefined;
  readonly isControlVersionType?: boolean | undefined;
};

type NewVersionOptions = VersionOptions & {
  readonly v2Deployment: string | undefined;
  readonly v2Endpoint: string | undefined;
};

export async function updateService(context: CommandContext, options: UpdateOptions): Promise<Result> {
  const engine = await context.engineOf(options);
  const endpoint = await changing(context, options.name, async (run) =>
    engineUpdate.updateVersion(engine, await versionChange(context, engine, options, false), run),
  );
  return endpointResult(engine, endpoint);
}

export async function updateVersion(context: CommandContext, options: VersionOptions): Promise<Result> {
  const engine = await context.engineOf(options);
  const change = { ...(await versionChange(context, engine, options, true)), ...versionRole(options) };
  return endpointResult(
    engine,
    await changing(context, options.name, (run) => engineUpdate.updateVersion(engine, change, run)),
  );
}

export async function createVersion(context: CommandContext, options: NewVersionOptions): Promise<Result> {
  const { v2Deployment: file } = options;
  const v2 = file === undefined ? undefined : await describedByV2(context, options, file, BESIDE_V2);
  const engine = await context.engineOf(options);
  const change = { ...(await versionChange(context, engine, options, true, v2)), ...versionRole(options) };
  return endpointResult(
    engine,
    await changing(context, options.name, (run) => engineUpdate.createVersion(engine, change, run)),
  );
}

/** What the command says of the version's place in the endpoint. */
const BESIDE_V2 = ['computeTarget', 'versionName', 'trafficPercentile'];

export async function deleteVersion(
  context: CommandContext,
  options: ServiceReference & { readonly versionName: string; readonly yes: boolean | undefined },
): Promise<Result> {
  await context.confirm(`Remove the version ${options.versionName} from ${options.name}?`, options.yes);
  const engine = await context.engineOf(options);
  return endpointResult(engine, await engineUpdate.deleteVersion(engine, options, context.run));
}

export async function updateEndpoint(
  context: CommandContext,
  options: LabelOptions &
    ServiceReference & {
      readonly authEnabled?: boolean | undefined;
      readonly tokenAuthEnabled?: boolean | undefined;
      readonly enableAppInsights?: boolean | undefined;
      readonly stickiness?: string | undefined;
      readonly requestsPerSecond?: number | undefined;
      readonly allowedAddresses?: string | undefined;
    },
): Promise<Result> {
  const engine = await context.engineOf(options);
  const { name, authEnabled, tokenAuthEnabled, enableAppInsights } = options;
  const { stickiness, requestsPerSecond, allowedAddresses } = options;
  const change = {
    name,
    authEnabled,
    tokenAuthEnabled,
    appInsightsEnabled: enableAppInsights,
    configuration: await configurationOf(context, { stickiness, requestsPerSecond, allowedAddresses }),
    ...labelChange(options),
  };
  return endpointResult(engine, await engineUpdate.updateEndpoint(engine, change, context.run));
}

async function versionChange(
  context: CommandContext,
  engine: Engine,
  options: UpdateOptions,
  isVersion: boolean,
  v2?: V2Description,
): Promise<VersionChange> {
  const { computeTarget: _, ...settings } = options;
  const given = await modelReferences(context, engine, options);
  const models = v2 === undefined ? given : [...(given ?? []), ...v2.models];
  return {
    name: options.name,
    configuration: v2?.configuration ?? (await configurationOf(context, settings, isVersion)),
    ...(models === undefined ? {} : { models }),
    ...defined({ description: v2?.description }),
    ...labelChange({ ...options, addTag: v2 === undefined ? options.addTag : { ...v2.tags, ...options.addTag } }),
    wait: options.noWait !== true,
    build: buildOptionsOf(context, options),
    cwd: context.host.cwd,
  };
}

function versionRole(options: VersionOptions): Pick<VersionChange, 'isDefault' | 'isControl' | 'trafficPercentile'> & {
  readonly versionName: string;
} {
  return {
    versionName: options.versionName,
    ...(options.isDefault === undefined ? {} : { isDefault: options.isDefault }),
    ...(options.isControlVersionType === undefined ? {} : { isControl: options.isControlVersionType }),
    ...(options.trafficPercentile === undefined ? {} : { trafficPercentile: options.trafficPercentile }),
  };
}

function labelChange(
  options: LabelOptions,
): Pick<VersionChange, 'description' | 'addTags' | 'removeTags' | 'addProperties'> {
  return {
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.addTag === undefined ? {} : { addTags: options.addTag }),
    ...(options.removeTag === undefined ? {} : { removeTags: options.removeTag }),
    ...(options.addProperty === undefined ? {} : { addProperties: options.addProperty }),
  };
}
