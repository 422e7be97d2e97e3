import { collectGarbage as collect } from '../session/garbage.ts';
import type { CommandContext } from './context.ts';
import { formatBytes } from './progress.ts';
import { type Result, valueResult } from './result.ts';

interface Wishes {
  readonly dryRun: boolean;
  readonly caches: boolean;
}

export async function collectGarbage(context: CommandContext, wishes: Wishes): Promise<Result> {
  const { home, run } = context;
  const endpoints = await (await context.local()).listEndpoints(run.signal);
  const collected = await collect({ home, endpoints, ...wishes, signal: run.signal });
  return valueResult(collected, {
    kind: 'rows',
    columns: ['PLACE', wishes.dryRun ? 'WOULD REMOVE' : 'REMOVED', wishes.dryRun ? 'WOULD FREE' : 'FREED'],
    rows: collected.freed
      .filter(({ count }) => count > 0)
      .map(({ place, count, bytes }) => [place, count, formatBytes(bytes)]),
    empty: 'There is nothing to remove.',
  });
}
