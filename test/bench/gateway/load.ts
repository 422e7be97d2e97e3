/**
 * A load generator in a process of its own: `node load.ts '{"port":…,"path":…}'` prints a {@link LoadResult} as JSON.
 * At a constant rate it is open-loop: a request is due at its time, whatever became of those before, and its latency counts from then.
 */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';

export interface LoadOptions {
  readonly port: number;
  /** Or several, each in its turn. */
  readonly path: string | readonly string[];
  readonly key?: string;
  readonly seconds: number;
  /** Requests a second; absent: as fast as `connections` answer. */
  readonly rate?: number;
  readonly connections: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
}

const BODY = '{"data": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}';

class Connection {
  readonly #socket: Socket;
  readonly #requests: readonly Buffer[];
  readonly #done: (connection: Connection, due: number, ok: boolean) => void;
  #due = 0;
  #sent = Math.floor(Math.random() * 1000);
  #received = '';

  constructor(options: LoadOptions, done: (connection: Connection, due: number, ok: boolean) => void) {
    const authorization = options.key === undefined ? '' : `authorization: Bearer ${options.key}\r\n`;
    const rest = `host: localhost\r\ncontent-type: application/json\r\n${authorization}content-length: ${BODY.length}\r\n\r\n${BODY}`;
    this.#requests = [options.path].flat().map((path) => Buffer.from(`POST ${path} HTTP/1.1\r\n${rest}`));
    this.#done = done;
    this.#socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (chunk: string) => this.#receive(chunk));
  }

  send(due: number): void {
    this.#due = due;
    this.#received = '';
    this.#socket.write(this.#requests[this.#sent % this.#requests.length] ?? '');
    this.#sent += 1;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#received += chunk;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#received)?.[1]);
    if (this.#received.length < end + 4 + length) return;
    this.#done(this, this.#due, this.#received.startsWith('HTTP/1.1 200 '));
  }
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  const idle: Connection[] = [];
  const late: number[] = [];
  let failed = 0;
  const warmUp = 0.2 * options.seconds * 1000;
  const start = performance.now() + 200;
  const end = start + warmUp + options.seconds * 1000;
  const { promise: over, resolve } = Promise.withResolvers<void>();

  const done = (connection: Connection, due: number, ok: boolean) => {
    const now = performance.now();
    if (due >= start + warmUp) latencies.push(now - due);
    if (!ok) failed += 1;
    const next = options.rate === undefined ? now : late.shift();
    if (now >= end) resolve();
    else if (next === undefined) idle.push(connection);
    else connection.send(next);
  };
  const connections = Array.from({ length: options.connections }, () => new Connection(options, done));
  await new Promise((ready) => setTimeout(ready, 200));
  if (options.rate === undefined) for (const connection of connections) connection.send(performance.now());
  else {
    idle.push(...connections);
    sendAtRate(options.rate, start, end, (due) => {
      const connection = idle.pop();
      if (connection) connection.send(due);
      else late.push(due);
    });
  }
  await over;
  for (const connection of connections) connection.close();
  latencies.sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? Number.NaN;
  return {
    requests: latencies.length,
    failed,
    perSecond: latencies.length / options.seconds,
    p50: at(0.5),
    p99: at(0.99),
    mean: latencies.reduce((a, b) => a + b, 0) / latencies.length,
  };
}

function sendAtRate(rate: number, start: number, end: number, send: (due: number) => void): void {
  let sent = 0;
  const tick = () => {
    const now = performance.now();
    for (let due = start + (sent * 1000) / rate; due <= now; due = start + (sent * 1000) / rate) {
      send(due);
      sent += 1;
    }
    if (now < end) setTimeout(tick, 0);
  };
  tick();
}

/** By a process of its own. */
export async function generateLoad(options: LoadOptions): Promise<LoadResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

if (import.meta.main) console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '{}'))));
