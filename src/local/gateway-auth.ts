import { hash } from 'node:crypto';
import {
  expiryOf,
  importKeys,
  LONGEST_TOKEN,
  parseClaims,
  type VerificationKey,
  verifySignature,
} from '../serving/signed-token.ts';
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

const REMEMBERED_TOKENS = 10_000;

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
    const claims = payload && parseClaims(payload);
    const expiry = claims && expiryOf(claims, { issuer: this.#issuer, audience: this.#audience }, now);
    if (expiry === undefined) return false;
    if (this.#verified.size >= REMEMBERED_TOKENS) this.#verified.clear();
    this.#verified.set(id, expiry);
    return true;
  }
}
