import type { Endpoint } from '../../src/contract/endpoint.ts';
import type { SecretName, TokenFacts } from '../../src/contract/webview/keys.ts';
import type { Failure } from '../components/failure.ts';

export type KeyName = Exclude<SecretName, 'token'>;

/** Secrets live here, in memory, while they are shown; nothing of this is kept over a reload. */
export interface KeysState {
  readonly endpoint?: Endpoint;
  readonly isGone: boolean;
  readonly shown: Readonly<Partial<Record<SecretName, string>>>;
  /** The key that the user is asked about. */
  readonly asking?: KeyName;
  readonly busy?: SecretName;
  readonly token?: TokenFacts;
  readonly failure?: Failure;
  readonly done?: string;
}

export type KeysAction =
  | { readonly type: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly type: 'gone' | 'dismiss' | 'keep' }
  | { readonly type: 'shown'; readonly which: SecretName; readonly value: string }
  | { readonly type: 'hide'; readonly which: SecretName }
  | { readonly type: 'ask'; readonly which: KeyName }
  | { readonly type: 'busy'; readonly which: SecretName }
  | { readonly type: 'regenerated'; readonly which: KeyName; readonly text: string }
  | { readonly type: 'token'; readonly token: TokenFacts }
  | { readonly type: 'done'; readonly text: string }
  | { readonly type: 'failed'; readonly failure: Failure };

export const KEYS_START: KeysState = { isGone: false, shown: {} };

export function reduceKeys(state: KeysState, action: KeysAction): KeysState {
  switch (action.type) {
    case 'endpoint':
      return withEndpoint(state, action.endpoint);
    case 'gone':
      return { ...state, isGone: true, shown: {} };
    case 'shown':
      return { ...state, shown: { ...state.shown, [action.which]: action.value } };
    case 'hide':
      return { ...state, shown: without(state.shown, action.which) };
    case 'ask':
      return { ...state, asking: action.which };
    case 'keep': {
      const { asking: _, ...rest } = state;
      return rest;
    }
    case 'busy': {
      const { asking: _, failure: __, done: ___, ...rest } = state;
      return { ...rest, busy: action.which };
    }
    case 'regenerated': {
      const { busy: _, ...rest } = state;
      return { ...rest, shown: without(state.shown, action.which), done: action.text };
    }
    case 'token': {
      const { busy: _, ...rest } = state;
      return { ...rest, token: action.token, shown: without(state.shown, 'token') };
    }
    case 'done':
      return { ...state, done: action.text };
    case 'failed': {
      const { busy: _, ...rest } = state;
      return { ...rest, failure: action.failure };
    }
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

/** With another way to authenticate, what is shown means nothing any more. */
function withEndpoint(state: KeysState, endpoint: Endpoint): KeysState {
  if (state.endpoint?.spec.auth === endpoint.spec.auth) return { ...state, endpoint, isGone: false };
  const { token: _, asking: __, ...rest } = state;
  return { ...rest, endpoint, isGone: false, shown: {} };
}

function without(shown: KeysState['shown'], which: SecretName): KeysState['shown'] {
  return Object.fromEntries(Object.entries(shown).filter(([name]) => name !== which));
}

export interface TimeLeft {
  /** Whole seconds, not below 0. */
  readonly seconds: number;
  readonly isExpired: boolean;
  /** A new token should be fetched. */
  readonly isStale: boolean;
}

/** `now` is in milliseconds since the epoch, the token's times in seconds. */
export function timeLeft(
  { expiryOn, refreshAfter }: Pick<TokenFacts, 'expiryOn' | 'refreshAfter'>,
  now: number,
): TimeLeft {
  const seconds = Math.max(0, Math.floor(expiryOn - now / 1000));
  return { seconds, isExpired: seconds === 0, isStale: now / 1000 >= refreshAfter };
}

/** `1 h 05 min`, `4 min 10 s`, `9 s` */
export function duration(seconds: number): string {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, '0')} min`;
  return minutes > 0 ? `${minutes} min ${String(rest).padStart(2, '0')} s` : `${rest} s`;
}

/** Claims that are times, which a person wants to read as such. */
const TIMES: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'auth_time']);

/** The claims as rows; objects are told in JSON. */
export function claimRows(claims: TokenFacts['claims']): readonly (readonly [name: string, value: string])[] {
  return Object.entries(claims).map(([name, value]) => {
    if (TIMES.has(name) && typeof value === 'number') {
      const time = new Date(value * 1000);
      return [name, Number.isNaN(time.getTime()) ? String(value) : time.toLocaleString()];
    }
    return [name, typeof value === 'string' ? value : JSON.stringify(value)];
  });
}
