import { isIP } from 'node:net';
import type { DeploymentSpec } from '../../contract/deployment.ts';
import type { EndpointSpec, Mirror, RolloutPolicy } from '../../contract/endpoint.ts';
import { ADDRESS_BLOCK } from '../../contract/names.ts';

/** What the front end does for an endpoint, of what its spec says. */
export type FrontEndWish = Pick<EndpointSpec, 'stickiness' | 'rateLimit' | 'allowedAddresses'>;

/** What switches a setting off that is on. */
export const OFF = { stickiness: 'none', allowedAddresses: 'all', rolloutSteps: 'off' } as const;

const DEFAULT_POLICY = { intervalSeconds: 60, maxErrorPercent: 1 } as const;

/** After a deploy or an update; undefined when nothing is left of it. */
export function mergeFrontEnd(current: FrontEndWish | undefined, changes: DeploymentSpec): FrontEndWish | undefined {
  const stickiness = changes.stickiness ?? current?.stickiness;
  const requestsPerSecond = changes.requestsPerSecond ?? current?.rateLimit?.requestsPerSecond ?? 0;
  const allowedAddresses = changes.allowedAddresses ?? current?.allowedAddresses ?? [];
  const merged: FrontEndWish = {
    ...(stickiness === 'session' ? { stickiness } : {}),
    ...(requestsPerSecond > 0 ? { rateLimit: { requestsPerSecond } } : {}),
    ...(allowedAddresses.length > 0 ? { allowedAddresses } : {}),
  };
  return Object.keys(merged).length === 0 ? undefined : merged;
}

/** The endpoint's spec with other wishes in place of those that it has. */
export function withFrontEnd(
  spec: EndpointSpec,
  wish: FrontEndWish | undefined,
  mirror: Mirror | undefined,
): EndpointSpec {
  const { stickiness: _stickiness, rateLimit: _limit, allowedAddresses: _addresses, mirror: _mirror, ...rest } = spec;
  return { ...rest, ...wish, ...(mirror === undefined ? {} : { mirror }) };
}

/** 0 takes the copies away from the version. */
export function mergeMirror(
  current: Mirror | undefined,
  version: string,
  { mirrorPercentile: percentile }: DeploymentSpec,
): Mirror | undefined {
  if (percentile === undefined) return current;
  if (percentile > 0) return { version, percentile };
  return current?.version === version ? undefined : current;
}

/** Without steps there is no policy. */
export function mergeRollout(current: RolloutPolicy | undefined, changes: DeploymentSpec): RolloutPolicy | undefined {
  const steps = changes.rolloutSteps ?? current?.steps ?? [];
  if (steps.length === 0) return undefined;
  const maxP99Ms = changes.rolloutMaxP99Ms ?? current?.maxP99Ms;
  return {
    steps,
    intervalSeconds: changes.rolloutIntervalSeconds ?? current?.intervalSeconds ?? DEFAULT_POLICY.intervalSeconds,
    maxErrorPercent: changes.rolloutMaxErrorPercent ?? current?.maxErrorPercent ?? DEFAULT_POLICY.maxErrorPercent,
    ...(maxP99Ms === undefined ? {} : { maxP99Ms }),
  };
}

/** `5, 25, 50` */
export function parseSteps(text: string): readonly number[] | undefined {
  if (text.trim() === OFF.rolloutSteps) return [];
  const steps = listOf(text).map((part) => Number(part.replace(/%$/, '')));
  const isGood = steps.every((step, index) => step > (steps[index - 1] ?? 0) && step <= 100);
  return steps.length > 0 && isGood ? steps : undefined;
}

/** `10.0.0.0/8, 192.0.2.1` */
export function parseAddresses(text: string): readonly string[] | undefined {
  if (text.trim() === OFF.allowedAddresses) return [];
  const blocks = listOf(text);
  return blocks.length > 0 && blocks.every(isBlock) ? blocks : undefined;
}

function isBlock(block: string): boolean {
  return ADDRESS_BLOCK.test(block) && isIP(block.replace(/\/.*$/, '')) !== 0;
}

function listOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '');
}
