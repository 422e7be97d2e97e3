import { isIP } from 'node:net';
import type { VersionSpec } from '../../contract/endpoint.ts';
import { followsRule, SERVICE_NAME } from '../../contract/names.ts';
import type { EndpointSlice, StoredEndpoint } from '../../kube/resource.ts';
import { coldStartMs } from '../../serving/replicas.ts';
import { trafficNow } from '../../serving/rollout.ts';
import type { TrafficVersion } from '../../serving/traffic.ts';
import { tokenAudience, VERSION_LABEL } from '../names.ts';
import type { PublishedAuth } from './published-auth.ts';
import type { AskedReplica, StartingReplica } from './readiness-asker.ts';
import type { RouterSettings } from './router-settings.ts';
import type { RoutedAuth, RoutedEndpoint, RoutedReplica, RoutedVersion } from './routing-table.ts';

/** All that a router knows of one endpoint. */
export interface EndpointFacts {
  readonly endpoint: StoredEndpoint;
  /** Of its versions' Services, all. */
  readonly slices: readonly EndpointSlice[];
  /** Absent: not published yet. */
  readonly auth?: PublishedAuth;
  readonly settings: RouterSettings;
  /** What was made of it before: a replica that was never ready has nothing to finish. */
  readonly previous?: RoutedEndpoint;
  /** Replicas that are asked themselves whether they are ready, by the names of their pods. */
  readonly asked?: ReadonlyMap<string, AskedReplica>;
}

/**
 * What a router is to do for an endpoint; undefined for one that no router may serve. Pure. The API server holds most of it to these rules,
 * too: here they keep out of HAProxy what a text could be besides what it is meant to be.
 */
export function routedEndpoint(facts: EndpointFacts): RoutedEndpoint | undefined {
  const { endpoint, settings } = facts;
  const { metadata, spec } = endpoint;
  if (!followsRule(SERVICE_NAME, metadata.name)) return undefined;
  const { mirror, rateLimit, allowedAddresses } = spec;
  const traffic = new Map(trafficNow(endpoint).map((version) => [version.name, version]));
  return {
    name: metadata.name,
    auth: authOf(facts),
    corsAllowedOrigins: spec.corsAllowedOrigins.filter((origin) => ORIGIN.test(origin)),
    maxBodyBytes: settings.maxBodyBytes,
    sticky: spec.stickiness === 'session',
    ...(mirror === undefined || !spec.versions.some(({ name }) => name === mirror.version) ? {} : { mirror }),
    ...(rateLimit === undefined ? {} : { requestsPerSecond: rateLimit.requestsPerSecond }),
    ...(allowedAddresses === undefined ? {} : { allowedAddresses: allowedAddresses.filter(isBlock) }),
    ...httpsPort(endpoint.status?.scoringUri),
    versions: spec.versions
      .filter(({ name }) => followsRule(SERVICE_NAME, name))
      .map((version) => routedVersion(version, traffic.get(version.name), facts)),
  };
}

/**
 * Replicas whose own word counts until kubelet has called them ready for the first time, which it may do most of a second late. A server of
 * the user's own is kubelet's to judge alone. Pure.
 */
export function startingReplicas({ endpoint, slices, previous, asked }: EndpointFacts): readonly StartingReplica[] {
  return endpoint.spec.versions
    .filter(({ container }) => container === undefined)
    .flatMap(({ name }) => {
      const known = new Map(replicasIn(previous, name).map(({ id, address }) => [id, address]));
      const first = new Map<string, ListedReplica>();
      for (const listed of listedReplicas(slices, name)) if (!first.has(listed.id)) first.set(listed.id, listed);
      return [...first.values()].flatMap(({ id, address, said }) => {
        const isAsked = asked?.get(id)?.address === address;
        const wasReady = !isAsked && known.get(id) === address;
        return said === 'unready' && !wasReady ? [{ id, address }] : [];
      });
    });
}

function httpsPort(scoringUri: string | undefined): Pick<RoutedEndpoint, 'httpsPort'> {
  const { protocol, port = '' } = (scoringUri === undefined ? undefined : URL.parse(scoringUri)) ?? {};
  return protocol === 'https:' && port !== '' ? { httpsPort: Number(port) } : {};
}

