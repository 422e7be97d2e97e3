import { homedir } from 'node:os';
import { join } from 'node:path';
import { NETWORK } from './addresses.ts';

/** Where the test cluster of this user is on this machine; every checkout uses the same one. */
export interface Place {
  /** What runs: gone after `down`. */
  readonly root: string;
  /** What is slow to make: programs and images. May be removed at any time. */
  readonly cache: string;
  readonly apiServer: { readonly address: string; readonly port: number };
  path(...parts: readonly string[]): string;
}

export function openPlace(environment: Readonly<Record<string, string | undefined>> = process.env): Place {
  const state = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return placeAt(join(state, 'aksml', 'cluster'), join(cache, 'aksml'), { address: NETWORK.node, port: 6443 });
}

export function placeAt(root: string, cache: string, apiServer: Place['apiServer']): Place {
  return { root, cache, apiServer, path: (...parts) => join(root, ...parts) };
}

export function apiServerUrl({ apiServer }: Place): string {
  return `https://${apiServer.address}:${apiServer.port}`;
}
