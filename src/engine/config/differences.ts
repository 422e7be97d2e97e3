/** One place where aksml judges or reads a configuration differently from v1. The documents are made from this table. */
export interface Difference {
  readonly id: string;
  /** `accepted`: v1 refused or broke, aksml takes it. `refused`: v1's check passed, but deploying failed. `honoured`: v1 took it and ignored or mangled it. */
  readonly kind: 'accepted' | 'refused' | 'honoured';
  /** Codes of the problems that tell of it, besides `difference.<id>`. */
  readonly codes: readonly string[];
  readonly v1: string;
  readonly aksml: string;
  readonly reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    id: 'environment-reference',
    kind: 'accepted',
    codes: [],
    v1: 'broke on `environment: {name, version}` in inferenceconfig.json; references worked only as `-e`/`--ev`.',
    aksml: 'uses the registered environment.',
    reason: 'The meaning is plain, and the service itself knew such references.',
  },
  {
    id: 'path-base',
    kind: 'accepted',
    codes: [],
    v1: 'resolved every relative path against the working directory only.',
    aksml:
      "does so first; if the entry script is not there, it tries the configuration file's folder, then the repository's root.",
    reason: 'Published projects are written for either place; the file that exists is the one that is meant.',
  },
  {
    id: 'flags-complete-the-file',
    kind: 'accepted',
    codes: [],
    v1: 'judged each file on its own before it applied the flags.',
    aksml: 'judges the file and the flags together.',
    reason: 'A flag that supplies what the file lacks was given for that.',
  },
  {
    id: 'no-runtime',
    kind: 'honoured',
    codes: [],
    v1: 'passed `condaFile` or `extraDockerfileSteps` without `runtime` and broke when deploying; ignored `baseImage`, `enableGpu` and `cudaVersion` without it.',
    aksml: 'takes the runtime as `python`.',
    reason: 'There is no other runtime left that they could be for.',
  },
  {
    id: 'scale-to-zero',
    kind: 'accepted',
    codes: [],
    v1: 'refused `minReplicas: 0`.',
    aksml:
      'takes it where `autoScaler.coldStartSeconds`, a key of its own, says how long a call may wait for the first replica.',
    reason: 'A service that nobody calls need cost nothing. Files without that key mean what they meant.',
  },
  {
    id: 'description-in-file',
    kind: 'honoured',
    codes: [],
    v1: 'ignored `description` in inferenceconfig.json.',
    aksml: 'uses it when `--description` is absent.',
    reason: 'The meaning is plain.',
  },
  {
    id: 'extraDockerFileSteps',
    kind: 'honoured',
    codes: [],
    v1: 'ignored the spelling `extraDockerFileSteps`, which its own documents used.',
    aksml: 'reads it as `extraDockerfileSteps` where it names a file.',
    reason: 'The meaning is plain.',
  },
  {
    id: 'computeTargetName',
    kind: 'honoured',
    codes: [],
    v1: 'ignored `computeTargetName` with `computeType: aksendpoint`.',
    aksml: 'uses it.',
    reason: 'The meaning is plain.',
  },
  {
    id: 'python-with-space',
    kind: 'honoured',
    codes: [],
    v1: 'did not see `python 3.8` (with a space) in a conda file and asked for its default Python as well.',
    aksml: 'uses the Python that is written.',
    reason: 'Two different versions of Python cannot be installed.',
  },
  {
    id: 'two-pip-lists',
    kind: 'honoured',
    codes: [],
    v1: 'passed several `pip` lists on, of which conda used the last.',
    aksml: 'installs the packages of all of them.',
    reason: 'Nobody lists packages in order not to have them.',
  },
  {
    id: 'registry-as-text',
    kind: 'honoured',
    codes: [],
    v1: 'passed `baseImageRegistry` on as it was when it was text.',
    aksml: "takes the text as the registry's address.",
    reason: "v1's documents show it so.",
  },
  {
    id: 'odd-numbers',
    kind: 'honoured',
    codes: [
      'value.notInteger',
      'value.wrongType',
      'value.notNumber',
      'limit.notPositive',
      'namespace.trailingNewline',
      'targetUtilization.above100',
      'minReplicas.aboveDefaultMax',
    ],
    v1: 'let fractions, booleans and unchecked limits through to the service.',
    aksml:
      'says what it takes them for: counts are rounded up, true is 1, a limit that is no positive number does not count, a line break after a namespace is dropped.',
    reason: 'A deployment needs one clear number.',
  },
  {
    id: 'aci',
    kind: 'honoured',
    codes: ['computeType.aci'],
    v1: 'deployed `computeType: aci` to a container instance.',
    aksml:
      "deploys it as `aks` with a container instance's defaults: one replica, no authentication unless `authEnabled` is true.",
    reason: 'aksml deploys to clusters and to the local machine.',
  },
  {
    id: 'not-sendable',
    kind: 'refused',
    codes: ['value.notSendable'],
    v1: 'accepted NaN, infinity and dates, and broke when it wrote the request.',
    aksml: 'refuses them when it reads the file.',
    reason: 'Problems are told before anything is done.',
  },
  {
    id: 'conda-file',
    kind: 'refused',
    codes: [
      'condaDependencies.notList',
      'condaDependencies.notMapping',
      'condaDependencies.unknownKey',
      'condaFile.duplicateKey',
      'condaFile.unparsable',
      'condaFile.unreadable',
    ],
    v1: 'opened the conda file only when deploying, and failed there.',
    aksml: 'reads it with the configuration.',
    reason: 'Problems are told before anything is done.',
  },
  {
    id: 'environment-variables',
    kind: 'refused',
    codes: ['type.TypeError'],
    v1: 'accepted `environmentVariables` that are not an object and failed when deploying.',
    aksml: 'refuses them when it reads the file.',
    reason: 'Problems are told before anything is done.',
  },
  {
    id: 'base-image-runtime',
    kind: 'refused',
    codes: ['baseImage.runtimeUnsupported'],
    v1: 'accepted `baseImage` with a runtime other than `python` and refused it when it built the image.',
    aksml: 'refuses it when it reads the file.',
    reason: 'Problems are told before anything is done.',
  },
];
