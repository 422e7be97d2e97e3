import { createHash } from 'node:crypto';
import { effectiveShares } from '../../serving/traffic.ts';
import { BACKSTOP_MS, BUFFERED_BODY, type MapName, PARTS } from './haproxy-names.ts';
import type { RoutedAuth, RoutedEndpoint, RoutedVersion } from './routing-table.ts';

export type MapEntries = ReadonlyMap<MapName, ReadonlyMap<string, string>>;

export interface MapFacts {
  /** The pool's backend of a version. */
  readonly backendOf: (endpoint: string, version: string) => string;
  /** `-`, or the backend that leads to the router that is an endpoint's owner. */
  readonly ownerField: (endpoint: string) => string;
}

/** What all endpoints have in common. */
export interface CommonEntries {
  /** Secrets by which routers know one another, the present one first. */
  readonly hopSecrets: readonly string[];
  /** Answers to an ACME server's questions, by their tokens. */
  readonly challenges: ReadonlyMap<string, string>;
}

/** What HAProxy's maps say of one endpoint. Pure; nothing in it can end a line or begin a command. */
export function endpointEntries(endpoint: RoutedEndpoint, { backendOf, ownerField }: MapFacts): MapEntries {
  const { name, auth } = endpoint;
  const target = (version: RoutedVersion) => targetOf(version, backendOf(name, version.name));
  const parts = trafficSplit(endpoint);
  const split = parts.map(({ version, below }) => `${target(version)}|${below}`);
  const wishes = wishesOf(endpoint, parts.length);
  const head = [flagsOf(endpoint, parts.length) + wishes, ownerField(name), endpoint.maxBodyBytes];
  const usual = wishes === '' ? usualEntry(endpoint, parts, { backendOf, ownerField }) : undefined;
  return new Map<MapName, ReadonlyMap<string, string>>([
    [
      'usual',
      new Map(
        usual === undefined ? [] : ['service', 'endpoint'].map((kind) => [`/api/v1/${kind}/${name}/score`, usual]),
      ),
    ],
    ['endpoints', new Map([[name, [...head, ...split].join('|')]])],
    ['keys', keyEntries(name, auth)],
    ['versions', new Map(endpoint.versions.map((version) => [`${name}/${version.name}`, target(version)]))],
    ['routes', routeEntries(endpoint)],
    ['cors', new Map(endpoint.corsAllowedOrigins.map((origin) => [`${name}/${safe(origin)}`, '1']))],
    ['addresses', addressEntries(endpoint)],
    ['https-ports', new Map(endpoint.httpsPort === undefined ? [] : [[name, `:${endpoint.httpsPort}`]])],
  ]);
}

/** What they say of none in particular. */
export function commonEntries({ hopSecrets, challenges }: CommonEntries): MapEntries {
  const [present] = hopSecrets;
  return new Map<MapName, ReadonlyMap<string, string>>([
    [
      'hop',
      new Map([
        ...(present === undefined
          ? []
          : [['out', safe(present)] as const, ['out-usual', usualSecret(present)] as const]),
        ...hopSecrets.flatMap((secret) => [[safe(secret), 'in'] as const, [usualSecret(secret), 'usual'] as const]),
      ]),
    ],
    ['challenges', new Map([...challenges].map(([token, answer]) => [safe(token), safe(answer)]))],
  ]);
}

function keyEntries(name: string, auth: RoutedAuth): ReadonlyMap<string, string> {
  const era = eraOf(auth);
  if (auth.mode === 'key') return new Map(auth.keyHashes.map((hash) => [`${safe(hash).toUpperCase()}:${name}`, era]));
  if (auth.mode === 'token') return new Map([[name, `${safe(auth.audience)}|${safe(auth.subjectUid)}|${era}`]]);
  return new Map();
}

/** By which what was found good under other keys, or as a token of another, is no proof any more. */
function eraOf(auth: RoutedAuth): string {
  if (auth.mode === 'none') return '';
  const kept = auth.mode === 'key' ? auth.keyHashes : [auth.audience, auth.subjectUid];
  const digest = createHash('sha256').update(JSON.stringify([auth.mode, ...kept]));
  return digest.digest('hex').slice(0, 16);
}

function routeEntries({ name, versions, mirror }: RoutedEndpoint): ReadonlyMap<string, string> {
  const entries = new Map(
    versions
      .filter(hasOwnRoutes)
      .map(({ name: version, scoringRoute, swaggerRoute = '' }) => [
        `${name}/${version}`,
        `${safe(scoringRoute)}|${safe(swaggerRoute)}`,
      ]),
  );
  if (mirror)
    entries.set(`${name}//mirror`, `${Math.round((mirror.percentile / 100) * PARTS)}|${safe(mirror.version)}`);
  return entries;
}

