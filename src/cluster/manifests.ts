import type { KubeObject } from '../kube/object.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type ClusterRole,
  type ClusterRoleBinding,
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  type Deployment,
  ENDPOINTS,
  NAMESPACES,
  POD_DISRUPTION_BUDGETS,
  type PodDisruptionBudget,
  type Resource,
  ROLE_BINDINGS,
  ROLES,
  type Role,
  type RoleBinding,
  SERVICE_ACCOUNTS,
} from '../kube/resource.ts';
import { endpointDefinition } from './crd.ts';
import { CONTROLLER_NAME, MANAGED_BY, SYSTEM_NAMESPACE } from './names.ts';

export interface ClusterSettings {
  /** Of aksml. */
  readonly version: string;
  /** With its digest: what `src/cluster/main.ts` is in. */
  readonly image: string;
  /** Secret, in aksml's own namespace, that the image is pulled with. */
  readonly imagePullSecret?: string;
  /** Those whose endpoints are served. They exist already. */
  readonly namespaces: readonly string[];
  /** Controllers at a time: one leads, the others take over within seconds. 2 for FastProd, 1 for DevTest. */
  readonly controllers: number;
}

export interface Manifest<T extends KubeObject = KubeObject> {
  readonly resource: Resource<T>;
  readonly object: T;
}

type PolicyRule = NonNullable<Role['rules']>[number];

/** Everything that aksml installs in a cluster, in the order in which it must be there; removed in the opposite one. Pure. */
export function clusterManifests(settings: ClusterSettings): readonly Manifest[] {
  const { version, namespaces } = settings;
  return [
    { resource: NAMESPACES, object: systemNamespace() },
    { resource: CUSTOM_RESOURCE_DEFINITIONS, object: endpointDefinition(version) },
    { resource: SERVICE_ACCOUNTS, object: { metadata: named(CONTROLLER_NAME, SYSTEM_NAMESPACE) } },
    ...clusterRights(),
    ...rightsIn(SYSTEM_NAMESPACE, `${CONTROLLER_NAME}-lease`, LEASE_RULES),
    ...namespaces.flatMap((namespace) => rightsIn(namespace, CONTROLLER_NAME, NAMESPACE_RULES)),
    ...(settings.controllers > 1 ? [{ resource: POD_DISRUPTION_BUDGETS, object: disruptionBudget() }] : []),
    { resource: DEPLOYMENTS, object: controllerDeployment(settings) },
  ];
}

/** What the controller may do everywhere: see endpoints, because their names are one per cluster, and say how they stand. */
export const CLUSTER_RULES: readonly PolicyRule[] = [
  rule(ENDPOINTS.apiVersion, ['endpoints'], ['get', 'list', 'watch']),
  rule(ENDPOINTS.apiVersion, ['endpoints/status'], ['update']),
  // Only for `blockOwnerDeletion` where the cluster checks that.
  rule(ENDPOINTS.apiVersion, ['endpoints/finalizers'], ['update']),
];

