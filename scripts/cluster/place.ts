import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the test cluster of this user is on this machine; every checkout uses the same one. */
export interface Place {
  /** What runs: gone after `down`. */
  readonly root: string;
  /** What is slow to make: programs and images. May be removed at any time. */
  readonly cache: string;
  path(...parts: readonly string[]): string;
}

export function openPlace(environment: Readonly<Record<string, string | undefined>> = process.env): Place {
  const state = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const root = join(state, 'aksml', 'cluster');
  return { root, cache: join(cache, 'aksml'), path: (...parts) => join(root, ...parts) };
}
