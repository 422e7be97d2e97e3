import { AksmlError } from '../contract/error.ts';
import { httpStatusOf } from './failure.ts';
import { type KubeClient, objectPath } from './kube.ts';
import { readLines } from './lines.ts';
import type { ObjectName } from './object.ts';
import { PODS } from './resource.ts';
import { SYSTEM_PORTS, type TransportPorts } from './transport.ts';

export interface PodLogQuery {
  readonly pod: Required<ObjectName>;
  readonly container: string;
  /** That of the container's run before this one. */
  readonly previous?: boolean;
  /** The last N lines. */
  readonly tailLines?: number;
  /** ISO 8601. */
  readonly since?: string;
  readonly follow?: boolean;
}

export interface PodLogLine {
  /** RFC 3339 with nanoseconds, as the node wrote it down. */
  readonly time: string;
  readonly line: string;
}

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;
/** In a row, where the log is not followed. */
const MAX_FAILURES = 5;

/**
 * The lines of one container. Following survives dropped connections, silence and an API server that is away, without losing or doubling
 * a line; it ends when the container has ended and its last line was told.
 * @throws AksmlError `kube.notFound` when the pod is gone, `kube.invalid` when the container has not started, and what requests throw
 */
export async function* readPodLog(
  kube: KubeClient,
  query: PodLogQuery,
  signal: AbortSignal,
  ports: TransportPorts = SYSTEM_PORTS,
): AsyncGenerator<PodLogLine, void, undefined> {
  const told = new LastLines(query.since);
  for (let failures = 0; ; ) {
    try {
      for await (const line of request(kube, query, told, signal)) {
        failures = 0;
        if (told.isNew(line)) yield line;
      }
      // The server also ends the stream of a container that runs, such as when its log is rotated or a proxy has had enough.
      if (!query.follow || !(await isRunning(kube, query, signal))) return;
    } catch (error) {
      signal.throwIfAborted();
      if (!mayMend(error) || (!query.follow && failures === MAX_FAILURES)) throw error;
    }
    failures += 1;
    const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)) * (0.5 + ports.random() / 2);
    await ports.sleep(delay, signal);
  }
}

/** What was told last. The API can only be asked for lines since a second, so those of the last instants come again. */
class LastLines {
  #time: string;
  /** Lines with exactly that time: how often each was told, and how often it has come again since the connection was made. */
  #told = new Map<string, number>();
  #again = new Map<string, number>();

  constructor(since: string | undefined) {
    this.#time = since ?? '';
  }

  /** Where to begin a new connection. */
  resume(): string | undefined {
    this.#again = new Map();
    return this.#time === '' ? undefined : this.#time;
  }

  get begun(): boolean {
    return this.#told.size > 0;
  }

  isNew({ time, line }: PodLogLine): boolean {
    const order = compareTimes(time, this.#time);
    if (order < 0) return false;
    if (order > 0) {
      this.#time = time;
      this.#told = new Map([[line, 1]]);
      this.#again = new Map([[line, 1]]);
      return true;
    }
    const again = (this.#again.get(line) ?? 0) + 1;
    this.#again.set(line, again);
    if (again <= (this.#told.get(line) ?? 0)) return false;
    this.#told.set(line, again);
    return true;
  }
}

async function* request(
  kube: KubeClient,
  query: PodLogQuery,
  told: LastLines,
  signal: AbortSignal,
): AsyncGenerator<PodLogLine, void, undefined> {
  const { pod, container, previous, follow, tailLines } = query;
  const sinceTime = told.resume();
  const answer = await kube.transport.send({
    method: 'GET',
    path: objectPath(PODS, pod, 'log'),
    query: {
      container,
      previous,
      follow,
      timestamps: true,
      sinceTime: sinceTime === undefined ? undefined : wholeSecond(sinceTime),
      tailLines: told.begun ? undefined : tailLines,
    },
    accept: '*/*',
    // A container may be silent for as long as it likes; a dead connection is found by TCP keep-alive.
    idleMs: 0,
    subject: `pods/${pod.namespace}/${pod.name}`,
    doing: `reading the log of ${pod.name}`,
    signal,
  });
  for await (const text of readLines(answer.body)) {
    const space = text.indexOf(' ');
    const time = space === -1 ? text : text.slice(0, space);
    yield { time, line: space === -1 ? '' : text.slice(space + 1) };
  }
}

async function isRunning(
  kube: KubeClient,
  { pod, container, previous }: PodLogQuery,
  signal: AbortSignal,
): Promise<boolean> {
  if (previous) return false;
  const found = await kube.find(PODS, pod, signal);
  const statuses = [...(found?.status?.initContainerStatuses ?? []), ...(found?.status?.containerStatuses ?? [])];
  return statuses.find(({ name }) => name === container)?.state?.running !== undefined;
}

function mayMend(error: unknown): boolean {
  const status = httpStatusOf(error);
  if (status !== undefined) return status === 429 || status >= 500 || status === 401;
  return !AksmlError.is(error) || error.code === 'kube.unreachable' || error.code === 'kube.timeout';
}

/** Times of one node: the same zone, fractions of any length. */
function compareTimes(a: string, b: string): number {
  if (b === '') return 1;
  const [secondsA, fractionA] = splitTime(a);
  const [secondsB, fractionB] = splitTime(b);
  if (secondsA !== secondsB) return secondsA - secondsB;
  const [left, right] = [fractionA.padEnd(9, '0'), fractionB.padEnd(9, '0')];
  return left < right ? -1 : left > right ? 1 : 0;
}

function splitTime(time: string): [seconds: number, fraction: string] {
  const match = /^([^.Z+]+)(?:\.(\d+))?(.*)$/.exec(time);
  return [Date.parse(`${match?.[1] ?? time}${match?.[3] ?? 'Z'}`), match?.[2] ?? ''];
}

/** The API takes whole seconds only, and rounds. */
function wholeSecond(time: string): string {
  return new Date(splitTime(time)[0]).toISOString();
}
