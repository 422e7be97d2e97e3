import { randomBytes } from 'node:crypto';
import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import type { KubeObject } from '../../kube/object.ts';
import {
  CONTROLLER_REVISIONS,
  type ControllerRevision,
  DEPLOYMENTS,
  type Deployment,
  NETWORK_POLICIES,
  type NetworkPolicy,
  POD_DISRUPTION_BUDGETS,
  type PodDisruptionBudget,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Secret,
  type Service,
  type ServiceAccount,
} from '../../kube/resource.ts';
import {
  FRONT_END_NAME,
  keysSecretName,
  partLabels,
  SYSTEM_NAMESPACE,
  serviceAccountName,
  serviceName,
  specRevisionName,
  workloadName,
} from '../names.ts';
import { endpointLabels, ownedMetadata, podLabels } from './labels.ts';
import { type PodTemplate, podTemplate, renderingOf, templateKey } from './pod-template.ts';

/** What is to be there. Compared with what is there by {@link isCurrent}. */
export interface Desired<T extends KubeObject = KubeObject> {
  readonly resource: Resource<T>;
  readonly object: T;
}

/** How a version is rolled out now. */
export interface Rollout {
  readonly replicas: number;
  /** Old replicas make room for new ones first: nothing else would be scheduled on a full cluster. */
  readonly inPlace: boolean;
  /** What is there. */
  readonly present?: Deployment;
}

/** On a Deployment that replaces in place: for which pods. */
export const IN_PLACE_ANNOTATION = 'aksml.dev/in-place';
/** On a Deployment: which template aksml gave it. */
export const RENDERING_ANNOTATION = 'aksml.dev/rendering';

/** Everything that an endpoint needs and that may be changed. */
export function desiredObjects(endpoint: Endpoint, rolloutOf: (version: VersionSpec) => Rollout): readonly Desired[] {
  return [
    { resource: SERVICE_ACCOUNTS, object: serviceAccount(endpoint) },
    { resource: NETWORK_POLICIES, object: networkPolicy(endpoint) },
    ...endpoint.spec.versions.flatMap((version): Desired[] => [
      { resource: SERVICES, object: headlessService(endpoint, version) },
      { resource: POD_DISRUPTION_BUDGETS, object: disruptionBudget(endpoint, version) },
      { resource: DEPLOYMENTS, object: deployment(endpoint, version, rolloutOf(version)) },
    ]),
  ];
}

/** The subject of the endpoint's tokens. Its pods run as it and never see a token of it. */
export function serviceAccount(endpoint: Endpoint): ServiceAccount {
  const { name } = endpoint.metadata;
  return {
    metadata: ownedMetadata(endpoint, serviceAccountName(name), endpointLabels(name)),
    automountServiceAccountToken: false,
  };
}

/** Made once; what is there already is kept. */
export function keysSecret(endpoint: Endpoint, newKey: () => string = randomKey): Desired<Secret> {
  const { name } = endpoint.metadata;
  const encoded = () => Buffer.from(newKey()).toString('base64');
  return {
    resource: SECRETS,
    object: {
      metadata: ownedMetadata(endpoint, keysSecretName(name), endpointLabels(name)),
      type: 'Opaque',
      data: { primaryKey: encoded(), secondaryKey: encoded() },
    },
  };
}

function randomKey(): string {
  return randomBytes(32).toString('base64url');
}

/** The specification of one generation, for history and rollback. */
export function specRevision(endpoint: Endpoint): Desired<ControllerRevision> {
  const { name, uid = '', generation = 0, labels = {}, annotations = {} } = endpoint.metadata;
  return {
    resource: CONTROLLER_REVISIONS,
    object: {
      metadata: ownedMetadata(endpoint, specRevisionName(name, uid, generation), endpointLabels(name)),
      revision: generation,
      data: { metadata: { labels, annotations }, spec: endpoint.spec },
    },
  };
}

/** Only routers reach the replicas; the kubelet's probes and forwarded ports come from the node itself. */
export function networkPolicy(endpoint: Endpoint): NetworkPolicy {
  const { name } = endpoint.metadata;
  return {
    metadata: ownedMetadata(endpoint, name, endpointLabels(name)),
    spec: {
      podSelector: { matchLabels: endpointLabels(name) },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': SYSTEM_NAMESPACE } },
              podSelector: { matchLabels: partLabels(FRONT_END_NAME) },
            },
          ],
        },
      ],
    },
  };
}

/** By which the replicas of a version are found. */
export function headlessService(endpoint: Endpoint, version: VersionSpec): Service {
  const { name } = endpoint.metadata;
  const labels = podLabels(name, version.name);
  return {
    metadata: ownedMetadata(endpoint, serviceName(name, version.name), labels),
    spec: {
      clusterIP: 'None',
      selector: labels,
      ports: [{ name: 'scoring', port: 80, protocol: 'TCP', targetPort: 'scoring' }],
    },
  };
}

/** A node can always be drained: a tenth of the replicas, at least one, may be away at a time. */
export function disruptionBudget(endpoint: Endpoint, version: VersionSpec): PodDisruptionBudget {
  const { name } = endpoint.metadata;
  const labels = podLabels(name, version.name);
  return {
    metadata: ownedMetadata(endpoint, workloadName(name, version.name), labels),
    spec: { maxUnavailable: '10%', selector: { matchLabels: labels }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
  };
}

/** Pods that do what is wanted are not replaced because this aksml would make them differently from the one that made them. */
function templateToKeep(wanted: PodTemplate, present: Deployment | undefined) {
  const rendering = renderingOf(wanted);
  const given = present?.metadata.annotations?.[RENDERING_ANNOTATION];
  const kept = present?.spec?.template;
  if (given === undefined || given === rendering || kept === undefined) return { template: wanted, rendering };
  return templateKey(kept) === templateKey(wanted)
    ? { template: kept, rendering: given }
    : { template: wanted, rendering };
}

export function deployment(endpoint: Endpoint, version: VersionSpec, rollout: Rollout): Deployment {
  const { replicas, inPlace, present } = rollout;
  const { name } = endpoint.metadata;
  const labels = podLabels(name, version.name);
  const { template, rendering } = templateToKeep(podTemplate(endpoint, version), present);
  const metadata = ownedMetadata(endpoint, workloadName(name, version.name), labels);
  const replacing: Record<string, string> = inPlace ? { [IN_PLACE_ANNOTATION]: templateKey(template) } : {};
  return {
    metadata: { ...metadata, annotations: { ...replacing, [RENDERING_ANNOTATION]: rendering } },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template,
      revisionHistoryLimit: 2,
      strategy: {
        type: 'RollingUpdate',
        rollingUpdate: inPlace ? { maxSurge: 0, maxUnavailable: 1 } : { maxSurge: '25%', maxUnavailable: 0 },
      },
    },
  };
}
