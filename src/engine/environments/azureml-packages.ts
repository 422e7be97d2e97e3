import type { PipLine } from './requirement.ts';

type Requirement = Extract<PipLine, { kind: 'requirement' }>;

export const SERVER_PACKAGE = 'azureml-inference-server-http';

/** Tested with aksml's replicas. The server dropped Python 3.8 with 1.4. */
export const SERVER_REQUIREMENTS: readonly string[] = [
  `${SERVER_PACKAGE}>=1.4,<2; python_version >= "3.9"`,
  `${SERVER_PACKAGE}>=0.7,<2; python_version < "3.9"`,
];

/**
 * What v1's umbrella packages stand for in a service: the scoring server, the `azureml.core` that scoring scripts import, and numpy, which
 * they always brought. The rest of them (data sets, training, 300 MB) is of no use to a service, and its pins conflict with today's libraries.
 */
const UMBRELLAS: ReadonlySet<string> = new Set(['azureml-defaults', 'azureml-sdk']);
const UMBRELLA_CONTENT: readonly string[] = ['azureml-core', 'numpy'];

/** Predecessors of the scoring server, or parts that it replaces: installed beside it, they break it or do nothing. */
const SUPERSEDED: ReadonlySet<string> = new Set([
  'azure-ml-api-sdk',
  'azureml-contrib-services',
  'azureml-model-management-sdk',
]);

/** Goes with the scoring server, version by version; v1's files pin ones that no server of today accepts. Its decorators have not changed. */
const TIED_TO_SERVER = 'inference-schema';

/** azureml-core imports it on Python 3.8 and does not say so. */
const UNDECLARED_OF_CORE = 'importlib-resources; python_version < "3.9"';

export interface ServingRequirements {
  /** With what replaces v1's packages, and with the scoring server. */
  readonly requirements: readonly string[];
  readonly replaced: readonly string[];
  readonly dropped: readonly string[];
  /** Their versions are the server's to choose. */
  readonly unpinned: readonly string[];
  readonly serverAdded: boolean;
}

/** Turns v1's packages into what serves on a Python of today, and adds the scoring server when it is not there. */
export function withScoringServer(
  requirements: readonly Requirement[],
  named: ReadonlySet<string>,
): ServingRequirements {
  const umbrellas = requirements.filter(({ name }) => UMBRELLAS.has(name));
  const dropped = requirements.filter(({ name }) => SUPERSEDED.has(name));
  const server = requirements.find(({ name }) => name === SERVER_PACKAGE);
  const kept = requirements.filter(
    ({ name, specifier }) =>
      !UMBRELLAS.has(name) && !SUPERSEDED.has(name) && !(name === SERVER_PACKAGE && specifier === ''),
  );
  const ownServer = server !== undefined && server.specifier !== '';
  const tied = ownServer ? [] : kept.filter(({ name, specifier }) => name === TIED_TO_SERVER && specifier !== '');
  const content = umbrellas.length === 0 ? [] : UMBRELLA_CONTENT.filter((name) => !named.has(name));
  return {
    requirements: [
      ...kept.map((requirement) =>
        tied.includes(requirement) ? requirement.name + requirement.extras : requirement.text,
      ),
      ...content,
      ...(umbrellas.length > 0 || named.has('azureml-core') ? [UNDECLARED_OF_CORE] : []),
      ...(ownServer ? [] : SERVER_REQUIREMENTS),
      ...(named.has('flask-cors') ? [] : ['flask-cors']),
    ],
    replaced: umbrellas.map(({ text }) => text),
    dropped: dropped.map(({ text }) => text),
    unpinned: tied.map(({ text }) => text),
    serverAdded: server === undefined && umbrellas.length === 0,
  };
}
