import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { importKey, type VerificationKey } from '../../serving/signed-token.ts';

/** What the tokens of a cluster are verified with. */
export interface ClusterKeys {
  readonly issuer: string;
  readonly keys: readonly VerificationKey[];
}

/** A cluster has two or three while they are rotated. */
const MOST_KEYS = 32;

/** Asks the API server itself, never where a discovery document points to. @throws AksmlError `kube.*` | `router.issuer` */
export async function fetchClusterKeys(kube: KubeClient, signal?: AbortSignal): Promise<ClusterKeys> {
  const ask = <T>(path: string, doing: string) =>
    kube.transport.json<T>({
      method: 'GET',
      path,
      // The keys are application/jwk-set+json, and nothing else.
      accept: '*/*',
      subject: path,
      doing,
      ...(signal === undefined ? {} : { signal }),
    });
  const [{ issuer }, { keys }] = await Promise.all([
    ask<{ readonly issuer?: unknown }>('/.well-known/openid-configuration', 'asking who issues its tokens'),
    ask<{ readonly keys?: unknown }>('/openid/v1/jwks', 'asking for the public keys of its tokens'),
  ]);
  if (typeof issuer !== 'string' || issuer === '' || !Array.isArray(keys)) {
    throw new AksmlError('router.issuer', 'The API server does not say who issues its tokens.', {
      subject: kube.server,
    });
  }
  return { issuer, keys: await usableKeys(keys) };
}

/** Those for RS256; a cluster may sign with others, too, but aksml takes no such token. */
async function usableKeys(jwks: readonly unknown[]): Promise<VerificationKey[]> {
  const imported = await Promise.allSettled(
    jwks
      .slice(0, MOST_KEYS)
      .filter((jwk) => typeof jwk === 'object' && jwk !== null)
      .map((jwk) => importKey({ ...jwk })),
  );
  return imported.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
