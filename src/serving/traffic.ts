import { MAX_VERSIONS_PER_ENDPOINT } from '../contract/endpoint.ts';
import type { Problem } from '../contract/problem.ts';

/** What a version says about its traffic. */
export interface TrafficVersion {
  readonly name: string;
  readonly isDefault: boolean;
  readonly type?: 'Control' | 'Treatment';
  /** 0 to 100. Ignored on the default version, which takes what the others leave. */
  readonly trafficPercentile?: number;
}

/** Decimal percentages such as 0.1 are not exact in binary: a remainder smaller than this is none. */
const ROUNDING = 1e-9;

/** The share of traffic of each version, 0 to 100, adding up to 100; the default version takes the remainder. */
export function effectiveShares(versions: readonly TrafficVersion[]): ReadonlyMap<string, number> {
  const assigned = assignedTraffic(versions);
  return new Map(
    versions.map((version) => [
      version.name,
      version.isDefault ? remainder(assigned) : (version.trafficPercentile ?? 0),
    ]),
  );
}

/**
 * Traffic as long as not every version has served yet: one that never has gets none, and a new default takes over once it has.
 * `lastDefault` is the default version of before, if any.
 */
export function trafficAmongServing(
  versions: readonly TrafficVersion[],
  hasServed: (name: string) => boolean,
  lastDefault: string | undefined,
): TrafficVersion[] {
  const wanted = versions.find(({ isDefault }) => isDefault)?.name;
  const isThere = versions.some(({ name }) => name === lastDefault);
  const lastServes = lastDefault !== undefined && hasServed(lastDefault);
  const inCharge = (wanted !== undefined && hasServed(wanted)) || !lastServes || !isThere ? wanted : lastDefault;
  return versions.map(({ name, trafficPercentile }) => ({
    name,
    isDefault: name === inCharge,
    trafficPercentile: hasServed(name) ? (trafficPercentile ?? 0) : 0,
  }));
}

/** Cumulative upper bounds, 0 to 100, in the order of the versions with the default last, which is how a proxy's map wants them. */
export type TrafficSplit = readonly { readonly name: string; readonly upTo: number }[];

export function trafficSplit(versions: readonly TrafficVersion[]): TrafficSplit {
  let upTo = 0;
  const split = versions
    .filter((version) => !version.isDefault)
    .map((version) => {
      upTo += version.trafficPercentile ?? 0;
      return { name: version.name, upTo };
    });
  const fallback = versions.find((version) => version.isDefault);
  return fallback ? [...split, { name: fallback.name, upTo: 100 }] : split;
}

/** The version for a random number in [0, 1); undefined only for a split without a default version. */
export function chooseVersion(split: TrafficSplit, random: number): string | undefined {
  const point = random * 100;
  return (split.find((part) => point < part.upTo) ?? split.findLast((part) => part.upTo >= 100))?.name;
}

/** Every rule of v1 that the versions of one endpoint break. `path` is relative to the endpoint's specification. */
export function validateTraffic(versions: readonly TrafficVersion[]): Problem[] {
  const problems: Problem[] = [];
  const error = (code: string, path: string, message: string, remedy: string) =>
    problems.push({ severity: 'error', code, path, message, remedy });

  if (versions.length === 0) {
    error('versions.none', 'versions', 'An endpoint needs at least one version.', 'Create a version.');
    return problems;
  }
  if (versions.length > MAX_VERSIONS_PER_ENDPOINT) {
    error(
      'versions.tooMany',
      'versions',
      `An endpoint has at most ${MAX_VERSIONS_PER_ENDPOINT} versions, not ${versions.length}.`,
      'Delete a version first.',
    );
  }
  for (const [index, { name, trafficPercentile }] of versions.entries()) {
    if (versions.findIndex((other) => other.name === name) !== index) {
      error(
        'versions.duplicate',
        `versions[${index}].name`,
        `Two versions are named "${name}".`,
        'Rename one of them.',
      );
    }
    if (trafficPercentile !== undefined && !(trafficPercentile >= 0 && trafficPercentile <= 100)) {
      error(
        'traffic.range',
        `versions[${index}].trafficPercentile`,
        `The traffic percentile of version "${name}" is ${trafficPercentile}, which is not between 0 and 100.`,
        'Give a number from 0 to 100.',
      );
    }
  }
  const assigned = assignedTraffic(versions);
  if (assigned > 100 + ROUNDING) {
    error(
      'traffic.sum',
      'versions',
      `The traffic percentiles of the versions beside the default add up to ${Number(assigned.toFixed(6))}, more than 100.`,
      'Lower one of them.',
    );
  }
  const defaults = versions.filter((version) => version.isDefault).length;
  if (defaults !== 1) {
    error(
      'versions.default',
      'versions',
      `Exactly one version must be the default; ${defaults} are.`,
      'Make one version the default.',
    );
  }
  const controls = versions.filter((version) => version.type === 'Control').length;
  if (controls > 1) {
    error(
      'versions.control',
      'versions',
      `At most one version can be the control; ${controls} are.`,
      'Make the others treatments.',
    );
  }
  return problems;
}

function assignedTraffic(versions: readonly TrafficVersion[]): number {
  return versions.reduce((sum, version) => sum + (version.isDefault ? 0 : (version.trafficPercentile ?? 0)), 0);
}

function remainder(assigned: number): number {
  const left = 100 - assigned;
  return left < ROUNDING ? 0 : Number(left.toFixed(9));
}
