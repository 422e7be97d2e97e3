import type { ComputeTargetRecord, ComputeTargetStatus } from '../../contract/compute-record.ts';
import type { Problem } from '../../contract/problem.ts';
import { sizeProblems } from '../compute/size.ts';
import type { Engine } from '../engine.ts';
import type { PreflightFacts } from './preflight.ts';

/** What is known of a cluster before something is deployed to it. */
export interface ClusterFacts {
  readonly record: ComputeTargetRecord;
  readonly status: ComputeTargetStatus;
}

/** Undefined for this machine. @throws what keeps the cluster from being reached */
export async function clusterFacts({ target }: Engine, signal?: AbortSignal): Promise<ClusterFacts | undefined> {
  if (target.record === undefined) return undefined;
  return { record: target.record, status: await target.status(signal, 'replicas') };
}

type ClusterCheck = (facts: PreflightFacts, cluster: ClusterFacts) => Problem | readonly Problem[] | undefined;

/** Problems that only a cluster has. */
export function clusterProblems(facts: PreflightFacts, cluster: ClusterFacts): Problem[] {
  return CLUSTER_CHECKS.flatMap((check) => check(facts, cluster) ?? []);
}

/** v1 took this kind for its LocalWebservice, whatever the target was. */
const isNotLocal: ClusterCheck = ({ deployment }, { record }) =>
  deployment.computeType !== 'local'
    ? undefined
    : {
        severity: 'error',
        code: 'computeType.local',
        path: 'computeType',
        message: `The compute type local is for this machine, and ${record.name} is a cluster.`,
        remedy: 'Use the compute type AKS or AKSENDPOINT, or deploy with -ct local.',
      };

const namespaceIsServed: ClusterCheck = ({ deployment: { namespace } }, { record }) => {
  const served = [record.namespace, ...(record.otherNamespaces ?? [])];
  return namespace === undefined || served.includes(namespace)
    ? undefined
    : {
        severity: 'error',
        code: 'namespace.notServed',
        path: 'namespace',
        message: `${record.name} serves the namespaces ${served.join(', ')}, and ${namespace} is none of them.`,
        remedy: `Use one of them, or add it: aksml computetarget attach kubernetes -n ${record.name} ${[...served, namespace].map((name) => `--namespace ${name}`).join(' ')}`,
      };
};

const namespaceStays: ClusterCheck = ({ current, deployment: { namespace } }) =>
  namespace === undefined || current?.metadata.namespace === undefined || current.metadata.namespace === namespace
    ? undefined
    : {
        severity: 'error',
        code: 'namespace.fixed',
        path: 'namespace',
        message: `${current.metadata.name} is in the namespace ${current.metadata.namespace}, and an endpoint does not move.`,
        remedy: `Leave the namespace out, or delete the endpoint first.`,
      };

const controllerRuns: ClusterCheck = (_, { record, status: { controller } }) =>
  controller === undefined || controller.state === 'Healthy'
    ? undefined
    : {
        severity: controller.state === 'Missing' ? 'error' : 'warning',
        code: 'computeTarget.unhealthy',
        message: `The controller in the cluster of ${record.name} ${controller.state === 'Missing' ? 'is missing' : 'is not healthy'}, so that nothing makes the deployment so.`,
        remedy: `Install it again: aksml computetarget attach kubernetes -n ${record.name}`,
      };

/** The cluster autoscaler may add nodes: what does not fit now may fit in minutes. */
const hasRoom: ClusterCheck = ({ settings, current, versionName }, { record, status: { free, capacity } }) => {
  const { scale, resources } = settings;
  const replicas = scale.kind === 'fixed' ? scale.replicas : scale.minReplicas;
  // An update replaces one replica after the other: it needs room for one.
  const isUpdate = current?.spec.versions.some(({ name }) => name === versionName) === true;
  const count = isUpdate ? 1 : replicas;
  const room = free ?? capacity;
  if (room === undefined || count === 0) return undefined;
  const wanted = { CPU: count * resources.cpu, 'GB of memory': count * resources.memoryInGB };
  const has = { CPU: room.cpu, 'GB of memory': room.memoryInGB };
  const lacking = (['CPU', 'GB of memory'] as const).filter((what) => wanted[what] > has[what]);
  if (lacking.length === 0) return undefined;
  const shortage = lacking.map((what) => `${round(wanted[what])} ${what}, of which ${round(has[what])} are free`);
  return {
    severity: 'warning',
    code: 'cluster.noRoom',
    path: 'containerResourceRequirements',
    message: `${count === 1 ? 'A replica asks' : `${count} replicas ask`} the cluster of ${record.name} for ${shortage.join(', and for ')}.`,
    remedy:
      'Ask for less or for fewer replicas, or add nodes; with a cluster autoscaler, the deployment waits for them.',
  };
};

const hasGpus: ClusterCheck = ({ settings: { resources, scale } }, { record, status: { free, capacity } }) => {
  const replicas = scale.kind === 'fixed' ? scale.replicas : scale.minReplicas;
  const wanted = resources.gpu * replicas;
  const room = free ?? capacity;
  // Of other kinds of GPU the status knows nothing.
  const isKnown = resources.gpuResource === undefined || resources.gpuResource === 'nvidia.com/gpu';
  if (wanted === 0 || room === undefined || !isKnown || wanted <= room.gpu) return undefined;
  return {
    severity: 'warning',
    code: 'cluster.noGpu',
    path: 'gpuCores',
    message:
      capacity?.gpu === 0
        ? `The cluster of ${record.name} has no node with a GPU.`
        : `${wanted} GPUs are asked for, and ${room.gpu} of the cluster of ${record.name} are free.`,
    remedy: 'Add a node pool with GPUs, and see that its device plugin runs; the deployment waits for them.',
  };
};

const isLargeEnough: ClusterCheck = (_, { record, status }) => sizeProblems(record.purpose, status);

function round(amount: number): number {
  return Math.round(amount * 100) / 100;
}

const CLUSTER_CHECKS: readonly ClusterCheck[] = [
  isNotLocal,
  namespaceIsServed,
  namespaceStays,
  controllerRuns,
  hasRoom,
  hasGpus,
  isLargeEnough,
];
