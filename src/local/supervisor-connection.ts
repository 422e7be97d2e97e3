import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../contract/error.ts';
import type { Home } from '../home/home.ts';
import { withLock } from '../home/lock.ts';
import { CONTROL_PROTOCOL, type Refusal, VERSION } from './control-protocol.ts';
import {
  callLoopback,
  type LoopbackAddress,
  type LoopbackAnswer,
  type LoopbackRequest,
  streamLoopback,
} from './loopback-http.ts';
import { type FoundSupervisor, findSupervisor, stoppedMarkPath } from './supervisor-record.ts';

export interface ConnectionOptions {
  readonly home: Home;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Starts the supervisor: executable and arguments, with absolute paths. */
  readonly command: readonly string[];
}

const START_TIMEOUT_MS = 30_000;
const START_POLL_MS = 10;
const RECONNECT_MS = 100;
const MAX_ATTEMPTS = 5;

/** The way to this home's supervisor, whoever started it; starts one when it is needed and there is none. */
export class SupervisorConnection {
  readonly #options: ConnectionOptions;
  #address: LoopbackAddress | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Whether a supervisor runs; never starts one. */
  async isRunning(): Promise<boolean> {
    return (await this.#find()) !== undefined;
  }

  /**
   * The answer's body. A request is sent again when its answer is lost; `doneBefore` names the error that then means that the first one
   * had been carried out.
   * @throws AksmlError what the supervisor answered, or `supervisor.unreachable`
   */
  async call(request: LoopbackRequest, doneBefore?: string): Promise<unknown> {
    let failure: unknown;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const address = await this.#reach(request.signal);
      try {
        const answer = await callLoopback(address, request);
        if (answer.status < 300) return answer.body;
        if (answer.status !== 401) throw asError(answer);
      } catch (error) {
        if (attempt > 0 && doneBefore !== undefined && AksmlError.is(error, doneBefore)) return undefined;
        if (AksmlError.is(error)) throw error;
        if (request.signal?.aborted) throw AksmlError.cancelled('The request');
        failure = error;
      }
      // It is gone, or another program has its port by now.
      this.#address = undefined;
      await sleep(RECONNECT_MS);
    }
    throw unreachable(this.#options.home, failure);
  }

  /** Ends everything. Returns once the supervisor is gone. */
  async stop(): Promise<void> {
    const address = await this.#reach(undefined);
    // The supervisor may be gone before its answer is out.
    await callLoopback(address, { method: 'POST', path: '/stop' }).catch(() => undefined);
    this.#address = undefined;
    while (await this.isRunning()) await sleep(RECONNECT_MS);
  }

  /** Lines of JSON until the supervisor ends the stream. Throws what it refused with; any other error means that the connection broke. */
  async *stream(request: LoopbackRequest): AsyncGenerator<unknown> {
    const address = await this.#reach(request.signal);
    try {
      for await (const value of streamLoopback(address, request, asError)) {
        if (isRefusal(value)) throw AksmlError.fromJSON(value.error);
        yield value;
      }
    } catch (error) {
      if (!AksmlError.is(error) || error.code === 'supervisor.token') this.#address = undefined;
      throw error;
    }
  }

  async #reach(signal: AbortSignal | undefined): Promise<LoopbackAddress> {
    this.#address ??= (await this.#find()) ?? (await this.#start(signal));
    return this.#address;
  }

  /** One of another version hands over first. */
  async #find(): Promise<LoopbackAddress | undefined> {
    const found = await findSupervisor(this.#options.home);
    if (!found || isOurVersion(found)) return found?.address;
    await callLoopback(found.address, { method: 'POST', path: '/retire', timeoutMs: 10_000 }).catch(() => undefined);
    return undefined;
  }

  #start(signal: AbortSignal | undefined): Promise<LoopbackAddress> {
    const { home } = this.#options;
    return withLock(
      home,
      'supervisor-start',
      async () => {
        await rm(stoppedMarkPath(home), { force: true });
        return (await this.#find()) ?? (await this.#spawn());
      },
      signal ? { signal } : {},
    );
  }

  async #spawn(): Promise<LoopbackAddress> {
    const { home, command, environment } = this.#options;
    const [program, ...args] = command;
    if (program === undefined) throw new TypeError('The supervisor command is empty.');
    const folder = join(home.local, 'logs');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const output = await open(join(folder, 'supervisor-output.log'), 'w', 0o600);
    const child = spawn(program, args, {
      cwd: home.root,
      env: { ...environment, AKSML_HOME: home.root },
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      windowsHide: true,
    });
    const spawned = once(child, 'spawn');
    let ended = false;
    child.once('exit', () => {
      ended = true;
    });
    await spawned
      .catch((error: unknown) => {
        throw unreachable(home, error);
      })
      .finally(() => output.close());
    child.unref();
    for (
      const deadline = performance.now() + START_TIMEOUT_MS;
      performance.now() < deadline;
      await sleep(START_POLL_MS)
    ) {
      const found = await this.#find();
      if (found) return found;
      if (ended) break;
    }
    throw unreachable(home, undefined, await lastOutput(folder));
  }
}

function isOurVersion({ health }: FoundSupervisor): boolean {
  return health.protocol === CONTROL_PROTOCOL && health.version === VERSION;
}

function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'error' in value;
}

function asError({ status, body }: LoopbackAnswer): AksmlError {
  if (isRefusal(body)) return AksmlError.fromJSON(body.error);
  return new AksmlError('supervisor.failed', `The supervisor answered with status ${status}.`);
}

function unreachable(home: Home, cause: unknown, logTail: readonly string[] = []): AksmlError {
  const why = cause instanceof Error ? `: ${cause.message}` : '.';
  return new AksmlError('supervisor.unreachable', `The supervisor of the compute target local does not run${why}`, {
    remedy: `See ${join(home.local, 'logs')}, then run the command again.`,
    logTail,
    cause,
  });
}

async function lastOutput(folder: string): Promise<string[]> {
  const read = async (name: string) => {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .slice(-10);
  };
  return [...(await read('supervisor-output.log')), ...(await read('supervisor.log'))];
}
