import { isDeepStrictEqual } from 'node:util';
import { AksmlError } from '../../contract/error.ts';
import type { Answer } from '../../http/fetch.ts';
import type { CredentialSource, Credentials } from './credentials.ts';
import { type HttpPorts, type HttpRequest, refusePlainHttp, send } from './http.ts';

/** `WWW-Authenticate`, taken apart (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*(?:,\s*)*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;
  for (let match = token.exec(header); match !== null; match = token.exec(header)) {
    const [, name = '', quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    const current = challenges.at(-1);
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else if (current) current.parameters[name.toLowerCase()] = value;
  }
  return challenges;
}

interface Token {
  readonly authorization: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** How often a challenge is answered for one request: with what is at hand, then with credentials that are fetched anew. */
const ANSWERS = 2;
/** Tokens without a stated life have this one (distribution token specification), seconds. */
const DEFAULT_TOKEN_LIFE_S = 60;
/** A token this close to its end is not used any more. */
const EXPIRY_MARGIN_MS = 10_000;

/**
 * Answers a registry's challenges: bearer tokens by scope, basic, or nothing. Asks for credentials once.
 * Flow: the distribution project's token specification.
 */
export class Authenticator {
  readonly #host: string;
  readonly #ports: HttpPorts;
  readonly #source: CredentialSource;
  readonly #tokens = new Map<string, Promise<Token>>();
  #credentials: Promise<Credentials | undefined> | undefined;
  #basic: string | undefined;

  constructor(host: string, ports: HttpPorts, source: CredentialSource) {
    this.#host = host;
    this.#ports = ports;
    this.#source = source;
  }

  /**
   * Sends with the right of `scopes`, such as `repository:models/a:pull,push`. Credentials that are refused are asked for anew once: they
   * may have expired, and the user or a credential helper may have fresh ones by now.
   * @throws AksmlError `registry.unauthorized`
   */
  async send(request: HttpRequest, scopes: readonly string[]): Promise<Answer> {
    const scope = scopes.join(' ');
    const known = await this.#known(scope);
    let response = await send(this.#ports, { ...request, ...(known === undefined ? {} : { authorization: known }) });
    for (let attempt = 1; response.status === 401; attempt += 1) {
      await response.body?.cancel();
      const isOver = attempt > ANSWERS || (attempt === ANSWERS && !(await this.#renew(scope, request.signal)));
      if (isOver) throw this.#refused(scope, (await this.#credentials) !== undefined);
      const challenge = response.headers.get('www-authenticate') ?? '';
      const authorization = await this.#answerOrRenew(challenge, scopes, request.signal);
      response = await send(this.#ports, { ...request, authorization });
    }
    return response;
  }

  /** A token service tells by refusing a token that the credentials are no good any more. */
  async #answerOrRenew(challenge: string, scopes: readonly string[], signal?: AbortSignal): Promise<string> {
    try {
      return await this.#answer(challenge, scopes, signal);
    } catch (error) {
      if (!AksmlError.is(error, 'registry.unauthorized') || !(await this.#renew(scopes.join(' '), signal))) throw error;
      return await this.#answer(challenge, scopes, signal);
    }
  }

  /** Whether the source has other credentials now than those that were refused. */
  async #renew(scope: string, signal: AbortSignal | undefined): Promise<boolean> {
    const refused = await this.#credentials;
    this.#basic = undefined;
    this.#tokens.delete(scope);
    this.#credentials = this.#source(this.#host, signal);
    const fresh = await this.#credentials;
    return fresh !== undefined && !isDeepStrictEqual(fresh, refused);
  }

  #refused(scope: string, hadCredentials: boolean): AksmlError {
    this.#tokens.delete(scope);
    return this.#unauthorized(hadCredentials);
  }

  async #known(scope: string): Promise<string | undefined> {
    if (this.#basic !== undefined) return this.#basic;
    const token = await this.#tokens.get(scope)?.catch(() => undefined);
    return token !== undefined && token.expires - EXPIRY_MARGIN_MS > this.#ports.now()
      ? token.authorization
      : undefined;
  }

  async #answer(header: string, scopes: readonly string[], signal?: AbortSignal): Promise<string> {
    const challenges = parseChallenges(header);
    this.#credentials ??= this.#source(this.#host, signal);
    const credentials = await this.#credentials.catch((error: unknown) => {
      this.#credentials = undefined;
      throw error;
    });
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer) return await this.#token(bearer, scopes, credentials, signal);
    if (challenges.some((challenge) => challenge.scheme === 'basic') && credentials?.kind === 'password') {
      this.#basic = basic(credentials);
      return this.#basic;
    }
    throw this.#unauthorized(credentials !== undefined);
  }

  async #token(
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
    signal?: AbortSignal,
  ): Promise<string> {
    const key = scopes.join(' ');
    const before = this.#tokens.get(key);
    const token = this.#fetchToken(challenge, scopes, credentials, signal);
    this.#tokens.set(key, token);
    try {
      return (await token).authorization;
    } catch (error) {
      if (before) this.#tokens.set(key, before);
      else this.#tokens.delete(key);
      throw error;
    }
  }

  async #fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
    signal?: AbortSignal,
  ): Promise<Token> {
    const { realm, service, scope } = challenge.parameters;
    if (realm === undefined || !URL.canParse(realm)) throw this.#unauthorized(credentials !== undefined);
    const url = new URL(realm);
    refusePlainHttp(url);
    const wanted = scopes.length > 0 ? scopes : scope === undefined ? [] : [scope];
    const response = await send(this.#ports, tokenRequest(url, service, wanted, credentials, signal));
    if (!response.ok) {
      await response.body?.cancel();
      throw this.#unauthorized(credentials !== undefined);
    }
    const answer: unknown = await response.json();
    const value = stringMember(answer, 'token') ?? stringMember(answer, 'access_token');
    if (value === undefined) throw this.#unauthorized(credentials !== undefined);
    const life =
      typeof answer === 'object' && answer !== null && 'expires_in' in answer && typeof answer.expires_in === 'number'
        ? answer.expires_in
        : DEFAULT_TOKEN_LIFE_S;
    return { authorization: `Bearer ${value}`, expires: this.#ports.now() + life * 1000 };
  }

  #unauthorized(hadCredentials: boolean): AksmlError {
    return new AksmlError(
      'registry.unauthorized',
      hadCredentials
        ? `The registry ${this.#host} refused the credentials; they may have expired.`
        : `The registry ${this.#host} asks for credentials and none are stored.`,
      {
        subject: this.#host,
        remedy: `Log in, for example with \`docker login ${this.#host}\`, and run the command again.`,
      },
    );
  }
}

function tokenRequest(
  url: URL,
  service: string | undefined,
  scopes: readonly string[],
  credentials: Credentials | undefined,
  signal?: AbortSignal,
): HttpRequest {
  if (credentials?.kind === 'identityToken') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'aksml',
      refresh_token: credentials.token,
    });
    if (service !== undefined) form.set('service', service);
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    return {
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(form.toString()),
      ...(signal === undefined ? {} : { signal }),
    };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  return {
    method: 'GET',
    url,
    ...(credentials === undefined ? {} : { authorization: basic(credentials) }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function basic(credentials: Extract<Credentials, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

function stringMember(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined;
  const member: unknown = Reflect.get(value, name);
  return typeof member === 'string' && member !== '' ? member : undefined;
}
