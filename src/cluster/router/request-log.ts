import { createSocket, type Socket } from 'node:dgram';
import type { ReplicaRecord } from './aversion.ts';
import { LATENCY_BOUNDS_MS } from './routing-table.ts';

/** What has come of the requests of one backend since the router began. */
export interface Outcome {
  /** Those that replicas are done with. */
  completed: number;
  /** Of those, 5xx and those without an answer. */
  failed: number;
  /** Those that were turned away: their time in the queue was over, or there was no replica. */
  refused: number;
  /** By {@link LATENCY_BOUNDS_MS}; what took longer than the last bound is at the end. */
  readonly latency: number[];
  /** By servers, since they were taken last. */
  servers: Map<string, { completed: number; failed: number }>;
}

/** Only the machine's own HAProxy reaches the port, so that lines of others are at worst wrong figures. */
const HOST = '127.0.0.1';
/** How often it is decided anew of how many requests to be told. Milliseconds. */
export const TELLING_MS = 100;
/** In that time. */
const MOST_LINES = 50;
/** The share is doubled below this, so that it does not go to and fro. */
const FEW_LINES = 20;
const SMALLEST_SHARE = 1 / 1024;
const LINE = /^(\S+) (\S+) (-?\d+) (-?\d+) (-?\d+) (\S+)$/;

/** Counts what HAProxy says of each request at its end: `BACKEND SERVER STATUS WAITED_MS TAKEN_MS ENDING`. */
export class RequestLog {
  readonly #socket: Socket;
  readonly #outcomes = new Map<string, Outcome>();
  /** How many requests a line stands for. */
  #weight = 1;
  #lines = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (line) => this.count(line.toString('latin1')));
  }

  static async listen(port: number): Promise<RequestLog> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, HOST, resolve);
    });
    return new RequestLog(socket);
  }

  get outcomes(): ReadonlyMap<string, Outcome> {
    return this.#outcomes;
  }

  count(line: string): void {
    this.#lines += 1;
    const found = LINE.exec(line.trimEnd());
    if (!found) return;
    const [, backend = '', server = '', status = '', , taken = '', ending = ''] = found;
    const outcome = this.#of(backend);
    if (server === 'elsewhere') return;
    // In the queue, or while connecting, it met no replica.
    if (server === '<NOSRV>' || /^.[QC]/.test(ending)) {
      outcome.refused += this.#weight;
      return;
    }
    outcome.completed += this.#weight;
    const failed = Number(status) >= 500 || Number(status) < 0;
    if (failed) outcome.failed += this.#weight;
    const record = outcome.servers.get(server) ?? { completed: 0, failed: 0 };
    outcome.servers.set(server, { completed: record.completed + 1, failed: record.failed + Number(failed) });
    const bucket = bucketOf(Number(taken));
    outcome.latency[bucket] = (outcome.latency[bucket] ?? 0) + this.#weight;
  }

  /**
   * The part of all requests, a power of two and at most 1, that HAProxy shall tell of from now on, so that telling costs little however many
   * there are. To be asked every {@link TELLING_MS}; from then on a line stands for so many more.
   */
  nextShare(): number {
    const lines = this.#lines;
    this.#lines = 0;
    let share = 1 / this.#weight;
    for (let told = lines; told > MOST_LINES && share > SMALLEST_SHARE; told /= 2) share /= 2;
    if (lines < FEW_LINES) share = Math.min(1, 2 * share);
    this.#weight = 1 / share;
    return share;
  }

  /** What came of the requests of each server of each backend since the last call. */
  takeServers(): ReadonlyMap<string, ReadonlyMap<string, ReplicaRecord>> {
    const taken = new Map([...this.#outcomes].map(([backend, { servers }]) => [backend, servers] as const));
    for (const outcome of this.#outcomes.values()) outcome.servers = new Map();
    return taken;
  }

  close(): void {
    this.#socket.close();
  }

  #of(backend: string): Outcome {
    const known = this.#outcomes.get(backend);
    if (known) return known;
    const latency = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
    const fresh = { completed: 0, failed: 0, refused: 0, latency, servers: new Map() };
    this.#outcomes.set(backend, fresh);
    return fresh;
  }
}

function bucketOf(milliseconds: number): number {
  const at = LATENCY_BOUNDS_MS.findIndex((bound) => milliseconds <= bound);
  return at < 0 ? LATENCY_BOUNDS_MS.length : at;
}
