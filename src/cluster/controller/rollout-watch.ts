import type { RolloutStatus } from '../../contract/endpoint.ts';
import { NO_EVIDENCE, type RolloutEvidence } from '../../serving/rollout.ts';
import { LATENCY_BOUNDS_MS } from '../router/routing-table.ts';
import type { VersionMoment, VersionTotals } from './load-view.ts';

interface Watched {
  readonly step: string;
  readonly totals: VersionTotals;
  /** Requests that were there when the step began. */
  readonly present: number;
  evidence: RolloutEvidence;
  time: number;
  judgedAt: number;
}

/** How often what was seen is judged. */
const JUDGE_MS = 1000;

/** A longer silence is not time in which a version was seen to do well. */
const GAP_MS = 1000;

/**
 * What is seen of the versions that are being rolled out, each since its present step began, or since this instance leads: a new leader
 * has seen nothing, and looks at the step anew.
 */
export class RolloutWatch {
  readonly #watched = new Map<string, Watched>();

  reset(): void {
    this.#watched.clear();
  }

  forget(endpoint: string): void {
    for (const key of this.#watched.keys()) if (key.startsWith(`${endpoint}/`)) this.#watched.delete(key);
  }

  /** `rollout` is what the version's status says. Whether it is time to judge. */
  moment({ endpoint, version, sample, totals }: VersionMoment, rollout: RolloutStatus | undefined): boolean {
    const name = `${endpoint}/${version}`;
    if (rollout?.phase !== 'Progressing') {
      this.#watched.delete(name);
      return false;
    }
    const { time, busy, queued } = sample;
    const step = stepOf(rollout);
    const known = this.#watched.get(name);
    if (known?.step !== step) {
      this.#watched.set(name, { step, totals, present: busy + queued, evidence: NO_EVIDENCE, time, judgedAt: time });
      return false;
    }
    const gap = time - known.time;
    const observedMs = known.evidence.observedMs + (gap > 0 && gap <= GAP_MS ? gap : 0);
    known.time = time;
    known.evidence = evidenceOf(observedMs, known.totals, totals, busy + queued - known.present);
    if (time - known.judgedAt < JUDGE_MS) return false;
    known.judgedAt = time;
    return true;
  }

  /** Of the step that the status says. */
  evidence(endpoint: string, version: string, rollout: RolloutStatus | undefined): RolloutEvidence {
    const watched = this.#watched.get(`${endpoint}/${version}`);
    return rollout !== undefined && watched?.step === stepOf(rollout) ? watched.evidence : NO_EVIDENCE;
  }
}

function stepOf({ key, step }: RolloutStatus): string {
  return `${key}/${step}`;
}

/** `more`: by how many more requests are there now. */
function evidenceOf(observedMs: number, from: VersionTotals, to: VersionTotals, more: number): RolloutEvidence {
  const completed = to.completed - from.completed;
  const refused = Math.max(0, to.arrived - from.arrived - completed - more);
  const p99Ms = quantile(
    to.latency.map((count, index) => count - (from.latency[index] ?? 0)),
    0.99,
  );
  return {
    observedMs,
    requests: completed + refused,
    failed: to.failed - from.failed + refused,
    ...(p99Ms === undefined ? {} : { p99Ms }),
  };
}

/** The bound below which that share of the requests is; twice the last one for those beyond it. */
function quantile(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let rank = share * total;
  for (const [index, count] of counts.entries()) {
    rank -= count;
    if (count === 0 || rank > 1e-9) continue;
    const upper = LATENCY_BOUNDS_MS[index];
    if (upper === undefined) break;
    const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
    return Math.round(lower + ((upper - lower) * (rank + count)) / count);
  }
  return (LATENCY_BOUNDS_MS.at(-1) ?? 0) * 2;
}
