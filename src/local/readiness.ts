import { type FSWatcher, watch } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LauncherStatus, type ReplicaRecord, readLauncherStatus } from './replica-record.ts';

/** What a replica says of itself. */
export interface Observation {
  readonly ready: boolean;
  readonly port?: number;
  /** Milliseconds since the epoch. */
  readonly readyTime?: number;
  readonly workerDeaths?: number;
}

const STARTING_POLL_MS = 50;
/** File systems may fail to report changes. */
const READY_POLL_MS = 1000;

/** The launcher's status now and at each change; undefined in between, so that the reader can look at its watch. */
export async function* observeStatus(folder: string, signal: AbortSignal): AsyncGenerator<Observation | undefined> {
  const changes = watchFolder(folder);
  try {
    let last = '';
    let ready = false;
    while (!signal.aborted) {
      const changed = changes.next();
      const status = await readLauncherStatus(folder);
      const text = JSON.stringify(status);
      if (status && text !== last) {
        last = text;
        const observation = observationOf(status);
        ready = observation.ready;
        yield observation;
      } else yield undefined;
      const pause = new AbortController();
      const poll = sleep(ready ? READY_POLL_MS : STARTING_POLL_MS, undefined, {
        signal: AbortSignal.any([signal, pause.signal]),
      });
      await Promise.race([poll.catch(() => undefined), changed]);
      pause.abort();
    }
  } finally {
    changes.close();
  }
}

function observationOf({ phase, ready, port, readyTime, workerDeaths }: LauncherStatus): Observation {
  return {
    ready: phase === 'ready' && ready.length > 0,
    ...(port === undefined ? {} : { port }),
    ...(readyTime === undefined ? {} : { readyTime: readyTime * 1000 }),
    ...(workerDeaths === undefined ? {} : { workerDeaths }),
  };
}

/** What is known at once of a replica that an earlier supervisor has seen ready. */
export async function lastObservation(folder: string, record: ReplicaRecord): Promise<Observation | undefined> {
  const readiness = record.watch?.readiness;
  if (readiness?.kind === 'route') {
    return record.initEnd === undefined ? undefined : { ready: true, port: readiness.port };
  }
  const status = await readLauncherStatus(folder);
  return status && observationOf(status);
}

/** Asks a server of the user's own until it answers; from then on it counts as ready. */
export async function* observeRoute(
  { port, route }: { readonly port: number; readonly route: string },
  signal: AbortSignal,
): AsyncGenerator<Observation | undefined> {
  let ready = false;
  while (!signal.aborted) {
    if (!ready && (await answersAt(port, route, READY_POLL_MS))) {
      ready = true;
      yield { ready, port };
    } else yield undefined;
    await sleep(ready ? READY_POLL_MS : STARTING_POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Whether something on 127.0.0.1 answers a GET with success or a redirection. */
export function answersAt(port: number, path: string, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = request(
    { host: '127.0.0.1', port, path, agent: false, signal: AbortSignal.timeout(timeoutMs) },
    (answer) => {
      answer.resume();
      resolve((answer.statusCode ?? 500) < 400);
    },
  );
  asked.on('error', () => resolve(false));
  asked.end();
  return promise;
}

function watchFolder(folder: string): { next(): Promise<void>; close(): void } {
  let next = Promise.withResolvers<void>();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, { persistent: false }, () => {
      next.resolve();
      next = Promise.withResolvers<void>();
    });
    watcher.on('error', () => undefined);
  } catch {
    // Too many watchers on this machine: the poll has to do.
  }
  return { next: () => next.promise, close: () => watcher?.close() };
}
