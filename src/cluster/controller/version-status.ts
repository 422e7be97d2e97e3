import type { Cause, ReplicaStatus, VersionSpec, VersionStatus } from '../../contract/endpoint.ts';
import type { Deployment, Pod } from '../../kube/resource.ts';
import { type ReplicaFacts, versionState } from '../../serving/status.ts';
import { causeOfPod, failedRun, scoringStatus } from './pod-cause.ts';
import type { RunLog } from './pod-diagnosis.ts';
import { IMAGE_ANNOTATION, TEMPLATE_ANNOTATION } from './pod-template.ts';
import { NOTICE_MS, type ScaleUp, unschedulableCause, unscheduled } from './scheduling.ts';

/** What the cluster tells of one version. */
export interface VersionFacts {
  readonly version: VersionSpec;
  /** Of the pods that are wanted. */
  readonly template: string;
  readonly deployment?: Deployment;
  readonly pods: readonly Pod[];
  /** Of the run that ended, by the pod's uid. */
  readonly logs: ReadonlyMap<string, RunLog>;
  /** What an autoscaler of nodes does about pods that no node takes. */
  readonly scaleUp: ScaleUp;
  readonly inPlace: boolean;
  /** What was said of it last. */
  readonly before?: VersionStatus;
  /** As far as the routers have told. */
  readonly utilization?: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A version's status, and after how many milliseconds time alone may change it. */
export interface DerivedVersion {
  readonly status: Omit<VersionStatus, 'effectiveTraffic'>;
  readonly recheckMs?: number;
}

/** Replicas that a status tells of one by one. */
const MAX_SHOWN = 200;

/** How often events of autoscalers are asked for while a pod waits for a node. */
const WAITING_RECHECK_MS = 10_000;

export function deriveVersion(facts: VersionFacts): DerivedVersion {
  const { version, template, deployment, now } = facts;
  const pods = [...facts.pods].sort(
    (a, b) => startOf(a).localeCompare(startOf(b)) || (a.metadata.name < b.metadata.name ? -1 : 1),
  );
  const replicas = pods.map((pod) => ({ pod, status: replicaStatus(pod, facts) }));
  const desired = desiredReplicas(version, deployment);
  const waiting = pods
    .filter((pod) => isOf(pod, template))
    .map(unscheduled)
    .find((one) => one !== undefined);
  const error = creationFailure(deployment) ?? scheduling(waiting, facts);
  const verdict = versionState({
    image: template,
    desiredReplicas: desired,
    requiredReplicas: Math.min(desired, hasServed(facts) ? requiredReplicas(version) : startReplicas(version)),
    replicas: replicas.map(
      ({ pod, status }): ReplicaFacts => ({
        image: pod.metadata.annotations?.[TEMPLATE_ANNOTATION] ?? '',
        state: status.state,
        ...(status.error === undefined ? {} : { error: status.error }),
      }),
    ),
    ...(error === undefined ? {} : { error }),
  });
  const rechecks = [
    ...[...facts.logs.values()].flatMap(({ settlesIn }) => settlesIn ?? []),
    ...(waiting === undefined ? [] : [Math.max(1000, Math.min(WAITING_RECHECK_MS, waiting.since + NOTICE_MS - now))]),
  ];
  const { servingImage: servingTemplate, ...counts } = verdict;
  const servingImage =
    replicas.find(({ pod }) => isOf(pod, servingTemplate))?.status.image ?? asleep(facts)?.servingImage;
  const utilization = facts.utilization ?? facts.before?.utilization;
  return {
    status: {
      name: version.name,
      desiredReplicas: desired,
      ...counts,
      ...(servingImage === undefined ? {} : { servingImage }),
      ...(utilization === undefined || counts.availableReplicas === 0 ? {} : { utilization }),
      replicas: shown(replicas.map(({ status }) => status)),
    },
    ...(rechecks.length === 0 ? {} : { recheckMs: Math.min(...rechecks) }),
  };
}

/** Those of the Deployment, within what the version allows now: right after a change the one that is known here may be the one before it. */
function desiredReplicas({ scale }: VersionSpec, deployment: VersionFacts['deployment']): number {
  if (scale.kind === 'fixed') return scale.replicas;
  return Math.max(scale.minReplicas, Math.min(scale.maxReplicas, deployment?.spec?.replicas ?? scale.minReplicas));
}

/** An object of the API server has 1.5 MiB: of very many replicas, those are left out about which there is least to say. */
function shown(replicas: readonly ReplicaStatus[]): readonly ReplicaStatus[] {
  if (replicas.length <= MAX_SHOWN) return replicas;
  const others = replicas.filter(({ state }) => state !== 'ready');
  const ready = replicas.filter(({ state }) => state === 'ready');
  return [...others, ...ready].slice(0, MAX_SHOWN);
}

/** Without requests there need be no replica: what served last is what will serve. */
function asleep({ version, before }: VersionFacts): VersionStatus | undefined {
  return requiredReplicas(version) === 0 ? before : undefined;
}

function hasServed({ version, before }: VersionFacts): boolean {
  return before?.servingImage === version.image;
}

/** Those with which a version begins: also one that may have none must have shown that it runs. */
export function startReplicas(version: VersionSpec): number {
  return Math.max(1, requiredReplicas(version));
}

/** What the user asked for: the rest comes and goes with the load. */
export function requiredReplicas({ scale }: VersionSpec): number {
  return scale.kind === 'fixed' ? scale.replicas : scale.minReplicas;
}

export function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}

