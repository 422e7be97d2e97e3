import { AksmlError } from '../../contract/error.ts';
import {
  expiryOf,
  LONGEST_TOKEN,
  parseClaims,
  type TokenClaims,
  type VerificationKey,
  verifySignature,
} from '../../serving/signed-token.ts';
import type { ClusterKeys } from './cluster-keys.ts';

export interface TokenVerifierOptions {
  readonly fetchKeys: (signal?: AbortSignal) => Promise<ClusterKeys>;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Keys are asked for again after this: those that the cluster has withdrawn are good no longer. */
const KEYS_MS = 5 * 60_000;
/** And where a token names a key that is not known, but not more often than this. */
const UNKNOWN_KEY_MS = 10_000;
/** The API server's clock may be ahead of this node's: a token that was made just now is good all the same. */
const CLOCK_AHEAD_MS = 60_000;

/**
 * Verifies tokens of the cluster's TokenRequest API. The signature's algorithm is RS256 literally, keys are those that the API server tells,
 * and nothing that a token says of keys is believed.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #now: () => number;
  #known: ClusterKeys | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Whether it could verify a token now. */
  get ready(): boolean {
    return this.#known !== undefined;
  }

  /** Asks for the keys; returns also when there was no answer, which a later call tries again. */
  async prepare(): Promise<void> {
    await this.#fetch();
  }

  /** When the token ends, in seconds since the epoch; undefined for one that does not open the endpoint. */
  async verify(audience: string, subjectUid: string, token: string): Promise<number | undefined> {
    const kid = keyId(token);
    if (kid === undefined || subjectUid === '') return undefined;
    const known = await this.#keysFor(kid);
    if (!known) return undefined;
    const keys = known.keys.filter((key) => key.kid === kid);
    const payload = await verifySignature(token, keys);
    const claims = payload && parseClaims(payload);
    if (!claims || subjectOf(claims) !== subjectUid) return undefined;
    const expiry = expiryOf(claims, { issuer: known.issuer, audience, clockAheadMs: CLOCK_AHEAD_MS }, this.#now());
    return expiry === undefined ? undefined : Math.floor(expiry / 1000);
  }

  async #keysFor(kid: string): Promise<ClusterKeys | undefined> {
    const now = this.#now();
    const isKnown = has(this.#known?.keys, kid);
    const isOld = now - this.#fetchedAt >= KEYS_MS;
    if ((!isKnown || isOld) && (this.#fetching || now - this.#triedAt >= UNKNOWN_KEY_MS)) {
      const fetched = this.#fetch();
      // Who has a key that was good a moment ago does not wait for the API server.
      if (!isKnown) await fetched;
    }
    return this.#known;
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    this.#triedAt = this.#now();
    try {
      this.#known = await this.#options.fetchKeys();
      this.#fetchedAt = this.#now();
    } catch (error) {
      this.#options.onError(
        new AksmlError('router.keys', 'The public keys of the cluster are not known at present.', { cause: error }),
      );
    }
  }
}

function has(keys: readonly VerificationKey[] | undefined, kid: string): boolean {
  return keys?.some((key) => key.kid === kid) ?? false;
}

/** Which key it is said to be signed with: every token of a cluster says so, and no other is worth a look. */
function keyId(token: string): string | undefined {
  if (token.length > LONGEST_TOKEN) return undefined;
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString());
    return typeof header === 'object' && header !== null && 'kid' in header && typeof header.kid === 'string'
      ? header.kid
      : undefined;
  } catch {
    return undefined;
  }
}

/** The uid of the ServiceAccount that a token is for. */
function subjectOf(claims: TokenClaims): unknown {
  return member(member(claims['kubernetes.io'], 'serviceaccount'), 'uid');
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
