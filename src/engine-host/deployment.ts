import { isAbsolute } from 'node:path';
import type { Endpoint } from '../contract/endpoint.ts';
import { type MethodName, type ParamsOf, PYTHON_VARIABLE } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { OnProgress } from '../contract/event.ts';
import type { BuildOptions } from '../engine/endpoints/build.ts';
import { type DeployRequest, deploy, lookAround, planDeployment } from '../engine/endpoints/deploy.ts';
import type { ModelReference } from '../engine/endpoints/models.ts';
import type { VersionChange } from '../engine/endpoints/versions.ts';
import type { Engine } from '../engine/engine.ts';
import { proposeDeployment } from '../engine/proposals/proposals.ts';
import { readConfiguration } from './configuration.ts';
import type { EngineHost } from './engine-host.ts';
import type { Call, HandlersOf } from './handler.ts';

export const DEPLOYMENT: HandlersOf<'deployment'> = {
  'deployment.propose': async (params, { host, signal }) =>
    proposeDeployment(await host.engine(params), { model: params.model, project: params.folder }, signal),
  'deployment.plan': async (params, { host, signal }) => {
    const engine = await host.engine(params);
    return planDeployment(engine, await deployRequest(host, engine, params, { signal }), signal);
  },
  'deployment.deploy': async (params, call) => {
    const { host, resumed } = call;
    const engine = await host.engine(params);
    const request = await deployRequest(host, engine, params, call);
    // The lost process had found the name free; what has it now is what that process made.
    const wanted = resumed ? { ...request, overwrite: true } : request;
    return changing(params.name, call, (run) => deploy(engine, wanted, run));
  },
};

/** Looks around while the configuration is read, and Python checks the script; what goes wrong is told after the configuration's problems. */
async function deployRequest(
  host: EngineHost,
  engine: Engine,
  params: ParamsOf<'deployment.plan'> & { readonly wait?: boolean | undefined },
  { signal, repeated }: { readonly signal: AbortSignal; readonly repeated?: boolean },
): Promise<DeployRequest> {
  const { name, description, tags, properties, overwrite, wait, folder } = params;
  const models = params.models.map((model) => referenceTo(model, repeated === true));
  const surroundings = lookAround(engine, { name, models, cwd: folder }, signal);
  surroundings.catch(() => {});
  return {
    name,
    models,
    surroundings,
    configuration: await readConfiguration(host, params),
    overwrite: overwrite === true,
    wait: wait !== false,
    build: buildOptions({ ...params, python: params.python ?? host.options.environment[PYTHON_VARIABLE] }),
    cwd: folder,
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags }),
    ...(properties === undefined ? {} : { properties }),
  };
}

/** A process that ended may have registered the files already. */
function referenceTo(model: ParamsOf<'deployment.plan'>['models'][number], repeated: boolean): ModelReference {
  if (typeof model === 'string' && !isAbsolute(model)) return model;
  const { path, name } = typeof model === 'string' ? { path: model, name: undefined } : model;
  return { path, ...(name === undefined ? {} : { name }), ...(repeated ? { reuse: true } : {}) };
}

interface Building {
  readonly python?: string | undefined;
  readonly refreshEnvironment?: boolean | undefined;
  readonly liftSnapshotLimits?: boolean | undefined;
  readonly debugPort?: number | undefined;
}

export function buildOptions({ python, refreshEnvironment, liftSnapshotLimits, debugPort }: Building): BuildOptions {
  return {
    ...(python === undefined ? {} : { python }),
    ...(refreshEnvironment ? { refreshEnvironment } : {}),
    ...(liftSnapshotLimits ? { liftSnapshotLimits } : {}),
    ...(debugPort === undefined ? {} : { debugPort }),
  };
}

type ChangeParams = Omit<ParamsOf<'version.create'>, 'versionName'> & { readonly versionName?: string | undefined };

/** `isVersion`: of an endpoint, whatever the compute type in the file says. */
export async function versionChange(
  host: EngineHost,
  params: ChangeParams,
  { repeated = false, isVersion = false }: { readonly repeated?: boolean; readonly isVersion?: boolean },
): Promise<VersionChange> {
  const { name, versionName, models, description, addTags, removeTags, addProperties, wait, folder } = params;
  const { isDefault, isControl, trafficPercentile } = params;
  return {
    name,
    configuration: await readConfiguration(host, params, isVersion),
    wait: wait !== false,
    build: buildOptions(params),
    cwd: folder,
    ...(versionName === undefined ? {} : { versionName }),
    ...(models === undefined ? {} : { models: models.map((model) => referenceTo(model, repeated)) }),
    ...(description === undefined ? {} : { description }),
    ...(addTags === undefined ? {} : { addTags }),
    ...(removeTags === undefined ? {} : { removeTags }),
    ...(addProperties === undefined ? {} : { addProperties }),
    ...(isDefault === undefined ? {} : { isDefault }),
    ...(isControl === undefined ? {} : { isControl }),
    ...(trafficPercentile === undefined ? {} : { trafficPercentile }),
  };
}

type Run = { readonly onProgress: OnProgress; readonly signal: AbortSignal };

/** Runs a change of an endpoint; when it is cancelled, says what became of it. */
export async function changing<M extends MethodName>(
  name: string,
  { signal, emit }: Call<M>,
  work: (run: Run) => Promise<Endpoint>,
): Promise<Endpoint> {
  let handedOver = false;
  const tell = emit as (event: Parameters<OnProgress>[0]) => Promise<void>;
  const onProgress: OnProgress = (event) => {
    if (event.type === 'done' && event.stage === 'apply') handedOver = true;
    void tell(event);
  };
  try {
    return await work({ onProgress, signal });
  } catch (error) {
    if (!AksmlError.isCancelled(error)) throw error;
    throw new AksmlError('cancelled', `The change of ${name} was cancelled.`, {
      fault: 'cancelled',
      subject: name,
      remedy: handedOver
        ? 'It had been handed over already and goes on; the tree shows how it ends.'
        : 'Nothing that serves has changed.',
    });
  }
}
