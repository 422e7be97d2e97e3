import type { LoadSample } from '../../serving/demand.ts';

/** Of so long the mean is told, and no more often. */
const PERIOD_MS = 5000;
/** What is told changes only by so much: each time is a write. */
const STEP = 0.05;

/** How busy the replicas of a version are, as a status can say it. */
export class Utilization {
  #told: number | undefined;
  #begun: number | undefined;
  #sum = 0;
  #count = 0;

  /** Rounded; undefined before the first period is over. */
  get told(): number | undefined {
    return this.#told;
  }

  /** `places` is replicas × concurrency. Whether something else is to be told from now on. */
  add({ time, busy, queued }: LoadSample, places: number): boolean {
    this.#begun ??= time;
    if (places > 0) {
      this.#sum += (busy + queued) / places;
      this.#count += 1;
    }
    if (time - this.#begun < PERIOD_MS) return false;
    const mean = this.#count === 0 ? undefined : Math.round((this.#sum / this.#count) * 100) / 100;
    this.#begun = time;
    this.#sum = 0;
    this.#count = 0;
    if (mean === this.#told || isNear(mean, this.#told)) return false;
    this.#told = mean;
    return true;
  }
}

function isNear(a: number | undefined, b: number | undefined): boolean {
  if (a === undefined || b === undefined || (a === 0) !== (b === 0)) return false;
  return Math.abs(a - b) < STEP;
}
