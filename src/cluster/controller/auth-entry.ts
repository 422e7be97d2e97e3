import { createHash } from 'node:crypto';
import type { Secret, ServiceAccount, StoredEndpoint } from '../../kube/resource.ts';
import { keysSecretName } from '../names.ts';
import { isOwnedBy } from './labels.ts';

/** What routers are told of one endpoint; without it they let nobody in who must prove who they are. */
export type AuthEntry = { readonly keyHashes: readonly string[] } | { readonly subjectUid: string };

const KEYS = ['primaryKey', 'secondaryKey'] as const;

/** Of a Secret of an endpoint's only the hashes of its keys, in place of the keys: nothing else of it is of use here, or stays in memory. */
export function hashedKeys(secret: Secret): Secret {
  const { managedFields: _managed, annotations: _annotations, ...metadata } = secret.metadata;
  const hashes = KEYS.flatMap((key) => {
    const value = Buffer.from(secret.data?.[key] ?? '', 'base64');
    return value.length === 0 ? [] : [[key, createHash('sha256').update(value).digest('hex')] as const];
  });
  return { metadata, data: Object.fromEntries(hashes) };
}

/** `secrets` are those of the endpoint, as {@link hashedKeys} leaves them. Undefined: there is nothing to tell, or not yet. */
export function authEntry(
  endpoint: StoredEndpoint,
  secrets: readonly Secret[],
  account: ServiceAccount | undefined,
): AuthEntry | undefined {
  const { auth } = endpoint.spec;
  if (endpoint.metadata.deletionTimestamp !== undefined || auth === 'none') return undefined;
  if (auth === 'token') {
    const uid = account?.metadata.uid;
    const isCurrent = account !== undefined && isOwnedBy(account, endpoint);
    return isCurrent && account.metadata.deletionTimestamp === undefined && uid !== undefined
      ? { subjectUid: uid }
      : undefined;
  }
  const keys = secrets.find(({ metadata }) => metadata.name === keysSecretName(endpoint.metadata.name));
  const keyHashes = KEYS.flatMap((key) => keys?.data?.[key] ?? []);
  return keyHashes.length === 0 ? undefined : { keyHashes };
}
