/**
 * All that the routers of a cluster are to do. Each router makes it for itself, from the Endpoints and EndpointSlices of its cluster and from
 * what the controller publishes; nothing in it is secret but what {@link RoutedAuth} holds of keys.
 */
export interface RoutingTable {
  readonly endpoints: readonly RoutedEndpoint[];
  /** The routers that share the endpoints among them, this one included; an endpoint's requests wait in one of them, its owner. */
  readonly routers: readonly RouterPeer[];
}

export interface RouterPeer {
  /** Of its pod. */
  readonly name: string;
  readonly address: string;
  /** Where it takes requests of other routers. */
  readonly hopPort: number;
}

export interface RoutedEndpoint {
  /** One per cluster. */
  readonly name: string;
  readonly auth: RoutedAuth;
  readonly corsAllowedOrigins: readonly string[];
  /** Larger request bodies get 413. */
  readonly maxBodyBytes: number;
  /** Requests that say who they are (by the header or cookie `aksml-session`) stay with one version. */
  readonly sticky: boolean;
  /** A share of the traffic, 0 to 100, is copied to a version, whose answers nobody gets. */
  readonly mirror?: { readonly version: string; readonly percentile: number };
  /** For each client address; more get 429. */
  readonly requestsPerSecond?: number;
  /** CIDR blocks whose clients may ask; others get 403. Absent: all. */
  readonly allowedAddresses?: readonly string[];
  /** Of the address at which clients reach it by HTTPS. Absent: the usual one. */
  readonly httpsPort?: number;
  readonly versions: readonly RoutedVersion[];
}

export type RoutedAuth =
  | { readonly mode: 'none' }
  /** Lower-case hex sha256 of each valid key. */
  | { readonly mode: 'key'; readonly keyHashes: readonly string[] }
  /** Tokens of the cluster's own; `subjectUid`: of the ServiceAccount that they are for, which is replaced to revoke them. */
  | { readonly mode: 'token'; readonly audience: string; readonly subjectUid: string };

export interface RoutedVersion {
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
  /** The server is the user's own and goes on working after the scoring time-out. */
  readonly ownServer: boolean;
  /** It speaks HTTP/2 without TLS, as gRPC does. */
  readonly http2: boolean;
  /** How long a request waits for the first replica of a version that has none; 0: not at all. */
  readonly coldStartMs: number;
  readonly replicas: readonly RoutedReplica[];
}

export interface RoutedReplica {
  /** Of its pod; one per cluster at a time. */
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** A draining replica finishes what it has and gets nothing new. Absence from the list: cut. */
  readonly state: 'ready' | 'draining';
}

/** What a router says of its load, for the autoscaler, ten times a second. */
export interface RouterLoad {
  /** Of its pod. */
  readonly router: string;
  /** Monotonic milliseconds of the router. */
  readonly time: number;
  /** Those that it owns and that have been used or have replicas. */
  readonly versions: readonly VersionLoad[];
  /** vCPU seconds that its container has used since it began. */
  readonly cpuSeconds?: number;
  /** What it adds to a request that has nothing to wait for, of late. */
  readonly routingMs?: number;
}

export interface VersionLoad {
  readonly endpoint: string;
  readonly version: string;
  readonly busy: number;
  /** Those that wait for the first replica included. */
  readonly queued: number;
  /** Requests that have come since the router began, those refused included. */
  readonly arrived: number;
  /** Requests that replicas are done with since the router began. */
  readonly completed: number;
  /** Of those, the ones that failed: 5xx, or without an answer. */
  readonly failed: number;
  /**
   * Milliseconds from arrival to the last byte, as a histogram in which each request counts once: with the first of {@link LATENCY_BOUNDS_MS}
   * that it does not exceed, or, beyond the last of them, in one more element.
   */
  readonly latency: readonly number[];
}

export const LATENCY_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000] as const;
