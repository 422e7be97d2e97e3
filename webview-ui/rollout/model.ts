import * as v from 'valibot';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import type { MetricsSample } from '../../src/contract/metrics.ts';
import { effectiveShares } from '../../src/serving/traffic.ts';
import type { Failure } from '../components/failure.ts';
import {
  isSameSplit,
  makeControl,
  makeDefault,
  moveShare,
  promote,
  type Split,
  shiftShare,
  withdraw,
} from './split.ts';

export const STEPS: readonly number[] = [1, 5, 10, 25, 50];

export interface RolloutState {
  readonly endpoint?: Endpoint;
  readonly isGone: boolean;
  /** What the form shows; the endpoint's own split until something is moved. */
  readonly split: Split;
  /** Percent that a press of a shift button moves. */
  readonly step: number;
  /** The last half minute. */
  readonly samples: readonly MetricsSample[];
  readonly busy?: 'apply' | 'rollBack';
  readonly failure?: Failure;
  /** What was last done, for the status line. */
  readonly done?: string;
}

export type RolloutAction =
  | { readonly type: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly type: 'gone' }
  | { readonly type: 'metrics'; readonly sample: MetricsSample }
  | { readonly type: 'move'; readonly name: string; readonly share: number }
  | { readonly type: 'shift'; readonly name: string; readonly direction: 1 | -1 }
  | { readonly type: 'step'; readonly step: number }
  | { readonly type: 'promote' | 'default'; readonly name: string }
  | { readonly type: 'control'; readonly name: string | undefined }
  | { readonly type: 'withdraw' | 'reset' | 'dismiss' }
  | { readonly type: 'busy'; readonly what: 'apply' | 'rollBack' }
  | { readonly type: 'applied'; readonly endpoint: Endpoint; readonly text: string }
  | { readonly type: 'done'; readonly text: string }
  | { readonly type: 'failed'; readonly failure: Failure };

/** Kept over a reload. */
export const ROLLOUT_DRAFT = v.object({
  split: v.array(v.object({ name: v.string(), isDefault: v.boolean(), isControl: v.boolean(), share: v.number() })),
  step: v.number(),
});
export type RolloutDraft = v.InferOutput<typeof ROLLOUT_DRAFT>;

export function startRollout(draft: RolloutDraft | undefined): RolloutState {
  return { isGone: false, split: draft?.split ?? [], step: draft?.step ?? 10, samples: [] };
}

const WINDOW_SECONDS = 30;

export function reduceRollout(state: RolloutState, action: RolloutAction): RolloutState {
  switch (action.type) {
    case 'endpoint':
      return { ...state, endpoint: action.endpoint, isGone: false, split: followEndpoint(state, action.endpoint) };
    case 'gone':
      return { ...state, isGone: true };
    case 'metrics':
      return { ...state, samples: recent([...state.samples, action.sample]) };
    case 'move':
      return { ...state, split: moveShare(state.split, action.name, action.share) };
    case 'shift':
      return { ...state, split: shiftShare(state.split, action.name, action.direction * state.step) };
    case 'step':
      return { ...state, step: action.step };
    case 'promote':
      return { ...state, split: promote(state.split, action.name) };
    case 'default':
      return { ...state, split: makeDefault(state.split, action.name) };
    case 'control':
      return { ...state, split: makeControl(state.split, action.name) };
    case 'withdraw':
      return { ...state, split: withdraw(state.split) };
    case 'reset':
      return { ...state, split: state.endpoint ? splitOf(state.endpoint) : [] };
    case 'busy': {
      const { failure: _, done: __, ...rest } = state;
      return { ...rest, busy: action.what };
    }
    case 'applied': {
      const { busy: _, ...rest } = state;
      return { ...rest, endpoint: action.endpoint, split: splitOf(action.endpoint), done: action.text };
    }
    case 'done': {
      const { busy: _, ...rest } = state;
      return { ...rest, done: action.text };
    }
    case 'failed': {
      const { busy: _, ...rest } = state;
      return { ...rest, failure: action.failure };
    }
    case 'dismiss': {
      const { failure: _, done: __, ...rest } = state;
      return rest;
    }
  }
}

export function isChanged({ endpoint, split }: RolloutState): boolean {
  return endpoint !== undefined && !isSameSplit(split, splitOf(endpoint));
}

export function splitOf({ spec }: Endpoint): Split {
  const shares = effectiveShares(spec.versions);
  return spec.versions.map(({ name, isDefault, type }) => ({
    name,
    isDefault,
    isControl: type === 'Control',
    share: Number((shares.get(name) ?? 0).toFixed(2)),
  }));
}

/** What the user has moved stays, unless it speaks of versions that are no more, or knows nothing of new ones. */
function followEndpoint(state: RolloutState, endpoint: Endpoint): Split {
  const current = splitOf(endpoint);
  const known = state.split.map(({ name }) => name).sort();
  const isSameVersions = JSON.stringify(known) === JSON.stringify(current.map(({ name }) => name).sort());
  const isUntouched = state.endpoint !== undefined && !isChanged(state);
  return isSameVersions && !isUntouched ? state.split : current;
}

function recent(samples: readonly MetricsSample[]): readonly MetricsSample[] {
  let seconds = 0;
  const first = samples.findLastIndex((sample) => {
    seconds += sample.seconds;
    return seconds > WINDOW_SECONDS;
  });
  return samples.slice(first + 1);
}

/** The share of the requests of the last half minute that each version got, in percent; undefined without requests. */
export function measuredShares(samples: readonly MetricsSample[]): ReadonlyMap<string, number> | undefined {
  const requests = new Map<string, number>();
  let total = 0;
  for (const { seconds, versions } of samples) {
    for (const { version, requestsPerSecond } of versions) {
      const count = Object.values(requestsPerSecond).reduce((sum, rate) => sum + rate, 0) * seconds;
      requests.set(version, (requests.get(version) ?? 0) + count);
      total += count;
    }
  }
  if (total === 0) return undefined;
  return new Map([...requests].map(([version, count]) => [version, (count / total) * 100]));
}