export function isOf({ metadata }: Pod, template: string | undefined): boolean {
  return template !== undefined && metadata.annotations?.[TEMPLATE_ANNOTATION] === template;
}

function replicaStatus(pod: Pod, facts: VersionFacts): ReplicaStatus {
  const container = scoringStatus(pod);
  const { state, error, message } = situation(pod, facts);
  return {
    id: pod.metadata.name,
    image: pod.metadata.annotations?.[IMAGE_ANNOTATION] ?? '',
    state,
    startedTime: startOf(pod),
    restarts: container?.restartCount ?? 0,
    ...(message === undefined ? {} : { message }),
    ...(error === undefined ? {} : { error }),
  };
}

function situation(pod: Pod, facts: VersionFacts): Pick<ReplicaStatus, 'state' | 'error' | 'message'> {
  if (pod.metadata.deletionTimestamp !== undefined) return { state: 'draining' };
  if (isReady(pod)) return { state: 'ready' };
  const log = facts.logs.get(pod.metadata.uid ?? '');
  // Whoever waits for the version stops at the first failure it is told: that one must be whole.
  if (log?.settlesIn !== undefined && log.lines === undefined)
    return { state: 'starting', message: 'has ended; its log is being read' };
  const cause = causeOfPod(pod, log?.lines);
  if (cause !== undefined) return { state: 'failed', error: cause };
  const message = startingMessage(pod, facts);
  return { state: 'starting', ...(message === undefined ? {} : { message }) };
}

/** What it is at, in words that do not change by themselves. */
function startingMessage(pod: Pod, { scaleUp, inPlace }: VersionFacts): string | undefined {
  const waiting = unscheduled(pod);
  if (waiting !== undefined) {
    if (scaleUp?.state === 'adding')
      return `waits for a node that the cluster autoscaler is adding (${scaleUp.message})`;
    return inPlace ? 'waits for the room of a replica that it replaces' : `waits for a node: ${waiting.reason}`;
  }
  const container = scoringStatus(pod);
  if (container?.state?.running) {
    return `init() has been running since ${container.state.running.startedAt ?? startOf(pod)}`;
  }
  if (container?.state?.waiting?.reason === 'ErrImagePull')
    return `pulls its image again: ${container.state.waiting.message ?? ''}`;
  return pod.spec?.nodeName ? `is being set up on ${pod.spec.nodeName}` : undefined;
}

function scheduling(
  waiting: ReturnType<typeof unscheduled>,
  { scaleUp, inPlace, now }: VersionFacts,
): Cause | undefined {
  if (waiting === undefined || scaleUp?.state === 'adding' || inPlace) return undefined;
  if (scaleUp === undefined && now - waiting.since < NOTICE_MS) return undefined;
  return unschedulableCause(waiting, scaleUp);
}

/** Why the cluster makes no pods: a quota, a policy, a missing account. */
function creationFailure(deployment: Deployment | undefined): Cause | undefined {
  const failure = deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  if (failure === undefined) return undefined;
  const message = failure.message ?? failure.reason ?? '';
  if (/exceeded quota/i.test(message)) {
    return {
      code: 'PodUnschedulable',
      message: `The namespace's quota allows no further replica: ${message}`,
      remedy: 'Ask for less, or have the quota raised; the replica starts as soon as there is room.',
    };
  }
  return {
    code: 'InvalidDeploymentSpec',
    message: `The cluster makes no replica: ${message}`,
    remedy: 'Correct what the message names; it may be a policy of the cluster or the namespace.',
  };
}

/** The pods whose log tells why the version fails: the newest that failed, of those that are wanted. */
export function podToRead({ pods, template }: Pick<VersionFacts, 'pods' | 'template'>): Pod | undefined {
  return pods
    .filter(
      (pod) => isOf(pod, template) && pod.metadata.deletionTimestamp === undefined && failedRun(pod) !== undefined,
    )
    .sort((a, b) => startOf(a).localeCompare(startOf(b)) || (a.metadata.name < b.metadata.name ? -1 : 1))
    .at(-1);
}

function startOf({ metadata }: Pod): string {
  return metadata.creationTimestamp ?? '';
}
