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
/** Of a replica's usual share, in percent: enough to see that it works again. */
export const SHUNNED_WEIGHT = 5;
export const USUAL_WEIGHT = 100;

/**
 * A replica that fails at once is the least busy of all, and would get the most: so one that fails where its neighbours work gets little until it
 * works again. When all fail alike, the fault is not the replica's. Pure: the weights that differ from the usual one, by replicas; `before`: what
 * it was the last time.
 */
export function aversion(
  records: ReadonlyMap<string, ReplicaRecord>,
  before: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const stillFails = (name: string) => {
    const { completed, failed } = records.get(name) ?? { completed: 0, failed: 0 };
    return completed === 0 || failed / completed >= FAILS;
  };
  const shunned = [...records].filter(([name, record]) => {
    if (record.completed < ENOUGH || record.failed / record.completed < FAILS) return false;
    const others = [...records].filter(([other]) => other !== name).map(([, other]) => other);
    const completed = others.reduce((sum, other) => sum + other.completed, 0);
    const failed = others.reduce((sum, other) => sum + other.failed, 0);
    return completed >= ENOUGH && failed / completed <= WORKS;
  });
  const names = [...shunned.map(([name]) => name), ...[...before.keys()].filter(stillFails)];
  return new Map(names.map((name) => [name, SHUNNED_WEIGHT]));
}
