import { platform } from 'node:os';
import { AksmlError } from '../../contract/error.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import { runCommand } from '../environments/command.ts';
import { withoutCredentials } from '../environments/credentials.ts';
import { type Preparation, pythonSearch } from '../environments/environment.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { findPython } from '../environments/python.ts';
import { openUv } from '../environments/uv-session.ts';
import type { Registry } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { ENVIRONMENT_LAYERS, environmentLayer, type LayerTarget, type LayerWorkshop } from './environment-layer.ts';
import { prepareBase } from './image-base.ts';
import type { PlacedLayer } from './layer.ts';
import type { PackageRequest, PackageStore } from './package-request.ts';

export interface PackedEnvironment {
  readonly base: BaseImage;
  /** Absent when the base image brings everything. */
  readonly layer?: PlacedLayer;
}

/** Base image and packages, in the cache. */
export async function packEnvironment(
  store: PackageStore,
  request: PackageRequest,
  plan: EnvironmentPlan,
  cache: Registry,
  options: RunOptions,
): Promise<PackedEnvironment> {
  return runStage<PackedEnvironment>('environment', 'Preparing base image and packages', options, async () => {
    const { base, target } = await prepareBase(store, request, plan, cache, options);
    if (!target) return { value: { base }, reused: true, detail: base.name };
    const built = await environmentLayer(workshop(store, plan, cache, options), {
      target,
      identity: identityOf(plan),
      preReleases: plan.indexes.preReleases,
      compression: 'none',
    });
    const layer = { ...built, title: nameOf(target), registry: cache, repository: ENVIRONMENT_LAYERS };
    const detail = `Python ${target.minor} of ${base.name}, ${built.lock.length} packages`;
    return { value: { base, layer }, reused: built.reused, detail };
  });
}

function nameOf({ minor }: LayerTarget): string {
  return `packages for Python ${minor}`;
}

/** What decides which packages are installed. The user's own index settings do not: they are no part of the environment. */
function identityOf({ requirements, indexes }: EnvironmentPlan): unknown {
  return {
    requirements: requirements.map(withoutCredentials),
    indexes: JSON.parse(withoutCredentials(JSON.stringify(indexes))) as unknown,
  };
}

function workshop(store: PackageStore, plan: EnvironmentPlan, cache: Registry, options: RunOptions): LayerWorkshop {
  const tools = {
    home: store.home,
    environment: store.environment,
    clock: store.clock,
    fetch: store.fetch,
    platform: platform(),
    run: runCommand,
  };
  const preparation: Preparation = { tools, options, plan, search: pythonSearch(tools, options.signal) };
  return {
    home: store.home,
    cache,
    ...options,
    openSession: async (folder) => {
      const session = await openUv(preparation, folder);
      const python = await findPython(preparation.search);
      if (!python) throw noPython();
      return { session, hostPython: python.path };
    },
  };
}

function noPython(): AksmlError {
  return new AksmlError('python.notFound', 'uv needs a Python on this machine, of any version, and there is none.', {
    remedy: 'Install Python 3, or write the Docker build context instead.',
  });
}
