import {
  type CondaSpecification,
  DEFAULT_CPU_IMAGE,
  DEFAULT_GPU_IMAGE,
  type EnvironmentDefinition,
} from '../../contract/environment.ts';
import type { Problem } from '../../contract/problem.ts';
import { withScoringServer } from './azureml-packages.ts';
import { classifyCondaPackage, type MatchSpec, parseMatchSpec, toPypiSpecifier } from './conda-packages.ts';
import { compiledForNumpyOne, NUMPY_ONE } from './numpy-two.ts';
import { NO_INDEXES, type PackageIndexes } from './package-indexes.ts';
import {
  ANY_PYTHON,
  comparePrefix,
  type PythonRequest,
  type PythonVersion,
  parsePythonRequest,
  wantedMinor,
} from './python-version.ts';
import { normalizeName, type PipLine, parsePipLine } from './requirement.ts';

/** What is to be installed, decided from the definition alone. */
export interface EnvironmentPlan {
  /** `conda`: some packages exist only in conda channels. `none`: the interpreter brings everything. */
  readonly installer: 'uv' | 'conda' | 'none';
  readonly python: PythonRequest;
  /** Requirements for uv; may hold `${NAME}` references and credentials in URLs. */
  readonly requirements: readonly string[];
  readonly indexes: PackageIndexes;
  /** Only with `conda`. */
  readonly conda: {
    readonly channels: readonly string[];
    readonly dependencies: readonly string[];
    readonly only: readonly string[];
  };
  /** Only with `none`. */
  readonly interpreterPath: string;
  readonly baseImage: string | undefined;
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** With an error among them, the plan cannot be carried out. */
  readonly problems: readonly Problem[];
}

/** v1's default: nothing but its umbrella package. Its Python 3.8 is not insisted on, because nobody asked for it. */
const DEFAULT_SPECIFICATION: CondaSpecification = { channels: [], dependencies: [], pip: ['azureml-defaults'] };

/** conda put it beside every Python before 3.12, and packages of that time import its `pkg_resources`, which its later versions lack. */
const PKG_RESOURCES = 'setuptools<81';
const WITHOUT_SETUPTOOLS: PythonVersion = [3, 12];

/** Decides what a definition needs on this machine. Pure. */
export function planEnvironment(definition: EnvironmentDefinition): EnvironmentPlan {
  const specification = definition.python.condaDependencies ?? DEFAULT_SPECIFICATION;
  const conda = planConda(specification.dependencies);
  const pip = planPip(specification.pip);
  const userManaged = definition.python.userManagedDependencies;
  const named = new Set([...conda.requirements, ...pip.requirements].map(({ name }) => name));
  const installer = userManaged ? 'none' : conda.only.length > 0 ? 'conda' : 'uv';
  const fromPypi = installer === 'uv' ? conda.requirements : [];
  const asked = [...fromPypi, ...pip.requirements];
  const serving = withScoringServer(asked, named);
  const numpyOne = installer === 'uv' ? compiledForNumpyOne(asked) : [];
  const asksForOldPython = comparePrefix(wantedMinor(conda.python) ?? WITHOUT_SETUPTOOLS, WITHOUT_SETUPTOOLS) < 0;
  const isOld = installer === 'uv' && (asksForOldPython || serving.replaced.length > 0 || numpyOne.length > 0);
  return {
    installer,
    python: conda.python,
    requirements: [
      ...serving.requirements,
      ...(numpyOne.length > 0 ? [NUMPY_ONE] : []),
      ...(isOld && !named.has('setuptools') ? [PKG_RESOURCES] : []),
      ...pip.urls,
    ],
    indexes: pip.indexes,
    conda: { channels: specification.channels, dependencies: specification.dependencies, only: conda.only },
    interpreterPath: definition.python.interpreterPath ?? 'python',
    baseImage: definition.docker.baseImage,
    environmentVariables: { ...specification.variables, ...definition.environmentVariables },
    problems: [
      ...dockerNotices(definition),
      ...(userManaged
        ? []
        : [
            ...conda.problems,
            ...pip.problems,
            ...packageNotices(
              fromPypi.map(({ name }) => name),
              conda.ignored,
              serving,
            ),
            ...(numpyOne.length > 0 ? [numpyNotice(numpyOne.map(({ text }) => text))] : []),
          ]),
    ],
  };
}

interface CondaPlan {
  readonly python: PythonRequest;
  readonly requirements: readonly Extract<PipLine, { kind: 'requirement' }>[];
  readonly ignored: readonly string[];
  readonly only: readonly string[];
  readonly problems: readonly Problem[];
}

function planConda(dependencies: readonly string[]): CondaPlan {
  let python: PythonRequest = ANY_PYTHON;
  const requirements: Extract<PipLine, { kind: 'requirement' }>[] = [];
  const ignored: string[] = [];
  const only: string[] = [];
  const problems: Problem[] = [];
  for (const text of dependencies) {
    const spec = parseMatchSpec(text);
    if (!spec) problems.push(unreadable(text));
    else if (spec.name === 'python') {
      const request = parsePythonRequest(spec.version);
      if (request) python = request;
      else problems.push(unreadable(text));
    } else {
      const found = classifyCondaPackage(spec.name);
      if (found.kind === 'ignored') ignored.push(spec.name);
      else if (found.kind === 'condaOnly') only.push(spec.name);
      else {
        const specifier = toPypiSpecifier(spec.version);
        if (specifier === undefined) problems.push(unreadable(text));
        else requirements.push(asRequirement(found.name, specifier));
      }
    }
  }
  return { python, requirements, ignored, only, problems };
}

