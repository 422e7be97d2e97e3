import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type ClusterRole,
  type ClusterRoleBinding,
  ENDPOINTS,
  ROLE_BINDINGS,
  ROLES,
  type Role,
  type RoleBinding,
} from '../../kube/resource.ts';
import {
  ACME_ACCOUNT_SECRET,
  ACME_CERTIFICATE_SECRET,
  CHALLENGE_SECRET,
  CONTROLLER_NAME,
  FRONT_END_NAME,
  HOP_SECRET,
  SYSTEM_NAMESPACE,
} from '../names.ts';
import { type Manifest, named } from './manifest.ts';

type PolicyRule = NonNullable<Role['rules']>[number];

/** What the controller may do everywhere: see endpoints, because their names are one per cluster, and say how they stand. */
export const CLUSTER_RULES: readonly PolicyRule[] = [
  rule(ENDPOINTS.apiVersion, ['endpoints'], ['get', 'list', 'watch']),
  rule(ENDPOINTS.apiVersion, ['endpoints/status'], ['update']),
  // Only for `blockOwnerDeletion` where the cluster checks that.
  rule(ENDPOINTS.apiVersion, ['endpoints/finalizers'], ['update']),
];

/** What it may do in a namespace that is served. Of Secrets it needs to know when keys change, whoever changes them. */
export const NAMESPACE_RULES: readonly PolicyRule[] = [
  rule('apps/v1', ['deployments'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('v1', ['services'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('policy/v1', ['poddisruptionbudgets'], ['get', 'list', 'watch', 'create', 'update', 'delete']),
  rule('v1', ['serviceaccounts'], ['get', 'list', 'watch', 'create', 'update']),
  rule('networking.k8s.io/v1', ['networkpolicies'], ['get', 'list', 'watch', 'create', 'update']),
  rule('apps/v1', ['controllerrevisions'], ['create']),
  rule('v1', ['secrets'], ['list', 'watch', 'create']),
  rule('v1', ['pods'], ['list', 'watch']),
  rule('v1', ['pods/log'], ['get']),
  rule('v1', ['events'], ['list', 'create']),
];

export const LEASE_RULES: readonly PolicyRule[] = [
  rule('coordination.k8s.io/v1', ['leases'], ['create']),
  { ...rule('coordination.k8s.io/v1', ['leases'], ['get', 'update']), resourceNames: [CONTROLLER_NAME] },
];

const ACME_SECRETS = [ACME_ACCOUNT_SECRET, ACME_CERTIFICATE_SECRET, CHALLENGE_SECRET];
const AUTH_SECRETS = [...'0123456789abcdef'].map((digit) => `${FRONT_END_NAME}-auth-${digit}`);

/** What it may do in aksml's own namespace: tell the routers whom to let in, ask them for their load, size them, and see where they are reached. */
export const SYSTEM_RULES: readonly PolicyRule[] = [
  rule('v1', ['secrets'], ['list', 'watch', 'create']),
  { ...rule('v1', ['secrets'], ['get', 'patch']), resourceNames: [HOP_SECRET, ...AUTH_SECRETS, ...ACME_SECRETS] },
  rule('v1', ['pods', 'services'], ['list', 'watch']),
  rule('v1', ['pods/resize'], ['update']),
  { ...rule('apps/v1', ['deployments/scale'], ['patch']), resourceNames: [FRONT_END_NAME] },
  rule('v1', ['events'], ['create']),
  { ...rule('v1', ['configmaps'], ['get', 'list', 'watch']), resourceNames: [FRONT_END_NAME] },
];

/** What a router may do in a namespace that is served: see where requests go. */
export const ROUTED_RULES: readonly PolicyRule[] = [
  rule(ENDPOINTS.apiVersion, ['endpoints'], ['get', 'list', 'watch']),
  rule('discovery.k8s.io/v1', ['endpointslices'], ['get', 'list', 'watch']),
];

/** What it may do in aksml's own namespace: read what the controller publishes, and find the other routers. */
export const ROUTER_RULES: readonly PolicyRule[] = [
  rule('v1', ['secrets'], ['get', 'list', 'watch']),
  rule('v1', ['pods'], ['get', 'list', 'watch']),
  { ...rule('v1', ['configmaps'], ['get', 'list', 'watch']), resourceNames: [FRONT_END_NAME] },
];

/** Where the cluster says which keys its tokens are signed with. */
const ISSUER_RULES: readonly PolicyRule[] = [
  { nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] },
];

export function controllerRights(namespaces: readonly string[]): readonly Manifest[] {
  return [
    ...rightsEverywhere(CONTROLLER_NAME, CLUSTER_RULES),
    ...rightsIn(SYSTEM_NAMESPACE, `${CONTROLLER_NAME}-lease`, CONTROLLER_NAME, LEASE_RULES),
    // Another name than that of the rights in a served namespace, which may be this one.
    ...rightsIn(SYSTEM_NAMESPACE, `${CONTROLLER_NAME}-system`, CONTROLLER_NAME, SYSTEM_RULES),
    ...namespaces.flatMap((namespace) => rightsIn(namespace, CONTROLLER_NAME, CONTROLLER_NAME, NAMESPACE_RULES)),
  ];
}

export function routerRights(namespaces: readonly string[]): readonly Manifest[] {
  return [
    ...rightsEverywhere(FRONT_END_NAME, ISSUER_RULES),
    // Another name than that of the rights in a served namespace, which may be this one.
    ...rightsIn(SYSTEM_NAMESPACE, `${FRONT_END_NAME}-system`, FRONT_END_NAME, ROUTER_RULES),
    ...namespaces.flatMap((namespace) => rightsIn(namespace, FRONT_END_NAME, FRONT_END_NAME, ROUTED_RULES)),
  ];
}

function rule(apiVersion: string, resources: readonly string[], verbs: readonly string[]): PolicyRule {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return { apiGroups: [group], resources, verbs };
}

function rightsEverywhere(account: string, rules: readonly PolicyRule[]): Manifest[] {
  const metadata = named(account);
  const role: ClusterRole = { metadata, rules };
  const binding: ClusterRoleBinding = { metadata, ...binds('ClusterRole', account, account) };
  return [
    { resource: CLUSTER_ROLES, object: role },
    { resource: CLUSTER_ROLE_BINDINGS, object: binding },
  ];
}

function rightsIn(namespace: string, name: string, account: string, rules: readonly PolicyRule[]): Manifest[] {
  const metadata = named(name, namespace);
  const role: Role = { metadata, rules };
  const binding: RoleBinding = { metadata, ...binds('Role', name, account) };
  return [
    { resource: ROLES, object: role },
    { resource: ROLE_BINDINGS, object: binding },
  ];
}

function binds(kind: 'Role' | 'ClusterRole', name: string, account: string) {
  return {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: SYSTEM_NAMESPACE }],
  };
}
