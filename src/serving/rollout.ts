import { createHash } from 'node:crypto';
import type { Endpoint, EndpointSpec, EndpointStatus, VersionSpec } from '../contract/endpoint.ts';
import { effectiveShares, type TrafficVersion, trafficAmongServing } from './traffic.ts';

/** What is rolled out: where it differs, a rollout begins anew. */
export function rolloutKey({ image, rollout, isDefault, trafficPercentile }: VersionSpec): string {
  const what = [image, rollout, isDefault, isDefault ? undefined : trafficPercentile];
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16);
}

/** Who gets which share of the traffic, for whoever sends it: as the controller has said, or, of a newer spec, as it is about to say. */
export function trafficNow({ metadata, spec, status }: Endpoint): TrafficVersion[] {
  if (status === undefined || status.observedGeneration !== metadata.generation) return presentTraffic(spec, status);
  return spec.versions.map(({ name }) => ({
    name,
    isDefault: name === status.defaultVersion,
    trafficPercentile: status.versions.find((version) => version.name === name)?.effectiveTraffic ?? 0,
  }));
}

/**
 * Who gets which share where versions come and go: one that never has served gets none, and one with a rollout policy gets no more than its
 * step allows.
 */
export function presentTraffic(
  spec: Pick<EndpointSpec, 'versions'>,
  status: Pick<EndpointStatus, 'versions' | 'defaultVersion'> | undefined,
): TrafficVersion[] {
  const hasServed = (name: string) => servedBefore(name, status);
  const last = status?.defaultVersion;
  const wanted = trafficAmongServing(spec.versions, hasServed, last);
  const shares = effectiveShares(wanted);
  const capped = spec.versions.flatMap(({ name }) => {
    const most = mostTraffic(name, spec, status);
    return most === undefined ? [] : [[name, Math.min(most, shares.get(name) ?? 0)] as const];
  });
  const caps = new Map(capped);
  const inCharge = wanted.find(({ isDefault }) => isDefault)?.name;
  const takesRest = inCharge !== undefined && caps.has(inCharge) ? last : inCharge;
  return wanted.map((version) => ({
    ...version,
    isDefault: version.name === takesRest,
    trafficPercentile: caps.get(version.name) ?? version.trafficPercentile ?? 0,
  }));
}

/** A version that has had traffic keeps it. */
function servedBefore(name: string, status: Pick<EndpointStatus, 'versions'> | undefined): boolean {
  const version = status?.versions.find((one) => one.name === name);
  if (version === undefined) return false;
  return version.state === 'Healthy' || (version.effectiveTraffic > 0 && version.servingImage !== undefined);
}

/** Percent; undefined where nothing holds the version back. */
function mostTraffic(
  name: string,
  spec: Pick<EndpointSpec, 'versions'>,
  status: Pick<EndpointStatus, 'versions' | 'defaultVersion'> | undefined,
): number | undefined {
  const version = spec.versions.find((one) => one.name === name);
  if (version?.rollout === undefined || !hasRollout(version, spec, status)) return undefined;
  const rollout = status?.versions.find((one) => one.name === name)?.rollout;
  if (rollout?.key !== rolloutKey(version) || rollout.phase === 'RolledBack') return 0;
  return rollout.phase === 'Promoted' ? undefined : version.rollout.steps[rollout.step];
}

/** Whether another version can have the traffic that this one does not have yet. */
export function hasRollout(
  version: VersionSpec,
  spec: Pick<EndpointSpec, 'versions'>,
  status: Pick<EndpointStatus, 'versions' | 'defaultVersion'> | undefined,
): boolean {
  if (version.rollout === undefined) return false;
  if (!version.isDefault) return true;
  const last = status?.defaultVersion;
  return last !== undefined && last !== version.name && isThere(last, spec) && servedBefore(last, status);
}

function isThere(name: string, { versions }: Pick<EndpointSpec, 'versions'>): boolean {
  return versions.some((version) => version.name === name);
}
