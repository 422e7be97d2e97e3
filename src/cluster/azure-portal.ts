import type { KubeNode } from '../kube/resource.ts';

/** Azure's portals by the end of the name that an API server has there. */
const PORTALS = [
  ['.azure.us', 'https://portal.azure.us'],
  ['.azk8s.cn', 'https://portal.azure.cn'],
] as const;
const PUBLIC_PORTAL = 'https://portal.azure.com';

/** A node's provider id on Azure begins so (cloud-provider-azure). */
const NODE_GROUP = /^azure:\/\/(\/subscriptions\/[\w-]+\/resourceGroups\/[\w.()-]+)\//i;

/**
 * Where Azure's portal shows the resource group of a cluster's nodes; undefined for a cluster elsewhere.
 * @param server URL of the API server, which tells the cloud
 */
export function portalAddress(nodes: readonly KubeNode[], server: string): string | undefined {
  const group = nodes.map(({ spec }) => NODE_GROUP.exec(spec?.providerID ?? '')?.[1]).find((id) => id !== undefined);
  if (group === undefined || !URL.canParse(server)) return undefined;
  const { hostname } = new URL(server);
  const [, portal] = PORTALS.find(([end]) => hostname.endsWith(end)) ?? ['', PUBLIC_PORTAL];
  return `${portal}/#resource${group}/overview`;
}
