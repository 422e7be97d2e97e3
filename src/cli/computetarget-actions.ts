import type { ComponentHealth, ComputeTargetListing, ComputeTargetStatus } from '../contract/compute-record.ts';
import type { CommandContext } from './context.ts';
import { type Cell, type Result, valueResult } from './result.ts';
import { localTime } from './service-view.ts';

export async function listComputeTargets(context: CommandContext): Promise<Result> {
  const session = await context.session();
  const { signal } = context.run;
  const targets = await session.listTargets(signal);
  const described = await Promise.all(
    targets.map(async (target) => ({ target, status: await session.targetStatus(target.name, signal) })),
  );
  return valueResult(
    described.map(({ target, status }) => serialize(target, status)),
    {
      kind: 'rows',
      columns: ['NAME', 'TYPE', 'STATE', 'PURPOSE', 'NODES', 'VERSION', 'LOCATION'],
      expendable: ['VERSION', 'NODES', 'PURPOSE', 'LOCATION'],
      rows: described.map(({ target, status }) => [
        target.name,
        target.kind,
        stateOf(status),
        target.kind === 'local' ? '' : target.record.purpose,
        status.nodes && `${status.nodes.ready}/${status.nodes.total}`,
        status.kubernetesVersion,
        locationOf(target),
      ]),
      empty: 'There are no compute targets.',
    },
  );
}

export async function showComputeTarget(context: CommandContext, name: string): Promise<Result> {
  const session = await context.session();
  const status = await session.targetStatus(name, context.run.signal);
  const targets = await session.listTargets(context.run.signal);
  const target = targets.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  // Detached while it was asked.
  const listing: ComputeTargetListing = target ?? { name: 'local', kind: 'local' };
  return valueResult(serialize(listing, status), { kind: 'facts', facts: targetFacts(listing, status) });
}

export async function getCredentials(context: CommandContext, name: string): Promise<Result> {
  const { credentialsOf } = await import('../session/credentials.ts');
  const { userKubeConfig, ...where } = await credentialsOf(await context.session(), name, context.run.signal);
  const { toYaml } = await import('./yaml.ts');
  const { kubeconfig, context: contextName, namespace } = where;
  return valueResult(
    { ...where, userKubeConfig: toYaml(userKubeConfig) },
    {
      kind: 'facts',
      facts: [
        ['Kubeconfig', kubeconfig.join(', ')],
        ['Context', contextName],
        ['Namespace', namespace],
      ],
      note: `For kubectl: kubectl --kubeconfig ${kubeconfig[0]} --context ${contextName} get endpoints.aksml.dev`,
    },
  );
}

/** In the members of v1's listing, with our own after them. */
function serialize(target: ComputeTargetListing, status: ComputeTargetStatus) {
  const common = {
    name: target.name,
    computeType: target.kind,
    provisioningState: 'Succeeded',
    location: locationOf(target),
  };
  if (target.kind === 'local') return { ...common, status };
  const { purpose, namespace, registry, clusterId, attachedTime, attachedBy } = target.record;
  return {
    ...common,
    clusterPurpose: purpose,
    namespace,
    registry: registry ?? null,
    clusterId,
    attachedTime,
    attachedBy,
    connection: target.connection ?? null,
    status,
  };
}

function stateOf({ reachable, controller }: ComputeTargetStatus): string {
  if (!reachable) return 'Unreachable';
  return controller === undefined || controller.state === 'Healthy' ? 'Succeeded' : controller.state;
}

function locationOf(target: ComputeTargetListing): string {
  return target.kind === 'local' ? 'this machine' : target.record.server;
}

function targetFacts(
  target: ComputeTargetListing,
  status: ComputeTargetStatus,
): (readonly [label: string, value: Cell])[] {
  const { capacity, free, nodes, error } = status;
  return [
    ['Name', target.name],
    ['Type', target.kind],
    ['State', stateOf(status)],
    ...(error === undefined ? [] : ([['Error', error.message]] as const)),
    ...(error?.remedy === undefined ? [] : ([['Remedy', error.remedy]] as const)),
    ['Location', locationOf(target)],
    ...(target.kind === 'local' ? [] : recordFacts(target)),
    ...(status.kubernetesVersion === undefined ? [] : ([['Kubernetes', status.kubernetesVersion]] as const)),
    ...(nodes === undefined ? [] : ([['Nodes', `${nodes.ready} of ${nodes.total} ready`]] as const)),
    ...(capacity === undefined ? [] : ([['Capacity', resources(capacity)]] as const)),
    ...(free === undefined ? [] : ([['Free', resources(free)]] as const)),
    ...component('Controller', status.controller),
    ...component('Front end', status.frontEnd),
    ...((status.frontEnd?.addresses ?? []).length === 0
      ? []
      : ([['Scoring address', status.frontEnd?.addresses?.join(', ')]] as const)),
  ];
}

function recordFacts({ record, connection }: Exclude<ComputeTargetListing, { kind: 'local' }>) {
  return [
    ['Purpose', record.purpose],
    ['Namespace', record.namespace],
    ...(record.registry === undefined ? [] : ([['Registry', record.registry]] as const)),
    ['Attached', `${localTime(record.attachedTime)} by ${record.attachedBy}`],
    ['Cluster id', record.clusterId],
    [
      'Kubeconfig',
      connection ? `${connection.kubeconfig.join(', ')}, context ${connection.context}` : 'none on this machine',
    ],
  ] as const;
}

function component(label: string, health: ComponentHealth | undefined): (readonly [string, Cell])[] {
  if (health === undefined) return [];
  const { state, readyReplicas, replicas, message } = health;
  const detail = state === 'Missing' ? '' : `, ${readyReplicas} of ${replicas} replicas ready`;
  return [[label, `${state}${detail}${message === undefined ? '' : `: ${message}`}`]];
}

function resources({ cpu, memoryInGB, gpu }: NonNullable<ComputeTargetStatus['capacity']>): string {
  const round = (amount: number) => Math.round(amount * 10) / 10;
  return `${round(cpu)} CPU, ${round(memoryInGB)} GB${gpu > 0 ? `, ${gpu} GPU` : ''}`;
}
