import { demand, isInStep, type LoadSample, UP_WINDOW_MS } from './demand.ts';
import { replicasFor } from './replicas.ts';

export type { LoadSample } from './demand.ts';

export interface AutoscaleSettings {
  /** 0: after a minute in which nothing was asked, there is no replica. */
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Percent. */
  readonly targetUtilization: number;
  /** Seconds between decisions, and at least between two changes. */
  readonly refreshPeriodInSeconds: number;
  readonly maxConcurrentRequestsPerContainer: number;
}

/** What the rule remembers of the past: give it back unchanged with the next call. */
export interface AutoscaleState {
  /** Samples of the last moments, oldest first. */
  readonly recent: readonly LoadSample[];
  /** Each past second of the last minute that was seen, oldest first. */
  readonly seconds: readonly PastSecond[];
  readonly decidedAt?: number;
  /** When the count changed last. */
  readonly changedAt?: number;
  /** When the count last rose, or watching began. */
  readonly calmSince?: number;
}

/** What one second was like. */
export interface PastSecond {
  readonly second: number;
  /** Of the demand, over `count` samples. */
  readonly sum: number;
  readonly count: number;
  /** Milliseconds of replicas at work, and the requests that they completed. */
  readonly worked: number;
  readonly completed: number;
}

export interface AutoscaleDecision {
  readonly replicas: number;
  readonly direction: 'up' | 'down' | 'hold';
  readonly state: AutoscaleState;
}

export const NO_HISTORY: AutoscaleState = { recent: [], seconds: [] };

/** v1 removed replicas after about a minute below the target. */
export const CALM_MS = 60_000;
/** With fewer of the last minute's seconds seen, calm is a guess: do not remove. */
const MIN_SECONDS_SEEN = 30;
/** The service time is that of the last seconds, once it has been seen this often. */
const SERVICE_SECONDS = 10;
const MIN_COMPLETED = 5;
/** A load that rises is waited for so long that a step is seen whole, whose news may be a little late. */
const LONGEST_RISE_MS = 1.5 * UP_WINDOW_MS;

/** Adds a sample to what is remembered. */
export function observe(state: AutoscaleState, sample: LoadSample): AutoscaleState {
  const second = Math.floor(sample.time / 1000);
  const recent = [...state.recent.filter((past) => past.time > sample.time - UP_WINDOW_MS), sample];
  const last = state.seconds.at(-1);
  const { worked, completed } = progress(state.recent.at(-1), sample);
  const demanded = demand(recent, serviceTime(state.seconds, second));
  const seconds =
    last?.second === second
      ? [
          ...state.seconds.slice(0, -1),
          {
            second,
            sum: last.sum + demanded,
            count: last.count + 1,
            worked: last.worked + worked,
            completed: last.completed + completed,
          },
        ]
      : [
          ...state.seconds.filter((past) => past.second >= second - CALM_MS / 1000),
          { second, sum: demanded, count: 1, worked, completed },
        ];
  return { ...state, recent, seconds, calmSince: state.calmSince ?? sample.time };
}

/**
 * How many replicas the version shall have. `replicas` counts those that run or start.
 * Up at once when the load of the last half second is above the target, also between two decisions when all of it was; while it rises, a moment
 * later. Down only to what the busiest second of the last minute needs, so that a pause never costs replicas; never below what holds the
 * present load. Without samples: hold.
 */
