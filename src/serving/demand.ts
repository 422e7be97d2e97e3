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

/** What was seen since a step counts alone once it is so much: with ten samples a second, three of them. */
const SETTLED_MS = 180;
/** Fewer than so many requests more come together by chance. */
const LEAST_STEP = 3;
/** A load that has doubled has risen by a step. */
const STEP_PART = 1 / 2;

/** A queue beyond what arrivals explain shall be gone in this time. */
const DRAIN_MS = 1000;
/** Of the requests at work, so many may be between an answer and the next request. */
const BETWEEN_PART = 0.05;

/**
 * How many requests want to be served at once, from the samples of the last half second.
 *
 * Without a queue that is what is busy. With one, busy + queued is the truth only for clients who wait for their answer before they ask again:
 * their number is the load, which jumps when some come, and stands still otherwise. Where requests come whether or not others were answered,
 * the queue grows as long as replicas take to start and shrinks afterwards, and one replica for each in it would be several times too many. Then
 * arrivals × service time (Little's law) is what is wanted, and a little more until the queue is gone. `serviceTimeMs` is undefined while it is
 * not known.
 */
export function demand(recent: readonly LoadSample[], serviceTimeMs: number | undefined): number {
  const seen = isInStep(recent) ? recent : sinceStep(recent);
  const loads = seen.map(loadOf);
  const queued = mean(seen.map((sample) => sample.queued));
  const arrivals = arrivalsPerMs(seen);
  if (queued === 0 || arrivals === undefined || serviceTimeMs === undefined) return mean(loads);
  if (standsStill(seen)) return Math.max(...loads);
  return Math.min(mean(loads), arrivals * serviceTimeMs + (queued * serviceTimeMs) / DRAIN_MS);
}

/** Whether the load has risen by a step so lately that what became of it is not known yet. */
export function isInStep(recent: readonly LoadSample[]): boolean {
  const since = sinceStep(recent);
  return since.length < recent.length && spanOf(since) < SETTLED_MS;
}

/** What was seen since the last step, of which the samples before it know nothing; all, where there was none. */
function sinceStep(recent: readonly LoadSample[]): readonly LoadSample[] {
  const load = loadOf(recent.at(-1));
  return recent.slice(recent.findLastIndex((sample) => loadOf(sample) <= load - stepOf(load)) + 1);
}

function stepOf(load: number): number {
  return Math.max(LEAST_STEP, load * STEP_PART);
}

/** As the load of clients does who wait for their answers, and of nobody else for long. */
function standsStill(seen: readonly LoadSample[]): boolean {
  const loads = seen.map(loadOf);
  const between = Math.max(1, BETWEEN_PART * Math.max(...seen.map(({ busy }) => busy)));
  return Math.max(...loads) - Math.min(...loads) <= between && !isRefused(seen);
}

/** Whether more came than was done or waits. */
function isRefused(seen: readonly LoadSample[]): boolean {
  const [first, last] = [seen[0], seen.at(-1)];
  const arrived = (last?.arrived ?? 0) - (first?.arrived ?? 0);
  const completed = (last?.completed ?? 0) - (first?.completed ?? 0);
  return arrived > completed + loadOf(last) - loadOf(first);
}

function loadOf(sample: LoadSample | undefined): number {
  return (sample?.busy ?? 0) + (sample?.queued ?? 0);
}

function spanOf(samples: readonly LoadSample[]): number {
  return (samples.at(-1)?.time ?? 0) - (samples[0]?.time ?? 0);
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
