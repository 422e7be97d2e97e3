import type { Cause, CauseCode, EndpointState } from '../contract/endpoint.ts';

export interface ReplicaFacts {
  /** What it runs. */
  readonly image: string;
  readonly state: 'starting' | 'ready' | 'draining' | 'failed';
  readonly error?: Cause;
}

/** What is known about a version, whoever runs it. */
export interface VersionFacts {
  /** The image that the specification asks for. */
  readonly image: string;
  /** As many as there shall be now. */
  readonly desiredReplicas: number;
  /** As many as the user asked for: the fixed count, or the autoscaler's minimum. The rest comes and goes with the load. */
  readonly requiredReplicas: number;
  readonly replicas: readonly ReplicaFacts[];
  /** Why no replica can be made, such as a missing environment or no room. */
  readonly error?: Cause;
}

export interface VersionVerdict {
  readonly state: EndpointState;
  readonly error?: Cause;
  readonly updatedReplicas: number;
  readonly availableReplicas: number;
  /** Of the ready replicas, what most of them run; the wanted image when they tie. */
  readonly servingImage?: string;
}

/** v1's state of one version. A version that answers with an old image after a failed update is Unhealthy, not Failed. */
export function versionState(facts: VersionFacts): VersionVerdict {
  const ready = facts.replicas.filter((replica) => replica.state === 'ready');
  const updated = ready.filter((replica) => replica.image === facts.image).length;
  const serving = servingImage(facts.image, ready);
  const counts = {
    updatedReplicas: updated,
    availableReplicas: ready.length,
    ...(serving === undefined ? {} : { servingImage: serving }),
  };
  const error = updated < facts.desiredReplicas ? (facts.error ?? newestFailure(facts)) : undefined;
  const rolledOut = updated >= facts.requiredReplicas && !facts.replicas.some((replica) => isOld(facts, replica));
  if (!error) return { state: rolledOut ? 'Healthy' : 'Transitioning', ...counts };
  // No room for what the autoscaler wants beyond the minimum is worth saying, but takes nothing from those who are served.
  const state = rolledOut && error.code === 'PodUnschedulable' ? 'Healthy' : brokenState(error.code, ready.length);
  return { state, error, ...counts };
}

/** v1's state of an endpoint with several versions: the state that most needs the user's attention. */
export function endpointState(versions: readonly { readonly state: EndpointState; readonly error?: Cause }[]): {
  readonly state: EndpointState;
  readonly error?: Cause;
} {
  if (versions.length === 0) return { state: 'Transitioning' };
  const states = new Set(versions.map((version) => version.state));
  const allAre = (state: EndpointState) => states.size === 1 && states.has(state);
  // One broken version beside one that answers makes the endpoint unhealthy: part of its traffic is served.
  const state = allAre('Failed')
    ? 'Failed'
    : allAre('Unschedulable')
      ? 'Unschedulable'
      : states.has('Failed') || states.has('Unschedulable') || states.has('Unhealthy')
        ? mixedState(states)
        : (ORDER.find((candidate) => states.has(candidate)) ?? 'Transitioning');
  const error = versions.find((version) => version.error !== undefined)?.error;
  return error === undefined ? { state } : { state, error };
}

const ORDER: readonly EndpointState[] = ['Deleting', 'Transitioning', 'Healthy'];

function mixedState(states: ReadonlySet<EndpointState>): EndpointState {
  if (states.has('Deleting')) return 'Deleting';
  const serves = states.has('Healthy') || states.has('Unhealthy') || states.has('Transitioning');
  return serves ? 'Unhealthy' : 'Failed';
}

/** Still meant to answer, with something else than what is wanted. */
function isOld(facts: VersionFacts, replica: ReplicaFacts): boolean {
  return replica.image !== facts.image && (replica.state === 'ready' || replica.state === 'starting');
}

function brokenState(code: CauseCode, available: number): EndpointState {
  if (code === 'PodUnschedulable') return 'Unschedulable';
  return available > 0 ? 'Unhealthy' : 'Failed';
}

/** Only replicas of the wanted image speak for it; a failed one that is being replaced counts until its successor is ready. */
function newestFailure(facts: VersionFacts): Cause | undefined {
  return facts.replicas.findLast(
    (replica) => replica.image === facts.image && replica.state === 'failed' && replica.error !== undefined,
  )?.error;
}

function servingImage(wanted: string, ready: readonly ReplicaFacts[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { image } of ready) counts.set(image, (counts.get(image) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || Number(b === wanted) - Number(a === wanted))[0]?.[0];
}
