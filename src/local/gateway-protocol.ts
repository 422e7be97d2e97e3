/**
 * What the supervisor tells the gateway and asks of it, over HTTP on a loopback port of the gateway's own, with a bearer token:
 *
 * | request | answer |
 * |---|---|
 * | `PUT /configuration` with a {@link GatewayConfiguration} | 204 once every listener is open and the routes are in force; 409 with `{listener, message}` when a port is taken |
 * | `GET /samples` | one {@link GatewaySample} |
 * | `GET /samples?stream=1` | a line of JSON per {@link GatewaySample}, 10 a second, until the client leaves |
 * | `GET /metrics` | Prometheus text; counters since the gateway began |
 * | `POST /stop` | 204, then the gateway answers what it holds and exits |
 *
 * The gateway outlives the supervisor, and starts a new one when the old one is gone.
 */
export interface GatewayConfiguration {
  /** Port of the shared listener for `/api/v1/service|endpoint/NAME/…`; 0 for any, kept from then on. */
  readonly port: number;
  readonly endpoints: readonly GatewayEndpoint[];
}

export interface GatewayEndpoint {
  readonly name: string;
  /** A listener of its own, as v1's local service had: `http://localhost:PORT/score`. */
  readonly ownPort?: number;
  readonly auth: GatewayAuth;
  readonly corsAllowedOrigins: readonly string[];
  /** Larger request bodies get 413. */
  readonly maxBodyBytes: number;
  readonly versions: readonly GatewayVersion[];
}

export type GatewayAuth =
  | { readonly mode: 'none' }
  /** Lower-case hex sha256 of each valid key. */
  | { readonly mode: 'key'; readonly keyHashes: readonly string[] }
  /** RS256 only. Keys in JWK form. */
  | {
      readonly mode: 'token';
      readonly issuer: string;
      readonly audience: string;
      readonly keys: readonly Readonly<Record<string, unknown>>[];
    };

export interface GatewayVersion {
  readonly name: string;
  readonly isDefault: boolean;
  readonly trafficPercentile?: number;
  readonly maxConcurrentRequestsPerContainer: number;
  readonly maxQueueWaitMs: number;
  readonly scoringTimeoutMs: number;
  /** `/score` for a scoring script. */
  readonly scoringRoute: string;
  /** Absent for a custom container without one. */
  readonly swaggerRoute?: string;
  readonly replicas: readonly GatewayReplica[];
}

export interface GatewayReplica {
  readonly id: string;
  /** On 127.0.0.1. */
  readonly port: number;
  /** A draining replica finishes what it has and gets nothing new. Absence from the list: cut. */
  readonly state: 'ready' | 'draining';
}

export interface GatewaySample {
  /** Monotonic milliseconds of the gateway. */
  readonly time: number;
  readonly port: number;
  readonly versions: readonly VersionSample[];
}

export interface VersionSample {
  readonly endpoint: string;
  readonly version: string;
  readonly queued: number;
  readonly replicas: readonly ReplicaSample[];
  /** Requests that have come since the gateway began, those refused included. */
  readonly requests: number;
  /** Requests that replicas are done with since the gateway began: with `requests`, what tells a queue that stands from one that grows. */
  readonly completed?: number;
}

export interface ReplicaSample {
  readonly id: string;
  /** Requests at the replica, those included whose client was answered 504 or has gone while the replica still works. */
  readonly inFlight: number;
  /** Connections refused or cut since the last answered request. */
  readonly consecutiveFailures: number;
}
