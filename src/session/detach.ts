import { installedManifests, removeObjects } from '../cluster/install/install.ts';
import { isSame, readAttachment, releaseCluster } from '../cluster/install/marker.ts';
import { removeSystemNamespace } from '../cluster/install/system-namespace.ts';
import type { ComputeTargetRecord } from '../contract/compute-record.ts';
import type { ComputeTarget } from '../contract/compute-target.ts';
import type { Endpoint } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import { findComputeRecord, removeComputeRecord } from '../engine/compute/compute.ts';
import { forgetConnection, readConnection } from '../engine/compute/connection.ts';
import { type RunOptions, runStage } from '../engine/endpoints/stages.ts';
import type { KubeClient } from '../kube/kube.ts';
import { type AttachHost, contentOf } from './attach.ts';
import { connectCluster, openClusterWith } from './clusters.ts';
import { clusterSettings, frontEndSettings } from './front-end.ts';

export interface DetachRequest {
  readonly name: string;
  /** Else they keep running, and nobody looks after them. */
  readonly deleteEndpoints: boolean;
  /** Forgets the target also where its cluster cannot be reached. */
  readonly force: boolean;
}

export interface DetachPlan {
  readonly target: string;
  readonly server: string;
  /** Names of those in the namespaces that the target serves. */
  readonly endpoints: readonly string[];
  readonly deleteEndpoints: boolean;
  /** Why the cluster cannot be reached: then nothing is removed from it. */
  readonly unreachable?: string;
}

export interface DetachResult {
  /** What keeps aksml's namespace from being removed. */
  readonly left: readonly string[];
}

export interface DetachOptions extends RunOptions {
  /** @throws whatever keeps it from being done */
  readonly confirm: (plan: DetachPlan) => Promise<void>;
}

/**
 * Removes what attaching has installed, and nothing else, then the record. What was begun is finished by the same command.
 * @throws AksmlError `computeTarget.notFound` | `computeTarget.notConnected` | `kube.*`
 */
export async function detachCluster(
  host: AttachHost,
  request: DetachRequest,
  options: DetachOptions,
): Promise<DetachResult> {
  const record = await findComputeRecord(host.workspace, request.name, options.signal);
  if (record === undefined) throw notFound(request.name);
  const reached = await reach(host, record, request, options.signal);
  if ('unreachable' in reached) {
    const { server, name: target } = record;
    await options.confirm({ target, server, endpoints: [], deleteEndpoints: false, unreachable: reached.unreachable });
    await forget(host, record, options.signal);
    return { left: [] };
  }
  const { kube, target } = reached;
  try {
    return await detachFrom(host, record, kube, target, request, options);
  } finally {
    await kube.close();
  }
}

async function reach(
  host: AttachHost,
  record: ComputeTargetRecord,
  { force }: DetachRequest,
  signal: AbortSignal | undefined,
): Promise<{ readonly kube: KubeClient; readonly target: ComputeTarget } | { readonly unreachable: string }> {
  try {
    const connection = await readConnection(host.access.home, record.clusterId);
    if (connection === undefined) throw notConnected(record.name);
    const kube = await connectCluster(host.access, connection);
    return { kube, target: await openClusterWith(kube, record, connection, host.credentials) };
  } catch (error) {
    signal?.throwIfAborted();
    if (!AksmlError.is(error)) throw error;
    if (force) return { unreachable: error.message };
    throw new AksmlError(error.code, error.message, {
      fault: error.fault,
      subject: `computeTarget/${record.name}`,
      remedy:
        `${error.remedy ?? ''} To forget ${record.name} without removing anything from its cluster, add --force.`.trim(),
      cause: error,
    });
  }
}

