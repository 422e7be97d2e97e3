import type { Endpoint, VersionSpec } from '../contract/endpoint.ts';
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
  readonly isGoing: boolean;
  readonly replicas: readonly RoutedReplica[];
}

/** One endpoint of the gateway's configuration. */
export function gatewayEndpoint(
  endpoint: Endpoint,
  ownPort: number | undefined,
  auth: GatewayAuth,
  versions: readonly RoutedVersion[],
): GatewayEndpoint {
  const { metadata, spec } = endpoint;
  return {
    name: metadata.name,
    ...(ownPort === undefined ? {} : { ownPort }),
    auth,
    corsAllowedOrigins: spec.corsAllowedOrigins,
    maxBodyBytes: MAX_BODY_BYTES,
    versions: versions.map(gatewayVersion),
  };
}

function gatewayVersion({ name, spec, isGoing, replicas }: RoutedVersion): GatewayVersion {
  return {
    name,
    isDefault: spec.isDefault && !isGoing,
    ...(isGoing ? { trafficPercentile: 0 } : trafficOf(spec)),
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

function trafficOf({ trafficPercentile }: VersionSpec): { trafficPercentile?: number } {
  return trafficPercentile === undefined ? {} : { trafficPercentile };
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
