/**
 * What proxies add to the direct call, at a rate that they carry with ease, as medians of interleaved runs' differences.
 *
 * A process that wakes waits until the one that has its core is interrupted: up to 4 ms, where the kernel ticks 250 times a second. So a
 * machine's other work, of a few percent, is all that a 99th percentile tells, of any process, the generator included. Generator and upstream
 * therefore come before all other work, by real-time scheduling. The proxies are measured both ways: coming first, which leaves what they
 * themselves cause; and as other work does, which has that of the machine in it, in the plain HAProxy's as much as in the router's.
 */
import { median } from '../median.ts';
import { type PacedLoadResult, pacedLoad } from '../paced-load.ts';
import { canComeFirst, comesFirst, FIRST, ON_OTHER_CORE } from '../processor.ts';

const RUNS = 8;
const SECONDS = 2;

export interface AddedLatencyOptions {
  /** Requests a second. */
  readonly rate: number;
  readonly key: string;
  readonly direct: { readonly url: string; readonly pid: number };
  readonly proxies: readonly { readonly name: string; readonly url: string }[];
  /** Of all proxies. */
  readonly pids: readonly number[];
}

interface Row {
  readonly target: string;
  readonly url: string;
  readonly isFirst: boolean;
  readonly runs: PacedLoadResult[];
}

/** Prints a table, in milliseconds. */
export async function printAddedLatency({ rate, key, direct, proxies, pids }: AddedLatencyOptions): Promise<void> {
  const isAllowed = await canComeFirst();
  const rowsOf = (isFirst: boolean): Row[] =>
    proxies.map(({ name, url }) => ({ target: name, url, isFirst, runs: [] }));
  const base: Row = { target: 'direct', url: direct.url, isFirst: isAllowed, runs: [] };
  const rows = [base, ...(isAllowed ? rowsOf(true) : []), ...rowsOf(false)];
  if (isAllowed) await comesFirst([direct.pid], true);
  for (let run = 0; run < RUNS; run += 1) {
    // Each in another place of every round.
    for (const row of rows.map((each, index) => rows[(index + run) % rows.length] ?? each)) {
      if (isAllowed) await comesFirst(pids, row.isFirst);
      const startedBy = [...ON_OTHER_CORE, ...(isAllowed ? FIRST : [])];
      row.runs.push(await pacedLoad({ urls: [row.url], key, rate, seconds: SECONDS, startedBy }));
    }
  }
  const of = (row: Row, figure: (run: PacedLoadResult, direct: PacedLoadResult) => number) =>
    row.runs.flatMap((run, index) => (base.runs[index] ? [figure(run, base.runs[index])] : []));
  const middle = (row: Row, figure: (run: PacedLoadResult, direct: PacedLoadResult) => number) =>
    Number(median(of(row, figure)).toFixed(2));
  console.log(
    `\n${rate} requests a second of clients who pause at random; proxies on a core of their own; medians of ${RUNS} ` +
      `interleaved runs of ${SECONDS} s; milliseconds` +
      (isAllowed ? '' : '; the machine’s other work is in all of them: coming before it is allowed to root alone'),
  );
  console.table(
    rows.map((row) => ({
      target: row.target,
      'before other work': row.isFirst ? 'yes' : 'no',
      'requests/s': Math.round(middle(row, ({ rate }) => rate)),
      p50: middle(row, ({ p50 }) => p50),
      mean: middle(row, ({ mean }) => mean),
      p99: middle(row, ({ p99 }) => p99),
      'p99 of the worst run': Number(Math.max(...of(row, ({ p99 }) => p99)).toFixed(2)),
      'added p50': middle(row, ({ p50 }, direct) => p50 - direct.p50),
      'added mean': middle(row, ({ mean }, direct) => mean - direct.mean),
      'added p99': middle(row, ({ p99 }, direct) => p99 - direct.p99),
      failed: of(row, ({ failed }) => failed).reduce((sum, failed) => sum + failed, 0),
    })),
  );
}
