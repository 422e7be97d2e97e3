import { setTimeout as sleep } from 'node:timers/promises';
import { type RequestLog, TELLING_MS } from './request-log.ts';
import type { Router } from './router.ts';

/** Until the signal has HAProxy tell of as many requests as the log wants to hear of; `failed` gets what went wrong, and it goes on. */
export async function keepTelling(
  router: Pick<Router, 'tellOf'>,
  requestLog: RequestLog,
  signal: AbortSignal,
  failed: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await router.tellOf(requestLog.nextShare()).catch(failed);
    await sleep(TELLING_MS, undefined, { signal }).catch(() => undefined);
  }
}
