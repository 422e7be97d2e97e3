import type { Cause } from '../../contract/endpoint.ts';
import type { Pod } from '../../kube/resource.ts';
import { causeOfExit } from '../../serving/exit-cause.ts';
import { SCORING_CONTAINER } from '../names.ts';
import { isRefusedStart } from '../refused-start.ts';

type PodStatus = NonNullable<Pod['status']>;
export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
type Terminated = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>;

/** Lines that go with a cause: a traceback whole, but not a log. */
const MAX_TAIL = 60;
const MAX_LINE = 2000;

export function scoringStatus({ status }: Pod): ContainerStatus | undefined {
  return status?.containerStatuses?.find(({ name }) => name === SCORING_CONTAINER);
}

/** The end of the run that a pod failed by: of the present run, else of the one before while the present one is not ready. */
export function failedRun(pod: Pod): Terminated | undefined {
  const container = scoringStatus(pod);
  if (container === undefined || container.ready) return undefined;
  return container.state?.terminated ?? container.lastState?.terminated;
}

/** Why a pod's container does not run, in the error names of v2. `log` holds the last lines of the run that ended, where they are known. */
export function causeOfPod(pod: Pod, log?: readonly string[]): Cause | undefined {
  const container = scoringStatus(pod);
  const waiting = container?.state?.waiting;
  const ended = failedRun(pod);
  if (ended !== undefined && !(waiting?.reason ?? '').startsWith('Create')) return causeOfEnd(pod, ended, log);
  return waiting === undefined
    ? causeOfPhase(pod)
    : causeOfWaiting(waiting.reason ?? '', waiting.message ?? '', container?.image ?? '');
}

function causeOfEnd(pod: Pod, ended: Terminated, log: readonly string[] | undefined): Cause {
  // A node throws the log of a run away once a later one has ended; the end of it stays in the status.
  const lines = log?.length ? log : (ended.message ?? '').split('\n').filter((line) => line !== '');
  const tail = lines.slice(-MAX_TAIL).map((line) => line.slice(0, MAX_LINE));
  if (ended.reason === 'OOMKilled') {
    const limit = pod.spec?.containers.find(({ name }) => name === SCORING_CONTAINER)?.resources?.limits?.['memory'];
    const against = limit === undefined ? 'the memory of its node' : `its memory limit of ${limit}`;
    return {
      code: 'PodOutOfMemory',
      message: `The replica was killed because it ran into ${against}.`,
      remedy:
        'Give it more memory (--memory-gb, --memory-gb-limit), or lower maxConcurrentRequestsPerContainer: each worker loads the model.',
      exitCode: ended.exitCode,
      ...(tail.length === 0 ? {} : { logTail: tail }),
    };
  }
  const cause = causeOfExit({
    exitCode: ended.exitCode,
    // A container's streams come as one.
    stdout: lines,
    stderr: lines,
    // Its start-up probe has never succeeded since that run began, or it was ready before: only the log can tell, and does where it matters.
    wasReady: false,
  });
  const { logTail } = cause;
  return logTail === undefined
    ? cause
    : { ...cause, logTail: logTail.slice(-MAX_TAIL).map((line) => line.slice(0, MAX_LINE)) };
}

const PULL_FAILURES = new Set([
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
/** The first attempt may fail by chance; these do not. */
const FINAL_PULL_FAILURE = /not found|unauthorized|denied|forbidden|no match for platform/i;

function causeOfWaiting(reason: string, message: string, image: string): Cause | undefined {
  if (PULL_FAILURES.has(reason) || (reason === 'ErrImagePull' && FINAL_PULL_FAILURE.test(message))) {
    return {
      code: 'ImagePullLoopBackOff',
      message: `The cluster cannot pull the image ${image}${said(message)}`,
      remedy: pullRemedy(message),
    };
  }
  if (isRefusedStart(reason, message)) {
    return {
      code: 'InvalidDeploymentSpec',
      message: `The container cannot be made${said(message)}`,
      remedy: /secret/i.test(message)
        ? 'Create the Secret that the version names, in the namespace of the endpoint; the replica then starts by itself.'
        : 'Correct what the message names, then deploy again.',
    };
  }
  return undefined;
}

function pullRemedy(message: string): string {
  if (/not found/i.test(message)) return 'The image is gone from the registry: deploy again, which pushes it anew.';
  if (/unauthorized|denied|forbidden/i.test(message)) {
    return 'Log in to the registry on this machine, then deploy again: the cluster gets a pull secret; or allow the cluster to pull (for AKS: az aks update --attach-acr).';
  }
  return 'Check that the nodes of the cluster can reach the registry.';
}

/** Such as a pod that its node threw out. */
function causeOfPhase({ status }: Pod): Cause | undefined {
  if (status?.phase !== 'Failed') return undefined;
  const reason = status.reason ?? 'Failed';
  return {
    code: /memory/i.test(status.message ?? '') ? 'PodOutOfMemory' : 'DeploymentCrashLoopBackOff',
    message: `The replica was ended by its node: ${reason}${said(status.message ?? '')}`,
    remedy: 'Another one takes its place; if it happens again, give the replicas more of what the node lacks.',
  };
}

function said(message: string): string {
  return message === '' ? '.' : `: ${message.trim().slice(0, 1000)}`;
}
