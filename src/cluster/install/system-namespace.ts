import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { listWatch } from '../../kube/list-watch.ts';
import type { KubeObject } from '../../kube/object.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINTS,
  NAMESPACES,
  PODS,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../../kube/resource.ts';
import { SYSTEM_NAMESPACE } from '../names.ts';
import { isOurs } from './ours.ts';

/** Kinds that somebody may have put something of into the namespace. */
const LOOKED_AT: readonly Resource<KubeObject>[] = [
  PODS,
  DEPLOYMENTS,
  SERVICES,
  CONFIG_MAPS,
  SECRETS,
  SERVICE_ACCOUNTS,
  ENDPOINTS,
];
/** Kubernetes puts these into every namespace. */
const OF_KUBERNETES = ['kube-root-ca.crt', 'default'];

export interface NamespaceRemoval {
  readonly isRemoved: boolean;
  /** What keeps it there. */
  readonly left: readonly string[];
}

/** Removes aksml's own namespace if attach made it and nothing of anybody else is in it. */
export async function removeSystemNamespace(kube: KubeClient, signal?: AbortSignal): Promise<NamespaceRemoval> {
  const present = await kube.find(NAMESPACES, { name: SYSTEM_NAMESPACE }, signal);
  if (present === undefined) return { isRemoved: true, left: [] };
  if (!isOurs(present)) return { isRemoved: false, left: [] };
  const left = await othersIn(kube, signal);
  if (left.length > 0) return { isRemoved: false, left };
  // Of a namespace that is being removed, pods that still have time to end are looked at again only when half of that time is over.
  await untilPodsGone(kube, signal);
  await kube.remove(NAMESPACES, present.metadata, signal === undefined ? {} : { signal });
  await untilNamespaceGone(kube, signal);
  return { isRemoved: true, left: [] };
}

export async function untilNamespaceGone(kube: KubeClient, signal?: AbortSignal): Promise<void> {
  const leave = new AbortController();
  const watching = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
  try {
    const query = { fieldSelector: `metadata.name=${SYSTEM_NAMESPACE}` };
    for await (const event of listWatch(kube, NAMESPACES, query, watching)) {
      if (event.type === 'deleted' || (event.type === 'listed' && event.objects.length === 0)) return;
    }
    signal?.throwIfAborted();
  } finally {
    leave.abort();
  }
}

/** Routers answer what they have begun. */
async function untilPodsGone(kube: KubeClient, signal?: AbortSignal): Promise<void> {
  const leave = new AbortController();
  const watching = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
  const present = new Set<string>();
  try {
    for await (const event of listWatch(kube, PODS, { namespace: SYSTEM_NAMESPACE }, watching)) {
      if (event.type === 'listed') present.clear();
      if (event.type === 'listed') for (const { metadata } of event.objects) present.add(metadata.name);
      if (event.type === 'deleted') present.delete(event.object.metadata.name);
      if (event.type !== 'interrupted' && present.size === 0) return;
    }
    signal?.throwIfAborted();
  } finally {
    leave.abort();
  }
}

async function othersIn(kube: KubeClient, signal: AbortSignal | undefined): Promise<string[]> {
  const others: string[] = [];
  for (const resource of LOOKED_AT) {
    for (const item of await itemsOf(kube, resource, signal)) {
      if (isOurs(item) || OF_KUBERNETES.includes(item.metadata.name)) continue;
      others.push(`${resource.kind} ${item.metadata.name}`);
    }
  }
  return others;
}

/** None where the cluster does not know the kind: with the last endpoint, the definition of what endpoints are has just gone. */
async function itemsOf(kube: KubeClient, resource: Resource<KubeObject>, signal: AbortSignal | undefined) {
  try {
    return (await kube.list(resource, { namespace: SYSTEM_NAMESPACE }, signal)).items;
  } catch (error) {
    if (AksmlError.is(error, 'kube.notFound')) return [];
    throw error;
  }
}
