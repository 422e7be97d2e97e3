/** Requests of one replica in the last moments. */
export interface ReplicaRecord {
  readonly completed: number;
  /** Of those: 5xx, or without an answer. */
  readonly failed: number;
}

/** With fewer requests there is nothing to be told. */
const ENOUGH = 5;
const FAILS = 0.5;
const WORKS = 0.1;
/** How long a replica that is shunned gets requests, to be seen at work, before it is judged again. */
const FIRST_TRIAL_MS = 20;
const LONGEST_TRIAL_MS = 1000;
/** Of a replica's usual share, in percent. HAProxy's weights are integers, and the usual one is 1: there is nothing between. */
export const WEIGHTS = { usual: 100, shunned: 0 } as const;

/**
 * A replica that fails at once is always free, and would empty the queue of all: so one that fails where its neighbours work gets nothing but
 * short trials, until it works again or nobody else does. A trial in which nothing came is followed by one twice as long. When all fail alike, the
 * fault is not the replica's. Pure: the lengths of the trials of those that are shunned, in milliseconds; `before`: what it was the last time.
 */
export function aversion(
  records: ReadonlyMap<string, ReplicaRecord>,
  before: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const trials = new Map<string, number>();
  for (const name of new Set([...records.keys(), ...before.keys()])) {
    const { completed, failed } = records.get(name) ?? NOTHING;
    const others = sumOf([...records].filter(([other]) => other !== name && !before.has(other)));
    const trial = before.get(name);
    const fails = completed > 0 && failed / completed >= FAILS;
    if (trial !== undefined && completed === 0) trials.set(name, Math.min(2 * trial, LONGEST_TRIAL_MS));
    else if (trial !== undefined && fails && others.completed > 0) trials.set(name, FIRST_TRIAL_MS);
    else if (trial === undefined && fails && completed >= ENOUGH && works(others)) trials.set(name, FIRST_TRIAL_MS);
  }
  return trials;
}

const NOTHING: ReplicaRecord = { completed: 0, failed: 0 };

function works({ completed, failed }: ReplicaRecord): boolean {
  return completed >= ENOUGH && failed / completed <= WORKS;
}

function sumOf(records: readonly (readonly [string, ReplicaRecord])[]): ReplicaRecord {
  return records.reduce(
    (sum, [, { completed, failed }]) => ({ completed: sum.completed + completed, failed: sum.failed + failed }),
    NOTHING,
  );
}
