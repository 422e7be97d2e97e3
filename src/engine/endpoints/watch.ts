import type { EndpointChange } from '../../contract/compute-target.ts';
import type { Cause, Endpoint, EndpointState, VersionStatus } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Engine } from '../engine.ts';
import { type RunOptions, runStage } from './stages.ts';
import { tellStartLog } from './start-log.ts';
import { interruptionTeller, tellWhenNobodyWorks } from './waiting.ts';

/**
 * Waits until a version serves its newest image with all replicas, while its log streams to the progress.
 * @throws AksmlError `deployment.failed` with the replica's own cause; whatever served before keeps serving.
 */
export async function waitUntilHealthy(
  engine: Engine,
  wanted: Endpoint,
  versionName: string,
  options: RunOptions,
): Promise<Endpoint> {
  return runStage('watch', `Waiting for ${wanted.metadata.name} to become Healthy`, options, async () => {
    const leave = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, leave.signal]) : leave.signal;
    let heard = performance.now();
    const log = tellStartLog(engine, wanted.metadata.name, versionName, options, signal);
    // Ends with the signal.
    void tellWhenNobodyWorks(engine, () => heard, options, signal).catch(() => undefined);
    try {
      const endpoint = await follow(engine, wanted, versionName, options, signal, () => {
        heard = performance.now();
      });
      const status = endpoint.status?.versions.find((version) => version.name === versionName);
      const replicas = status?.availableReplicas ?? 0;
      return {
        value: endpoint,
        reused: false,
        detail: `Healthy with ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
      };
    } finally {
      await log.end();
      leave.abort();
    }
  });
}

async function follow(
  engine: Engine,
  wanted: Endpoint,
  versionName: string,
  options: RunOptions,
  signal: AbortSignal,
  onChange: () => void,
): Promise<Endpoint> {
  const { name, namespace } = wanted.metadata;
  const filter = { name, ...(namespace === undefined ? {} : { namespace }) };
  let told = '';
  for await (const change of engine.target.watchEndpoints(filter, signal, interruptionTeller(options))) {
    onChange();
    const { state, end } = judge(change, wanted, versionName);
    if (state !== undefined && state.detail !== told) {
      options.onProgress?.({ type: 'state', endpoint: name, ...state });
      told = state.detail;
    }
    if (AksmlError.is(end, NAME_TAKEN) && (await engine.target.isNameBeingFreed?.(wanted, signal))) {
      const message = `${end.message} That one is going: this waits for its end.`;
      if (told !== message) {
        options.onProgress?.({ type: 'problem', problem: { severity: 'notice', code: end.code, message } });
      }
      told = message;
      continue;
    }
    if (AksmlError.is(end)) throw end;
    if (end !== undefined) return end;
  }
  throw AksmlError.cancelled(`Waiting for ${name}`);
}

const NAME_TAKEN = 'endpoint.nameTaken';

/** Whether what was waited for has come to a bad end; what else ends a wait leaves that open. */
export function isVerdict(error: unknown): boolean {
  return AksmlError.is(error) && (error.code.startsWith('deployment.') || error.code === NAME_TAKEN);
}

/** What a change means to whoever waits for `wanted`. */
export interface Judgement {
  /** How it stands. */
  readonly state?: { readonly state: EndpointState; readonly detail: string };
  /** What the wait ends with: the endpoint, which serves what was wanted, or why it never will. */
  readonly end?: Endpoint | AksmlError;
}

/** `change` is of the very endpoint that is waited for, or of one that has taken its place. Pure. */
export function judge(change: EndpointChange, wanted: Endpoint, versionName: string): Judgement {
  const { name, generation = 0 } = wanted.metadata;
  if (change.type === 'deleted') {
    const message = `${name} was deleted while it was being deployed.`;
    return { end: new AksmlError('deployment.deleted', message, { subject: name }) };
  }
  if (change.type === 'synced') return {};
  const { endpoint } = change;
  if ((endpoint.status?.observedGeneration ?? 0) < generation) return {};
  const image = imageOf(endpoint, versionName);
  if (image !== imageOf(wanted, versionName)) return { end: superseded(name) };
  const status = endpoint.status?.versions.find((version) => version.name === versionName);
  if (status === undefined) return withoutVersion(endpoint);
  const state = { state: status.state, detail: describe(status) };
  if (status.state === 'Healthy' && status.servingImage === image) return { state, end: endpoint };
  const isBroken = status.state === 'Failed' || status.state === 'Unhealthy';
  return status.error && isBroken ? { state, end: failure(name, status, status.error) } : { state };
}

/** Nothing is made of an endpoint whose name another one has. */
function withoutVersion({ metadata: { name }, status }: Endpoint): Judgement {
  const conflict = status?.conditions?.find((condition) => condition.type === 'NameConflict');
  if (status === undefined || conflict?.status !== 'True') return {};
  const state = { state: status.state, detail: conflict.message };
  if (status.error === undefined) return { state };
  const { message, remedy } = status.error;
  return { end: new AksmlError(NAME_TAKEN, message, { subject: name, ...(remedy === undefined ? {} : { remedy }) }) };
}

function superseded(name: string): AksmlError {
  return new AksmlError('deployment.superseded', `Another deploy of ${name} has replaced this one.`, {
    subject: name,
    remedy: `See "aksml service history -n ${name}".`,
  });
}

function imageOf(endpoint: Endpoint, versionName: string): string | undefined {
  return endpoint.spec.versions.find((version) => version.name === versionName)?.image;
}

function describe(status: VersionStatus): string {
  const replicas = `${status.updatedReplicas}/${status.desiredReplicas} replicas ready`;
  const detail = status.error?.message ?? status.replicas.find(({ message }) => message !== undefined)?.message;
  return detail === undefined ? replicas : `${replicas}, ${detail}`;
}

function failure(name: string, status: VersionStatus, cause: Cause): AksmlError {
  // A cause can be an error of the script's, which need not be a sentence.
  const end = /[.!?]$/.test(cause.message) ? '' : '.';
  const serving = status.availableReplicas > 0 ? `${end} What was deployed before keeps serving.` : '';
  return new AksmlError('deployment.failed', `${name} is ${status.state}: ${cause.code}: ${cause.message}${serving}`, {
    subject: name,
    ...(cause.remedy === undefined ? {} : { remedy: cause.remedy }),
    ...(cause.logTail === undefined ? {} : { logTail: cause.logTail }),
  });
}