/** Another text could not be what a browser sends. */
const ORIGIN = /^(\*|null|[a-z][a-z0-9+.-]*:\/\/[a-z0-9.:[\]_-]+)$/i;

function isBlock(text: string): boolean {
  const [address = '', length, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0 || address.includes('%')) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}

/** What is not published opens nothing. */
function authOf({ endpoint, auth }: EndpointFacts): RoutedAuth {
  const { name, namespace = '' } = endpoint.metadata;
  switch (endpoint.spec.auth) {
    case 'none':
      return { mode: 'none' };
    case 'token':
      if (auth?.subjectUid === undefined) break;
      return { mode: 'token', audience: tokenAudience(namespace, name), subjectUid: auth.subjectUid };
    case 'key':
      return { mode: 'key', keyHashes: auth?.keyHashes ?? [] };
  }
  return { mode: 'key', keyHashes: [] };
}

function routedVersion(
  version: VersionSpec,
  traffic: TrafficVersion | undefined,
  { slices, previous, asked }: EndpointFacts,
): RoutedVersion {
  const { name, container } = version;
  const isDefault = traffic?.isDefault ?? false;
  return {
    name,
    isDefault,
    ...(isDefault ? {} : { trafficPercentile: traffic?.trafficPercentile ?? 0 }),
    maxConcurrentRequestsPerContainer: version.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: version.maxQueueWaitMs,
    scoringTimeoutMs: version.scoringTimeoutMs,
    scoringRoute: container === undefined ? '/score' : safeRoute(container.scoringRoute),
    ...(container === undefined ? { swaggerRoute: '/swagger.json' } : {}),
    ownServer: container !== undefined,
    http2: container?.http2 ?? false,
    coldStartMs: coldStartMs(version.scale),
    replicas: replicasOf(listedReplicas(slices, name), replicasIn(previous, name), asked),
  };
}

/** As it may stand in a request line: whatever else is in it is percent-encoded. */
function safeRoute(route: string): string {
  return route.replace(/[^A-Za-z0-9/?&=%:@!$()*+,._~-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

function replicasIn(endpoint: RoutedEndpoint | undefined, version: string): readonly RoutedReplica[] {
  return endpoint?.versions.find(({ name }) => name === version)?.replicas ?? [];
}

/** A pod at one of its addresses, as an EndpointSlice has it. */
interface ListedReplica extends StartingReplica {
  readonly port: number;
  readonly said: 'ready' | 'unready' | 'ending';
}

function listedReplicas(slices: readonly EndpointSlice[], version: string): readonly ListedReplica[] {
  return slices
    .filter(({ metadata }) => metadata.labels?.[VERSION_LABEL] === version)
    .sort((a, b) => (a.addressType < b.addressType ? -1 : 1))
    .flatMap((slice) => {
      const port = slice.ports?.find(({ name }) => name === 'scoring')?.port;
      if (port === undefined) return [];
      return (slice.endpoints ?? []).flatMap(({ addresses: [address = ''], conditions, targetRef }) => {
        const id = targetRef?.name ?? '';
        if (isIP(address) === 0 || !POD_NAME.test(id)) return [];
        // As the API says it: what is not known counts as ready; what is terminating is never ready.
        const isReady = conditions?.ready !== false;
        return [{ id, address, port, said: conditions?.terminating ? 'ending' : isReady ? 'ready' : 'unready' }];
      });
    });
}

/** By their names, so that equal facts give equal lists. */
function replicasOf(
  listed: readonly ListedReplica[],
  before: readonly RoutedReplica[],
  asked: EndpointFacts['asked'],
): readonly RoutedReplica[] {
  const known = new Set(before.map(({ id }) => id));
  const found = new Map<string, RoutedReplica>();
  // A pod may have an address of each family: it is one replica all the same.
  for (const { id, address, port, said } of listed) {
    if (found.get(id)?.state === 'ready') continue;
    const own = asked?.get(id);
    const saysReady = said === 'unready' && own?.address === address && own.isReady;
    if (said === 'ready' || saysReady) found.set(id, { id, address, port, state: 'ready' });
    else if (known.has(id) && !found.has(id)) found.set(id, { id, address, port, state: 'draining' });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const POD_NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
