import type { Cause, EndpointState, VersionStatus } from './endpoint.ts';

/** How the state of an endpoint or a version looks, wherever it is shown; icons and colours follow from it. */
export type Look = 'good' | 'underWay' | 'careful' | 'bad' | 'stopped' | 'leaving';

/** What of a status decides. */
export type Shown = Pick<VersionStatus, 'state' | 'error'>;

const LOOKS: Readonly<Record<EndpointState, Look>> = {
  Healthy: 'good',
  Transitioning: 'underWay',
  Unhealthy: 'bad',
  Failed: 'bad',
  Unschedulable: 'careful',
  Deleting: 'leaving',
};

/** Until anything is told of it, it is under way. What was stopped on request is in no state of its own. */
export function lookOf(status: Shown | undefined): Look {
  return isStopped(status?.error) ? 'stopped' : LOOKS[status?.state ?? 'Transitioning'];
}

/** Nothing has failed: somebody has stopped the compute target. */
export function isStopped(cause: Cause | undefined): boolean {
  return cause?.code === 'Stopped';
}

/** It asks for a person. */
export function isUnwell(status: Shown | undefined): boolean {
  return ['bad', 'careful'].includes(lookOf(status));
}
