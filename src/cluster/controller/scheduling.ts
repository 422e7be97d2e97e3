import type { Cause } from '../../contract/endpoint.ts';
import type { KubeEvent, Pod } from '../../kube/resource.ts';

/** Since when, and why, no node takes a pod. */
export interface Unscheduled {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly reason: string;
}

export function unscheduled({ spec, status }: Pod): Unscheduled | undefined {
  if (spec?.nodeName) return undefined;
  const condition = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (condition?.status !== 'False' || condition.reason !== 'Unschedulable') return undefined;
  return { since: Date.parse(condition.lastTransitionTime ?? ''), reason: condition.message ?? 'no node takes it' };
}

/** Reasons of events by which autoscalers of nodes tell that they add one: of the cluster autoscaler, and of node auto-provisioning. */
const ADDING = new Set(['TriggeredScaleUp', 'Nominated']);
const NOT_ADDING = new Set(['NotTriggerScaleUp', 'FailedScaleUp']);
/** A node takes minutes to come; one that has not come by then does not come. v1 gave up after 5, too early for many. */
const NODE_COMES_MS = 15 * 60_000;

export type ScaleUp = { readonly state: 'adding' | 'refused'; readonly message: string } | undefined;

/** What an autoscaler of nodes does about a pod, by the newest of its events. */
export function scaleUp(events: readonly KubeEvent[], now: number): ScaleUp {
  const told = events
    .filter(({ reason }) => reason !== undefined && (ADDING.has(reason) || NOT_ADDING.has(reason)))
    .map((event) => ({ event, time: eventTime(event) }))
    .sort((a, b) => a.time - b.time)
    .at(-1);
  if (told === undefined || now - told.time > NODE_COMES_MS) return undefined;
  const { reason = '', message = '' } = told.event;
  return { state: ADDING.has(reason) ? 'adding' : 'refused', message };
}

function eventTime(event: KubeEvent): number {
  const series = event.series?.lastObservedTime;
  const text =
    series ?? event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? event.metadata.creationTimestamp;
  return Date.parse(text ?? '') || 0;
}

/** The time that an autoscaler of nodes has to notice a pod before it is called unschedulable. */
export const NOTICE_MS = 20_000;
/** After that long without a node to come, old replicas make room for new ones. */
export const IN_PLACE_AFTER_MS = 60_000;

export function unschedulableCause({ reason }: Unscheduled, scaling: ScaleUp): Cause {
  return {
    code: 'PodUnschedulable',
    message: `No node of the cluster takes the replica: ${reason}${scaling === undefined ? '' : ` The cluster autoscaler says: ${scaling.message}`}`,
    remedy:
      'Ask for less CPU, memory or GPU, delete what is not needed, or add nodes; the replica starts as soon as there is room.',
  };
}

/**
 * Whether a rollout should go on in place, which `docs/cluster.md` tells users: its new replicas have found no room for a minute, no
 * node is being added, and old replicas could make room.
 */
export function mustReplaceInPlace(
  newPods: readonly Pod[],
  oldReadyPods: number,
  scaling: ScaleUp,
  now: number,
  afterMs = IN_PLACE_AFTER_MS,
): boolean {
  if (oldReadyPods === 0 || scaling?.state === 'adding') return false;
  return newPods.some((pod) => {
    const waiting = unscheduled(pod);
    return waiting !== undefined && now - waiting.since >= afterMs;
  });
}
