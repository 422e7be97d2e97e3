import { setTimeout as sleep } from 'node:timers/promises';
import type { LivenessProbe } from '../contract/endpoint.ts';

export interface LivenessQuestions {
  readonly probe: () => LivenessProbe;
  /** False while a request is at the replica: that is life enough, and a probe would wait behind it. */
  readonly mayAsk: () => boolean;
  readonly ask: (timeoutMs: number) => Promise<boolean>;
}

/** Returns the number of probes that failed in a row once they are too many; undefined when the signal came first. */
export async function watchLiveness(questions: LivenessQuestions, signal: AbortSignal): Promise<number | undefined> {
  const pause = (seconds: number) => sleep(seconds * 1000, undefined, { signal, ref: false }).catch(() => undefined);
  await pause(questions.probe().initialDelaySeconds);
  let failures = 0;
  while (!signal.aborted) {
    const { periodSeconds, timeoutSeconds, failureThreshold } = questions.probe();
    if (questions.mayAsk()) {
      failures = (await questions.ask(timeoutSeconds * 1000)) ? 0 : failures + 1;
      if (failures >= failureThreshold) return failures;
    }
    await pause(periodSeconds);
  }
  return undefined;
}
