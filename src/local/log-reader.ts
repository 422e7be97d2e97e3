import { setTimeout as sleep } from 'node:timers/promises';
import type { LogLine, LogQuery } from '../contract/compute-target.ts';
import type { LogStream, RawLine } from './log-stream.ts';

/** One stream of one replica, present or past. */
export interface LogSource {
  readonly version: string;
  readonly replica: string;
  readonly stream: 'stdout' | 'stderr';
  readonly log: LogStream;
  /** Milliseconds since the epoch when `init()` had returned in every worker; absent while it has not. */
  readonly initEnd?: number;
}

/** How far each stream was read, by {@link sourceKey}. */
export type LogPositions = Readonly<Record<string, number>>;

/** A line and where reading can go on after it. */
export interface LocatedLine {
  readonly line: LogLine;
  readonly source: string;
  readonly end: number;
}

export interface LogRequest extends LogQuery {
  /** Goes on from here, as after a broken connection. */
  readonly from?: LogPositions;
}

const FOLLOW_MS = 150;

export function sourceKey(source: LogSource): string {
  return `${source.version}/${source.replica}/${source.stream}`;
}

/**
 * Lines of all sources, merged by time; each stream keeps its own order. Reads as it goes: memory does not grow with the logs, only with
 * `lines`. `sources` is asked again and again while following, so that new replicas join; undefined ends the following.
 */
export async function* readLogs(
  sources: () => readonly LogSource[] | undefined,
  query: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LocatedLine> {
  const scanned = new Map(Object.entries(query.from ?? {}));
  const present = select(sources() ?? [], query);
  for (const source of present) scanned.set(sourceKey(source), await startOf(source, query));
  const merged = merge(present, scanned, query, query.follow !== true);
  yield* query.lines === undefined || query.from ? merged : lastOf(merged, query.lines);
  if (query.follow) yield* follow(sources, query, scanned, signal);
}

async function* follow(
  sources: () => readonly LogSource[] | undefined,
  query: LogRequest,
  scanned: Map<string, number>,
  signal: AbortSignal,
): AsyncGenerator<LocatedLine> {
  while (!signal.aborted) {
    const present = sources();
    if (!present) return;
    const growing: LogSource[] = [];
    for (const source of select(present, query)) {
      if ((await source.log.end()) > (scanned.get(sourceKey(source)) ?? 0)) growing.push(source);
    }
    yield* merge(growing, scanned, query, false);
    await sleep(FOLLOW_MS, undefined, { signal }).catch(() => undefined);
  }
}

function select(sources: readonly LogSource[], query: LogQuery): LogSource[] {
  return sources.filter(
    (source) =>
      (query.version === undefined || source.version === query.version) &&
      (query.replica === undefined || source.replica === query.replica),
  );
}

async function startOf(source: LogSource, query: LogRequest): Promise<number> {
  const from = query.from?.[sourceKey(source)];
  if (from !== undefined) return from;
  const filtered = query.grep || query.since || query.init || query.from;
  return query.lines === undefined || filtered ? 0 : source.log.tailStart(query.lines);
}

interface Head {
  readonly source: LogSource;
  readonly rest: AsyncIterator<RawLine>;
  next: RawLine;
  /** A line that claims to be older than its predecessor does not overtake it. */
  order: number;
}

async function* merge(
  sources: readonly LogSource[],
  scanned: Map<string, number>,
  query: LogQuery,
  partial: boolean,
): AsyncGenerator<LocatedLine> {
  const heads: Head[] = [];
  for (const source of sources) {
    const rest = matching(source, scanned, query, partial);
    const first = await rest.next();
    if (!first.done) heads.push({ source, rest, next: first.value, order: first.value.time });
  }
  while (heads.length > 0) {
    const head = heads.reduce((earliest, other) => (other.order < earliest.order ? other : earliest));
    yield located(head);
    const following = await head.rest.next();
    if (following.done) heads.splice(heads.indexOf(head), 1);
    else {
      head.next = following.value;
      head.order = Math.max(head.order, following.value.time);
    }
  }
}

/** The lines that the query wants; `scanned` moves on over the others too. */
async function* matching(
  source: LogSource,
  scanned: Map<string, number>,
  query: LogQuery,
  partial: boolean,
): AsyncGenerator<RawLine> {
  const key = sourceKey(source);
  const since = query.since === undefined ? undefined : Date.parse(query.since);
  for await (const line of source.log.lines(scanned.get(key) ?? 0, partial)) {
    scanned.set(key, line.end);
    if (query.init && source.initEnd !== undefined && line.time > source.initEnd) return;
    if (since !== undefined && line.time <= since) continue;
    if (query.grep && !line.text.includes(query.grep)) continue;
    yield line;
  }
}

function located({ source, next }: Head): LocatedLine {
  return {
    line: {
      version: source.version,
      replica: source.replica,
      time: new Date(next.time).toISOString(),
      stream: source.stream,
      line: next.text,
    },
    source: sourceKey(source),
    end: next.end,
  };
}

async function* lastOf(lines: AsyncGenerator<LocatedLine>, count: number): AsyncGenerator<LocatedLine> {
  const ring: LocatedLine[] = [];
  let next = 0;
  if (count <= 0) return;
  for await (const line of lines) {
    ring[next % count] = line;
    next += 1;
  }
  for (let index = Math.max(0, next - count); index < next; index++) {
    const line = ring[index % count];
    if (line) yield line;
  }
}
