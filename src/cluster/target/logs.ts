import type { LogLine, LogQuery } from '../../contract/compute-target.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { listWatch } from '../../kube/list-watch.ts';
import { LogPosition } from '../../kube/log-position.ts';
import { containerState, followPodLog, type PodLogBatch, readPodLog } from '../../kube/pod-log.ts';
import { ENDPOINTS, PODS, type Pod } from '../../kube/resource.ts';
import { ENDPOINT_LABEL, SCORING_CONTAINER, VERSION_LABEL } from '../names.ts';
import { LogMerge } from './log-merge.ts';

/** A container of a replica, and how far its log was told. */
interface LogSource {
  readonly pod: Pod;
  readonly container: string;
  readonly position: LogPosition;
}

interface TimedLine extends LogLine {
  readonly milliseconds: number;
}

/** What came from several replicas within this time is sorted. */
const PATIENCE_MS = 200;

/**
 * The lines of all replicas of an endpoint, with their init containers and with what ran before a restart, merged by time. Following goes
 * on through restarts, replacements and broken connections, and ends with the endpoint.
 */
export async function* readEndpointLogs(
  kube: KubeClient,
  endpoint: { readonly namespace: string; readonly name: string },
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine, void, undefined> {
  const sources = new Sources(query.since);
  if (!query.living || !query.follow) {
    const pods = (await kube.list(PODS, podQuery(endpoint, query), signal)).items.filter((pod) => wanted(pod, query));
    const present = pods.flatMap((pod) => sources.of(pod));
    yield* lastOf(history(kube, present, query, signal), query);
  }
  if (!query.follow) return;
  for await (const lines of live(kube, endpoint, sources, query, signal)) yield* lines.map(told);
}

function podQuery({ namespace, name }: { readonly namespace: string; readonly name: string }, query: LogQuery) {
  const ofVersion = query.version === undefined ? '' : `,${VERSION_LABEL}=${query.version}`;
  return { namespace, labelSelector: `${ENDPOINT_LABEL}=${name}${ofVersion}` };
}

function wanted({ metadata }: Pod, query: LogQuery): boolean {
  if (query.living && metadata.deletionTimestamp !== undefined) return false;
  return query.replica === undefined || metadata.name === query.replica;
}

class Sources {
  readonly #since: string | undefined;
  readonly #known = new Map<string, LogSource>();
  readonly #followed = new Set<LogSource>();

  constructor(since: string | undefined) {
    this.#since = since;
  }

  of(pod: Pod): LogSource[] {
    const { initContainers = [], containers = [] } = pod.spec ?? {};
    return [...initContainers, ...containers].map(({ name: container }) => {
      const key = `${pod.metadata.uid}/${container}`;
      const known = this.#known.get(key);
      const source = { pod, container, position: known?.position ?? new LogPosition(this.#since) };
      if (known === undefined) this.#known.set(key, source);
      return known ?? source;
    });
  }

  /** Those that nobody follows yet; from now on somebody does. */
  toFollow(pod: Pod): LogSource[] {
    const fresh = this.of(pod).filter((source) => !this.#followed.has(source));
    for (const source of fresh) this.#followed.add(source);
    return fresh;
  }

  /** Pods that are gone do not come back. */
  forget(pod: Pod): void {
    for (const source of this.of(pod)) {
      this.#followed.delete(source);
      this.#known.delete(`${pod.metadata.uid}/${source.container}`);
    }
  }
}

/** Everything that the nodes still have, in the order of time. */
function history(
  kube: KubeClient,
  sources: readonly LogSource[],
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly TimedLine[], void, undefined> {
  const merge = new LogMerge<TimedLine>({ timeOf, patienceMs: Number.POSITIVE_INFINITY });
  for (const source of sources) merge.add(matching(source, past(kube, source, query, signal), query));
  merge.close();
  return merge.batches();
}

async function* past(
  kube: KubeClient,
  { pod, container, position }: LogSource,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<PodLogBatch, void, undefined> {
  const { name, namespace = '' } = pod.metadata;
  const { restarts, started, waiting } = containerState(pod, container);
  // Where lines are left out later, nobody knows how many are needed.
  const filtered = query.grep !== undefined || query.init === true || query.since !== undefined;
  const tailLines = filtered || query.lines === undefined ? {} : { tailLines: query.lines };
  const log = { pod: { name, namespace }, container, ...tailLines };
  // Of the run before, a position of its own: it does not keep the present one from being read by its last lines only.
  const before = new LogPosition(query.since);
  if (restarts > 0 && !waiting) yield* ifThere(readPodLog(kube, { ...log, position: before, previous: true }, signal));
  if (started) yield* ifThere(readPodLog(kube, { ...log, position, run: restarts }, signal));
}

/** Pods go while they are read, and nodes throw old logs away. */
async function* ifThere(batches: AsyncGenerator<PodLogBatch, void, undefined>) {
  try {
    yield* batches;
  } catch (error) {
    if (!AksmlError.is(error, 'kube.notFound') && !AksmlError.is(error, 'kube.invalid')) throw error;
  }
}

async function* live(
  kube: KubeClient,
  endpoint: { readonly namespace: string; readonly name: string },
  sources: Sources,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly TimedLine[], void, undefined> {
  const leave = new AbortController();
  const inner = AbortSignal.any([signal, leave.signal]);
  const merge = new LogMerge<TimedLine>({ timeOf, patienceMs: PATIENCE_MS });
  const follow = (pod: Pod) => {
    if (!wanted(pod, query)) return;
    for (const source of sources.toFollow(pod)) merge.add(matching(source, followed(kube, source, inner), query));
  };
  void followPods(kube, endpoint, query, inner, { follow, forget: (pod) => sources.forget(pod) }).catch((error) =>
    merge.fail(error),
  );
  void endOf(kube, endpoint, inner).then(
    () => merge.close(),
    (error) => merge.fail(error),
  );
  inner.addEventListener('abort', () => merge.fail(inner.reason), { once: true });
  try {
    yield* merge.batches();
  } finally {
    leave.abort();
  }
}

function followed(kube: KubeClient, { pod, container, position }: LogSource, signal: AbortSignal) {
  const { name, namespace = '' } = pod.metadata;
  return followPodLog(kube, { pod: { name, namespace }, container, position }, signal);
}

async function followPods(
  kube: KubeClient,
  endpoint: { readonly namespace: string; readonly name: string },
  query: LogQuery,
  signal: AbortSignal,
  on: { readonly follow: (pod: Pod) => void; readonly forget: (pod: Pod) => void },
): Promise<void> {
  for await (const event of listWatch(kube, PODS, podQuery(endpoint, query), signal)) {
    switch (event.type) {
      case 'listed':
        for (const pod of event.objects) on.follow(pod);
        break;
      case 'changed':
        on.follow(event.object);
        break;
      case 'deleted':
        on.forget(event.object);
        break;
      case 'interrupted':
        if (AksmlError.is(event.error, 'kube.forbidden')) throw event.error;
    }
  }
}

/** Resolves when the endpoint is gone. */
async function endOf(
  kube: KubeClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const query = { namespace, fieldSelector: `metadata.name=${name}` };
  for await (const event of listWatch(kube, ENDPOINTS, query, signal)) {
    if (event.type === 'deleted' || (event.type === 'listed' && event.objects.length === 0)) return;
  }
}

async function* matching(
  { pod, container }: LogSource,
  batches: AsyncIterable<PodLogBatch>,
  query: LogQuery,
): AsyncGenerator<readonly TimedLine[], void, undefined> {
  const { name, labels } = pod.metadata;
  const version = labels?.[VERSION_LABEL] ?? '';
  const replica = container === SCORING_CONTAINER ? name : `${name}/${container}`;
  const initEnd = query.init ? readySince(pod) : Number.POSITIVE_INFINITY;
  const { grep } = query;
  for await (const batch of batches) {
    const lines: TimedLine[] = [];
    for (const { time, milliseconds, line, mark } of batch) {
      if (milliseconds > initEnd) return;
      if (grep !== undefined && !line.includes(grep) && mark === undefined) continue;
      lines.push({ version, replica, time, stream: 'stdout', line, milliseconds });
    }
    yield lines;
  }
}

/** A replica is ready when `init()` has returned in every worker. The cluster tells whole seconds. */
function readySince({ status }: Pod): number {
  const ready = status?.conditions?.find(({ type, status: value }) => type === 'Ready' && value === 'True');
  const time = Date.parse(ready?.lastTransitionTime ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time + 1000;
}

async function* lastOf(
  batches: AsyncIterable<readonly TimedLine[]>,
  { lines: count }: LogQuery,
): AsyncGenerator<LogLine, void, undefined> {
  if (count === undefined) {
    for await (const lines of batches) yield* lines.map(told);
    return;
  }
  const ring: TimedLine[] = [];
  let next = 0;
  for await (const lines of batches) {
    for (const line of lines) {
      if (count > 0) ring[next % count] = line;
      next += 1;
    }
  }
  for (let index = Math.max(0, next - count); index < next; index += 1) {
    const line = ring[index % count];
    if (line) yield told(line);
  }
}

function timeOf({ milliseconds }: TimedLine): number {
  return milliseconds;
}

function told({ milliseconds: _, ...line }: TimedLine): LogLine {
  return line;
}
