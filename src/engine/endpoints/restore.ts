import type { Endpoint, EndpointSpec, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { validateTraffic } from '../../serving/traffic.ts';
import type { Engine } from '../engine.ts';
import { applyAndWait } from './apply.ts';
import { type DeletedSecrets, variablesToRestore } from './deleted-secrets.ts';
import type { RunOptions } from './stages.ts';
import { pickVersion } from './versions.ts';

/**
 * Undoes a deletion: the endpoint as it was before, as something new whose history goes on. Without keys of before, new ones are made.
 * @throws AksmlError `endpoint.exists` | `secret.notKept`
 */
export async function restoreEndpoint(
  engine: Engine,
  before: Endpoint,
  kept: DeletedSecrets | undefined,
  options: RunOptions = {},
): Promise<Endpoint> {
  const { apiVersion, kind, metadata, spec } = before;
  const { name, namespace, labels, annotations } = metadata;
  const wanted: Endpoint = {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec,
  };
  const secrets = {
    ...(await variablesToRestore(engine, name, spec.versions, kept)),
    ...(kept?.keys === undefined ? {} : { keys: kept.keys }),
  };
  return applyAndWait(engine, wanted, { secrets, wait: false }, options);
}

export interface VersionToRestore {
  readonly before: Endpoint;
  readonly versionName: string;
  readonly kept?: DeletedSecrets | undefined;
}

/**
 * Undoes the deletion of a version: it has again the share of the traffic, the role and the copies that it had before.
 * @throws AksmlError `version.exists` | `traffic.invalid` | `secret.notKept`
 */
export async function restoreVersion(
  engine: Engine,
  { before, versionName, kept }: VersionToRestore,
  options: RunOptions = {},
): Promise<Endpoint> {
  const { name } = before.metadata;
  const version = pickVersion(before, versionName);
  const current = await engine.target.getEndpoint(name, options.signal);
  const spec = withRestored(current.spec, before.spec, version);
  const secrets = await variablesToRestore(engine, name, [version], kept);
  return applyAndWait(engine, { ...current, spec }, { secrets, wait: false }, options);
}

/** What has come since then stays: the default version, another control, another mirror. */
function withRestored(current: EndpointSpec, before: EndpointSpec, version: VersionSpec): EndpointSpec {
  if (current.versions.some(({ name }) => name === version.name)) {
    throw new AksmlError('version.exists', `There is a version ${version.name} again.`, {
      fault: 'input',
      subject: version.name,
    });
  }
  const { type, ...rest } = version;
  const isTaken = type === 'Control' && current.versions.some((other) => other.type === 'Control');
  const role = type === undefined ? {} : { type: isTaken ? ('Treatment' as const) : type };
  const versions = [...current.versions, { ...rest, ...role, isDefault: false }];
  const problems = validateTraffic(versions);
  const [first] = problems;
  if (first) {
    throw new AksmlError('traffic.invalid', first.message, {
      fault: 'input',
      subject: version.name,
      problems,
      ...(first.remedy === undefined ? {} : { remedy: first.remedy }),
    });
  }
  const mirror = current.mirror ?? (before.mirror?.version === version.name ? before.mirror : undefined);
  return { ...current, versions, ...(mirror === undefined ? {} : { mirror }) };
}
