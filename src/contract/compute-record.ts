import type { SerializedError } from './error.ts';

/** v1's purposes: `FastProd` runs three front ends and more, `DevTest` one. */
export type ClusterPurpose = 'FastProd' | 'DevTest';

/** An attached cluster, as the workspace records it for everybody who works in it. Nothing in it is secret. */
export interface ComputeTargetRecord {
  /** Names that differ in letter case only are one. */
  readonly name: string;
  readonly kind: 'kubernetes' | 'aks';
  readonly purpose: ClusterPurpose;
  /** uid of the namespace `kube-system`: stays when the cluster's address changes. */
  readonly clusterId: string;
  /** Address of the API server when it was attached, for people. */
  readonly server: string;
  /** Where endpoints go unless a deployment configuration names another namespace. */
  readonly namespace: string;
  /** More that endpoints may be in. */
  readonly otherNamespaces?: readonly string[];
  /** `HOST[:PORT][/PREFIX]` that deployment images are pushed to and pulled from; absent: the workspace's own registry. */
  readonly registry?: string;
  /** ISO 8601, UTC. */
  readonly attachedTime: string;
  readonly attachedBy: string;
  readonly aksmlVersion: string;
  /** Absent where it was attached before there was a front end. */
  readonly frontEnd?: FrontEndRecord;
}

/** Of one front end. */
export const MOST_ROUTERS = 32;

/** Whether somebody has written a number of routers that there can be. */
export function isRouterCount(text: string): boolean {
  return /^\d{1,2}$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= MOST_ROUTERS;
}

/** How the front end of a cluster is to be. */
export interface FrontEndRecord {
  readonly service: FrontEndService;
  /** Default: 3 for FastProd, 1 for DevTest. */
  readonly routers?: number;
  /** Default: the one that the controller has. */
  readonly image?: string;
  readonly tls?: TlsRecord;
}

export interface FrontEndService {
  readonly type: 'LoadBalancer' | 'NodePort' | 'ClusterIP';
  /** On AKS: the load balancer has an address of the virtual network alone. */
  readonly internal: boolean;
  /** On AKS: the subnet of that address. */
  readonly subnet?: string;
  /** On AKS: the first label of the name `LABEL.REGION.cloudapp.azure.com` that the public address gets. */
  readonly dnsLabel?: string;
}

export interface TlsRecord {
  /** Host names that it is for. */
  readonly hosts: readonly string[];
  /** Whether plain HTTP is answered, too, instead of being redirected. */
  readonly allowInsecureConnections: boolean;
  /** Certificates are got, and renewed, from an ACME server. Absent: they were given as files. */
  readonly acme?: AcmeRecord;
}

export interface AcmeRecord {
  /** URL of the server's directory. */
  readonly directory: string;
  /** Whom the server may write to. */
  readonly email?: string;
  /** When somebody asked last for a new certificate, ISO 8601. */
  readonly renewal?: string;
}

/** Where this machine finds the credentials for a cluster. They are never copied. */
export interface ClusterConnection {
  /** Absolute paths of the kubeconfig files, merged in this order as kubectl does. */
  readonly kubeconfig: readonly string[];
  readonly context: string;
}

/** A compute target of a workspace, without asking the cluster. */
export type ComputeTargetListing =
  | { readonly name: 'local'; readonly kind: 'local' }
  | {
      readonly name: string;
      readonly kind: ComputeTargetRecord['kind'];
      readonly record: ComputeTargetRecord;
      /** Absent where somebody else attached the cluster and this machine has not been told its kubeconfig. */
      readonly connection?: ClusterConnection;
    };

/** How a compute target is now. */
export interface ComputeTargetStatus {
  readonly reachable: boolean;
  /** Such as `v1.36.3`. */
  readonly kubernetesVersion?: string;
  /** Where Azure's portal shows a cluster that is there, or its nodes. */
  readonly portal?: string;
  readonly nodes?: { readonly total: number; readonly ready: number };
  /** Of the nodes that take pods, the most common first: `amd64`, `arm64`. */
  readonly architectures?: readonly string[];
  /** Of all nodes that take pods, what pods may ask for. */
  readonly capacity?: ComputeResources;
  /** Of that, what no pod has asked for yet. */
  readonly free?: ComputeResources;
  readonly controller?: ComponentHealth;
  readonly frontEnd?: ComponentHealth;
  /** Why it is not reachable, or what could not be found out. */
  readonly error?: SerializedError;
}

export interface ComputeResources {
  /** vCPU. */
  readonly cpu: number;
  /** GiB. */
  readonly memoryInGB: number;
  readonly gpu: number;
}

/** A part of aksml in the cluster. */
export interface ComponentHealth {
  readonly state: 'Healthy' | 'Unhealthy' | 'Missing';
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly image?: string;
  /** Why it is not healthy. */
  readonly message?: string;
  /** Of aksml. */
  readonly version?: string;
  /** Of the front end: where requests go, such as `http://20.1.2.3`. */
  readonly addresses?: readonly string[];
}
