import { setTimeout as sleep } from 'node:timers/promises';
import type { AksmlError } from '../../contract/error.ts';
import type { Engine } from '../engine.ts';
import type { RunOptions } from './stages.ts';

/** How long nothing may be heard before somebody asks why; doubled each time, because asking costs the cluster something. */
const QUIET_MS = 10_000;
const LONGEST_QUIET_MS = 80_000;

/** Tells a person once that a cluster is away while something is waited for, and once that it is back. */
export function interruptionTeller({ onProgress }: RunOptions): (cause: AksmlError | undefined) => void {
  let away = false;
  return (cause) => {
    if (away === (cause !== undefined)) return;
    away = cause !== undefined;
    const problem = cause
      ? ({
          severity: 'warning',
          code: cause.code,
          message: `${cause.message} It is asked again; what was asked for is not lost.`,
        } as const)
      : ({ severity: 'notice', code: 'cluster.back', message: 'The cluster answers again.' } as const);
    onProgress?.({ type: 'problem', problem });
  };
}

/** Until the signal: says so when nothing happens because the controller of the cluster does not run. */
export async function tellWhenNobodyWorks(
  { target }: Engine,
  lastHeard: () => number,
  { onProgress }: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  if (target.kind === 'local') return;
  let told = '';
  for (let quiet = QUIET_MS; ; ) {
    const rest = lastHeard() + quiet - performance.now();
    if (rest > 0) await sleep(rest, undefined, { signal });
    if (performance.now() - lastHeard() < quiet) continue;
    quiet = Math.min(LONGEST_QUIET_MS, 2 * quiet);
    // A cluster that is away is told of by others.
    const controller = (await target.status(signal, 'replicas').catch(() => undefined))?.controller;
    const state = controller?.state ?? 'Healthy';
    if (state !== 'Healthy' && state !== told) {
      const cause = controller?.message === undefined ? '' : ` (${controller.message})`;
      onProgress?.({
        type: 'problem',
        problem: {
          severity: 'warning',
          code: 'computeTarget.unhealthy',
          message: `The controller in the cluster of ${target.name} does not run${cause}: what was asked for is done as soon as it does.`,
          remedy: `See "aksml computetarget show -n ${target.name}", or install it again: aksml computetarget attach kubernetes -n ${target.name}`,
        },
      });
    }
    told = state;
  }
}