/** What it may do in a namespace that is served. It creates Secrets with keys and reads none. */
export const NAMESPACE_RULES: readonly PolicyRule[] = [
  rule('apps/v1', ['deployments'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('v1', ['services'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('policy/v1', ['poddisruptionbudgets'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('v1', ['serviceaccounts'], ['get', 'list', 'watch', 'create', 'update']),
  rule('networking.k8s.io/v1', ['networkpolicies'], ['get', 'list', 'watch', 'create', 'update']),
  rule('apps/v1', ['controllerrevisions'], ['create']),
  rule('v1', ['secrets'], ['create']),
  rule('v1', ['pods'], ['list', 'watch']),
  rule('v1', ['pods/log'], ['get']),
  rule('v1', ['events'], ['list', 'create']),
];

export const LEASE_RULES: readonly PolicyRule[] = [
  rule('coordination.k8s.io/v1', ['leases'], ['create']),
  { ...rule('coordination.k8s.io/v1', ['leases'], ['get', 'update']), resourceNames: [CONTROLLER_NAME] },
];

function rule(apiVersion: string, resources: readonly string[], verbs: readonly string[]): PolicyRule {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return { apiGroups: [group], resources, verbs };
}

function clusterRights(): Manifest[] {
  const metadata = named(CONTROLLER_NAME);
  const role: ClusterRole = { metadata, rules: CLUSTER_RULES };
  const binding: ClusterRoleBinding = { metadata, ...bindingTo('ClusterRole', CONTROLLER_NAME) };
  return [
    { resource: CLUSTER_ROLES, object: role },
    { resource: CLUSTER_ROLE_BINDINGS, object: binding },
  ];
}

function rightsIn(namespace: string, name: string, rules: readonly PolicyRule[]): Manifest[] {
  const metadata = named(name, namespace);
  const role: Role = { metadata, rules };
  const binding: RoleBinding = { metadata, ...bindingTo('Role', name) };
  return [
    { resource: ROLES, object: role },
    { resource: ROLE_BINDINGS, object: binding },
  ];
}

function bindingTo(kind: 'Role' | 'ClusterRole', name: string) {
  return {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', name: CONTROLLER_NAME, namespace: SYSTEM_NAMESPACE }],
  };
}

function systemNamespace(): KubeObject {
  return {
    metadata: {
      name: SYSTEM_NAMESPACE,
      labels: { ...MANAGED_BY, 'pod-security.kubernetes.io/enforce': 'restricted' },
    },
  };
}

const CONTROLLER_LABELS = { ...MANAGED_BY, 'app.kubernetes.io/name': CONTROLLER_NAME };
const PORT = 8080;
/** Nobody in particular. */
const USER = 65532;

function disruptionBudget(): PodDisruptionBudget {
  return {
    metadata: named(CONTROLLER_NAME, SYSTEM_NAMESPACE),
    spec: { maxUnavailable: 1, selector: { matchLabels: CONTROLLER_LABELS } },
  };
}

function controllerDeployment({
  version,
  image,
  imagePullSecret,
  namespaces,
  controllers,
}: ClusterSettings): Deployment {
  const probe = (path: string) => ({ httpGet: { path, port: 'http', scheme: 'HTTP' } });
  const fromPod = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
  });
  const labels = { ...CONTROLLER_LABELS, 'app.kubernetes.io/version': version };
  return {
    metadata: { ...named(CONTROLLER_NAME, SYSTEM_NAMESPACE), labels },
    spec: {
      replicas: controllers,
      selector: { matchLabels: CONTROLLER_LABELS },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels,
          annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(PORT) },
        } as NonNullable<Deployment['spec']>['template']['metadata'],
        spec: {
          serviceAccountName: CONTROLLER_NAME,
          securityContext: { runAsNonRoot: true, runAsUser: USER, seccompProfile: { type: 'RuntimeDefault' } },
          ...(imagePullSecret === undefined ? {} : { imagePullSecrets: [{ name: imagePullSecret }] }),
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: CONTROLLER_LABELS },
            },
          ],
          containers: [
            {
              name: 'controller',
              image,
              env: [
                { name: 'AKSML_NAMESPACES', value: namespaces.join(',') },
                { name: 'AKSML_LISTEN_PORT', value: String(PORT) },
                fromPod('POD_NAME', 'metadata.name'),
                fromPod('POD_UID', 'metadata.uid'),
              ],
              ports: [{ name: 'http', containerPort: PORT, protocol: 'TCP' }],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
              livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6 },
              readinessProbe: { ...probe('/readyz'), periodSeconds: 2 },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              terminationMessagePolicy: 'FallbackToLogsOnError',
            },
          ],
        },
      },
    },
  };
}

function named(name: string, namespace?: string): KubeObject['metadata'] {
  return { name, ...(namespace === undefined ? {} : { namespace }), labels: MANAGED_BY };
}
