import { createHash } from 'node:crypto';
import type {
  Endpoint,
  EndpointSpec,
  EndpointState,
  EndpointStatus,
  RolloutPolicy,
  RolloutStatus,
  VersionSpec,
} from '../contract/endpoint.ts';
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

/** What was seen of a version's requests since its step began. */
export interface RolloutEvidence {
  /** Milliseconds in which all routers were heard. */
  readonly observedMs: number;
  /** Those that were answered, and those that were refused. */
  readonly requests: number;
  /** Of those: 5xx, without an answer, or refused. */
  readonly failed: number;
  /** Absent without requests. */
  readonly p99Ms?: number;
}

export const NO_EVIDENCE: RolloutEvidence = { observedMs: 0, requests: 0, failed: 0 };

/** With fewer, nobody knows whether they go well. */
const MIN_REQUESTS = 20;
/** With fewer, one that fails or is slow says too little to go back for; it keeps the next step waiting. */
const TELLING_REQUESTS = 100;

export interface RolloutFacts {
  readonly version: VersionSpec;
  readonly spec: Pick<EndpointSpec, 'versions'>;
  /** As it is now, but for the rollout. */
  readonly status: Pick<EndpointStatus, 'versions' | 'defaultVersion'>;
  readonly state: EndpointState;
  /** As it was said last. */
  readonly before: RolloutStatus | undefined;
  readonly evidence: RolloutEvidence;
  readonly now: Date;
}

/** How far a version's rollout is; undefined without a policy, and before the version has served. */
export function nextRollout(facts: RolloutFacts): RolloutStatus | undefined {
  const { version, spec, status, state, before, now } = facts;
  const { rollout: policy } = version;
  if (policy === undefined) return undefined;
  const key = rolloutKey(version);
  const isSame = before?.key === key;
  if (isSame && before.phase !== 'Progressing') return before;
  const at = (phase: RolloutStatus['phase'], step: number, message: string): RolloutStatus => ({
    key,
    phase,
    step,
    since: now.toISOString(),
    message,
  });
  const step = isSame ? before.step : 0;
  const wished = wishedShare(version, spec);
  const share = (one: number) => Math.min(policy.steps[one] ?? 100, wished);
  if (!hasRollout(version, spec, status)) {
    return at('Promoted', step, 'No other version could have the traffic that this one does not get.');
  }
  if (!isSame) {
    return state === 'Healthy' ? at('Progressing', 0, `Gets ${share(0)} % of the traffic at first.`) : undefined;
  }
  if (state === 'Failed') return at('RolledBack', step, 'The version has failed.');
  const reason = breach(policy, facts.evidence);
  if (reason !== undefined) return at('RolledBack', step, `With ${share(step)} % of the traffic, ${reason}.`);
  if (!isProven(policy, facts.evidence)) return before;
  const seen = `${facts.evidence.requests} requests with ${share(step)} % of the traffic went well`;
  const isLast = step + 1 >= policy.steps.length || share(step) >= wished;
  return isLast
    ? at('Promoted', step, `It has all of its traffic: ${seen}.`)
    : at('Progressing', step + 1, `Gets ${share(step + 1)} % of the traffic: ${seen}.`);
}

function wishedShare(version: VersionSpec, { versions }: Pick<EndpointSpec, 'versions'>): number {
  return effectiveShares(versions).get(version.name) ?? 0;
}

function breach(policy: RolloutPolicy, evidence: RolloutEvidence): string | undefined {
  const { requests, failed, p99Ms } = evidence;
  if (percent(failed, Math.max(requests, TELLING_REQUESTS)) > policy.maxErrorPercent) {
    return `${failed} of ${requests} requests failed, and at most ${policy.maxErrorPercent} % may`;
  }
  if (requests < TELLING_REQUESTS || !isSlow(policy, p99Ms)) return undefined;
  return `99 % of ${requests} requests took up to ${p99Ms} ms, and at most ${policy.maxP99Ms} ms are allowed`;
}

function isProven(policy: RolloutPolicy, { observedMs, requests, failed, p99Ms }: RolloutEvidence): boolean {
  if (observedMs < policy.intervalSeconds * 1000 || requests < MIN_REQUESTS) return false;
  return percent(failed, requests) <= policy.maxErrorPercent && !isSlow(policy, p99Ms);
}

function isSlow({ maxP99Ms }: RolloutPolicy, p99Ms: number | undefined): boolean {
  return maxP99Ms !== undefined && p99Ms !== undefined && p99Ms > maxP99Ms;
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (part / whole) * 100;
}
