import {
  CONFIGURATION_METHODS,
  DEPLOYMENT_METHODS,
  PACKAGING_METHODS,
  REVISION_METHODS,
} from './engine-api/deployment-api.ts';
import type { Method } from './engine-api/method.ts';
import {
  ACCESS_METHODS,
  AGENT_METHODS,
  CONTENT_METHODS,
  ENDPOINT_METHODS,
  ENVIRONMENT_METHODS,
  MACHINE_METHODS,
  MODEL_METHODS,
  SNAPSHOT_METHODS,
  TARGET_METHODS,
  WORKSPACE_METHODS,
} from './engine-api/resource-api.ts';

/**
 * What the extension asks of the engine, which runs in a process of its own (`src/engine-host/`), as JSON-RPC over its standard streams.
 *
 * A request carries `{params, progress?}`; what an operation or a stream tells meanwhile comes as `$/progress` with that token. A request
 * ends early by JSON-RPC's own cancellation. A failure carries a `SerializedError` as its data. Params are checked by the engine's process,
 * results and events by the extension. Names are `noun.verb`.
 */
export const ENGINE_API = {
  ...WORKSPACE_METHODS,
  ...TARGET_METHODS,
  ...MODEL_METHODS,
  ...PACKAGING_METHODS,
  ...ENVIRONMENT_METHODS,
  ...CONTENT_METHODS,
  ...SNAPSHOT_METHODS,
  ...CONFIGURATION_METHODS,
  ...DEPLOYMENT_METHODS,
  ...REVISION_METHODS,
  ...ENDPOINT_METHODS,
  ...ACCESS_METHODS,
  ...MACHINE_METHODS,
  ...AGENT_METHODS,
};

export type MethodName = keyof typeof ENGINE_API;
type Parts<M extends MethodName> = (typeof ENGINE_API)[M] extends Method<infer P, infer R, infer E> ? [P, R, E] : never;
export type ParamsOf<M extends MethodName> = Parts<M>[0];
export type ResultOf<M extends MethodName> = Parts<M>[1];
export type EventOf<M extends MethodName> = Parts<M>[2];

/** The methods whose events are what they are for. */
export type StreamName = {
  [M in MethodName]: [EventOf<M>] extends [never] ? never : ResultOf<M> extends null ? M : never;
}[MethodName];

/** What the extension sends with every request. */
export interface Envelope<Params = unknown> {
  readonly params: Params;
  /** Where to send events; absent when nobody wants them. */
  readonly progress?: string;
  /** The request was sent before, to an engine process that ended: what it would make may be there. */
  readonly repeated?: boolean;
  /** And that process may have begun to change what serves. */
  readonly resumed?: boolean;
}

/** JSON-RPC error code of a failure that carries a `SerializedError`. */
export const FAILURE = -32001;

/** A request of the engine to the extension with a `Question`; the answer is a boolean. */
export const QUESTION = 'engine/question';

/** Environment variable of the engine's process: the Python of deployments that name none. */
export const PYTHON_VARIABLE = 'AKSML_ENGINE_PYTHON';

/** The engine's process says it is there, and of which version. */
export const READY = 'engine/ready';

export interface Ready {
  readonly version: string;
  readonly pid: number;
  /** `AKSML_HOME`. */
  readonly home: string;
}

export type { ValidationView } from './engine-api/deployment-api.ts';
export type { Method } from './engine-api/method.ts';
export type { EndpointScope, TargetScope, WorkspaceScope } from './engine-api/scope.ts';
export type * from './engine-api/views.ts';
