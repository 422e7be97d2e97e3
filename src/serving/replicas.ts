import { SERVICE_DEFAULTS } from '../contract/deployment.ts';
import type { Scale } from '../contract/endpoint.ts';

export interface ExpectedLoad {
  readonly requestsPerSecond: number;
  /** How long one request keeps a replica busy. */
  readonly secondsPerRequest: number;
  /** Percent. */
  readonly targetUtilization: number;
  readonly maxConcurrentRequestsPerContainer: number;
}

/** v1's calculator: how many replicas hold the load at the target utilization. At least 1. */
export function requiredReplicas(load: ExpectedLoad): number {
  return replicasFor(
    load.requestsPerSecond * load.secondsPerRequest,
    load.targetUtilization,
    load.maxConcurrentRequestsPerContainer,
  );
}

/** Replicas that keep `concurrent` requests at or below the target utilization (percent). At least 1. */
export function replicasFor(concurrent: number, targetUtilization: number, maxConcurrent: number): number {
  // 0.7 is not exact in binary: 7 requests at 70 % are 10 replicas, not 11.
  const exact = (concurrent * 100) / targetUtilization / maxConcurrent;
  return Math.max(1, Math.ceil(exact - 1e-9));
}

/** (busy + queued requests) / (replicas × concurrency), 0 and up; undefined without replicas. */
export function utilization(
  busy: number,
  queued: number,
  replicas: number,
  maxConcurrentRequestsPerContainer: number,
): number | undefined {
  return replicas > 0 ? (busy + queued) / (replicas * maxConcurrentRequestsPerContainer) : undefined;
}

/** Milliseconds that a request waits for the first replica of a version that has none; 0 where there is always one. */
export function coldStartMs(scale: Scale): number {
  if (scale.kind === 'fixed' || scale.minReplicas > 0) return 0;
  return (scale.coldStartSeconds ?? SERVICE_DEFAULTS.coldStartSeconds) * 1000;
}
