import type { ClusterPurpose, ComputeTargetStatus } from '../../contract/compute-record.ts';
import type { Problem } from '../../contract/problem.ts';

/** v1's advice: FastProd has three nodes and 12 vCPUs, DevTest a node and 2 vCPUs. */
export function sizeProblems(purpose: ClusterPurpose, { nodes, capacity }: ComputeTargetStatus): Problem[] {
  if (nodes === undefined || capacity === undefined) return [];
  const wanted = purpose === 'FastProd' ? { nodes: 3, cpu: 12 } : { nodes: 1, cpu: 2 };
  if (nodes.ready >= wanted.nodes && capacity.cpu >= wanted.cpu) return [];
  return [
    {
      severity: 'warning',
      code: 'computeTarget.small',
      message: `A cluster for ${purpose} should have ${wanted.nodes} nodes and ${wanted.cpu} vCPUs; this one has ${nodes.ready} and ${Math.round(capacity.cpu * 10) / 10}.`,
      remedy:
        purpose === 'FastProd' ? 'Add nodes, or attach it for tests with --cluster-purpose DevTest.' : 'Add a node.',
    },
  ];
}
