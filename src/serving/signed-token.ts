import { type CryptoKey, compactVerify, importJWK } from 'jose';
import { AksmlError } from '../contract/error.ts';

/** Longer ones are nobody's: not even looked at. Characters. */
export const LONGEST_TOKEN = 8192;

export interface VerificationKey {
  readonly kid: string | undefined;
  readonly key: CryptoKey | Uint8Array;
}

/** What a token says, once its signature has been found good. */
export interface TokenClaims {
  readonly [claim: string]: unknown;
  readonly iss?: unknown;
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly nbf?: unknown;
}

/**
 * Public RSA keys in JWK form, for RS256 signatures and nothing else: a key that is meant for something else is not taken.
 * @throws AksmlError `gateway.configuration`
 */
export async function importKeys(jwks: readonly Readonly<Record<string, unknown>>[]): Promise<VerificationKey[]> {
  return Promise.all(jwks.map(importKey));
}

/** @throws AksmlError `gateway.configuration` */
export async function importKey(jwk: Readonly<Record<string, unknown>>): Promise<VerificationKey> {
  const { kty, n, e, kid } = jwk;
  const operations = jwk['key_ops'];
  const isForUs =
    (jwk['alg'] ?? 'RS256') === 'RS256' &&
    (jwk['use'] ?? 'sig') === 'sig' &&
    (!Array.isArray(operations) || operations.includes('verify'));
  if (kty !== 'RSA' || typeof n !== 'string' || typeof e !== 'string' || !isForUs) {
    throw new AksmlError('gateway.configuration', 'A token key is not an RSA public key for RS256 signatures.', {
      fault: 'input',
    });
  }
  const key = await importJWK({ kty, n, e, alg: 'RS256' });
  return { kid: typeof kid === 'string' ? kid : undefined, key };
}

/** Where a token says which key to trust, it must not be believed; ours say no such thing. */
const KEY_POINTERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit'] as const;

/**
 * The payload of a compact JWS signed with RS256 by one of the keys; undefined for any other.
 * The algorithm is literal, never the token's own word.
 */
export async function verifySignature(
  token: string,
  keys: readonly VerificationKey[],
): Promise<Uint8Array | undefined> {
  if (token.length > LONGEST_TOKEN) return undefined;
  for (const { kid, key } of keys) {
    try {
      const { payload, protectedHeader } = await compactVerify(token, key, { algorithms: ['RS256'] });
      if (KEY_POINTERS.some((pointer) => protectedHeader[pointer] !== undefined)) return undefined;
      if (kid === undefined || protectedHeader.kid === undefined || protectedHeader.kid === kid) return payload;
    } catch {
      // Not by this key.
    }
  }
  return undefined;
}

/** Undefined for a payload that is no JSON object. */
export function parseClaims(payload: Uint8Array): TokenClaims | undefined {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? { ...claims } : undefined;
  } catch {
    return undefined;
  }
}

/** Who a token must come from and be for. */
export interface Expectation {
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds that the issuer's clock may be ahead of this one. */
  readonly clockAheadMs?: number;
}

/** When a token ends, in milliseconds since the epoch; undefined for one that is not as expected, not yet good, or over. */
export function expiryOf(claims: TokenClaims, expected: Expectation, now: number): number | undefined {
  if (claims.iss !== expected.issuer) return undefined;
  const { aud, exp, nbf } = claims;
  if (aud !== expected.audience && !(Array.isArray(aud) && aud.includes(expected.audience))) return undefined;
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 <= now + (expected.clockAheadMs ?? 0)))
    return undefined;
  if (typeof exp !== 'number' || !Number.isFinite(exp) || now >= exp * 1000) return undefined;
  return exp * 1000;
}
