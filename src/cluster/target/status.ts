import type { ComponentHealth, ComputeResources, ComputeTargetStatus } from '../../contract/compute-record.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { DEPLOYMENTS, type KubeNode, NODES, PODS, type Pod, SERVICES } from '../../kube/resource.ts';
import { portalAddress } from '../azure-portal.ts';
import { frontEndAddresses } from '../front-end-address.ts';
import { CONTROLLER_NAME, FRONT_END_NAME, SYSTEM_NAMESPACE } from '../names.ts';
import { quantity } from '../quantity.ts';

const GIB = 1024 ** 3;
const GPU = 'nvidia.com/gpu';

/** What the cluster has, and how aksml's own parts in it are. What one may not look at is left out. @throws what keeps it from being reached */
export async function clusterStatus(kube: KubeClient, signal?: AbortSignal): Promise<ComputeTargetStatus> {
  const own = { namespace: SYSTEM_NAMESPACE, name: FRONT_END_NAME };
  const [kubernetesVersion, looked, frontEnd, service] = await Promise.all([
    kube.version(signal),
    lookAtReplicas(kube, signal),
    ifAllowed(componentHealth(kube, FRONT_END_NAME, signal)),
    ifAllowed(kube.find(SERVICES, own, signal)),
  ]);
  const nodes = looked.nodes?.items ?? [];
  const portal = portalAddress(nodes, kube.server);
  return {
    ...replicaFacts(looked),
    kubernetesVersion,
    ...(portal === undefined ? {} : { portal }),
    ...(frontEnd === undefined
      ? {}
      : { frontEnd: { ...frontEnd, addresses: service ? frontEndAddresses(service, nodes) : [] } }),
  };
}

/** Of that what bears upon replicas, for which less is asked. */
export async function replicasStatus(kube: KubeClient, signal?: AbortSignal): Promise<ComputeTargetStatus> {
  return replicaFacts(await lookAtReplicas(kube, signal));
}

interface Looked {
  readonly nodes: { readonly items: readonly KubeNode[] } | undefined;
  readonly pods: { readonly items: readonly Pod[] } | undefined;
  readonly controller: ComponentHealth | undefined;
}

async function lookAtReplicas(kube: KubeClient, signal: AbortSignal | undefined): Promise<Looked> {
  const [nodes, pods, controller] = await Promise.all([
    ifAllowed(kube.list(NODES, {}, signal)),
    ifAllowed(kube.list(PODS, { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' }, signal)),
    ifAllowed(componentHealth(kube, CONTROLLER_NAME, signal)),
  ]);
  return { nodes, pods, controller };
}

function replicaFacts({ nodes, pods, controller }: Looked): ComputeTargetStatus {
  return {
    reachable: true,
    ...(nodes === undefined ? {} : nodeFacts(nodes.items, pods?.items)),
    ...(controller === undefined ? {} : { controller }),
  };
}

async function ifAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (AksmlError.is(error, 'kube.forbidden')) return undefined;
    throw error;
  }
}

export function nodeFacts(
  nodes: readonly KubeNode[],
  pods: readonly Pod[] | undefined,
): Pick<ComputeTargetStatus, 'nodes' | 'architectures' | 'capacity' | 'free'> {
  const usable = nodes.filter(takesPods);
  const capacity = total(usable.map(({ status }) => resourcesOf(status?.allocatable)));
  const names = new Set(usable.map(({ metadata }) => metadata.name));
  const asked = pods?.filter(({ spec }) => names.has(spec?.nodeName ?? '')).map(requestsOf);
  return {
    nodes: { total: nodes.length, ready: nodes.filter(isReady).length },
    architectures: byFrequency(usable.map(({ status }) => status?.nodeInfo?.architecture ?? 'amd64')),
    capacity,
    ...(asked === undefined ? {} : { free: subtract(capacity, total(asked)) }),
  };
}

function byFrequency(values: readonly string[]): string[] {
  const count = (value: string) => values.filter((other) => other === value).length;
  return [...new Set(values)].sort((a, b) => count(b) - count(a));
}

/** Ready, not cordoned, and without a taint that our pods would have to tolerate. */
function takesPods(node: KubeNode): boolean {
  const tainted = node.spec?.taints?.some(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute');
  return isReady(node) && node.spec?.unschedulable !== true && tainted !== true;
}

function isReady({ status }: KubeNode): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}

/** As the scheduler counts: the containers together, or the largest init container where that is more. */
export function requestsOf({ spec }: Pod): ComputeResources {
  const running = total((spec?.containers ?? []).map(({ resources }) => resourcesOf(resources?.requests)));
  const init = (spec?.initContainers ?? []).map(({ resources }) => resourcesOf(resources?.requests));
  return [running, ...init].reduce((most, one) => ({
    cpu: Math.max(most.cpu, one.cpu),
    memoryInGB: Math.max(most.memoryInGB, one.memoryInGB),
    gpu: Math.max(most.gpu, one.gpu),
  }));
}

function resourcesOf(amounts: Readonly<Record<string, string>> | undefined): ComputeResources {
  return {
    cpu: quantity(amounts?.['cpu']),
    memoryInGB: quantity(amounts?.['memory']) / GIB,
    gpu: quantity(amounts?.[GPU]),
  };
}

function total(all: readonly ComputeResources[]): ComputeResources {
  return all.reduce(
    (sum, { cpu, memoryInGB, gpu }) => ({
      cpu: sum.cpu + cpu,
      memoryInGB: sum.memoryInGB + memoryInGB,
      gpu: sum.gpu + gpu,
    }),
    { cpu: 0, memoryInGB: 0, gpu: 0 },
  );
}

function subtract(a: ComputeResources, b: ComputeResources): ComputeResources {
  return {
    cpu: Math.max(0, a.cpu - b.cpu),
    memoryInGB: Math.max(0, a.memoryInGB - b.memoryInGB),
    gpu: Math.max(0, a.gpu - b.gpu),
  };
}

async function componentHealth(kube: KubeClient, name: string, signal?: AbortSignal): Promise<ComponentHealth> {
  const deployment = await kube.find(DEPLOYMENTS, { namespace: SYSTEM_NAMESPACE, name }, signal);
  if (deployment === undefined) return { state: 'Missing', replicas: 0, readyReplicas: 0 };
  const replicas = deployment.spec?.replicas ?? 1;
  const readyReplicas = deployment.status?.readyReplicas ?? 0;
  const image = deployment.spec?.template.spec?.containers[0]?.image;
  const healthy = replicas > 0 && readyReplicas >= replicas;
  const version = deployment.metadata.labels?.['app.kubernetes.io/version'];
  const failing = deployment.status?.conditions?.find(({ status, message }) => status === 'False' && message);
  return {
    state: healthy ? 'Healthy' : 'Unhealthy',
    replicas,
    readyReplicas,
    ...(image === undefined ? {} : { image }),
    ...(version === undefined ? {} : { version }),
    ...(healthy || failing?.message === undefined ? {} : { message: failing.message }),
  };
}