export function decide(
  settings: AutoscaleSettings,
  state: AutoscaleState,
  replicas: number,
  now: number,
): AutoscaleDecision {
  const bounded = within(settings, replicas);
  const hold: AutoscaleDecision = { replicas: bounded, direction: direction(bounded, replicas), state };
  const recent = state.recent.filter((sample) => sample.time > now - UP_WINDOW_MS);
  const isOver = (since: number | undefined) =>
    since === undefined || now - since >= settings.refreshPeriodInSeconds * 1000;
  const isDue = isOver(state.decidedAt);
  if (!isDue && !(isOver(state.changedAt) && isAboveTarget(settings, recent, bounded, now))) return hold;

  const decided: AutoscaleState = isDue ? { ...state, decidedAt: now } : state;
  if (recent.length === 0) return { ...hold, state: decided };

  const service = serviceTime(state.seconds, Math.floor(now / 1000));
  const needed = within(settings, replicasAtTarget(settings, demand(recent, service)));
  const isLate =
    state.decidedAt === undefined || now - state.decidedAt >= settings.refreshPeriodInSeconds * 1000 + LONGEST_RISE_MS;
  if (needed > bounded && !isLate) {
    // A step that has not been seen whole would be answered in part, and the rest of it only when the next decision is due.
    if (isInStep(recent)) return hold;
    if (within(settings, replicasAtTarget(settings, demand(recent.slice(-2), service))) > needed) return hold;
  }
  const target = needed > bounded ? needed : Math.max(needed, calmTarget(settings, state, bounded, now));
  const next = target < bounded ? Math.max(target, within(settings, holding(settings, recent))) : target;
  return {
    replicas: next,
    direction: direction(next, replicas),
    state: next === replicas ? decided : { ...decided, ...(next > replicas ? { calmSince: now } : {}), changedAt: now },
  };
}

/** Whether every sample of the last half second, which has been seen whole, wants more replicas. */
function isAboveTarget(
  settings: AutoscaleSettings,
  recent: readonly LoadSample[],
  replicas: number,
  now: number,
): boolean {
  const isWhole = (recent[0]?.time ?? now) <= now - UP_WINDOW_MS / 2;
  return isWhole && recent.every(({ busy, queued }) => replicasAtTarget(settings, busy + queued) > replicas);
}

/** What the last minute allows to go down to; the present count while it is not over. */
function calmTarget(settings: AutoscaleSettings, state: AutoscaleState, replicas: number, now: number): number {
  if (state.calmSince === undefined || now - state.calmSince < CALM_MS) return replicas;
  const minute = state.seconds.filter((past) => past.second * 1000 >= now - CALM_MS - 1000);
  if (minute.length < MIN_SECONDS_SEEN) return replicas;
  const busiest = Math.max(...minute.map((past) => past.sum / past.count));
  // A request that is over before a sample sees it is one all the same.
  const least = minute.some((past) => past.completed > 0) ? 1 : 0;
  return Math.min(replicas, within(settings, Math.max(least, replicasAtTarget(settings, busiest))));
}

/** Milliseconds that a request keeps a replica, lately; undefined while too few were seen. */
function serviceTime(seconds: readonly PastSecond[], now: number): number | undefined {
  const lately = seconds.filter((past) => past.second > now - SERVICE_SECONDS);
  const completed = lately.reduce((sum, past) => sum + past.completed, 0);
  return completed < MIN_COMPLETED ? undefined : lately.reduce((sum, past) => sum + past.worked, 0) / completed;
}

/** Between two samples; none when counters are missing or began anew. */
function progress(before: LoadSample | undefined, sample: LoadSample) {
  const completed = (sample.completed ?? Number.NaN) - (before?.completed ?? Number.NaN);
  if (!before || !(completed >= 0)) return { worked: 0, completed: 0 };
  return { worked: ((before.busy + sample.busy) / 2) * (sample.time - before.time), completed };
}

function replicasAtTarget(settings: AutoscaleSettings, load: number): number {
  return load === 0 ? 0 : replicasFor(load, settings.targetUtilization, settings.maxConcurrentRequestsPerContainer);
}

/** Replicas without which a request of the last moments would have had no place. */
function holding(settings: AutoscaleSettings, recent: readonly LoadSample[]): number {
  const most = Math.max(...recent.map((sample) => sample.busy + sample.queued));
  return Math.ceil(most / settings.maxConcurrentRequestsPerContainer);
}

function within(settings: AutoscaleSettings, replicas: number): number {
  return Math.min(settings.maxReplicas, Math.max(settings.minReplicas, replicas));
}

function direction(next: number, present: number): AutoscaleDecision['direction'] {
  if (next === present) return 'hold';
  return next > present ? 'up' : 'down';
}
