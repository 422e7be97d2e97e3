import { setTimeout as sleep } from 'node:timers/promises';

/** Repeats a look until the signal; the first at once, the others so much after the one before has ended. Returns when aborted. */
export async function untilAborted(pauseMs: number, signal: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
