import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement, ProcessUsage, UsageSample } from './recommendation.ts';

/** Of a replica, by the process that leads it; undefined where the system does not tell. */
export type ReadUsage = (pid: number) => Promise<ProcessUsage | undefined>;

/** How a request failed that the service did not answer with success. */
export interface QueryFailure {
  /** Absent when there was no answer. */
  readonly statusCode?: number;
  readonly message: string;
}

export interface MeasurePorts {
  readonly fetch: typeof fetch;
  readonly readUsage: () => Promise<ProcessUsage | undefined>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onQuery: (done: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** A short input is sent again until there are this many requests, so that percentiles mean something, or the time is up. */
const ENOUGH_QUERIES = 100;
const ENOUGH_MS = 10_000;
const SAMPLE_MS = 250;
const SHOWN_CHARACTERS = 2000;

/**
 * Scores every body once, one after the other, and a few bodies again and again, each as often. The first is sent before, unmeasured: it may
 * load what later ones need.
 */
export async function measure(
  uri: string,
  bodies: readonly string[],
  ports: MeasurePorts,
): Promise<{ readonly measurement: Measurement; readonly failure?: QueryFailure }> {
  const { now } = ports;
  const failures: QueryFailure[] = [];
  const latencies: number[] = [];
  await score(uri, bodies[0] ?? '', ports);
  const stop = new AbortController();
  const started = now();
  const sampling = takeSamples(ports, stop.signal);
  let total = 0;
  try {
    do {
      for (const body of bodies) {
        const sent = now();
        const failure = await score(uri, body, ports);
        if (failure) failures.push(failure);
        else latencies.push(now() - sent);
        total += 1;
        ports.onQuery(total);
      }
    } while (total < ENOUGH_QUERIES && now() - started < ENOUGH_MS);
  } finally {
    stop.abort();
  }
  const elapsedMs = now() - started;
  const [failure] = failures;
  return {
    measurement: { latencies, total, elapsedMs, samples: await sampling },
    ...(failure === undefined ? {} : { failure }),
  };
}

/** Returns how it failed. @throws the signal's reason */
async function score(uri: string, body: string, { fetch, signal }: MeasurePorts): Promise<QueryFailure | undefined> {
  try {
    const response = await fetch(uri, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    return response.ok ? undefined : { statusCode: response.status, message: text.slice(0, SHOWN_CHARACTERS) };
  } catch (error) {
    signal?.throwIfAborted();
    return { message: `There was no answer: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** From the call on until the signal, and once after it. */
async function takeSamples({ readUsage, now }: MeasurePorts, stop: AbortSignal): Promise<readonly UsageSample[]> {
  const samples: UsageSample[] = [];
  for (let last = false; ; last = stop.aborted) {
    const usage = await readUsage().catch(() => undefined);
    if (usage) samples.push({ ...usage, at: now() });
    if (last) return samples;
    await sleep(SAMPLE_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}
