import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Of each client, a second. */
const CLIENT_RATE = 100;
/** What a call takes about: a client pauses so much less. Milliseconds. */
const CALL_MS = 0.2;
const BODY = '{"data": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}';

export interface PacedLoadOptions {
  /** Each in its turn; all of one origin. */
  readonly urls: readonly string[];
  readonly key: string;
  /** Requests a second, of all clients together. */
  readonly rate: number;
  readonly seconds: number;
  /** What the generator is started by, such as `taskset -c 1`. */
  readonly startedBy?: readonly string[];
}

export interface PacedLoadResult {
  readonly requests: number;
  readonly failed: number;
  /** Requests a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * Scoring requests of many clients, each with a connection of its own, who pause at random (exponentially distributed) between an answer and their
 * next request: so they come as those of independent people do. By wrk, which is one thread of C: generators in Node and Go have tens of
 * milliseconds of their own in the 99th percentile where they share cores with what they measure.
 */
export async function pacedLoad(options: PacedLoadOptions): Promise<PacedLoadResult> {
  const { urls, rate, seconds, startedBy = [] } = options;
  const [url = ''] = urls;
  const folder = await mkdtemp(join(tmpdir(), 'aksml-paced-load-'));
  try {
    const script = join(folder, 'load.lua');
    await writeFile(script, scriptOf(options));
    const clients = Math.round(rate / CLIENT_RATE);
    const [program = 'wrk', ...args] = [...startedBy, 'wrk'];
    const { stdout } = await promisify(execFile)(program, [
      ...[...args, '-t', '1', '-c', String(clients), '-d', `${seconds}s`, '-s', script, url],
    ]);
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scriptOf({ urls, key }: PacedLoadOptions): string {
  const paths = urls.map((url) => JSON.stringify(new URL(url).pathname));
  return `
wrk.method = "POST"
wrk.body = ${JSON.stringify(BODY)}
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = ${JSON.stringify(`Bearer ${key}`)}
local paths = { ${paths.join(', ')} }
local turn = 0
function request()
  turn = turn % #paths + 1
  return wrk.format(nil, paths[turn])
end
function delay()
  return math.floor(0.5 - ${1000 / CLIENT_RATE - CALL_MS} * math.log(1 - math.random()))
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests":%d,"failed":%d,"rate":%f,"mean":%f,"p50":%f,"p99":%f}\\n', summary.requests, failed,
    summary.requests / summary.duration * 1e6, latency.mean / 1000, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
`;
}
