import * as v from 'valibot';

/** What happens to a request that was under way when the engine's process ended. */
export type AfterCrash =
  /** Sent again: it only reads, or its end is the same however often it is done. */
  | 'again'
  /** Sent again in the form that goes on where the lost one ended; see `resumed`. */
  | 'resume'
  /** Refused with `engine.lost`, because nobody knows whether it was done. */
  | 'fail';

/** One request that the engine answers: what it takes, what it gives, and what it tells meanwhile. */
export interface Method<Params, Result, Event> {
  readonly params: v.GenericSchema<Params>;
  readonly result: v.GenericSchema<Result>;
  /** Of one event; absent when there are none. */
  readonly event: v.GenericSchema<Event> | undefined;
  /** A stream's request is answered only when the stream ends, and its events are what it is for. */
  readonly isStream: boolean;
  readonly afterCrash: AfterCrash;
}

/** A request with one answer. */
export function request<Params, Result>(
  params: v.GenericSchema<Params>,
  result: v.GenericSchema<Result>,
  afterCrash: AfterCrash = 'again',
): Method<Params, Result, never> {
  return { params, result, event: undefined, isStream: false, afterCrash };
}

/** A request that takes its time and tells how far it is. */
export function operation<Params, Result, Event>(
  params: v.GenericSchema<Params>,
  result: v.GenericSchema<Result>,
  event: v.GenericSchema<Event>,
  afterCrash: AfterCrash,
): Method<Params, Result, Event> {
  return { params, result, event, isStream: false, afterCrash };
}

/** A request that goes on until it is cancelled. */
export function stream<Params, Event>(
  params: v.GenericSchema<Params>,
  event: v.GenericSchema<Event>,
): Method<Params, null, Event> {
  return { params, result: v.null(), event, isStream: true, afterCrash: 'again' };
}

/**
 * A value of ours that comes from the other process, which is built from the same source: looked at as far as it takes to notice that it is
 * something else, not member by member.
 */
export function shape<T extends object>(...keys: readonly (keyof T & string)[]): v.GenericSchema<T> {
  return v.custom<T>(
    (value) => typeof value === 'object' && value !== null && keys.every((key) => key in value),
    `Expected an object with ${keys.join(', ')}`,
  );
}

export function list<T>(item: v.GenericSchema<T>): v.GenericSchema<readonly T[]> {
  return v.array(item) as v.GenericSchema<readonly T[]>;
}
