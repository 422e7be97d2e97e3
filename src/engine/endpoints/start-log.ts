import type { LogQuery } from '../../contract/compute-target.ts';
import type { Engine } from '../engine.ts';
import type { RunOptions } from './stages.ts';

/** To follow a log costs a cluster CPU, which a replica needs to start: one that starts faster is read once it has. */
const FOLLOW_AFTER_MS = 3_000;
const LAST_LOOK_MS = 2_000;

/**
 * Tells what the replicas of a version print from now on, with every line that they have printed until `end`, which never fails. It is an
 * extra: the wait goes by the state alone.
 */
export function tellStartLog(
  engine: Engine,
  name: string,
  version: string,
  { onProgress }: RunOptions,
  signal: AbortSignal,
): { end(): Promise<void> } {
  if (onProgress === undefined) return { end: async () => undefined };
  const begun = { version, living: true, since: engine.clock().toISOString() };
  const tell = async (query: LogQuery, until: AbortSignal) => {
    try {
      for await (const { replica, line } of engine.target.readLogs(name, query, until)) {
        onProgress({ type: 'log', stage: 'watch', source: replica, line });
      }
    } catch {
      return;
    }
  };
  let following = false;
  const follow = () => {
    following = true;
    void tell({ ...begun, follow: true }, signal);
  };
  if (engine.target.kind === 'local') follow();
  const timer = following ? undefined : setTimeout(follow, FOLLOW_AFTER_MS);
  return {
    async end() {
      clearTimeout(timer);
      if (following || signal.aborted) return;
      await tell(begun, AbortSignal.any([signal, AbortSignal.timeout(LAST_LOOK_MS)]));
    },
  };
}