function addressEntries({ name, allowedAddresses, requestsPerSecond }: RoutedEndpoint): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  if (allowedAddresses) entries.set(name, allowedAddresses.map(safe).join(','));
  if (requestsPerSecond !== undefined) entries.set(`${name}//rate`, String(Math.ceil(requestsPerSecond)));
  return entries;
}

/** By which a router says of a request that it is a usual one. */
function usualSecret(secret: string): string {
  return `${safe(secret)}~usual`;
}

/** What `usual` says of an endpoint without wishes, if its requests are usual ones: see `haproxy-rules.ts`. */
function usualEntry(
  { name, auth, maxBodyBytes }: RoutedEndpoint,
  parts: readonly TrafficPart[],
  { backendOf, ownerField }: MapFacts,
): string | undefined {
  const isUsual = ({ version }: TrafficPart) => isHot(version) && !version.ownServer;
  if (parts.length > 2 || !parts.every(isUsual) || maxBodyBytes < BUFFERED_BODY) return undefined;
  const owner = ownerField(name);
  const whose = `${name}:${eraOf(auth)}:`;
  const [first, second] = parts.map(({ version }) => {
    const backend = owner === '-' ? backendOf(name, version.name) : owner;
    return targetOf(version, backend, AUTH_LETTER[auth.mode].toUpperCase()) + whose;
  });
  return second === undefined ? first : [first, parts[0]?.below, second].join('^');
}

const AUTH_LETTER = { key: 'k', token: 't', none: 'n' } as const;

/** `k` keys, `t` tokens, `n` no authentication; `s` split; `h` healthy. */
function flagsOf({ auth, versions }: RoutedEndpoint, parts: number): string {
  return `${AUTH_LETTER[auth.mode]}${parts > 1 ? 's' : ''}${versions.some(isHot) ? 'h' : ''}`;
}

/** What few endpoints want: `c` CORS, `o` own routes, `y` sticky, `m` mirrored, `a` addresses, `r` rate. */
function wishesOf(endpoint: RoutedEndpoint, parts: number): string {
  const { versions, corsAllowedOrigins, sticky, mirror, allowedAddresses, requestsPerSecond } = endpoint;
  return [
    corsAllowedOrigins.length > 0 ? 'c' : '',
    versions.some(hasOwnRoutes) ? 'o' : '',
    sticky && parts > 1 ? 'y' : '',
    mirror ? 'm' : '',
    allowedAddresses ? 'a' : '',
    requestsPerSecond === undefined ? '' : 'r',
  ].join('');
}

interface TrafficPart {
  readonly version: RoutedVersion;
  readonly below: number;
}

/** The default version first, then all that have a share, each with the part of {@link PARTS} below which it gets a request. */
function trafficSplit({ versions }: RoutedEndpoint): TrafficPart[] {
  const shares = effectiveShares(versions);
  const inOrder = [...versions].sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
  let sum = 0;
  const all = inOrder.map((version) => {
    sum += shares.get(version.name) ?? 0;
    return { version, below: Math.round((sum / 100) * PARTS) };
  });
  return all.filter(({ version }) => version.isDefault || (shares.get(version.name) ?? 0) > 0);
}

/** `BACKEND:NAME:STATE:TIMEOUT_MS:PATIENCE_MS:` */
function targetOf(version: RoutedVersion, backend: string, state: string = stateOf(version)): string {
  const { name, scoringTimeoutMs, ownServer } = version;
  const patience = ownServer ? scoringTimeoutMs : scoringTimeoutMs + BACKSTOP_MS;
  return `${[backend, name, state, scoringTimeoutMs, patience].join(':')}:`;
}

function stateOf(version: RoutedVersion): 'hot' | 'cold' | 'none' {
  if (isHot(version)) return 'hot';
  return version.coldStartMs > 0 ? 'cold' : 'none';
}

function isHot({ replicas }: RoutedVersion): boolean {
  return replicas.some(({ state }) => state === 'ready');
}

function hasOwnRoutes({ scoringRoute, swaggerRoute }: RoutedVersion): boolean {
  return scoringRoute !== '/score' || swaggerRoute !== '/swagger.json';
}

/** What may be a word of a command and of a map: anything else is percent-encoded. */
export function safe(text: string): string {
  return text.replace(/[^A-Za-z0-9._~!$&'()*+,=:@%/?[\]-]/gu, (character) =>
    encodeURIComponent(character.toWellFormed()),
  );
}
