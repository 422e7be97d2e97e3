import type { KubeNode } from '../kube/resource.ts';

/** Azure's portals by the end of the name that an API server has there. */
const PORTALS = [
  ['.azure.us', 'https://portal.azure.us'],
  ['.azk8s.cn', 'https://portal.azure.cn'],
] as const;
const PUBLIC_PORTAL = 'https://portal.azure.com';

/** A node's provider id on Azure begins so (cloud-provider-azure). */
const NODE_GROUP = /^azure:\/\/(\/subscriptions\/[\w-]+\/resourceGroups\/[\w.()-]+)\//i;

/** The group that AKS makes for a cluster's nodes unless it is told another: `MC_GROUP_CLUSTER_REGION`, cut at 80 characters. */
const AKS_NODE_GROUP = /^(?<subscription>.*\/resourceGroups\/)MC_(?<group>[^_]+)_(?<cluster>[^_]+)_[^_]+$/i;
const LONGEST_GROUP = 80;

/**
 * Where Azure's portal shows an AKS cluster, or where that cannot be told (names may have a `_`, too) the resource group of its nodes;
 * undefined for a cluster elsewhere.
 * @param server URL of the API server, which tells the cloud
 */
export function portalAddress(nodes: readonly KubeNode[], server: string): string | undefined {
  const group = nodes.map(({ spec }) => NODE_GROUP.exec(spec?.providerID ?? '')?.[1]).find((id) => id !== undefined);
  if (group === undefined || !URL.canParse(server)) return undefined;
  const { hostname } = new URL(server);
  const [, portal] = PORTALS.find(([end]) => hostname.endsWith(end)) ?? ['', PUBLIC_PORTAL];
  return `${portal}/#resource${clusterOf(group) ?? group}/overview`;
}

function clusterOf(nodeGroup: string): string | undefined {
  const { subscription, group, cluster } = AKS_NODE_GROUP.exec(nodeGroup)?.groups ?? {};
  const name = nodeGroup.slice(nodeGroup.lastIndexOf('/') + 1);
  if (cluster === undefined || name.length >= LONGEST_GROUP) return undefined;
  return `${subscription}${group}/providers/Microsoft.ContainerService/managedClusters/${cluster}`;
}
