/** What one version holds at one moment. */
export interface LoadSample {
  /** Monotonic milliseconds. */
  readonly time: number;
  readonly busy: number;
  readonly queued: number;
  /** Requests that have come, since some beginning; those refused are among them. */
  readonly arrived?: number;
  /** Requests that replicas are done with, since some beginning. */
  readonly completed?: number;
}

/** Long enough that one request at the wrong moment is no trend, short enough that a step is seen whole within a second. */
export const UP_WINDOW_MS = 500;

/** A queue beyond what arrivals explain shall be gone in this time. */
const DRAIN_MS = 1000;
/** More comes than is done, beyond doubt. */
const EXCESS = 1.2;

/**
 * How many requests want to be served at once, from the samples of the last half second.
 *
 * Without a queue that is what is busy. With one, busy + queued is the truth only for clients who wait for their answer before they ask again:
 * then the sum stands still. Where requests come whether or not others were answered, the queue grows as long as replicas take to start and
 * shrinks afterwards, and one replica for each in it would be several times too many. Then arrivals × service time (Little's law) is what is
 * wanted, and a little more until the queue is gone. `serviceTimeMs` is undefined while it is not known.
 */
export function demand(recent: readonly LoadSample[], serviceTimeMs: number | undefined): number {
  const busy = mean(recent.map((sample) => sample.busy));
  const queued = mean(recent.map((sample) => sample.queued));
  const arrivals = arrivalsPerMs(recent);
  if (queued === 0 || arrivals === undefined || serviceTimeMs === undefined) return busy + queued;
  const offered = arrivals * serviceTimeMs;
  if (offered <= busy * EXCESS && standsStill(recent)) return busy + queued;
  return Math.min(busy + queued, offered + (queued * serviceTimeMs) / DRAIN_MS);
}

function standsStill(recent: readonly LoadSample[]): boolean {
  const loads = recent.map((sample) => sample.busy + sample.queued);
  const first = loads[0] ?? 0;
  const last = loads.at(-1) ?? 0;
  return Math.abs(last - first) <= Math.max(1, first * 0.1);
}

/** Undefined when the counter is missing, began anew, or was seen once only. */
function arrivalsPerMs(recent: readonly LoadSample[]): number | undefined {
  const first = recent[0];
  const last = recent.at(-1);
  if (first?.arrived === undefined || last?.arrived === undefined || last.time <= first.time) return undefined;
  const arrived = last.arrived - first.arrived;
  return arrived >= 0 ? arrived / (last.time - first.time) : undefined;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
