import * as v from 'valibot';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import type { RunView } from '../../src/contract/engine-api/views.ts';
import type { Failure } from '../components/failure.ts';
import { type Operation, sampleOf, scoringOperation } from './sample.ts';

export const HEADER = v.object({ name: v.string(), value: v.string() });
export type Header = v.InferOutput<typeof HEADER>;

const EXCHANGE = v.object({
  id: v.number(),
  /** Milliseconds since the epoch. */
  time: v.number(),
  body: v.string(),
  versionName: v.optional(v.string()),
  /** HTTP status; absent when no answer came. */
  status: v.optional(v.number()),
  milliseconds: v.optional(v.number()),
});
export type Exchange = v.InferOutput<typeof EXCHANGE>;

export const REQUEST_DRAFT = v.object({
  body: v.string(),
  headers: v.array(HEADER),
  versionName: v.optional(v.string()),
  history: v.array(EXCHANGE),
});
export type RequestDraft = v.InferOutput<typeof REQUEST_DRAFT>;

export type ResponseTab = 'body' | 'headers';

export interface RequestState {
  readonly endpoint?: Endpoint;
  readonly isGone: boolean;
  readonly body: string;
  readonly headers: readonly Header[];
  readonly versionName?: string | undefined;
  readonly operation?: Operation;
  /** Whether the endpoint has been asked for its schema, or is about to be, and has not answered. */
  readonly isSchemaAwaited: boolean;
  readonly isSending: boolean;
  readonly response?: RunView;
  readonly tab: ResponseTab;
  /** Newest first. */
  readonly history: readonly Exchange[];
  readonly failure?: Failure;
  readonly done?: string;
}

export type RequestAction =
  | { readonly type: 'endpoint'; readonly endpoint: Endpoint }
  | {
      readonly type:
        | 'gone'
        | 'noSwagger'
        | 'dismiss'
        | 'sample'
        | 'format'
        | 'addHeader'
        | 'clearHistory'
        | 'cancelled';
    }
  | { readonly type: 'swagger'; readonly document: Readonly<Record<string, unknown>> }
  | { readonly type: 'body'; readonly text: string }
  | { readonly type: 'version'; readonly name: string | undefined }
  | { readonly type: 'header'; readonly index: number; readonly header: Header }
  | { readonly type: 'removeHeader'; readonly index: number }
  | { readonly type: 'tab'; readonly tab: ResponseTab }
  | { readonly type: 'send' }
  | { readonly type: 'answered'; readonly response: RunView; readonly time: number }
  | { readonly type: 'unanswered'; readonly failure: Failure; readonly time: number }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'recall'; readonly exchange: Exchange }
  | { readonly type: 'done'; readonly text: string };

export function startRequest(draft: RequestDraft | undefined): RequestState {
  return {
    isGone: false,
    body: draft?.body ?? '',
    headers: draft?.headers ?? [{ name: 'content-type', value: 'application/json' }],
    ...(draft?.versionName === undefined ? {} : { versionName: draft.versionName }),
    isSchemaAwaited: true,
    isSending: false,
    tab: 'body',
    history: draft?.history ?? [],
  };
}

const LONGEST_HISTORY = 20;
/** Longer bodies are not kept over a reload: VS Code writes that state to its disk at every change. */
const LONGEST_KEPT_BODY = 50_000;
/** What the user typed into such a header is not kept. */
const SECRET_HEADER = /auth|cookie|key|token|secret|password/i;

export function draftOf({ body, headers, versionName, history }: RequestState): RequestDraft {
  return {
    body: body.length > LONGEST_KEPT_BODY ? '' : body,
    headers: headers.filter(({ name }) => !SECRET_HEADER.test(name)),
    ...(versionName === undefined ? {} : { versionName }),
    history: history.filter((exchange) => exchange.body.length <= LONGEST_KEPT_BODY),
  };
}

export function reduceRequest(state: RequestState, action: RequestAction): RequestState {
  switch (action.type) {
    case 'endpoint':
      return followEndpoint(state, action.endpoint);
    case 'gone':
      return { ...state, isGone: true };
    case 'swagger':
      return withOperation(state, scoringOperation(action.document));
    case 'noSwagger':
      return { ...state, isSchemaAwaited: false };
    case 'body':
      return { ...state, body: action.text };
    case 'sample':
      return state.operation?.input ? { ...state, body: pretty(sampleOf(state.operation.input)) } : state;
    case 'format':
      return { ...state, body: formatted(state.body) };
    case 'version':
      return { ...state, versionName: action.name };
    case 'addHeader':
      return { ...state, headers: [...state.headers, { name: '', value: '' }] };
    case 'header':
      return {
        ...state,
        headers: state.headers.map((header, index) => (index === action.index ? action.header : header)),
      };
    case 'removeHeader':
      return { ...state, headers: state.headers.filter((_, index) => index !== action.index) };
    case 'tab':
      return { ...state, tab: action.tab };
    case 'send': {
      const { failure: _, done: __, response: ___, ...rest } = state;
      return { ...rest, isSending: true };
    }
    case 'answered':
      return { ...withExchange(state, action.time, action.response), response: action.response };
    case 'unanswered':
      return { ...withExchange(state, action.time), failure: action.failure };
    case 'cancelled':
      return { ...state, isSending: false };
    case 'failed':
      return { ...state, failure: action.failure };
    case 'recall':
      return { ...state, body: action.exchange.body, versionName: action.exchange.versionName };
    case 'clearHistory':
      return { ...state, history: [] };
    case 'done':
      return { ...state, done: action.text };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

function followEndpoint(state: RequestState, endpoint: Endpoint): RequestState {
  const isKnown = endpoint.spec.versions.some(({ name }) => name === state.versionName);
  return { ...state, endpoint, isGone: false, ...(isKnown ? {} : { versionName: undefined }) };
}

/** The first sight of the schema fills an empty request. */
function withOperation(state: RequestState, operation: Operation): RequestState {
  const next = { ...state, operation, isSchemaAwaited: false };
  return state.body === '' ? reduceRequest(next, { type: 'sample' }) : next;
}

function withExchange(state: RequestState, time: number, response?: RunView): RequestState {
  const exchange: Exchange = {
    id: (state.history[0]?.id ?? 0) + 1,
    time,
    body: state.body,
    ...(state.versionName === undefined ? {} : { versionName: state.versionName }),
    ...(response === undefined ? {} : { status: response.status, milliseconds: response.milliseconds }),
  };
  return { ...state, isSending: false, history: [exchange, ...state.history].slice(0, LONGEST_HISTORY) };
}

/** JSON with two spaces; anything else as it is. */
export function formatted(text: string): string {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

function pretty(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}

/** Whether the sample is about to fill the empty request, which would be sent without it. */
export function isFilling({ body, isSchemaAwaited }: RequestState): boolean {
  return body === '' && isSchemaAwaited;
}

/** Why a body that is sent as JSON is none; undefined when it is, or is not meant to be. */
export function bodyProblem({ body, headers }: Pick<RequestState, 'body' | 'headers'>): string | undefined {
  const type = headers.find(({ name }) => name.toLowerCase() === 'content-type')?.value ?? '';
  if (!/json/i.test(type) || body.trim() === '') return undefined;
  try {
    JSON.parse(body);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export function headersOf(headers: readonly Header[]): Record<string, string> {
  return Object.fromEntries(
    headers.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value]),
  );
}
