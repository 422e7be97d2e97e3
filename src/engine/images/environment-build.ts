import { APP_ROOT, CONTAINER_USER, SERVER_PORT } from '../../contract/container.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { shortHash } from '../environments/store.ts';
import type { Registry } from '../registry/registry.ts';
import type { BaseImage } from './base-image.ts';
import { composeImage, type ImageParts } from './compose.ts';
import {
  CONTAINER_HOME,
  type EnvironmentImage,
  type EnvironmentImageRequest,
  LAUNCHER,
  LAUNCHER_FOLDER,
  type LauncherFile,
  packagesOf,
} from './environment-image.ts';
import { environmentLayer } from './environment-layer.ts';
import { remember } from './environment-record.ts';
import { layerWorkshop } from './environment-workshop.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import type { ImageTools } from './image-request.ts';
import { BUILT_ENVIRONMENT } from './install-script.ts';
import { type Layer, type LayerEntry, storeSmallLayer } from './layer.ts';
import { prepareBase } from './prepare-base.ts';
import { ENVIRONMENT_FOLDER, ENVIRONMENT_PYTHON } from './venv-entries.ts';

export interface Ingredients {
  readonly launcher: readonly LauncherFile[];
  readonly key: string;
}

/** Installs packages and scoring server on a base image, and stores what comes of it. */
export async function buildOn(
  base: BaseImage,
  tools: ImageTools,
  registry: Registry,
  request: EnvironmentImageRequest,
  { launcher, key }: Ingredients,
  options: RunOptions,
): Promise<EnvironmentImage> {
  const { plan, compression } = request;
  const lock = (request.rebuild ?? request.recorded)?.lock;
  const workshop = layerWorkshop(tools, plan, registry, options);
  const refresh = request.refresh ?? false;
  const python = await prepareBase(base, plan, workshop, { compression, refresh });
  const target = python?.target;
  const packages =
    target &&
    (await environmentLayer(workshop, {
      target,
      identity: packagesOf(plan),
      preReleases: plan.indexes.preReleases,
      compression,
      refresh,
      ...(lock === undefined ? {} : { lock }),
    }));
  const runtime = await storeSmallLayer(registry, ENVIRONMENT_IMAGES, runtimeEntries(launcher), options.signal);
  const added = [
    ...(python?.layer ? [{ ...python.layer, title: `Python ${python.target.minor}` }] : []),
    ...(packages ? [{ ...packages, title: `packages for Python ${target.minor}` }] : []),
    ...(packages?.bytecode ? [{ ...packages.bytecode, title: 'their modules, compiled' }] : []),
    { ...runtime, title: 'scoring server launcher' },
  ];
  const composed = composeImage({
    base,
    layers: added,
    variables: { AML_APP_ROOT: APP_ROOT, ...(request.keepsStart ? {} : { HOME: `/${CONTAINER_HOME}` }) },
    pathFolders: target === undefined ? [] : [`/${ENVIRONMENT_FOLDER}/bin`],
    ...(request.keepsStart ? {} : { start: serverStart(plan) }),
    labels: {
      ...(packages === undefined ? {} : { 'dev.aksml.environment': packages.diffId }),
      'org.opencontainers.image.base.digest': base.digest,
    },
  });
  const layers: Layer[] = [...base.layers, ...added];
  return remember(registry, key, {
    composed,
    layers: layers.map(({ descriptor, diffId }) => ({ descriptor, diffId })),
    record: {
      hash: shortHash(composed.config.toString()),
      pythonVersion: target?.minor ?? '',
      lock: packages?.lock ?? [],
      baseDigest: base.digest,
      ...(base.reference === undefined ? {} : { baseReference: base.reference }),
    },
  });
}

function serverStart(plan: EnvironmentPlan): ImageParts['start'] {
  return {
    User: String(CONTAINER_USER),
    ExposedPorts: { [`${SERVER_PORT}/tcp`]: {} },
    Entrypoint: [interpreterOf(plan), `/${LAUNCHER}`],
    WorkingDir: APP_ROOT,
    StopSignal: 'SIGTERM',
  };
}

function interpreterOf({ installer, interpreterPath }: EnvironmentPlan): string {
  switch (installer) {
    case 'none':
      return interpreterPath;
    case 'uv':
      return ENVIRONMENT_PYTHON;
    case 'conda':
      return `${BUILT_ENVIRONMENT}/bin/python`;
    default:
      return installer satisfies never;
  }
}

function runtimeEntries(launcher: readonly LauncherFile[]): LayerEntry[] {
  const owner = CONTAINER_USER;
  return [
    ...launcher.map(({ name, content }): LayerEntry => {
      return { kind: 'file', path: `${LAUNCHER_FOLDER}/${name}`, executable: false, content };
    }),
    { kind: 'folder', path: APP_ROOT.slice(1), owner },
    { kind: 'folder', path: CONTAINER_HOME, owner, mode: 0o777 },
  ];
}
