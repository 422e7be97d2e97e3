import type {
  CoreV1Event,
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1ControllerRevision,
  V1Deployment,
  V1EndpointSlice,
  V1Lease,
  V1Namespace,
  V1NetworkPolicy,
  V1Node,
  V1Pod,
  V1PodDisruptionBudget,
  V1ReplicaSet,
  V1Role,
  V1RoleBinding,
  V1Secret,
  V1Service,
  V1ServiceAccount,
} from '@kubernetes/client-node';
import { ENDPOINT_API_VERSION, type Endpoint } from '../contract/endpoint.ts';
import type { Kube, KubeObject } from './object.ts';

/** A kind of object as the API server knows it. */
export interface ResourceKind {
  /** `GROUP/VERSION`, or `v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/** A kind whose objects have the shape `T`. */
export interface Resource<T extends KubeObject> extends ResourceKind {
  /** Never there: it carries the type. */
  readonly shape?: T;
}

export type Pod = Kube<V1Pod>;
export type Deployment = Kube<V1Deployment>;
export type ReplicaSet = Kube<V1ReplicaSet>;
export type Service = Kube<V1Service>;
export type EndpointSlice = Kube<V1EndpointSlice>;
export type Secret = Kube<V1Secret>;
export type ConfigMap = Kube<V1ConfigMap>;
export type ServiceAccount = Kube<V1ServiceAccount>;
export type PodDisruptionBudget = Kube<V1PodDisruptionBudget>;
export type NetworkPolicy = Kube<V1NetworkPolicy>;
export type ControllerRevision = Kube<V1ControllerRevision>;
export type Namespace = Kube<V1Namespace>;
export type KubeNode = Kube<V1Node>;
export type KubeEvent = Kube<CoreV1Event>;
export type Lease = Kube<V1Lease>;
export type Role = Kube<V1Role>;
export type RoleBinding = Kube<V1RoleBinding>;
export type ClusterRole = Kube<V1ClusterRole>;
export type ClusterRoleBinding = Kube<V1ClusterRoleBinding>;
/** Written once, from a typed source of its own: the library's names for what a schema is made of are not the API's. */
export interface CustomResourceDefinition extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly storedVersions?: readonly string[];
  };
}

function resource<T extends KubeObject>(
  apiVersion: string,
  kind: string,
  plural: string,
  namespaced = true,
): Resource<T> {
  return { apiVersion, kind, plural, namespaced };
}

export const PODS = resource<Pod>('v1', 'Pod', 'pods');
export const SERVICES = resource<Service>('v1', 'Service', 'services');
export const SECRETS = resource<Secret>('v1', 'Secret', 'secrets');
export const CONFIG_MAPS = resource<ConfigMap>('v1', 'ConfigMap', 'configmaps');
export const SERVICE_ACCOUNTS = resource<ServiceAccount>('v1', 'ServiceAccount', 'serviceaccounts');
export const EVENTS = resource<KubeEvent>('v1', 'Event', 'events');
export const NAMESPACES = resource<Namespace>('v1', 'Namespace', 'namespaces', false);
export const NODES = resource<KubeNode>('v1', 'Node', 'nodes', false);
export const DEPLOYMENTS = resource<Deployment>('apps/v1', 'Deployment', 'deployments');
export const REPLICA_SETS = resource<ReplicaSet>('apps/v1', 'ReplicaSet', 'replicasets');
export const CONTROLLER_REVISIONS = resource<ControllerRevision>(
  'apps/v1',
  'ControllerRevision',
  'controllerrevisions',
);
export const POD_DISRUPTION_BUDGETS = resource<PodDisruptionBudget>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
);
export const NETWORK_POLICIES = resource<NetworkPolicy>('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies');
export const ENDPOINT_SLICES = resource<EndpointSlice>('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices');
export const LEASES = resource<Lease>('coordination.k8s.io/v1', 'Lease', 'leases');
export const ROLES = resource<Role>('rbac.authorization.k8s.io/v1', 'Role', 'roles');
export const ROLE_BINDINGS = resource<RoleBinding>('rbac.authorization.k8s.io/v1', 'RoleBinding', 'rolebindings');
export const CLUSTER_ROLES = resource<ClusterRole>(
  'rbac.authorization.k8s.io/v1',
  'ClusterRole',
  'clusterroles',
  false,
);
export const CLUSTER_ROLE_BINDINGS = resource<ClusterRoleBinding>(
  'rbac.authorization.k8s.io/v1',
  'ClusterRoleBinding',
  'clusterrolebindings',
  false,
);
export const CUSTOM_RESOURCE_DEFINITIONS = resource<CustomResourceDefinition>(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);

/** An Endpoint with what only the API server needs of it. */
export type StoredEndpoint = Endpoint & KubeObject;

/** aksml's own. */
export const ENDPOINTS = resource<StoredEndpoint>(ENDPOINT_API_VERSION, 'Endpoint', 'endpoints');

/** The path of all objects of a kind, or of those of one namespace. */
export function collectionPath({ apiVersion, plural, namespaced }: ResourceKind, namespace?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespaced && namespace !== undefined
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`;
}
