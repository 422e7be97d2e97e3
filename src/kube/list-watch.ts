import { AksmlError } from '../contract/error.ts';
import { type ApiStatus, refused, retryAfterOf } from './failure.ts';
import { type KubeClient, type ListQuery, selectors } from './kube.ts';
import { readLines } from './lines.ts';
import type { KubeObject } from './object.ts';
import { collectionPath, type Resource } from './resource.ts';
import { SYSTEM_PORTS, type TransportPorts } from './transport.ts';

/** What happens to the objects of one kind. */
export type ListWatchEvent<T> =
  /** All there are now: whatever is not among them is gone. First of all, and after every gap that could not be bridged. */
  | { readonly type: 'listed'; readonly objects: readonly T[] }
  | { readonly type: 'changed'; readonly object: T }
  | { readonly type: 'deleted'; readonly object: T }
  /** Changes do not arrive at present; it is being tried again. */
  | { readonly type: 'interrupted'; readonly error: unknown }
  /** After an interruption: they arrive again. */
  | { readonly type: 'resumed' };

export interface ListWatchQuery<T> extends ListQuery {
  /** What is kept of an object as soon as it comes: thousands of them, whole, are several times as large. */
  readonly keep?: ((object: T) => T) | undefined;
}

/** The server ends a watch after this; the next one takes up where it ended. Seconds. */
const WATCH_SECONDS = 290;
/** A server that sends nothing, not even the bookmark of each minute, is not there any more. */
const SILENCE_MS = 150_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 3_000;
/** A watch that held this long shows that the server is well. */
const WELL_MS = 5_000;

/**
 * Lists the objects, then tells every change, until the signal; survives every error: dropped connections, 410, 429, 500, missing rights.
 */
export async function* listWatch<T extends KubeObject>(
  kube: KubeClient,
  resource: Resource<T>,
  { keep = (object) => object, ...query }: ListWatchQuery<T>,
  signal: AbortSignal,
  ports: TransportPorts & { readonly now?: () => number } = SYSTEM_PORTS,
): AsyncGenerator<ListWatchEvent<T>, void, undefined> {
  const now = ports.now ?? Date.now;
  let resourceVersion: string | undefined;
  let failures = 0;
  let interrupted = false;
  while (!signal.aborted) {
    const begun = now();
    try {
      if (resourceVersion === undefined) {
        const { items, resourceVersion: listed } = await kube.list(resource, query, signal, keep);
        if (interrupted) yield { type: 'resumed' };
        interrupted = false;
        yield { type: 'listed', objects: items };
        resourceVersion = listed;
      }
      for await (const change of watch(kube, resource, query, resourceVersion, signal)) {
        if (change.type === 'begun') {
          if (interrupted) yield { type: 'resumed' };
          interrupted = false;
          continue;
        }
        resourceVersion = change.object.metadata.resourceVersion ?? resourceVersion;
        if (change.type !== 'bookmark') yield { type: change.type, object: keep(change.object) };
      }
      if (now() - begun > WELL_MS) failures = 0;
      else failures += 1;
    } catch (error) {
      if (signal.aborted) return;
      if (now() - begun > WELL_MS) failures = 0;
      failures += 1;
      // The server has forgotten what came after: only a new list bridges that.
      if (AksmlError.is(error, 'kube.gone')) resourceVersion = undefined;
      interrupted = true;
      yield { type: 'interrupted', error };
      await pause(ports, failures, retryAfterOf(error), signal);
      continue;
    }
    if (failures > 1) await pause(ports, failures, undefined, signal);
  }
}

async function pause(
  ports: TransportPorts,
  failures: number,
  asked: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10)) * (0.5 + ports.random() / 2);
  // The signal ends the caller's loop.
  await ports.sleep(Math.max(delay, asked ?? 0), signal).catch(() => undefined);
}

type WatchEvent<T> =
  /** The server has taken the question. */
  | { readonly type: 'begun' }
  | { readonly type: 'changed' | 'deleted'; readonly object: T }
  | { readonly type: 'bookmark'; readonly object: KubeObject };

async function* watch<T extends KubeObject>(
  kube: KubeClient,
  resource: Resource<T>,
  query: ListQuery,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const attempt = { server: kube.server, subject: resource.plural, doing: `watching ${resource.plural}` };
  const answer = await kube.transport.send({
    method: 'GET',
    path: collectionPath(resource, query.namespace),
    query: {
      ...selectors(query),
      watch: true,
      resourceVersion,
      allowWatchBookmarks: true,
      // Spread, so that not all watches end at once.
      timeoutSeconds: WATCH_SECONDS + (Number.parseInt(resourceVersion.slice(-2), 10) || 0),
    },
    attempts: 1,
    idleMs: SILENCE_MS,
    subject: attempt.subject,
    doing: attempt.doing,
    signal,
  });
  yield { type: 'begun' };
  for await (const line of readLines(answer.body)) {
    const event: { type: string; object: T & ApiStatus } = JSON.parse(line);
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        yield { type: 'changed', object: event.object };
        break;
      case 'DELETED':
        yield { type: 'deleted', object: event.object };
        break;
      case 'BOOKMARK':
        yield { type: 'bookmark', object: event.object };
        break;
      case 'ERROR':
        throw refused(event.object, event.object.code ?? 500, attempt);
    }
  }
}
