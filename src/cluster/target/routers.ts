import { AksmlError } from '../../contract/error.ts';
import type { EndpointCounters, VersionCounters } from '../../contract/metrics.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { PODS, type Pod } from '../../kube/resource.ts';
import { countersOf } from '../../serving/metrics.ts';
import { FRONT_END_NAME, partLabels, ROUTER_PORTS, SYSTEM_NAMESPACE } from '../names.ts';
import { askPod, isReady } from './pod-request.ts';

const SELECTOR = Object.entries(partLabels(FRONT_END_NAME))
  .map(([name, value]) => `${name}=${value}`)
  .join(',');

/** The routers that take requests; none where there is no front end, or where one may not look at it. */
export async function readyRouters(kube: KubeClient, signal?: AbortSignal): Promise<readonly Pod[]> {
  try {
    const { items } = await kube.list(PODS, { namespace: SYSTEM_NAMESPACE, labelSelector: SELECTOR }, signal);
    return items.filter(isReady);
  } catch (error) {
    if (AksmlError.is(error, 'kube.forbidden')) return [];
    throw error;
  }
}

/** What all routers together have counted of an endpoint. @throws AksmlError `metrics.unavailable`, `kube.*` */
export async function readRouterCounters(
  kube: KubeClient,
  endpoint: string,
  signal?: AbortSignal,
): Promise<EndpointCounters> {
  const routers = await readyRouters(kube, signal);
  if (routers.length === 0) {
    throw new AksmlError('metrics.unavailable', 'No router of the cluster tells figures of its requests.', {
      subject: endpoint,
      remedy: 'See with "aksml computetarget show" whether the front end is there and healthy.',
    });
  }
  const counted = await Promise.all(
    routers.map(async (pod) => {
      const request = { method: 'GET', path: '/metrics', headers: {} };
      const answer = await askPod(kube, pod, ROUTER_PORTS.agent, request, signal);
      return countersOf(await answer.text(), endpoint);
    }),
  );
  return { time: performance.now(), versions: addedUp(counted) };
}

/** A version's requests wait in one router, its owner; others have had them before. */
export function addedUp(counted: readonly (readonly VersionCounters[])[]): readonly VersionCounters[] {
  const sums = new Map<string, VersionCounters>();
  for (const one of counted.flat()) {
    const sum = sums.get(one.version);
    sums.set(one.version, sum === undefined ? one : sumOf(sum, one));
  }
  return [...sums.values()];
}

function sumOf(a: VersionCounters, b: VersionCounters): VersionCounters {
  const statuses = new Set([...Object.keys(a.requests), ...Object.keys(b.requests)]);
  const bounds = new Map(a.duration.buckets);
  for (const [bound, count] of b.duration.buckets) bounds.set(bound, (bounds.get(bound) ?? 0) + count);
  const utilization = (a.utilization ?? 0) + (b.utilization ?? 0);
  return {
    version: a.version,
    requests: Object.fromEntries(
      [...statuses].map((status) => [status, (a.requests[status] ?? 0) + (b.requests[status] ?? 0)]),
    ),
    duration: {
      buckets: [...bounds].sort(([left], [right]) => left - right),
      count: a.duration.count + b.duration.count,
    },
    busy: a.busy + b.busy,
    queued: a.queued + b.queued,
    readyReplicas: Math.max(a.readyReplicas, b.readyReplicas),
    ...(a.utilization === undefined && b.utilization === undefined ? {} : { utilization }),
  };
}
