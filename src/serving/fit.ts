import type { ComputeResources } from '../contract/compute-record.ts';
import type { ResourceRequirements } from '../contract/endpoint.ts';

/** How many replicas of a size there is room for, as if all nodes were one: at most so many, because each must fit on one node. */
export function replicasThatFit(
  size: Pick<ResourceRequirements, 'cpu' | 'memoryInGB' | 'gpu'>,
  room: ComputeResources,
): number {
  const counts = [
    [size.cpu, room.cpu],
    [size.memoryInGB, room.memoryInGB],
    [size.gpu, room.gpu],
  ].map(([needed = 0, there = 0]) => (needed > 0 ? Math.floor(there / needed + 1e-9) : Number.POSITIVE_INFINITY));
  return Math.max(0, Math.min(...counts));
}
