import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { validateTraffic } from '../../serving/traffic.ts';
import type { Engine } from '../engine.ts';
import { pickVersion } from './versions.ts';

export interface TrafficChange {
  readonly name: string;
  /** By version; those that are not named keep theirs. */
  readonly percentiles: Readonly<Record<string, number>>;
  readonly defaultVersion?: string;
  /** `null`: none any more. */
  readonly controlVersion?: string | null;
}

/**
 * Changes who gets which share of the traffic, in one step: no request meets a state in between.
 * @throws AksmlError `version.notFound` | `traffic.invalid` | `endpoint.isService` | `endpoint.conflict`
 */
export async function setTraffic(engine: Engine, change: TrafficChange, signal?: AbortSignal): Promise<Endpoint> {
  const current = await engine.target.getEndpoint(change.name, signal);
  if (current.spec.form !== 'endpoint') {
    throw new AksmlError('endpoint.isService', `${change.name} is a service: its one version takes all traffic.`, {
      fault: 'input',
      subject: change.name,
      remedy: 'Deploy an endpoint: set computeType to aksendpoint in the deployment configuration.',
    });
  }
  const named = [...Object.keys(change.percentiles), change.defaultVersion, change.controlVersion];
  for (const name of named) if (typeof name === 'string') pickVersion(current, name);
  const versions = current.spec.versions.map((version) => withTraffic(version, change));
  const problems = validateTraffic(versions);
  const [first] = problems;
  if (first) {
    throw new AksmlError('traffic.invalid', first.message, {
      fault: 'input',
      subject: change.name,
      problems,
      ...(first.remedy === undefined ? {} : { remedy: first.remedy }),
    });
  }
  return engine.target.applyEndpoint({ ...current, spec: { ...current.spec, versions } }, undefined, signal);
}

function withTraffic(version: VersionSpec, change: TrafficChange): VersionSpec {
  const { type, ...rest } = version;
  const trafficPercentile = change.percentiles[version.name] ?? version.trafficPercentile;
  return {
    ...rest,
    isDefault: change.defaultVersion === undefined ? version.isDefault : version.name === change.defaultVersion,
    ...(trafficPercentile === undefined ? {} : { trafficPercentile }),
    ...roleOf(version, change.controlVersion),
  };
}

function roleOf({ name, type }: VersionSpec, control: string | null | undefined): Pick<VersionSpec, 'type'> {
  if (name === control) return { type: 'Control' };
  if (control !== undefined && type === 'Control') return { type: 'Treatment' };
  return type === undefined ? {} : { type };
}
