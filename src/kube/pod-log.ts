import { AksmlError } from '../contract/error.ts';
import { httpStatusOf } from './failure.ts';
import { type KubeClient, objectPath } from './kube.ts';
import { readLineBatches } from './lines.ts';
import { LogPosition } from './log-position.ts';
import type { ObjectName } from './object.ts';
import { PODS, type Pod } from './resource.ts';
import { SYSTEM_PORTS, type TransportPorts } from './transport.ts';

export interface ContainerLogQuery {
  readonly pod: Required<ObjectName>;
  readonly container: string;
  /** Goes on after what was told before; default: from the beginning of what the node still has. */
  readonly position?: LogPosition;
}

export interface PodLogQuery extends ContainerLogQuery {
  /** That of the container's run before this one. */
  readonly previous?: boolean;
  /** The last N lines. */
  readonly tailLines?: number;
}

export interface PodLogLine {
  /** RFC 3339 with nanoseconds, as the node wrote it down. */
  readonly time: string;
  /** The same in milliseconds since the epoch. */
  readonly milliseconds: number;
  readonly line: string;
}

/** Lines that came together, none of them twice. */
export type PodLogBatch = readonly PodLogLine[];

/** What a kubelet answers instead of the log of a container that it has thrown away. */
const NO_LOG = 'unable to retrieve container logs for ';

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;
/** In a row, where the log is not followed. */
const MAX_FAILURES = 5;

/**
 * The lines that one run of a container has written so far.
 * @throws AksmlError `kube.notFound` when the pod is gone, `kube.invalid` when the container has not started, and what requests throw
 */
export async function* readPodLog(
  kube: KubeClient,
  query: PodLogQuery,
  signal: AbortSignal,
  ports: TransportPorts = SYSTEM_PORTS,
): AsyncGenerator<PodLogBatch, void, undefined> {
  const position = query.position ?? new LogPosition();
  for (let failures = 0; ; ) {
    try {
      yield* connect(kube, { ...query, position }, false, signal, () => {
        failures = 0;
      });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayMend(error) || failures === MAX_FAILURES) throw error;
    }
    failures += 1;
    await ports.sleep(delayOf(failures, ports), signal);
  }
}

/**
 * The lines of a container as they come, through its restarts, dropped connections, silence and an API server that is away, without
 * losing or doubling a line. Ends when the container has ended for good, or its pod is gone.
 * @throws AksmlError what cannot mend, such as `kube.forbidden`
 */
export async function* followPodLog(
  kube: KubeClient,
  query: ContainerLogQuery,
  signal: AbortSignal,
  ports: TransportPorts = SYSTEM_PORTS,
): AsyncGenerator<PodLogBatch, void, undefined> {
  const position = query.position ?? new LogPosition();
  let restarts = 0;
  for (let failures = 0; ; ) {
    try {
      const state = await stateOf(kube, query, signal);
      if (state === undefined) return;
      // What the run before wrote last, while nobody was connected.
      if (state.restarts > restarts) yield* ifAny(connect(kube, { ...query, position, previous: true }, false, signal));
      restarts = state.restarts;
      if (state.started) {
        yield* connect(kube, { ...query, position }, state.running, signal, () => {
          failures = 0;
        });
      }
      if (state.over) return;
    } catch (error) {
      signal.throwIfAborted();
      if (AksmlError.is(error, 'kube.notFound')) return;
      // A container that is about to start has no log yet.
      if (!mayMend(error) && !AksmlError.is(error, 'kube.invalid')) throw error;
    }
    failures += 1;
    await ports.sleep(delayOf(failures, ports), signal);
  }
}

/** The node may have thrown away what was asked for. */
async function* ifAny(batches: AsyncGenerator<PodLogBatch, void, undefined>) {
  try {
    yield* batches;
  } catch (error) {
    if (!AksmlError.is(error, 'kube.invalid')) throw error;
  }
}

interface ContainerState {
  readonly restarts: number;
  readonly started: boolean;
  readonly running: boolean;
  /** It will never run again. */
  readonly over: boolean;
}

async function stateOf(
  kube: KubeClient,
  { pod, container }: ContainerLogQuery,
  signal: AbortSignal,
): Promise<ContainerState | undefined> {
  const found = await kube.find(PODS, pod, signal);
  return found && containerState(found, container);
}

export function containerState({ metadata, spec, status }: Pod, container: string): ContainerState {
  const init = status?.initContainerStatuses?.find(({ name }) => name === container);
  const found = init ?? status?.containerStatuses?.find(({ name }) => name === container);
  const sidecar = spec?.initContainers?.some(
    ({ name, restartPolicy }) => name === container && restartPolicy === 'Always',
  );
  const { running, terminated } = found?.state ?? {};
  // A container that waits to be started again still shows what it wrote before.
  const before = found?.lastState?.terminated;
  const podOver =
    status?.phase === 'Succeeded' || status?.phase === 'Failed' || metadata.deletionTimestamp !== undefined;
  const initDone = init !== undefined && sidecar !== true && terminated?.exitCode === 0;
  return {
    restarts: found?.restartCount ?? 0,
    started: (running ?? terminated ?? before) !== undefined,
    running: running !== undefined,
    over: running === undefined && (initDone || podOver),
  };
}

async function* connect(
  kube: KubeClient,
  { pod, container, previous, tailLines, position }: PodLogQuery & { readonly position: LogPosition },
  follow: boolean,
  signal: AbortSignal,
  onLines?: () => void,
): AsyncGenerator<PodLogBatch, void, undefined> {
  const begun = position.begun;
  const answer = await kube.transport.send({
    method: 'GET',
    path: objectPath(PODS, pod, 'log'),
    query: {
      container,
      previous,
      follow,
      timestamps: true,
      sinceTime: position.resume(),
      tailLines: begun ? undefined : tailLines,
    },
    accept: '*/*',
    // A container may be silent for as long as it likes; a dead connection is found by TCP keep-alive.
    idleMs: follow ? 0 : undefined,
    subject: `pods/${pod.namespace}/${pod.name}`,
    doing: `reading the log of ${pod.name}`,
    signal,
  });
  for await (const texts of readLineBatches(answer.body)) {
    onLines?.();
    const batch: PodLogLine[] = [];
    for (const text of texts) {
      const space = text.indexOf(' ');
      const time = space === -1 ? text : text.slice(0, space);
      if (text.startsWith(NO_LOG) || !position.isNew(time)) continue;
      batch.push({ time, milliseconds: position.milliseconds, line: space === -1 ? '' : text.slice(space + 1) });
    }
    if (batch.length > 0) yield batch;
  }
}

function mayMend(error: unknown): boolean {
  const status = httpStatusOf(error);
  if (status !== undefined) return status === 429 || status >= 500 || status === 401;
  return !AksmlError.is(error) || error.code === 'kube.unreachable' || error.code === 'kube.timeout';
}

function delayOf(failures: number, { random }: TransportPorts): number {
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)) * (0.5 + random() / 2);
}
