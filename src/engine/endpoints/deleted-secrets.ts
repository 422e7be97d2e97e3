import type { EndpointSecrets, Keys, StoredVariables } from '../../contract/compute-target.ts';
import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { together } from '../../parallel/parallel.ts';
import type { Engine } from '../engine.ts';
import { getRevision } from '../revisions/revisions.ts';
import { splitVariables, unknownVariables } from './secrets.ts';

/** What a deletion takes along, and its undoing gives back. For the memory of one process, and nothing else. */
export interface DeletedSecrets {
  readonly keys?: Keys;
  readonly environmentVariables?: StoredVariables;
}

/** As far as it may be read. */
export async function secretsToDelete(
  { target }: Engine,
  endpoint: Endpoint,
  signal?: AbortSignal,
): Promise<DeletedSecrets> {
  const orNothing = () => undefined;
  const [keys, environmentVariables] = await Promise.all([
    endpoint.spec.auth === 'key' ? target.getKeys(endpoint.metadata.name).catch(orNothing) : undefined,
    target.getSecretVariables(endpoint, signal).catch(orNothing),
  ]);
  return {
    ...(keys === undefined ? {} : { keys }),
    ...(environmentVariables === undefined ? {} : { environmentVariables }),
  };
}

/** Names of the secret variables that a deletion of these versions takes along for good: they may not be read. */
export async function unrestorableVariables(
  engine: Engine,
  endpoint: Endpoint,
  versions: readonly VersionSpec[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (await engine.target.getSecretVariables(endpoint, signal).catch(() => undefined)) return [];
  const names = versions.map(async (version) => {
    const definition = await definitionOf(engine, endpoint.metadata.name, version).catch(() => undefined);
    return definition === undefined ? [] : unknownVariables(definition, engine.environment);
  });
  return [...new Set((await Promise.all(names)).flat())].sort();
}

/**
 * What the versions had in the compute target's secret store; where nobody has kept it, from where it came at their deploy.
 * @throws AksmlError `secret.notKept`
 */
export async function variablesToRestore(
  engine: Engine,
  endpoint: string,
  versions: readonly VersionSpec[],
  kept: DeletedSecrets | undefined,
): Promise<Pick<EndpointSecrets, 'environmentVariables'>> {
  // Of several that are missing, the first version's are named.
  const found = await together(
    ...versions.map(async (version) => {
      const values = kept?.environmentVariables?.[version.name];
      return [version.name, values ?? (await variablesAsDeployed(engine, endpoint, version))] as const;
    }),
  );
  const some = found.filter(([, values]) => Object.keys(values).length > 0);
  return some.length === 0 ? {} : { environmentVariables: Object.fromEntries(some) };
}

async function variablesAsDeployed(engine: Engine, endpoint: string, version: VersionSpec) {
  const definition = await definitionOf(engine, endpoint, version);
  const unknown = unknownVariables(definition, engine.environment);
  if (unknown.length > 0) throw notKept(endpoint, version, unknown);
  return splitVariables(definition.environmentVariables, {
    environment: engine.environment,
    names: definition.secretEnvironmentVariables,
    mayBeStored: false,
  }).secret;
}

async function definitionOf(engine: Engine, endpoint: string, { name, revision }: VersionSpec) {
  return (await getRevision(engine, endpoint, name, revision)).revision.environment.definition;
}

function notKept(endpoint: string, { name, revisionNumber }: VersionSpec, variables: readonly string[]): AksmlError {
  return new AksmlError(
    'secret.notKept',
    `${name} of ${endpoint} cannot be had back by itself: it needs the secret environment variables ${variables.join(', ')}, ` +
      'whose values were deleted with it and are kept only until the engine is started again.',
    {
      fault: 'input',
      subject: endpoint,
      remedy: `Deploy it again with these variables given; its code and settings are in its history, revision ${revisionNumber}.`,
    },
  );
}
