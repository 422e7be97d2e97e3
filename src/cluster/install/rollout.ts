import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { listWatch } from '../../kube/list-watch.ts';
import { readPodLog } from '../../kube/pod-log.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, type Deployment, PODS, type Pod } from '../../kube/resource.ts';
import { ENDPOINT_CRD } from '../crd.ts';
import { SYSTEM_NAMESPACE } from '../names.ts';
import { isRefusedStart } from '../refused-start.ts';

/** A node that has to be added first takes minutes. */
const PATIENCE_MS = 10 * 60_000;
const LOG_LINES = 20;
const LOG_MS = 10_000;
/** One failed pull may be a passing trouble of the registry. */
const REFUSED_PULLS = ['ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull'];
const CRASHES = 2;

export interface RolloutProgress {
  readonly ready: number;
  readonly wanted: number;
  /** What it waits for. */
  readonly detail?: string;
}

/** A Deployment of aksml's own namespace. */
export interface Part {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** That was installed last. */
  readonly image: string;
}

/**
 * Waits until the cluster serves endpoints and all pods of the part run, from its newest image. `onInterruption` is told why
 * the cluster cannot be asked at present, and undefined once it can be again.
 * @throws AksmlError `computeTarget.notReady` with the cause
 */
export async function waitForPart(
  kube: KubeClient,
  part: Part,
  onProgress: (progress: RolloutProgress) => void,
  onInterruption: (cause: AksmlError | undefined) => void,
  signal?: AbortSignal,
): Promise<void> {
  const late = AbortSignal.timeout(PATIENCE_MS);
  const leave = new AbortController();
  const waiting = AbortSignal.any([...(signal ? [signal] : []), late, leave.signal]);
  let detail: string | undefined;
  let newest: Pod | undefined;
  const failure = Promise.withResolvers<never>();
  void watchPods(kube, part, waiting, (pod, trouble) => {
    newest = pod;
    detail = trouble ?? detail;
  }).catch((error: unknown) => failure.reject(error));
  const ready = async () => {
    await untilServed(kube, waiting);
    const tell = (progress: RolloutProgress) => onProgress({ ...progress, ...(detail ? { detail } : {}) });
    await untilRolledOut(kube, part, waiting, tell, onInterruption);
  };
  try {
    await Promise.race([ready(), failure.promise]);
    signal?.throwIfAborted();
    if (late.aborted) {
      const lines = newest ? await lastLines(kube, newest, signal ?? AbortSignal.timeout(LOG_MS)) : [];
      throw notReady(part, `it did not become ready within ${PATIENCE_MS / 60_000} minutes`, detail, lines);
    }
  } finally {
    leave.abort();
  }
}

async function untilServed(kube: KubeClient, signal: AbortSignal): Promise<void> {
  const query = { fieldSelector: `metadata.name=${ENDPOINT_CRD}` };
  for await (const event of listWatch(kube, CUSTOM_RESOURCE_DEFINITIONS, query, signal)) {
    const objects = event.type === 'listed' ? event.objects : event.type === 'changed' ? [event.object] : [];
    const conditions = objects.flatMap(({ status }) => status?.conditions ?? []);
    if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) return;
  }
}

async function untilRolledOut(
  kube: KubeClient,
  { name }: Part,
  signal: AbortSignal,
  onProgress: (progress: RolloutProgress) => void,
  onInterruption: (cause: AksmlError | undefined) => void,
): Promise<void> {
  const query = { namespace: SYSTEM_NAMESPACE, fieldSelector: `metadata.name=${name}` };
  for await (const event of listWatch(kube, DEPLOYMENTS, query, signal)) {
    if (event.type === 'interrupted' && AksmlError.is(event.error)) onInterruption(event.error);
    if (event.type === 'resumed') onInterruption(undefined);
    const [deployment] = event.type === 'listed' ? event.objects : event.type === 'changed' ? [event.object] : [];
    if (deployment === undefined) continue;
    const { ready, wanted, done } = rollout(deployment);
    onProgress({ ready, wanted });
    if (done) return;
  }
}

