import { hash } from 'node:crypto';
import { type CryptoKey, compactVerify, importJWK } from 'jose';
import { AksmlError } from '../contract/error.ts';
import type { GatewayAuth } from './gateway-protocol.ts';

/** Says whether an `Authorization` header opens an endpoint. `now` is in milliseconds since the epoch. */
export interface Authenticator {
  readonly mode: GatewayAuth['mode'];
  admits(authorization: string | undefined, now: number): boolean | Promise<boolean>;
}

/** @throws AksmlError `gateway.configuration` when a key of the configuration is not an RSA public key */
export async function createAuthenticator(auth: GatewayAuth): Promise<Authenticator> {
  switch (auth.mode) {
    case 'none':
      return { mode: 'none', admits: () => true };
    case 'key': {
      const hashes = new Set(auth.keyHashes);
      return {
        mode: 'key',
        admits: (authorization) => {
          const key = bearer(authorization);
          // Looking up the hash takes the same time whatever the key, so timing tells nothing about it.
          return key !== undefined && hashes.has(hash('sha256', key));
        },
      };
    }
    case 'token':
      return new TokenAuthenticator(auth.issuer, auth.audience, await importKeys(auth.keys));
  }
}

const BEARER = /^bearer +(\S+) *$/i;

function bearer(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
}

export interface VerificationKey {
  readonly kid: string | undefined;
  readonly key: CryptoKey | Uint8Array;
}

/**
 * Public RSA keys in JWK form, for RS256 signatures and nothing else: a key that is meant for something else is not taken.
 * @throws AksmlError `gateway.configuration`
 */
export async function importKeys(jwks: readonly Readonly<Record<string, unknown>>[]): Promise<VerificationKey[]> {
  return Promise.all(jwks.map(importKey));
}

async function importKey(jwk: Readonly<Record<string, unknown>>): Promise<VerificationKey> {
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

const LONGEST_TOKEN = 8192;
const REMEMBERED_TOKENS = 10_000;
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

class TokenAuthenticator implements Authenticator {
  readonly mode = 'token';
  readonly #issuer: string;
  readonly #audience: string;
  readonly #keys: readonly VerificationKey[];
  /** Hash of a verified token → its expiry in milliseconds: a signature is checked once. */
  readonly #verified = new Map<string, number>();

  constructor(issuer: string, audience: string, keys: readonly VerificationKey[]) {
    this.#issuer = issuer;
    this.#audience = audience;
    this.#keys = keys;
  }

  admits(authorization: string | undefined, now: number): boolean | Promise<boolean> {
    const token = bearer(authorization);
    if (token === undefined || token.length > LONGEST_TOKEN) return false;
    const id = hash('sha256', token);
    const expiry = this.#verified.get(id);
    if (expiry !== undefined) return now < expiry;
    return this.#verify(token, id, now);
  }

  async #verify(token: string, id: string, now: number): Promise<boolean> {
    const payload = await verifySignature(token, this.#keys);
    const expiry = payload && this.#expiry(payload, now);
    if (expiry === undefined || now >= expiry) return false;
    if (this.#verified.size >= REMEMBERED_TOKENS) this.#verified.clear();
    this.#verified.set(id, expiry);
    return true;
  }

  /** When a token for this endpoint ends; undefined for any other. */
  #expiry(payload: Uint8Array, now: number): number | undefined {
    const claims = parseClaims(payload);
    if (claims?.['iss'] !== this.#issuer) return undefined;
    const audience = claims['aud'];
    if (audience !== this.#audience && !(Array.isArray(audience) && audience.includes(this.#audience)))
      return undefined;
    const { exp, nbf } = claims;
    if (nbf !== undefined && !(typeof nbf === 'number' && nbf * 1000 <= now)) return undefined;
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
  }
}

function parseClaims(
  payload: Uint8Array,
): { readonly [claim: string]: unknown; exp?: unknown; nbf?: unknown } | undefined {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof claims === 'object' && claims !== null ? { ...claims } : undefined;
  } catch {
    return undefined;
  }
}
