import { generateKeyPair as generateKeyPairWithCallback } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, importJWK, type JWK, SignJWT } from 'jose';
import type { AccessToken } from '../contract/compute-target.ts';
import type { EndpointMetadata } from '../contract/endpoint.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';
import type { GatewayAuth } from './gateway-protocol.ts';

const ISSUER = 'aksml-local';
const LIFETIME_S = 12 * 3600;
/** Early enough that a caller has hours to get a new one. */
const REFRESH_AFTER_S = 8 * 3600;

/** Signs access tokens with a key of this home, made on first use. A token dies with its endpoint: the audience names the endpoint's uid. */
export class TokenIssuer {
  readonly #path: string;
  readonly #clock: () => Date;
  #key: Promise<JWK> | undefined;

  constructor(home: Home, clock: () => Date) {
    this.#path = join(home.local, 'token-key.json');
    this.#clock = clock;
  }

  async issue(endpoint: EndpointMetadata): Promise<AccessToken> {
    const jwk = await this.#privateKey();
    const now = Math.floor(this.#clock().getTime() / 1000);
    const accessToken = await new SignJWT({})
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: jwk.kid ?? '' })
      .setIssuer(ISSUER)
      .setAudience(audience(endpoint))
      .setSubject(endpoint.name)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME_S)
      .sign(await importJWK(jwk, 'RS256'));
    return { accessToken, tokenType: 'Bearer', refreshAfter: now + REFRESH_AFTER_S, expiryOn: now + LIFETIME_S };
  }

  /** What the gateway checks a token with. */
  async verification(endpoint: EndpointMetadata): Promise<GatewayAuth> {
    const { kty, n, e, kid } = await this.#privateKey();
    return {
      mode: 'token',
      issuer: ISSUER,
      audience: audience(endpoint),
      keys: [{ kty, n, e, kid, alg: 'RS256', use: 'sig' }],
    };
  }

  #privateKey(): Promise<JWK> {
    this.#key ??= this.#load().catch(async () => this.#make());
    return this.#key;
  }

  async #load(): Promise<JWK> {
    return JSON.parse(await readFile(this.#path, 'utf8')) as JWK;
  }

  async #make(): Promise<JWK> {
    const { privateKey } = await promisify(generateKeyPairWithCallback)('rsa', { modulusLength: 2048 });
    const bare = privateKey.export({ format: 'jwk' }) as JWK;
    const jwk = { ...bare, kid: await calculateJwkThumbprint(bare) };
    await writeFileAtomic(this.#path, JSON.stringify(jwk));
    return jwk;
  }
}

function audience({ name, uid }: EndpointMetadata): string {
  return `aksml:endpoint:${name}:${uid ?? ''}`;
}
