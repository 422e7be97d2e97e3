/** How much one router has to do. */
export interface RouterSaturation {
  /** vCPUs that it uses. */
  readonly cores: number;
  /** vCPUs that it may use. */
  readonly limit: number;
  /** What it adds to a request that needs not wait for anything else, milliseconds. */
  readonly routingMs: number;
}

export interface RouterScaleLimits {
  readonly minRouters: number;
  readonly maxRouters: number;
  /** vCPUs of one router. */
  readonly minCpu: number;
  readonly maxCpu: number;
}

export interface RouterScaleState {
  /** Since when all routers have had little to do; milliseconds. */
  readonly calmSince?: number;
  /** Since when one of them has had too much. */
  readonly hotSince?: number;
  /** Of the last change. */
  readonly changedAt?: number;
}

/** What the routers shall be, and why it is something else than before. */
export interface RouterScaling {
  readonly routers: number;
  /** vCPUs of each. */
  readonly cpu: number;
  readonly why?: string;
  readonly state: RouterScaleState;
}

/** azureml-fe's own promise for the mean is 3 ms. */
const SLOW_MS = 3;
const BUSY = 0.8;
/** After less of it there must be room for what comes at once. */
const CALM = 0.4;
const CALM_MS = 300_000;
/** A moment's trouble is over before anything that is done against it has an effect. */
const HOT_MS = 5_000;
/** What a change brings is seen only after some time. */
const SETTLE_MS = 15_000;

/**
 * More vCPUs for each router first, because that takes effect at once and moves no connection; more routers when each has all it may have. Fewer
 * after some minutes in which the rest would not be busy either, in the opposite order. Pure.
 */
export function scaleRouters(
  now: number,
  routers: readonly RouterSaturation[],
  limits: RouterScaleLimits,
  state: RouterScaleState,
): RouterScaling {
  const cpu = Math.max(limits.minCpu, ...routers.map(({ limit }) => limit));
  const present = { routers: routers.length, cpu };
  if (routers.length === 0) return { ...present, state };
  const changed = state.changedAt === undefined ? {} : { changedAt: state.changedAt };
  const why = whyHot(routers);
  if (why !== undefined) {
    const hotSince = state.hotSince ?? now;
    const settled = now - (state.changedAt ?? Number.NEGATIVE_INFINITY) >= SETTLE_MS;
    const more = settled && now - hotSince >= HOT_MS ? larger(present, limits) : undefined;
    return more === undefined
      ? { ...present, state: { ...changed, hotSince } }
      : { ...more, why, state: { changedAt: now } };
  }
  const used = routers.reduce((sum, { cores }) => sum + cores, 0);
  const fewer = smaller(present, limits);
  if (fewer === undefined || used > fewer.routers * fewer.cpu * CALM) {
    return { ...present, state: changed };
  }
  const calmSince = state.calmSince ?? now;
  if (now - calmSince < CALM_MS) return { ...present, state: { ...changed, calmSince } };
  return { ...fewer, why: 'they have had little to do for some minutes', state: { changedAt: now } };
}

function whyHot(routers: readonly RouterSaturation[]): string | undefined {
  const slowest = Math.max(...routers.map(({ routingMs }) => routingMs));
  if (slowest > SLOW_MS) return `routing takes ${slowest.toFixed(1)} ms`;
  const busiest = Math.max(...routers.map(({ cores, limit }) => cores / limit));
  return busiest > BUSY ? `a router uses ${Math.round(busiest * 100)} % of its CPU` : undefined;
}

function larger({ routers, cpu }: { routers: number; cpu: number }, { maxCpu, maxRouters }: RouterScaleLimits) {
  if (cpu < maxCpu) return { routers, cpu: Math.min(maxCpu, cpu * 2) };
  return routers < maxRouters ? { routers: routers + 1, cpu } : undefined;
}

function smaller({ routers, cpu }: { routers: number; cpu: number }, { minCpu, minRouters }: RouterScaleLimits) {
  if (routers > minRouters) return { routers: routers - 1, cpu };
  return cpu > minCpu ? { routers, cpu: Math.max(minCpu, cpu / 2) } : undefined;
}