async function detachFrom(
  host: AttachHost,
  record: ComputeTargetRecord,
  kube: KubeClient,
  target: ComputeTarget,
  { deleteEndpoints }: DetachRequest,
  options: DetachOptions,
): Promise<DetachResult> {
  const { signal } = options;
  const present = await readAttachment(kube, signal);
  const isMine = present === undefined || isSame(present, { content: contentOf(host.workspace), target: record.name });
  const namespaces = [record.namespace, ...(record.otherNamespaces ?? [])];
  const all = isMine ? await endpointsOf(target, signal) : [];
  const endpoints = all.map(({ metadata }) => metadata).filter(({ namespace = '' }) => namespaces.includes(namespace));
  const { name, server } = record;
  await options.confirm({ target: name, server, endpoints: endpoints.map((one) => one.name), deleteEndpoints });
  // Somebody has attached the cluster elsewhere since: what is installed there is theirs.
  if (!isMine) {
    await forget(host, record, signal);
    return { left: [] };
  }
  if (deleteEndpoints) await removeEndpoints(target, endpoints, options);
  const left = await runStage('apply', `Removing aksml from ${kube.server}`, options, async () => {
    const manifests = installedManifests({
      ...clusterSettings(record, host.version),
      image: 'unknown',
      // Whatever it was at first.
      controllers: 2,
      frontEnd: { ...frontEndSettings(record), routers: 3 },
    });
    let done = 0;
    await removeObjects(kube, manifests, {
      keepEndpoints: deleteEndpoints ? all.length > endpoints.length : all.length > 0,
      onObject: (detail) => {
        done += 1;
        options.onProgress?.({ type: 'progress', stage: 'apply', done, unit: 'objects', detail });
      },
      ...(signal === undefined ? {} : { signal }),
    });
    // The cluster is taken until the end: what somebody else installs meanwhile would go with the namespace.
    const { isRemoved, left } = await removeSystemNamespace(kube, signal);
    if (!isRemoved) await releaseCluster(kube, signal);
    return { value: left, reused: false, detail: `${done} objects` };
  });
  await forget(host, record, signal);
  return { left };
}

async function endpointsOf(target: ComputeTarget, signal: AbortSignal | undefined): Promise<readonly Endpoint[]> {
  try {
    return await target.listEndpoints(signal);
  } catch (error) {
    // What they are is unknown to the cluster already: of a detach that was interrupted.
    if (AksmlError.is(error, 'computeTarget.notInstalled')) return [];
    throw error;
  }
}

async function removeEndpoints(
  target: ComputeTarget,
  endpoints: readonly Endpoint['metadata'][],
  options: DetachOptions,
): Promise<void> {
  const [first] = endpoints;
  if (first === undefined) return;
  await runStage(
    'watch',
    `Deleting ${endpoints.length === 1 ? first.name : `${endpoints.length} endpoints`}`,
    options,
    async () => {
      for (const [done, { name, namespace }] of endpoints.entries()) {
        options.onProgress?.({
          type: 'progress',
          stage: 'watch',
          done,
          total: endpoints.length,
          unit: 'endpoints',
          detail: name,
        });
        await target.deleteEndpoint(name, options.signal, namespace).catch((error: unknown) => {
          if (!AksmlError.is(error, 'service.notFound')) throw error;
        });
      }
      return { value: undefined, reused: false, detail: '' };
    },
  );
}

/** The record last: with it goes the way to try again. */
async function forget(
  { access, workspace }: AttachHost,
  { name, clusterId }: ComputeTargetRecord,
  signal: AbortSignal | undefined,
): Promise<void> {
  await forgetConnection(access.home, clusterId);
  await removeComputeRecord(workspace, name, signal);
}

function notFound(name: string): AksmlError {
  return new AksmlError('computeTarget.notFound', `There is no attached compute target ${JSON.stringify(name)}.`, {
    fault: 'input',
    subject: `computeTarget/${name}`,
    remedy: 'See "aksml computetarget list".',
  });
}

function notConnected(name: string): AksmlError {
  return new AksmlError(
    'computeTarget.notConnected',
    `This machine has no credentials for the compute target ${name}.`,
    {
      fault: 'input',
      subject: `computeTarget/${name}`,
      remedy: `Name your kubeconfig first: aksml computetarget attach kubernetes -n ${name} --kubeconfig FILE --context NAME.`,
    },
  );
}
