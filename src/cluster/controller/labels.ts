import type { Endpoint } from '../../contract/endpoint.ts';
import type { ObjectMeta } from '../../kube/object.ts';
import { ENDPOINT_LABEL, MANAGED_BY, VERSION_LABEL } from '../names.ts';

export function endpointLabels(endpoint: string): Readonly<Record<string, string>> {
  return { ...MANAGED_BY, [ENDPOINT_LABEL]: endpoint };
}

/** What a version's replicas are found by; never changes once the version is there. */
export function podLabels(endpoint: string, version: string): Readonly<Record<string, string>> {
  return { ...endpointLabels(endpoint), [VERSION_LABEL]: version };
}

/** The metadata of an object that goes with the endpoint. */
export function ownedMetadata(
  { apiVersion, kind, metadata }: Endpoint,
  name: string,
  labels: Readonly<Record<string, string>>,
): ObjectMeta {
  return {
    name,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    labels,
    ownerReferences: [
      {
        apiVersion,
        kind,
        name: metadata.name,
        uid: metadata.uid ?? '',
        controller: true,
        // Whoever deletes an endpoint in the foreground waits until nothing of it is left.
        blockOwnerDeletion: true,
      },
    ],
  };
}

/** Whether an object was made for this very endpoint, not for one of the same name before. */
export function isOwnedBy(object: { readonly metadata: ObjectMeta }, endpoint: Endpoint): boolean {
  return (
    object.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === endpoint.metadata.uid) ?? false
  );
}