function asRequirement(name: MatchSpec['name'], specifier: string): Extract<PipLine, { kind: 'requirement' }> {
  return { kind: 'requirement', name: normalizeName(name), extras: '', specifier, text: name + specifier };
}

function unreadable(text: string): Problem {
  return {
    severity: 'error',
    code: 'environment.condaSpecification',
    path: 'dependencies',
    message: `The conda dependency "${text}" cannot be translated for PyPI.`,
    remedy: 'Write it as name=version or name>=version, or move it to the pip section.',
  };
}

interface PipPlan {
  readonly requirements: readonly Extract<PipLine, { kind: 'requirement' }>[];
  readonly urls: readonly string[];
  readonly indexes: PackageIndexes;
  readonly problems: readonly Problem[];
}

function planPip(lines: readonly string[]): PipPlan {
  const requirements: Extract<PipLine, { kind: 'requirement' }>[] = [];
  const urls: string[] = [];
  const problems: Problem[] = [];
  let indexes = NO_INDEXES;
  for (const line of lines) {
    const parsed = parsePipLine(line);
    switch (parsed.kind) {
      case 'blank':
        break;
      case 'requirement':
        requirements.push(parsed);
        break;
      case 'url':
        urls.push(parsed.text);
        break;
      case 'option': {
        const changed = withOption(indexes, parsed.name, parsed.value);
        if (changed) indexes = changed;
        else problems.push(ineffectiveOption(parsed.name));
        break;
      }
      case 'relative':
      case 'unknown':
        problems.push(unusableLine(parsed.text));
        break;
      default:
        parsed satisfies never;
    }
  }
  return { requirements, urls, indexes, problems };
}

function withOption(indexes: PackageIndexes, name: string, value: string): PackageIndexes | undefined {
  switch (name) {
    case '--index-url':
      return { ...indexes, indexUrl: value };
    case '--extra-index-url':
      return { ...indexes, extraIndexUrls: [...indexes.extraIndexUrls, value] };
    case '--find-links':
      return { ...indexes, findLinks: [...indexes.findLinks, value] };
    case '--trusted-host':
      return { ...indexes, trustedHosts: [...indexes.trustedHosts, value] };
    case '--no-index':
      return { ...indexes, noIndex: true };
    case '--pre':
      return { ...indexes, preReleases: true };
    default:
      return undefined;
  }
}

function ineffectiveOption(name: string): Problem {
  return {
    severity: 'warning',
    code: 'environment.pipOption',
    path: 'dependencies.pip',
    message: `The pip option ${name} has no effect here.`,
    remedy: 'Remove it, or set the matching UV_ variable of the environment.',
  };
}

function unusableLine(text: string): Problem {
  return {
    severity: 'error',
    code: 'environment.pipRequirement',
    path: 'dependencies.pip',
    message: `"${text}" in the pip section names a file beside the conda file, which is not part of an environment.`,
    remedy: 'List the packages themselves, or give an absolute path or a URL.',
  };
}

function packageNotices(
  fromPypi: readonly string[],
  ignored: readonly string[],
  serving: ReturnType<typeof withScoringServer>,
): Problem[] {
  const notices: (Problem | undefined)[] = [
    fromPypi.length === 0
      ? undefined
      : notice('environment.fromPypi', `These conda packages are installed from PyPI: ${fromPypi.join(', ')}.`),
    ignored.length === 0
      ? undefined
      : notice('environment.condaIgnored', `These conda packages are not needed here: ${ignored.join(', ')}.`),
    serving.replaced.length === 0
      ? undefined
      : notice(
          'environment.umbrellaReplaced',
          `${serving.replaced.join(', ')} is replaced by azureml-inference-server-http, azureml-core and numpy, which are what a service uses of it.`,
        ),
    serving.dropped.length === 0
      ? undefined
      : notice(
          'environment.superseded',
          `${serving.dropped.join(', ')} is left out: the scoring server does its work.`,
        ),
    serving.unpinned.length === 0
      ? undefined
      : notice(
          'environment.unpinned',
          `The version of ${serving.unpinned.join(', ')} is chosen anew, because the scoring server decides it.`,
        ),
    serving.serverAdded
      ? notice(
          'environment.serverAdded',
          'The scoring server azureml-inference-server-http is added to the environment.',
        )
      : undefined,
  ];
  return notices.filter((problem) => problem !== undefined);
}

function numpyNotice(packages: readonly string[]): Problem {
  const verb = packages.length === 1 ? 'is' : 'are';
  return notice('environment.numpyOne', `NumPy is held below 2, for which ${packages.join(', ')} ${verb} too old.`);
}

/** What builds an image says nothing about a process on the user's own machine. */
function dockerNotices({ docker }: EnvironmentDefinition): Problem[] {
  const ineffective = [
    docker.baseImage === undefined || isDefaultImage(docker.baseImage) ? '' : `the base image ${docker.baseImage}`,
    docker.baseDockerfile === undefined ? '' : 'the base Dockerfile',
    docker.extraSteps === undefined ? '' : 'the extra Docker steps',
    docker.buildContext === undefined ? '' : 'the build context',
  ].filter((part) => part !== '');
  return ineffective.length === 0
    ? []
    : [
        notice(
          'environment.dockerIneffective',
          `On this machine no container is used: ${ineffective.join(', ')} takes effect only in an image.`,
        ),
      ];
}

/** Nobody asked for it, so nobody misses it. */
function isDefaultImage(image: string): boolean {
  return image === DEFAULT_CPU_IMAGE || image === DEFAULT_GPU_IMAGE;
}

function notice(code: string, message: string): Problem {
  return { severity: 'notice', code, message };
}
