import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { CONFIG_MAPS, type ConfigMap, ROLE_BINDINGS, ROLES, type Role, type RoleBinding } from '../../kube/resource.ts';
import type { Manifest } from '../manifests.ts';
import { MANAGED_BY, SYSTEM_NAMESPACE } from '../names.ts';
import { INSTALLER } from './rights.ts';

/** Says in the cluster itself to whom it is attached, so that no second workspace takes it. */
export interface Attachment {
  readonly workspace: string;
  /** Where the workspace's content is: its registry, or a folder of a machine. Tells workspaces of one name apart. */
  readonly content: string;
  readonly target: string;
  /** See `ComputeTargetRecord.clusterId`. */
  readonly clusterId: string;
  readonly attachedBy: string;
  /** ISO 8601, UTC. */
  readonly attachedTime: string;
}

const NAME = { name: 'aksml-attachment', namespace: SYSTEM_NAMESPACE };

export async function readAttachment(kube: KubeClient, signal?: AbortSignal): Promise<Attachment | undefined> {
  const marker = await kube.find(CONFIG_MAPS, NAME, signal);
  if (marker === undefined) return undefined;
  const value = (key: keyof Attachment) => marker.data?.[key] ?? '';
  return {
    workspace: value('workspace'),
    content: value('content'),
    target: value('target'),
    clusterId: value('clusterId'),
    attachedBy: value('attachedBy'),
    attachedTime: value('attachedTime'),
  };
}

/** Takes the cluster, unless somebody else has. @throws AksmlError `computeTarget.attachedElsewhere` */
export async function claimCluster(kube: KubeClient, attachment: Attachment, signal?: AbortSignal): Promise<void> {
  const marker: ConfigMap = { metadata: { ...NAME, labels: MANAGED_BY }, data: { ...attachment } };
  const options = { fieldManager: INSTALLER, ...(signal === undefined ? {} : { signal }) };
  try {
    await kube.create(CONFIG_MAPS, marker, options);
  } catch (error) {
    if (!AksmlError.is(error, 'kube.alreadyExists')) throw error;
    const present = await readAttachment(kube, signal);
    if (present === undefined || !isSame(present, attachment)) throw attachedElsewhere(kube, present);
  }
}

/** Everybody who may log in to the cluster may see whose it is: who works in one namespace must tell it from others, too. */
export function markerRights(): readonly Manifest[] {
  const metadata = { name: `${NAME.name}-reader`, namespace: NAME.namespace, labels: MANAGED_BY };
  const role: Role = {
    metadata,
    rules: [{ apiGroups: [''], resources: [CONFIG_MAPS.plural], resourceNames: [NAME.name], verbs: ['get'] }],
  };
  const binding: RoleBinding = {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:authenticated' }],
  };
  return [
    { resource: ROLES, object: role },
    { resource: ROLE_BINDINGS, object: binding },
  ];
}

export async function releaseCluster(kube: KubeClient, signal?: AbortSignal): Promise<void> {
  await kube.remove(CONFIG_MAPS, NAME, signal === undefined ? {} : { signal });
}

export function isSame(a: Attachment, b: Pick<Attachment, 'content' | 'target'>): boolean {
  return a.content === b.content && a.target.toLowerCase() === b.target.toLowerCase();
}

export function attachedElsewhere(kube: KubeClient, present: Attachment | undefined): AksmlError {
  const whose = present
    ? `as ${present.target} to the workspace ${present.workspace} (${present.content}), by ${present.attachedBy} on ${present.attachedTime.slice(0, 10)}`
    : 'by somebody else';
  return new AksmlError('computeTarget.attachedElsewhere', `The cluster ${kube.server} is attached already ${whose}.`, {
    fault: 'input',
    subject: kube.context.name,
    remedy: present
      ? `Work in that workspace, or detach the cluster there first: aksml computetarget detach -n ${present.target}`
      : 'Run the command again.',
  });
}
