import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkspaceScope } from '../contract/engine-api.ts';
import type { Session } from '../session/session.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';
import { untilAborted } from './pace.ts';

const LOCAL_LOOK_MS = 500;
const REMOTE_LOOK_MS = 30_000;

/** By workspace: who wants to be told that its registry is to be looked at now. */
const waiting = new Map<string, Set<() => void>>();

export const CONTENT: HandlersOf<'content'> = {
  'content.refresh': async (scope, { host }) => {
    const { workspace } = await host.session(scope);
    for (const wake of waiting.get(workspace.registry.location) ?? []) wake();
    return null;
  },
};

/**
 * Tells a list of a workspace's registry at once and whenever it changed. A folder is looked at by the time of its index, which costs
 * nothing; a remote registry every half minute and when it is asked for.
 */
export async function watchContent<T>(
  host: EngineHost,
  scope: WorkspaceScope,
  signal: AbortSignal,
  read: (session: Session) => Promise<readonly T[]>,
  emit: (list: readonly T[]) => Promise<void>,
): Promise<void> {
  let told: string | undefined;
  const session = await host.session(scope);
  const tell = async () => {
    const list = await read(session);
    const now = JSON.stringify(list);
    if (now === told) return;
    told = now;
    await emit(list);
  };
  const { registry, folder } = session.workspace;
  if (registry.location === folder) return watchFolder(folder, signal, tell);
  await watchRegistry(registry.location, signal, tell);
}

async function watchFolder(folder: string, signal: AbortSignal, tell: () => Promise<void>): Promise<void> {
  let seen: string | undefined;
  await untilAborted(LOCAL_LOOK_MS, signal, async () => {
    const now = await identityOf(join(folder, 'index.json'));
    if (now === seen) return;
    await tell();
    seen = now;
  });
}

/** A replaced file is another one. */
async function identityOf(file: string): Promise<string> {
  return stat(file, { bigint: true }).then(
    ({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`,
    () => 'absent',
  );
}

async function watchRegistry(location: string, signal: AbortSignal, tell: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await tell();
    await refreshOrPause(location, signal);
  }
}

async function refreshOrPause(location: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wakers = waiting.get(location) ?? new Set();
  waiting.set(location, wakers.add(resolve));
  const timer = setTimeout(resolve, REMOTE_LOOK_MS);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  wakers.delete(resolve);
}
