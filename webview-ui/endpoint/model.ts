import * as v from 'valibot';
import type { Cause, Endpoint } from '../../src/contract/endpoint.ts';
import type { MetricsSample } from '../../src/contract/metrics.ts';
import type { Failure } from '../components/failure.ts';

export interface EndpointPageState {
  readonly endpoint?: Endpoint;
  readonly target: string;
  readonly isGone: boolean;
  readonly samples: readonly MetricsSample[];
  readonly view: 'charts' | 'table';
  /** Undefined: all versions. */
  readonly version?: string | undefined;
  readonly failure?: Failure;
}

export const ENDPOINT_DRAFT = v.object({ view: v.picklist(['charts', 'table']), version: v.optional(v.string()) });
export type EndpointDraft = v.InferOutput<typeof ENDPOINT_DRAFT>;

export type EndpointPageAction =
  | {
      readonly type: 'opened';
      readonly endpoint: Endpoint;
      readonly target: string;
      readonly samples: readonly MetricsSample[];
    }
  | { readonly type: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly type: 'gone' | 'dismiss' }
  | { readonly type: 'metrics'; readonly sample: MetricsSample }
  | { readonly type: 'view'; readonly view: 'charts' | 'table' }
  | { readonly type: 'version'; readonly version: string | undefined }
  | { readonly type: 'failed'; readonly failure: Failure };

export function startEndpointPage(draft: EndpointDraft | undefined): EndpointPageState {
  return {
    target: '',
    isGone: false,
    samples: [],
    view: draft?.view ?? 'charts',
    ...(draft?.version === undefined ? {} : { version: draft.version }),
  };
}

/** Ten minutes of seconds. */
export const MOST_SAMPLES = 600;

export function reduceEndpointPage(state: EndpointPageState, action: EndpointPageAction): EndpointPageState {
  switch (action.type) {
    case 'opened':
      return { ...state, endpoint: action.endpoint, target: action.target, samples: action.samples };
    case 'endpoint':
      return { ...state, endpoint: action.endpoint, isGone: false, ...keptVersion(state, action.endpoint) };
    case 'gone':
      return { ...state, isGone: true };
    case 'metrics':
      return { ...state, samples: [...state.samples, action.sample].slice(-MOST_SAMPLES) };
    case 'view':
      return { ...state, view: action.view };
    case 'version':
      return { ...state, version: action.version };
    case 'failed':
      return { ...state, failure: action.failure };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

function keptVersion({ version }: EndpointPageState, { spec }: Endpoint): Pick<EndpointPageState, 'version'> {
  return spec.versions.some(({ name }) => name === version) ? { version } : { version: undefined };
}

/** Why the endpoint is not as it should be, each cause once, with what it is about. */
export function causesOf({ metadata, status }: Endpoint): readonly { readonly about: string; readonly cause: Cause }[] {
  const found = [
    ...(status?.versions.flatMap(({ name, error, replicas }) => [
      ...(error === undefined ? [] : [{ about: name, cause: error }]),
      ...replicas.flatMap((replica) =>
        replica.error === undefined ? [] : [{ about: replica.id, cause: replica.error }],
      ),
    ]) ?? []),
    ...(status?.error === undefined ? [] : [{ about: metadata.name, cause: status.error }]),
  ];
  return found.filter(
    ({ cause }, index) =>
      found.findIndex((other) => other.cause.code === cause.code && other.cause.message === cause.message) === index,
  );
}