export function rollout({ metadata, spec, status }: Deployment): RolloutProgress & { readonly done: boolean } {
  const wanted = spec?.replicas ?? 1;
  const seen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const updated = status?.updatedReplicas ?? 0;
  const ready = seen ? Math.min(updated, status?.availableReplicas ?? 0) : 0;
  return { ready, wanted, done: seen && ready >= wanted && (status?.replicas ?? 0) === wanted };
}

async function watchPods(
  kube: KubeClient,
  part: Part,
  signal: AbortSignal,
  onPod: (pod: Pod, trouble: string | undefined) => void,
): Promise<void> {
  const query = { namespace: SYSTEM_NAMESPACE, labelSelector: `app.kubernetes.io/name=${part.name}` };
  for await (const event of listWatch(kube, PODS, query, signal)) {
    const pods = event.type === 'listed' ? event.objects : event.type === 'changed' ? [event.object] : [];
    for (const pod of pods) {
      // Those of an earlier attempt are on their way out.
      if (pod.spec?.containers[0]?.image !== part.image) continue;
      const trouble = troubleOf(pod);
      // What was found so may be about to mend: the cause of an earlier attempt is removed, and the node has not tried again yet.
      if (trouble?.final && event.type === 'changed')
        throw notReady(part, trouble.reason, undefined, await lastLines(kube, pod, signal));
      onPod(pod, trouble?.reason);
    }
  }
}

/** Why a pod does not run, and whether waiting is of no use. */
export function troubleOf({ metadata, status }: Pod): { readonly reason: string; readonly final: boolean } | undefined {
  // Of an earlier attempt.
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const unscheduled = status?.conditions?.find(
    ({ type, status: value }) => type === 'PodScheduled' && value === 'False',
  );
  if (unscheduled)
    return { reason: `no node takes it: ${unscheduled.message ?? unscheduled.reason ?? ''}`, final: false };
  for (const { state, lastState, restartCount } of status?.containerStatuses ?? []) {
    const { reason = '', message } = state?.waiting ?? {};
    if (REFUSED_PULLS.includes(reason))
      return { reason: `its image cannot be pulled: ${message ?? reason}`, final: true };
    if (isRefusedStart(reason, message ?? ''))
      return { reason: `it cannot be started: ${message ?? reason}`, final: true };
    const ended = lastState?.terminated;
    if (ended && restartCount >= CRASHES && state?.running === undefined) {
      return { reason: `it ends with exit code ${ended.exitCode} (${ended.reason ?? 'Error'})`, final: true };
    }
  }
  return undefined;
}

async function lastLines(kube: KubeClient, pod: Pod, signal: AbortSignal): Promise<string[]> {
  const { name, namespace = SYSTEM_NAMESPACE } = pod.metadata;
  const container = pod.spec?.containers[0]?.name ?? '';
  const lines: string[] = [];
  try {
    const query = { pod: { name, namespace }, container, tailLines: LOG_LINES };
    for await (const batch of readPodLog(kube, query, signal)) lines.push(...batch.map(({ line }) => line));
  } catch {
    // It never ran, or is gone: the reason says enough.
  }
  return lines.slice(-LOG_LINES);
}

function notReady(
  { name, title }: Part,
  reason: string,
  detail: string | undefined,
  logTail: readonly string[] = [],
): AksmlError {
  const last = detail === undefined ? '' : ` (${detail})`;
  return new AksmlError('computeTarget.notReady', `The ${title} in the cluster does not run: ${reason}${last}.`, {
    subject: name,
    remedy: `Mend the cause and run the same command again; see "kubectl -n ${SYSTEM_NAMESPACE} get pods". To give up: aksml computetarget detach.`,
    logTail,
  });
}
