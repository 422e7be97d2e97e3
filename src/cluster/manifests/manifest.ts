import type { KubeObject } from '../../kube/object.ts';
import type { Deployment, Resource } from '../../kube/resource.ts';
import { MANAGED_BY } from '../names.ts';

export interface Manifest<T extends KubeObject = KubeObject> {
  readonly resource: Resource<T>;
  readonly object: T;
}

type PodTemplate = NonNullable<Deployment['spec']>['template'];
type PodSpec = NonNullable<PodTemplate['spec']>;
type Container = PodSpec['containers'][number];

export function named(name: string, namespace?: string): KubeObject['metadata'] {
  return { name, ...(namespace === undefined ? {} : { namespace }), labels: MANAGED_BY };
}

/** Nobody in particular. */
const USER = 65532;

/** As the restricted Pod Security Standard has it, and with a root file system that nobody can write to. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: USER,
  seccompProfile: { type: 'RuntimeDefault' },
} as const satisfies PodSpec['securityContext'];

export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const satisfies Container['securityContext'];

/** Where Prometheus finds the figures of a pod. */
export function scraped(port: number): Readonly<Record<string, string>> {
  return { 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(port) };
}

/** The metadata of a pod template, which has no name. */
export function templateMetadata(
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): PodTemplate['metadata'] {
  return { labels, annotations } as PodTemplate['metadata'];
}

/** On different nodes where there are nodes. */
export function spreadOverNodes(labels: Readonly<Record<string, string>>): PodSpec['topologySpreadConstraints'] {
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: labels },
      // Those that an update replaces do not count: where they were is free again when it ends.
      matchLabelKeys: ['pod-template-hash'],
    },
  ];
}

export function fromPod(name: string, fieldPath: string): NonNullable<Container['env']>[number] {
  return { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } };
}

export function pulledWith(secret: string | undefined): Pick<PodSpec, 'imagePullSecrets'> {
  return secret === undefined ? {} : { imagePullSecrets: [{ name: secret }] };
}
