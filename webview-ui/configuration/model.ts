import * as v from 'valibot';
import type { Problem } from '../../src/contract/problem.ts';
import type { FileView, Offers } from '../../src/contract/webview/configuration.ts';
import { requiredReplicas } from '../../src/serving/replicas.ts';
import type { Failure } from '../components/failure.ts';
import { type Filter, type Values, valueAt } from './fields.ts';

export interface ConfigurationState {
  readonly file?: FileView;
  readonly folder: string;
  readonly offers: Offers;
  readonly problems: readonly Problem[];
  readonly filter: Filter;
  readonly load: LoadDraft;
  readonly failure?: Failure;
}

/** What the user expects, as it was typed. */
export interface LoadDraft {
  readonly requestsPerSecond: string;
  readonly secondsPerRequest: string;
}

export const VIEW_DRAFT = v.object({
  filter: v.object({ query: v.string(), showAll: v.boolean() }),
  load: v.object({ requestsPerSecond: v.string(), secondsPerRequest: v.string() }),
});
export type ViewDraft = v.InferOutput<typeof VIEW_DRAFT>;

export const NO_FILTER: Filter = { query: '', showAll: false };
export const NO_LOAD: LoadDraft = { requestsPerSecond: '', secondsPerRequest: '' };

export type ConfigurationAction =
  | { readonly type: 'opened'; readonly file: FileView; readonly folder: string; readonly offers: Offers }
  | { readonly type: 'file'; readonly file: FileView }
  | { readonly type: 'problems'; readonly problems: readonly Problem[] }
  | { readonly type: 'offers'; readonly offers: Offers }
  | { readonly type: 'filter'; readonly filter: Filter }
  | { readonly type: 'load'; readonly load: LoadDraft }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'dismiss' };

export function startConfiguration(draft: ViewDraft | undefined): ConfigurationState {
  return {
    folder: '',
    offers: { targets: [], environments: [] },
    problems: [],
    filter: draft?.filter ?? NO_FILTER,
    load: draft?.load ?? NO_LOAD,
  };
}

export function reduceConfiguration(state: ConfigurationState, action: ConfigurationAction): ConfigurationState {
  switch (action.type) {
    case 'opened':
      return { ...state, file: action.file, folder: action.folder, offers: action.offers };
    case 'file':
      return { ...state, file: action.file };
    case 'problems':
      return { ...state, problems: action.problems };
    case 'offers':
      return { ...state, offers: action.offers };
    case 'filter':
      return { ...state, filter: action.filter };
    case 'load':
      return { ...state, load: action.load };
    case 'failed':
      return { ...state, failure: action.failure };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

export interface Calculation {
  readonly replicas: number;
  readonly targetUtilization: number;
  readonly maxConcurrentRequestsPerContainer: number;
}

/** v1's replica calculator with what the file says, or its defaults; undefined until both figures are positive numbers. */
export function calculate(load: LoadDraft, values: Values): Calculation | undefined {
  const requestsPerSecond = positive(load.requestsPerSecond);
  const secondsPerRequest = positive(load.secondsPerRequest);
  if (requestsPerSecond === undefined || secondsPerRequest === undefined) return undefined;
  const targetUtilization = positive(valueAt(values, ['autoScaler', 'targetUtilization'])) ?? 70;
  const maxConcurrentRequestsPerContainer = positive(valueAt(values, ['maxConcurrentRequestsPerContainer'])) ?? 1;
  const replicas = requiredReplicas({
    requestsPerSecond,
    secondsPerRequest,
    targetUtilization,
    maxConcurrentRequestsPerContainer,
  });
  return { replicas, targetUtilization, maxConcurrentRequestsPerContainer };
}

function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? number : undefined;
}
