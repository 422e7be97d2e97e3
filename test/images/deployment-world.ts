import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ComputeTarget } from '../../src/contract/compute-target.ts';
import type { EffectiveSettings } from '../../src/contract/deployment.ts';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import type { Model } from '../../src/contract/model.ts';
import { effectiveSettings } from '../../src/engine/config/effective-settings.ts';
import { type BuildRequest, type BuiltVersion, buildVersion } from '../../src/engine/endpoints/build.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { getModel } from '../../src/engine/models/models.ts';
import { type DistributionOptions, DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { openHome } from '../../src/home/home.ts';

/** One person's machine: a home of its own, and a workspace in a registry that several share. */
export interface Teammate {
  readonly engine: Engine;
  /** What was asked of the registry, such as `PUT /v2/…`, since the last call. */
  requests(): readonly string[];
  build(
    source: ProjectSource,
    more?: Partial<BuildRequest>,
    signal?: AbortSignal,
  ): Promise<BuiltVersion & { events: ProgressEvent[] }>;
}

export interface ProjectSource {
  readonly sourceDirectory: string;
  readonly definition: EnvironmentDefinition;
  readonly models?: readonly string[];
}

export const SETTINGS: EffectiveSettings = effectiveSettings({
  computeType: 'aks',
  numReplicas: 1,
  maxConcurrentRequestsPerContainer: 2,
  livenessProbe: { initialDelaySeconds: 10, timeoutSeconds: 1 },
});

type Cleanup = { after(work: () => Promise<void>): void };

export async function joinTeam(
  t: Cleanup,
  address: string,
  options: {
    readonly environment?: Readonly<Record<string, string | undefined>>;
    readonly registry?: Partial<DistributionOptions>;
    readonly global?: string;
    readonly onRequest?: () => void;
  } = {},
): Promise<Teammate> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-teammate-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  let asked: string[] = [];
  const counting: typeof fetch = async (input, init) => {
    options.onRequest?.();
    asked.push(`${init?.method ?? 'GET'} ${new URL(String(input)).pathname}`);
    return fetch(input, init);
  };
  const registry = new DistributionRegistry(address, { fetch: counting, ...options.registry });
  const engine: Engine = {
    home: openHome({ AKSML_HOME: join(folder, 'home') }),
    workspace: { name: 'team' },
    registry,
    target: clusterWithoutContent(),
    images: async () => ({
      registry,
      pullAddress: address,
      ...(options.global === undefined ? {} : { global: new DistributionRegistry(options.global, { fetch }) }),
    }),
    environment: options.environment ?? {},
    clock: () => new Date(),
    user: 'tester',
    fetch: counting,
    version: '0.0.0-test',
  };
  return {
    engine,
    requests: () => asked.splice(0),
    build: async ({ sourceDirectory, definition, models = [] }, more = {}, signal) => {
      const events: ProgressEvent[] = [];
      const found: Model[] = await Promise.all(models.map((id) => getModel(engine, id)));
      asked = [];
      const built = await buildVersion(
        engine,
        {
          endpoint: 'factor',
          version: 'factor',
          source: {
            kind: 'inference',
            inference: {
              sourceDirectory,
              entryScript: 'score.py',
              namedFiles: [],
              environment: { kind: 'inline', definition },
            },
          },
          models: found,
          settings: SETTINGS,
          secretsMayBeStored: false,
          build: {},
          ...more,
        },
        { onProgress: (event) => events.push(event), ...(signal === undefined ? {} : { signal }) },
      );
      await built.describe?.();
      return { ...built, events };
    },
  };
}

/** Building asks a cluster for nothing. */
function clusterWithoutContent(): ComputeTarget {
  const notAsked = (): never => {
    throw new Error('the compute target was asked');
  };
  const methods = new Proxy({}, { get: () => notAsked });
  return Object.assign(Object.create(methods), { name: 'cluster', kind: 'kubernetes' });
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}
