import type { ComputeTargetRecord, ComputeTargetStatus } from './compute-record.ts';
import type { Endpoint } from './endpoint.ts';
import type { AksmlError } from './error.ts';
import type { EndpointCounters } from './metrics.ts';

/** What the engine asks of the place where endpoints run. `local` and a cluster implement it alike. */
export interface ComputeTarget {
  readonly name: string;
  readonly kind: 'local' | 'aks' | 'kubernetes';
  /** Of a cluster. */
  readonly record?: ComputeTargetRecord;

  /** @throws what keeps it from being reached */
  status(signal?: AbortSignal, of?: StatusScope): Promise<ComputeTargetStatus>;

  listEndpoints(signal?: AbortSignal): Promise<Endpoint[]>;
  /** @throws AksmlError `service.notFound` | `service.damaged` when what is known of it cannot be read */
  getEndpoint(name: string, signal?: AbortSignal): Promise<Endpoint>;
  /**
   * Creates or replaces the spec, labels and annotations; `status` is ignored. Returns once the wish is durable, not once it is fulfilled.
   * With `metadata.resourceVersion` set, it must be the current one; without, the endpoint must not exist.
   * @throws AksmlError `endpoint.conflict` | `endpoint.exists`
   */
  applyEndpoint(endpoint: Endpoint, secrets?: EndpointSecrets, signal?: AbortSignal): Promise<Endpoint>;
  /** Whether whatever else has the endpoint's name is just going. Absent where a name cannot be had twice. */
  isNameBeingFreed?(endpoint: Endpoint, signal?: AbortSignal): Promise<boolean>;
  /**
   * Returns once nothing of it is left. With `namespace`: the endpoint of that namespace and no other of its name.
   * @throws AksmlError `service.notFound`
   */
  deleteEndpoint(name: string, signal?: AbortSignal, namespace?: string): Promise<void>;
  /**
   * The present state first, then every change; ends only with the signal or an error. `onInterruption` is told why changes do not arrive at
   * present, and undefined once they do again. With `namespace`: what is there and nowhere else.
   */
  watchEndpoints(
    filter: { readonly name?: string; readonly namespace?: string },
    signal: AbortSignal,
    onInterruption?: (cause: AksmlError | undefined) => void,
  ): AsyncIterable<EndpointChange>;

  readLogs(name: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine>;

  /** The stored values of the secret environment variables, by version, then by variable name. */
  getSecretVariables(endpoint: Endpoint, signal?: AbortSignal): Promise<StoredVariables>;
  /** @throws AksmlError `auth.notKey` when keys are not in use. */
  getKeys(name: string): Promise<Keys>;
  /** Replaces one key at once; the other stays valid. */
  regenerateKey(name: string, which: 'primary' | 'secondary', value?: string): Promise<Keys>;
  /** @throws AksmlError `auth.notToken` */
  getAccessToken(name: string): Promise<AccessToken>;
  /** Makes all tokens of an endpoint invalid. Absent where that cannot be done. @throws AksmlError `auth.notToken` */
  revokeTokens?(name: string, signal?: AbortSignal): Promise<void>;

  /**
   * Sends one request, once, by the way that leads to the endpoint from here.
   * @throws AksmlError `service.noUri` while nothing serves, `service.unreachable`
   */
  request(endpoint: Endpoint, request: EndpointRequest, signal?: AbortSignal): Promise<Response>;

  /** Absent where the front end tells no figures. */
  readCounters?(name: string, signal?: AbortSignal): Promise<EndpointCounters>;
}

export interface EndpointRequest {
  /** To score, or for the OpenAPI document that the service has of itself. */
  readonly route: 'score' | 'swagger';
  readonly headers: Readonly<Record<string, string>>;
  /** Of a request that scores. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** The version that is to answer; absent: by the traffic split. */
  readonly version?: string;
}

/** What must not be in an {@link Endpoint}. Absent members keep what is there. */
export interface EndpointSecrets {
  readonly keys?: Partial<Keys>;
  /** Per version: values of all environment variables that are secret, by variable name; null: what is stored stays. */
  readonly environmentVariables?: Readonly<Record<string, SecretVariables>>;
}

/** By version, then by variable name. */
export type StoredVariables = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Values by variable name; null stands for the one that is stored. */
export type SecretVariables = Readonly<Record<string, string | null>>;

export interface Keys {
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

/** Times are seconds since the epoch, as v1's service sent them. */
export interface AccessToken {
  readonly accessToken: string;
  readonly tokenType: 'Bearer';
  /** Fetch a new one after this. */
  readonly refreshAfter: number;
  readonly expiryOn: number;
}

export type EndpointChange =
  | { readonly type: 'present' | 'changed'; readonly endpoint: Endpoint }
  /** The initial listing is complete. */
  | { readonly type: 'synced' }
  | { readonly type: 'deleted'; readonly name: string };

/** All there is to tell of a compute target, or what bears upon whether replicas run there: neither its version nor its front end. */
export type StatusScope = 'all' | 'replicas';

export interface LogQuery {
  readonly version?: string;
  readonly replica?: string;
  /** Only what was printed up to the end of `init()`. */
  readonly init?: boolean;
  /** The last N lines, counted over all replicas. */
  readonly lines?: number;
  /** ISO 8601; only later lines. */
  readonly since?: string;
  /** Only lines that contain this text. */
  readonly grep?: string;
  readonly follow?: boolean;
  /** Of a cluster's replicas, those that are being ended are left out, and what was printed before it is followed. */
  readonly living?: boolean;
}

export interface LogLine {
  readonly version: string;
  readonly replica: string;
  /** ISO 8601, UTC, when the line was written as far as is known. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly line: string;
}
