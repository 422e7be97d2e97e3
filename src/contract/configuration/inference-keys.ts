import type { ConfigurationKey } from './deployment-keys.ts';

export const RUNTIMES: readonly string[] = ['spark-py', 'python', 'python-slim'];
export const CUDA_VERSIONS: readonly string[] = ['9.0', '9.1', '10.0'];

export interface InferenceKey extends ConfigurationKey {
  /** v1's older form, excluded by `environment`. */
  readonly isLegacy?: boolean;
}

/** The keys of `inferenceconfig.json`. */
export const INFERENCE_KEYS: readonly InferenceKey[] = [
  {
    path: 'entryScript',
    flag: 'entryScript',
    type: 'path',
    help: 'The scoring script (.py) with init() and run(); relative to sourceDirectory.',
  },
  {
    path: 'sourceDirectory',
    flag: 'sourceDirectory',
    type: 'path',
    help: 'The folder that is deployed, relative to the working directory; without it, only the entry script is.',
  },
  { path: 'environment', type: 'object', help: 'The environment, inline; or {name, version} of a registered one.' },
  { path: 'description', flag: 'description', type: 'text', help: 'Description of the deployment.' },
  {
    path: 'runtime',
    flag: 'runtime',
    type: 'text',
    values: RUNTIMES,
    isLegacy: true,
    help: 'Older form: the language.',
  },
  {
    path: 'condaFile',
    flag: 'condaFile',
    type: 'path',
    isLegacy: true,
    help: 'Older form: conda environment file, relative to sourceDirectory.',
  },
  {
    path: 'extraDockerfileSteps',
    flag: 'extraDockerFileSteps',
    type: 'path',
    isLegacy: true,
    help: 'Older form: file with Dockerfile steps, relative to sourceDirectory.',
  },
  {
    path: 'enableGpu',
    flag: 'enableGpu',
    type: 'boolean',
    isLegacy: true,
    help: 'Older form: whether to start from an image with CUDA.',
  },
  {
    path: 'cudaVersion',
    flag: 'cudaVersion',
    type: 'text',
    values: CUDA_VERSIONS,
    isLegacy: true,
    help: 'Older form: CUDA version.',
  },
  { path: 'baseImage', flag: 'baseImage', type: 'text', isLegacy: true, help: 'Older form: image to start from.' },
  {
    path: 'baseImageRegistry',
    flag: 'baseImageRegistry',
    type: 'object',
    isLegacy: true,
    help: 'Older form: registry of baseImage: {address, username, password}.',
  },
];

export const INFERENCE_KEY_MISTAKES: Readonly<Record<string, string>> = {
  scoringScript: 'entryScript',
  scoring_script: 'entryScript',
  driverProgram: 'entryScript',
  executionScript: 'entryScript',
  dependencies: 'sourceDirectory',
  condaDependencies: 'environment.python.condaDependencies',
  tags: '--tag',
  properties: '--property',
};
