import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, LEASES, NAMESPACES, type Resource, SECRETS } from '../../kube/resource.ts';
import { ENDPOINT_CRD } from '../crd.ts';
import { type ClusterSettings, clusterManifests, type Manifest } from '../manifests.ts';
import { CONTROLLER_NAME, MANAGED_BY, ROUTER_SECRET_LABEL, SYSTEM_NAMESPACE } from '../names.ts';
import { dockerConfig, type PullCredentials } from '../target/pull-secret.ts';
import { markerRights } from './marker.ts';
import { isOurs } from './ours.ts';
import { INSTALLER } from './rights.ts';
import { untilNamespaceGone } from './system-namespace.ts';

/** Secret that the images of aksml's own parts are pulled with. */
export const SYSTEM_PULL_SECRET = 'aksml-pull';
const VERSION_LABEL = 'app.kubernetes.io/version';

/** Everything that attaching puts into a cluster, in order. Pure. */
export function installedManifests(settings: ClusterSettings): readonly Manifest[] {
  return [...clusterManifests(settings), ...markerRights()];
}

/** A namespace that was there before stays as it is: its labels are somebody else's. */
export async function installNamespace(
  kube: KubeClient,
  manifests: readonly Manifest[],
  signal?: AbortSignal,
): Promise<void> {
  const present = await kube.find(NAMESPACES, { name: SYSTEM_NAMESPACE }, signal);
  // Of a detach a moment ago.
  if (present?.metadata.deletionTimestamp !== undefined) await untilNamespaceGone(kube, signal);
  else if (present !== undefined && !isOurs(present)) return;
  for (const manifest of manifests.filter(isSystemNamespace)) await put(kube, manifest, signal);
}

/** Everything but the namespace; each object that is there becomes what it shall be. */
export async function installObjects(
  kube: KubeClient,
  manifests: readonly Manifest[],
  onObject: (what: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  for (const manifest of manifests) {
    if (isSystemNamespace(manifest)) continue;
    onObject(nameOf(manifest));
    await put(kube, manifest, signal);
  }
}

export async function installPullSecret(
  kube: KubeClient,
  host: string,
  credentials: PullCredentials,
  signal?: AbortSignal,
): Promise<void> {
  const secret = dockerConfig(
    { namespace: SYSTEM_NAMESPACE, name: SYSTEM_PULL_SECRET, labels: MANAGED_BY },
    new Map([[host, credentials]]),
  );
  await put(kube, { resource: SECRETS, object: secret }, signal);
}

/** Such as `Deployment aksml-controller in aksml-system`. */
export function nameOf({ resource, object: { metadata } }: Manifest): string {
  const where = metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`;
  return `${resource.kind} ${metadata.name}${where}`;
}

/** @throws AksmlError `computeTarget.newer` where a newer aksml has installed its parts */
export async function refuseNewer(kube: KubeClient, version: string, signal?: AbortSignal): Promise<void> {
  const definition = await kube.find(CUSTOM_RESOURCE_DEFINITIONS, { name: ENDPOINT_CRD }, signal);
  const present = definition?.metadata.labels?.[VERSION_LABEL];
  if (present === undefined || !isNewer(present, version)) return;
  throw new AksmlError(
    'computeTarget.newer',
    `aksml ${present} is installed in the cluster ${kube.server}, which this aksml ${version} would put back.`,
    { fault: 'input', subject: kube.context.name, remedy: `Use aksml ${present} or later.` },
  );
}

/** By the numbers of both versions; what is built from source counts as the newest. */
export function isNewer(a: string, b: string): boolean {
  const numbers = (text: string) => (/^(\d+)\.(\d+)\.(\d+)$/.exec(text)?.slice(1) ?? []).map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  if (left.length === 0 || right.length === 0) return false;
  const differing = left.findIndex((number, index) => number !== right[index]);
  return differing >= 0 && (left[differing] ?? 0) > (right[differing] ?? 0);
}

export interface RemoveOptions {
  /** Endpoints stay, and with them the definition of what they are: without it the cluster would delete them. */
  readonly keepEndpoints: boolean;
  readonly onObject: (what: string) => void;
  readonly signal?: AbortSignal;
}

/** In the opposite order, and only what carries aksml's mark. */
export async function removeObjects(
  kube: KubeClient,
  manifests: readonly Manifest[],
  { keepEndpoints, onObject, signal }: RemoveOptions,
): Promise<void> {
  const namespaced = { namespace: SYSTEM_NAMESPACE };
  const leftovers: Manifest[] = [
    { resource: LEASES, object: { metadata: { ...namespaced, name: CONTROLLER_NAME } } },
    { resource: SECRETS, object: { metadata: { ...namespaced, name: SYSTEM_PULL_SECRET } } },
  ];
  for (const manifest of [...manifests].reverse()) {
    if (isSystemNamespace(manifest)) continue;
    if (keepEndpoints && manifest.object.metadata.name === ENDPOINT_CRD) continue;
    const present = await kube.find(manifest.resource, manifest.object.metadata, signal);
    if (present === undefined || !isOurs(present)) continue;
    onObject(nameOf(manifest));
    await remove(kube, manifest.resource, present, signal);
  }
  const published = await kube.list(SECRETS, { ...namespaced, labelSelector: ROUTER_SECRET_LABEL }, signal);
  // Those of the controller, which has ended now.
  for (const object of published.items) leftovers.push({ resource: SECRETS, object });
  for (const { resource, object } of leftovers) {
    await kube.remove(resource, object.metadata, signal === undefined ? {} : { signal });
  }
}

async function remove(
  kube: KubeClient,
  resource: Resource<KubeObject>,
  { metadata }: KubeObject,
  signal: AbortSignal | undefined,
): Promise<void> {
  await kube.remove(resource, metadata, {
    ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function isSystemNamespace({ resource, object }: Manifest): boolean {
  return resource.plural === NAMESPACES.plural && object.metadata.name === SYSTEM_NAMESPACE;
}

async function put(kube: KubeClient, { resource, object }: Manifest, signal?: AbortSignal): Promise<void> {
  await kube.apply(resource, object, {
    fieldManager: INSTALLER,
    force: true,
    ...(signal === undefined ? {} : { signal }),
  });
}
