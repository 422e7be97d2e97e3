import { effectiveShares } from '../../serving/traffic.ts';
import { type MapName, PARTS } from './haproxy-config.ts';
import { ownerOf } from './owners.ts';
import type { RoutedEndpoint, RoutedVersion, RoutingTable } from './routing-table.ts';

export type MapEntries = ReadonlyMap<MapName, ReadonlyMap<string, string>>;

export interface MapFacts {
  /** Name of this router. */
  readonly self: string;
  /** The pool's backend of a version. */
  readonly backendOf: (endpoint: string, version: string) => string;
  /** The backend that leads to another router, by its name. */
  readonly peers: ReadonlyMap<string, string>;
  /** Secrets by which routers know one another, the present one first. */
  readonly hopSecrets: readonly string[];
  /** Answers to an ACME server's questions, by their tokens. */
  readonly challenges: ReadonlyMap<string, string>;
}

/** A replica ends what takes too long itself and says so; HAProxy's own time-out is for those that cannot. Milliseconds. */
const BACKSTOP_MS = 2500;

/** What HAProxy's maps say. Pure; nothing in it can end a line or begin a command. */
export function routeMaps(table: RoutingTable, facts: MapFacts): MapEntries {
  const maps: Record<MapName, Map<string, string>> = {
    endpoints: new Map(),
    keys: new Map(),
    versions: new Map(),
    routes: new Map(),
    cors: new Map(),
    addresses: new Map(),
    hop: new Map(),
    challenges: new Map(),
  };
  const routers = table.routers.map(({ name }) => name);
  for (const endpoint of table.endpoints) addEndpoint(maps, endpoint, ownerField(endpoint.name, routers, facts), facts);
  const [present] = facts.hopSecrets;
  if (present !== undefined) maps.hop.set('out', safe(present));
  for (const secret of facts.hopSecrets) maps.hop.set(safe(secret), 'in');
  for (const [token, answer] of facts.challenges) maps.challenges.set(safe(token), safe(answer));
  return new Map(Object.entries(maps) as [MapName, Map<string, string>][]);
}

function ownerField(endpoint: string, routers: readonly string[], { self, peers }: MapFacts): string {
  const owner = ownerOf(endpoint, routers);
  return owner === undefined || owner === self ? '-' : (peers.get(owner) ?? '-');
}

function addEndpoint(
  maps: Record<MapName, Map<string, string>>,
  endpoint: RoutedEndpoint,
  owner: string,
  { backendOf }: MapFacts,
): void {
  const { name, auth } = endpoint;
  const target = (version: RoutedVersion) => targetOf(version, backendOf(name, version.name));
  const split = trafficSplit(endpoint).map(({ version, below }) => `${target(version)}|${below}`);
  maps.endpoints.set(name, [flagsOf(endpoint, split.length), owner, endpoint.maxBodyBytes, ...split].join('|'));
  for (const version of endpoint.versions) {
    maps.versions.set(`${name}/${version.name}`, target(version));
    if (hasOwnRoutes(version))
      maps.routes.set(`${name}/${version.name}`, `${safe(version.scoringRoute)}|${safe(version.swaggerRoute ?? '')}`);
  }
  if (auth.mode === 'key') for (const hash of auth.keyHashes) maps.keys.set(`${name}:${safe(hash).toUpperCase()}`, '1');
  if (auth.mode === 'token') maps.keys.set(name, `${safe(auth.audience)}|${safe(auth.subjectUid)}`);
  for (const origin of endpoint.corsAllowedOrigins) maps.cors.set(`${name}/${safe(origin)}`, '1');
  if (endpoint.allowedAddresses) maps.addresses.set(name, endpoint.allowedAddresses.map(safe).join(','));
  if (endpoint.requestsPerSecond !== undefined)
    maps.addresses.set(`${name}//rate`, String(Math.ceil(endpoint.requestsPerSecond)));
  if (endpoint.mirror)
    maps.routes.set(
      `${name}//mirror`,
      `${Math.round((endpoint.mirror.percentile / 100) * PARTS)}|${safe(endpoint.mirror.version)}`,
    );
}

/**
 * `k` keys, `t` tokens, `n` no authentication; `s` split, `h` healthy; and what few endpoints want: `c` CORS, `o` own routes, `y` sticky,
 * `m` mirrored, `a` addresses, `r` rate. Those that want none of it have the first and `s` as capitals.
 */
function flagsOf(endpoint: RoutedEndpoint, parts: number): string {
  const { auth, versions, corsAllowedOrigins, sticky, mirror, allowedAddresses, requestsPerSecond } = endpoint;
  const unusual = [
    corsAllowedOrigins.length > 0 ? 'c' : '',
    versions.some(hasOwnRoutes) ? 'o' : '',
    sticky && parts > 1 ? 'y' : '',
    mirror ? 'm' : '',
    allowedAddresses ? 'a' : '',
    requestsPerSecond === undefined ? '' : 'r',
  ].join('');
  const usual = `${{ key: 'k', token: 't', none: 'n' }[auth.mode]}${parts > 1 ? 's' : ''}`;
  return `${unusual === '' ? usual.toUpperCase() : usual}${versions.some(isHot) ? 'h' : ''}${unusual}`;
}

/** The default version first, then all that have a share, each with the part of {@link PARTS} below which it gets a request. */
function trafficSplit({ versions }: RoutedEndpoint): { readonly version: RoutedVersion; readonly below: number }[] {
  const shares = effectiveShares(versions);
  const inOrder = [...versions].sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
  let sum = 0;
  const all = inOrder.map((version) => {
    sum += shares.get(version.name) ?? 0;
    return { version, below: Math.round((sum / 100) * PARTS) };
  });
  return all.filter(({ version }) => version.isDefault || (shares.get(version.name) ?? 0) > 0);
}

function targetOf(version: RoutedVersion, backend: string): string {
  const { name, coldStartMs, scoringTimeoutMs, ownServer } = version;
  const state = isHot(version) ? 'hot' : coldStartMs > 0 ? 'cold' : 'none';
  const patience = ownServer ? scoringTimeoutMs : scoringTimeoutMs + BACKSTOP_MS;
  return [backend, name, state, scoringTimeoutMs, patience].join(':');
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
