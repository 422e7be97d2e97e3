import { AksmlError } from '../contract/error.ts';
import { LONGEST_LOG_LINE } from '../contract/log-line.ts';
import { httpStatusOf } from './failure.ts';
import { type KubeClient, objectPath } from './kube.ts';
import { type LineBatch, readLineBatches } from './lines.ts';
import type { LogGap } from './log-gap.ts';
import { DoubtfulLog, LogPosition } from './log-position.ts';
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
  /** Which run of the container that is, counted from 0, where it is known. */
  readonly run?: number;
  /** The last N lines. */
  readonly tailLines?: number;
}

export interface PodLogLine {
  /** RFC 3339 with nanoseconds, as the node wrote it down. */
  readonly time: string;
  /** The same in milliseconds since the epoch. */
  readonly milliseconds: number;
  readonly line: string;
  /** It was not written by the container: it says where lines are missing. */
  readonly mark?: true;
}

/** Lines that came together, none of them twice. */
export type PodLogBatch = readonly PodLogLine[];

/** What a kubelet answers instead of the log of a container that it has thrown away. */
const NO_LOG = 'unable to retrieve container logs for ';

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;
/** In a row, where the log is not followed. */
const MAX_FAILURES = 5;
/** So often the state is asked for again where what follows a closed log does not continue it, before lines are believed to be missing. */
const DOUBTS = 5;

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
  let restarts = position.run ?? 0;
  let doubts = 0;
  for (let failures = 0; ; ) {
    try {
      const state = await stateOf(kube, query, signal);
      if (state === undefined) return;
      const isNextRun = state.restarts > restarts;
      if (isNextRun) doubts = 0;
      // What the run before wrote last, while nobody was connected.
      if (isNextRun && !state.waiting) {
        const before = { ...query, position, previous: true, run: state.restarts - 1, ended: true };
        yield* ifAny(connect(kube, before, false, signal));
      }
      restarts = state.restarts;
      if (state.started) {
        const present = { ...query, position, run: restarts, ended: !state.running, doubted: doubts > 0 };
        yield* connect(kube, present, state.running, signal, () => {
          failures = 0;
        });
        // A node closes the log of a run that has ended before the API server says so: what it gives out next can be of the next run.
        doubts = DOUBTS;
      }
      if (state.over) return;
    } catch (error) {
      signal.throwIfAborted();
      if (AksmlError.is(error, 'kube.notFound')) return;
      if (error instanceof DoubtfulLog) doubts -= 1;
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
  /** Its next run has not begun; that before it is told as the present one. */
  readonly waiting: boolean;
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
    waiting: running === undefined && terminated === undefined,
    over: running === undefined && (initDone || podOver),
  };
}

interface Connection extends PodLogQuery {
  readonly position: LogPosition;
  /** The run is over. */
  readonly ended?: boolean;
  /** It may be of another run than is believed. */
  readonly doubted?: boolean;
}

async function* connect(
  kube: KubeClient,
  { pod, container, previous, run, tailLines, position, ended, doubted }: Connection,
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
      sinceTime: position.resume(run, doubted),
      tailLines: begun ? undefined : tailLines,
    },
    accept: '*/*',
    // A container may be silent for as long as it likes; a dead connection is found by TCP keep-alive.
    idleMs: follow ? 0 : undefined,
    subject: `pods/${pod.namespace}/${pod.name}`,
    doing: `reading the log of ${pod.name}`,
    signal,
  });
  const told = new StampedLines(position);
  for await (const lines of readLineBatches(answer.body, LONGEST_LOG_LINE)) {
    const batch = told.of(lines);
    onLines?.();
    if (batch.length > 0) yield batch;
  }
  if (ended) position.end();
}

/** What of a connection's lines was not told before. */
class StampedLines {
  readonly #position: LogPosition;
  /** Of the line that was begun last; undefined while there is none, and while it is no line of the log. */
  #time: string | undefined;

  constructor(position: LogPosition) {
    this.#position = position;
  }

  of({ lines, continues }: LineBatch): PodLogLine[] {
    this.#position.arrive(Date.now());
    const batch: PodLogLine[] = [];
    for (let index = 0; index < lines.length; index += 1) {
      const text = lines[index] ?? '';
      if (index === 0 && continues) this.#goOn(text, batch);
      else this.#begin(text, batch);
    }
    return batch;
  }

  #begin(text: string, batch: PodLogLine[]): void {
    const position = this.#position;
    if (!isStamped(text)) {
      // A connection that begins within a long line brings the end of it without a time.
      if (this.#time === undefined || text.startsWith(NO_LOG)) return;
      this.#goOn(text, batch);
      return;
    }
    const space = text.indexOf(' ');
    const time = space === -1 ? text : text.slice(0, space);
    const line = space === -1 ? '' : text.slice(space + 1);
    this.#time = time;
    const over = position.take(time, line.length);
    const gap = position.takeGap();
    const { milliseconds } = position;
    if (gap !== undefined) batch.push({ time, milliseconds, line: markOf(gap), mark: true });
    if (over !== undefined) batch.push({ time, milliseconds, line: over === 0 ? line : line.slice(over) });
  }

  #goOn(text: string, batch: PodLogLine[]): void {
    if (this.#time === undefined) return;
    const over = this.#position.takeMore(text.length);
    if (over === undefined) return;
    batch.push({
      time: this.#time,
      milliseconds: this.#position.milliseconds,
      line: over === 0 ? text : text.slice(over),
    });
  }
}

/** Begins with a time as nodes write it: `2026-01-31T08:15:30.123456789Z`. */
function isStamped(text: string): boolean {
  return text[4] === '-' && text[7] === '-' && text[10] === 'T' && text[13] === ':' && text[16] === ':';
}

function markOf({ reason, after, before }: LogGap): string {
  return reason === 'unread'
    ? `[aksml: lines may be missing between ${after} and ${before}: the node rotated the log before it was asked again]`
    : `[aksml: lines are missing between ${after} and ${before}: the node rotated the log faster than it was read]`;
}

function mayMend(error: unknown): boolean {
  const status = httpStatusOf(error);
  if (status !== undefined) return status === 429 || status >= 500 || status === 401;
  return !AksmlError.is(error) || error.code === 'kube.unreachable' || error.code === 'kube.timeout';
}

function delayOf(failures: number, { random }: TransportPorts): number {
  return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)) * (0.5 + random() / 2);
}
