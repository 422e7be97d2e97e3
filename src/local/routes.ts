import type { Endpoint, VersionSpec } from '../contract/endpoint.ts';
import { type TrafficVersion, trafficAmongServing } from '../serving/traffic.ts';
import type { EndpointRecord } from './endpoint-store.ts';
import type { GatewayAuth, GatewayEndpoint, GatewayReplica, GatewayVersion } from './gateway-protocol.ts';

/** v1's limit of a request body. */
const MAX_BODY_BYTES = 100 * 1024 * 1024;

/** A replica as the gateway must know it. */
export interface RoutedReplica {
  readonly id: string;
  readonly image: string;
  readonly port: number | undefined;
  readonly isReady: boolean;
  readonly isDraining: boolean;
}

/** A version that is served, or was until its replicas have finished. */
export interface RoutedVersion {
  readonly name: string;
  /** The present one, or the last one of a version that goes. */
  readonly spec: VersionSpec;
  readonly replicas: readonly RoutedReplica[];
}

/**
 * Who gets which traffic now. A version gets its share once it has had all its replicas, so that creating one fails no request; until a
 * new default has, the one before stays in charge.
 */
export function presentTraffic({ endpoint, served, lastDefault }: EndpointRecord): TrafficVersion[] {
  return trafficAmongServing(endpoint.spec.versions, (name) => name in served, lastDefault);
}

/** One endpoint of the gateway's configuration. */
export function gatewayEndpoint(
  record: EndpointRecord,
  auth: GatewayAuth,
  versions: readonly RoutedVersion[],
): GatewayEndpoint {
  const { endpoint, ownPort } = record;
  const traffic = new Map(presentTraffic(record).map((version) => [version.name, version]));
  return {
    name: endpoint.metadata.name,
    ...(ownPort === undefined ? {} : { ownPort }),
    auth,
    corsAllowedOrigins: endpoint.spec.corsAllowedOrigins,
    maxBodyBytes: MAX_BODY_BYTES,
    versions: versions.map((version) => gatewayVersion(version, traffic.get(version.name))),
  };
}

/** `traffic` is absent for a version that goes. */
function gatewayVersion({ name, spec, replicas }: RoutedVersion, traffic: TrafficVersion | undefined): GatewayVersion {
  return {
    name,
    isDefault: traffic?.isDefault ?? false,
    trafficPercentile: traffic?.trafficPercentile ?? 0,
    maxConcurrentRequestsPerContainer: spec.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: spec.maxQueueWaitMs,
    scoringTimeoutMs: spec.scoringTimeoutMs,
    scoringRoute: spec.container?.scoringRoute ?? '/score',
    ...(spec.container ? {} : { swaggerRoute: '/swagger.json' }),
    replicas: replicas.flatMap(gatewayReplica),
  };
}

function gatewayReplica({ id, port, isReady, isDraining }: RoutedReplica): GatewayReplica[] {
  if (port === undefined) return [];
  return [{ id, port, state: isReady && !isDraining ? 'ready' : 'draining' }];
}

/** v1's two URL forms, and the one of its local service. */
export function scoringUri(
  endpoint: Endpoint,
  port: number | undefined,
  ownPort: number | undefined,
): string | undefined {
  if (ownPort !== undefined) return `http://localhost:${ownPort}/score`;
  if (port === undefined) return undefined;
  return `http://127.0.0.1:${port}/api/v1/${endpoint.spec.form}/${endpoint.metadata.name}/score`;
}
