import type { EndpointSecrets } from '../contract/compute-target.ts';
import type { Endpoint, EndpointState } from '../contract/endpoint.ts';
import type { SerializedError } from '../contract/error.ts';

/**
 * What commands ask of the supervisor, over HTTP on 127.0.0.1 with the token of {@link SupervisorRecord}:
 *
 * | request | answer |
 * |---|---|
 * | `GET /health` | {@link Health} |
 * | `GET /status` | {@link SupervisorStatus} |
 * | `GET /endpoints`, `GET /endpoints/NAME` | `Endpoint[]`, `Endpoint` |
 * | `PUT /endpoints/NAME` with {@link ApplyRequest} | the `Endpoint` as written |
 * | `DELETE /endpoints/NAME` | 204 once nothing of it is left |
 * | `GET /watch[?name=NAME]` | a line of JSON per `EndpointChange` |
 * | `POST /endpoints/NAME/logs` with `LogRequest` | a line of JSON per `LocatedLine` |
 * | `GET /endpoints/NAME/keys`, `POST …/keys` with {@link RegenerateRequest} | `Keys` |
 * | `POST /endpoints/NAME/token` | `AccessToken` |
 * | `POST /stop` | 204; everything of this home has ended |
 * | `POST /retire` | 204; the supervisor ends, everything else goes on for its successor |
 *
 * A refusal has `{error: SerializedError}` as its body, in a stream as its last line.
 */
export const CONTROL_PROTOCOL = 1;

/** `local/supervisor.json`, readable by the user alone: how to find the running supervisor. */
export interface SupervisorRecord {
  readonly pid: number;
  /** Opaque; see `ProcessIdentity`. */
  readonly startTime: string;
  readonly port: number;
  readonly token: string;
}

export interface Health {
  readonly protocol: number;
  /** Of aksml. */
  readonly version: string;
  readonly pid: number;
}

export interface SupervisorStatus {
  readonly pid: number;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly startedTime: string;
  /** Resident. */
  readonly memoryBytes: number;
  readonly gateway?: { readonly pid: number; readonly port: number };
  readonly endpoints: readonly { readonly name: string; readonly state: EndpointState; readonly replicas: number }[];
}

export interface ApplyRequest {
  /** The same for each repetition of one write. */
  readonly requestId: string;
  readonly endpoint: Endpoint;
  readonly secrets?: EndpointSecrets;
}

export interface RegenerateRequest {
  readonly which: 'primary' | 'secondary';
  readonly value?: string;
}

export interface Refusal {
  readonly error: SerializedError;
}

declare const AKSML_VERSION: string | undefined;

/** aksml's version; without bundling there is none. */
export const VERSION = typeof AKSML_VERSION === 'string' ? AKSML_VERSION : '0.0.0-source';
