import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { openPlace } from '../../scripts/cluster/place.ts';
import { installGoProgram } from '../images/go-program.ts';

const VERSION = '12.13.0';
const MODULE = 'github.com/tsenart/vegeta/v12';
const folder = join(openPlace().cache, `vegeta-${VERSION}`);
/** Connections are made, and code is warm, after this. Seconds. */
const WARM_UP = 0.5;
const BODY = '{"data": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}';

export interface OpenLoopOptions {
  /** Each in its turn. */
  readonly urls: readonly string[];
  readonly key: string;
  /** Requests a second, sent whatever becomes of those before. */
  readonly rate: number;
  readonly seconds: number;
  readonly connections: number;
}

export interface OpenLoopResult {
  /** Those that warm up included. */
  readonly sent: number;
  readonly requests: number;
  readonly failed: number;
  /** Milliseconds. */
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * Scoring requests at a constant rate, by vegeta: a generator in Node has milliseconds of its own in the 99th percentile. It collects no garbage in
 * so short a run. A latency counts from when a request was sent. Needs Go, the first time.
 */
export async function openLoop({ urls, key, rate, seconds, connections }: OpenLoopOptions): Promise<OpenLoopResult> {
  await installGoProgram(`${MODULE}@v${VERSION}`, folder);
  const made = await mkdtemp(join(tmpdir(), 'aksml-open-loop-'));
  try {
    const output = join(made, 'results.bin');
    const options = {
      format: 'json',
      rate: String(rate),
      duration: `${seconds + WARM_UP}s`,
      workers: String(connections),
      connections: String(connections),
      'max-connections': String(connections),
      http2: 'false',
      'max-body': '0',
      output,
    };
    const args = Object.entries(options).map(([name, value]) => `-${name}=${value}`);
    const attack = promisify(execFile)(join(folder, 'vegeta'), ['attack', ...args], {
      env: { ...process.env, GOMAXPROCS: '2', GOGC: 'off' },
    });
    attack.child.stdin?.end(urls.map((url) => `${targetOf(url, key)}\n`).join(''));
    await attack;
    const outcomes = await outcomesIn(output);
    return { sent: outcomes.length, ...resultOf(outcomes.filter(({ after }) => after > WARM_UP)) };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

interface Outcome {
  /** Seconds since the first request. */
  readonly after: number;
  readonly ok: boolean;
  readonly latency: number;
}

function targetOf(url: string, key: string): string {
  const header = { authorization: [`Bearer ${key}`], 'content-type': ['application/json'] };
  return JSON.stringify({ method: 'POST', url, header, body: Buffer.from(BODY).toString('base64') });
}

async function outcomesIn(file: string): Promise<Outcome[]> {
  const encode = spawn(join(folder, 'vegeta'), ['encode', '-to', 'csv', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(encode, 'close');
  const outcomes: Outcome[] = [];
  let begun: number | undefined;
  for await (const line of createInterface({ input: encode.stdout })) {
    const [at, status, nanoseconds] = line.split(',', 3).map(Number);
    begun ??= Number(at);
    outcomes.push({ after: (Number(at) - begun) / 1e9, ok: status === 200, latency: Number(nanoseconds) / 1e6 });
  }
  await closed;
  return outcomes;
}

function resultOf(outcomes: readonly Outcome[]): Omit<OpenLoopResult, 'sent'> {
  const sorted = outcomes.map(({ latency }) => latency).sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return {
    requests: sorted.length,
    failed: outcomes.filter(({ ok }) => !ok).length,
    mean: sorted.reduce((a, b) => a + b, 0) / sorted.length,
    p50: at(0.5),
    p99: at(0.99),
  };
}
