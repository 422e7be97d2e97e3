import type { Endpoint } from '../../contract/endpoint.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { SECRETS, type Secret } from '../../kube/resource.ts';
import { ENDPOINT_LABEL, MANAGED_BY, pullSecretName } from '../names.ts';
import { FIELD_MANAGER } from './ownership.ts';

export interface PullCredentials {
  readonly username: string;
  readonly password: string;
}

/** What this machine logs in to a registry host with; undefined where it does not. */
export type PullCredentialSource = (host: string, signal?: AbortSignal) => Promise<PullCredentials | undefined>;

/**
 * Stores what the images of an endpoint are pulled with, anew with each write, and names it in the versions that need it. A version whose
 * registry this machine does not log in to keeps what it has: somebody else may have stored it.
 */
export async function withPullSecret(
  kube: KubeClient,
  endpoint: Endpoint,
  namespace: string,
  credentials: PullCredentialSource,
  signal?: AbortSignal,
): Promise<Endpoint> {
  const { name } = endpoint.metadata;
  const hosts = new Set(endpoint.spec.versions.flatMap(({ imageRepository }) => hostOf(imageRepository) ?? []));
  const known = new Map<string, PullCredentials>();
  for (const host of hosts) {
    const found = await credentials(host, signal);
    if (found) known.set(host, found);
  }
  if (known.size === 0) return endpoint;
  const labels = { ...MANAGED_BY, [ENDPOINT_LABEL]: name };
  const secret = dockerConfig({ namespace, name: pullSecretName(name), labels }, known);
  await kube.apply(SECRETS, secret, {
    fieldManager: FIELD_MANAGER,
    force: true,
    ...(signal === undefined ? {} : { signal }),
  });
  const versions = endpoint.spec.versions.map((version) =>
    known.has(hostOf(version.imageRepository) ?? '') ? { ...version, imagePullSecret: pullSecretName(name) } : version,
  );
  return { ...endpoint, spec: { ...endpoint.spec, versions } };
}

/** What kubelets log in to registry hosts with. */
export function dockerConfig(metadata: Secret['metadata'], auths: ReadonlyMap<string, PullCredentials>): Secret {
  const content = Buffer.from(JSON.stringify({ auths: Object.fromEntries(auths) })).toString('base64');
  return { metadata, type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': content } };
}

function hostOf(imageRepository: string | undefined): string | undefined {
  return imageRepository?.split('/', 1)[0];
}
