import type { Cause, Endpoint, VersionStatus } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Engine } from '../engine.ts';
import { type RunOptions, runStage } from './stages.ts';
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
    void streamLog(engine, wanted.metadata.name, versionName, options, signal);
    // Ends with the signal.
    void tellWhenNobodyWorks(engine, () => heard, options, signal).catch(() => undefined);
    try {
      const endpoint = await follow(engine, wanted, versionName, options, signal, () => {
        heard = performance.now();
      });
      const status = versionStatus(endpoint, versionName);
      const replicas = status?.availableReplicas ?? 0;
      return {
        value: endpoint,
        reused: false,
        detail: `Healthy with ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
      };
    } finally {
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
  const name = wanted.metadata.name;
  let told = '';
  for await (const change of engine.target.watchEndpoints({ name }, signal, interruptionTeller(options))) {
    onChange();
    if (change.type === 'deleted' && change.name === name) {
      throw new AksmlError('deployment.deleted', `${name} was deleted while it was being deployed.`, { subject: name });
    }
    if (change.type !== 'present' && change.type !== 'changed') continue;
    const { endpoint } = change;
    if (
      endpoint.metadata.name !== name ||
      (endpoint.status?.observedGeneration ?? 0) < (wanted.metadata.generation ?? 0)
    )
      continue;
    const status = versionStatus(endpoint, versionName);
    if (status === undefined) continue;
    const state = describe(status);
    if (state !== told) options.onProgress?.({ type: 'state', endpoint: name, state: status.state, detail: state });
    told = state;
    const image = endpoint.spec.versions.find((version) => version.name === versionName)?.image;
    if (image !== wantedImage(wanted, versionName)) {
      throw new AksmlError('deployment.superseded', `Another deploy of ${name} has replaced this one.`, {
        subject: name,
        remedy: `See "aksml service history -n ${name}".`,
      });
    }
    if (status.state === 'Healthy' && status.servingImage === image) return endpoint;
    if (status.error && (status.state === 'Failed' || status.state === 'Unhealthy'))
      throw failure(name, status, status.error);
  }
  throw AksmlError.cancelled(`Waiting for ${name}`);
}

/** What the replicas print from now on. It is an extra: the wait goes by the state alone. */
async function streamLog(
  engine: Engine,
  name: string,
  version: string,
  { onProgress }: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  if (onProgress === undefined) return;
  const query = { version, follow: true, living: true, since: engine.clock().toISOString() };
  try {
    for await (const { replica, line } of engine.target.readLogs(name, query, signal)) {
      onProgress({ type: 'log', stage: 'watch', source: replica, line });
    }
  } catch {
    return;
  }
}

function versionStatus(endpoint: Endpoint, versionName: string): VersionStatus | undefined {
  return endpoint.status?.versions.find((version) => version.name === versionName);
}

function wantedImage(endpoint: Endpoint, versionName: string): string | undefined {
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
