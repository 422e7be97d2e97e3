import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';
import type {
  GatewayConfiguration,
  GatewayEndpoint,
  GatewayReplica,
  GatewaySample,
  ReplicaSample,
} from './gateway-protocol.ts';
import { gatewayTokenPath, readGatewayRecord } from './gateway-record.ts';
import { callLoopback, type LoopbackAddress, type LoopbackAnswer, streamLoopback } from './loopback-http.ts';

export interface DataPlaneOptions {
  readonly home: Home;
  /** Starts a gateway. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onSample: (sample: GatewaySample) => void;
  /** What is in force, or which listeners are open, is different. */
  readonly onChange: () => void;
  readonly log: (line: string) => void;
}

/** Where a gateway of this home answers, and that it is ours. */
interface GatewayContact {
  readonly address: LoopbackAddress;
  readonly pid: number;
}

/** The last configuration that the gateway has taken. */
interface InForce {
  readonly version: number;
  readonly ready: ReadonlySet<string>;
  readonly draining: ReadonlySet<string>;
}

const NOTHING: InForce = { version: 0, ready: new Set(), draining: new Set() };
const START_TIMEOUT_MS = 20_000;
const RETRY_MS = 100;
const SETTLE_POLL_MS = 5;
const SHARED_PORT_PATIENCE_MS = 5000;
const TAKEN_PORT_RETRY_MS = 3000;

/**
 * The supervisor's side of the gateway: finds the running one or starts one, keeps it configured, and listens to its samples.
 * The last configuration published is in force again within a moment after a gateway was killed.
 */
export class DataPlane {
  readonly #options: DataPlaneOptions;
  readonly #stopping = new AbortController();
  #wanted: readonly GatewayEndpoint[] | undefined;
  #wantedVersion = 0;
  #force: InForce = NOTHING;
  #wake = Promise.withResolvers<void>();
  #port: number;
  #contact: GatewayContact | undefined;
  #sample: GatewaySample | undefined;
  /** Which replicas a sample taken since the last configuration showed. */
  #sampledVersion = 0;
  #replicas = new Map<string, ReplicaSample>();
  /** Endpoints whose own port is taken by another program. */
  #blocked: ReadonlyMap<string, string> = new Map();
  #running: Promise<void> | undefined;

  /** `port`: the shared listener's, 0 for any; see {@link DataPlane.readPort}. */
  constructor(options: DataPlaneOptions, port: number) {
    this.#options = options;
    this.#port = port;
  }

  /** The port of this home's shared listener, which stays the same over restarts; 0 if there was none yet. */
  static async readPort(home: Home): Promise<number> {
    try {
      return Number(JSON.parse(await readFile(portPath(home), 'utf8')).port);
    } catch {
      return 0;
    }
  }

  /** The shared listener's port; undefined until it was opened for the first time. */
  get port(): number | undefined {
    return this.#port === 0 ? undefined : this.#port;
  }
  get pid(): number | undefined {
    return this.#contact?.pid;
  }
  get sample(): GatewaySample | undefined {
    return this.#sample;
  }

  /** Why an endpoint's own port is not open. */
  portProblem(endpoint: string): string | undefined {
    return this.#blocked.get(endpoint);
  }

  /** Tries an endpoint's own port again at once, without judging by the attempt before. */
  retryPort(endpoint: string): void {
    if (!this.#blocked.has(endpoint)) return;
    this.#blocked = new Map([...this.#blocked].filter(([name]) => name !== endpoint));
    this.#wantedVersion += 1;
    this.#wake.resolve();
  }

  /** Makes these endpoints the ones that are served; the latest call wins. Starts the gateway if need be. */
  publish(endpoints: readonly GatewayEndpoint[]): void {
    if (JSON.stringify(endpoints) === JSON.stringify(this.#wanted)) return;
    this.#wanted = endpoints;
    this.#wantedVersion += 1;
    this.#wake.resolve();
    // Nothing to serve is no reason to start a gateway, but one to tell it to a gateway that runs.
    if (endpoints.length > 0 || this.#port !== 0) this.#running ??= this.#run();
  }

  /** Returns once what was published last is in force, or after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.#force.version !== this.#wantedVersion && performance.now() < deadline) await sleep(SETTLE_POLL_MS);
  }

  /** Whether nothing is at the replica; undefined when no recent sample tells. */
  isIdle(id: string): boolean | undefined {
    if (!this.#sample) return undefined;
    return (this.#replicas.get(id)?.inFlight ?? 0) === 0;
  }

  /** Whether new requests may go to a replica. */
  isRouted(id: string): boolean {
    return this.#force.ready.has(id);
  }

  /** Whether a replica gets nothing new and has finished what it had. */
  isDrained(id: string): boolean {
    const inForce = this.#force.draining.has(id) && this.#sampledVersion >= this.#force.version;
    return inForce && this.isIdle(id) === true;
  }

  /** Lets go of the gateway, which goes on serving. */
  async release(): Promise<void> {
    this.#stopping.abort();
    this.#wake.resolve();
    await this.#running;
  }

  /** Ends the gateway; returns once it is gone. */
  async stop(): Promise<void> {
    await this.release();
    const contact = await findGateway(this.#options.home);
    if (!contact) return;
    await callLoopback(contact.address, { method: 'POST', path: '/stop', timeoutMs: 5000 }).catch(() => undefined);
    for (let tries = 0; tries < 100 && (await findGateway(this.#options.home)); tries++) await sleep(50);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const contact = (await findGateway(this.#options.home)) ?? (await this.#start());
        this.#contact = contact;
        await this.#serve(contact);
      } catch (error) {
        if (!signal.aborted) this.#options.log(`gateway: ${error instanceof Error ? error.message : String(error)}`);
      }
      this.#contact = undefined;
      this.#sample = undefined;
      this.#force = NOTHING;
      this.#options.onChange();
      if (!signal.aborted) await sleep(RETRY_MS);
    }
  }

  /** Configures it and listens to it, until one of the two fails. */
  async #serve({ address }: GatewayContact): Promise<void> {
    const broken = new AbortController();
    const signal = AbortSignal.any([broken.signal, this.#stopping.signal]);
    try {
      await Promise.race([this.#configure(address, signal), this.#listen(address, signal)]);
    } finally {
      broken.abort();
    }
  }

  async #configure(address: LoopbackAddress, signal: AbortSignal): Promise<void> {
    let inForce: number | undefined;
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      const version = this.#wantedVersion;
      if (inForce !== version) {
        const served = await this.#apply(address, this.#wanted ?? [], signal);
        this.#force = { version, ready: idsIn(served, 'ready'), draining: idsIn(served, 'draining') };
        inForce = version;
        this.#options.onChange();
      }
      if (this.#wantedVersion !== version) continue;
      if (this.#blocked.size === 0) await this.#wake.promise;
      else {
        await Promise.race([this.#wake.promise, sleep(TAKEN_PORT_RETRY_MS, undefined, { signal })]);
        inForce = undefined;
      }
    }
  }

  /** Puts what can be put: an endpoint whose own port another program has must not keep the others from being served. */
  async #apply(
    address: LoopbackAddress,
    all: readonly GatewayEndpoint[],
    signal: AbortSignal,
  ): Promise<readonly GatewayEndpoint[]> {
    const blocked = new Map<string, string>();
    const began = performance.now();
    for (;;) {
      const endpoints = all.filter(({ name }) => !blocked.has(name));
      const answer = await this.#put(address, { port: this.#port, endpoints }, signal);
      if (answer.status === 204) break;
      if (answer.status !== 409)
        throw new Error(`It answered ${answer.status} to its configuration: ${JSON.stringify(answer.body)}`);
      const { listener, message } = answer.body as { readonly listener?: unknown; readonly message?: unknown };
      const taken = endpoints.find(({ name, ownPort }) => listener === name || Number(listener) === ownPort);
      if (taken) blocked.set(taken.name, String(message));
      else {
        // Nobody chose this port; a service on another one is better than none.
        if (performance.now() - began > SHARED_PORT_PATIENCE_MS) this.#port = 0;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
    this.#blocked = blocked;
    return all.filter(({ name }) => !blocked.has(name));
  }

  #put(address: LoopbackAddress, configuration: GatewayConfiguration, signal: AbortSignal): Promise<LoopbackAnswer> {
    return callLoopback(address, {
      method: 'PUT',
      path: '/configuration',
      body: configuration,
      signal,
      timeoutMs: 30_000,
    });
  }

  async #listen(address: LoopbackAddress, signal: AbortSignal): Promise<void> {
    const refusal = ({ status }: LoopbackAnswer) =>
      new Error(`The gateway answered ${status} to a request for samples.`);
    const stream = streamLoopback(
      address,
      { method: 'GET', path: '/samples?stream=1', signal, timeoutMs: 10_000 },
      refusal,
    );
    let expected = this.#force.version;
    for await (const value of stream) {
      const sample = value as GatewaySample;
      this.#sample = sample;
      this.#replicas = new Map(
        sample.versions.flatMap(({ replicas }) => replicas.map((replica) => [replica.id, replica] as const)),
      );
      // The sample at hand may have been taken before the newest configuration; the one after it was not.
      this.#sampledVersion = expected;
      expected = this.#force.version;
      if (sample.port !== 0 && sample.port !== this.#port) {
        this.#port = sample.port;
        await writePort(this.#options.home, sample.port);
        this.#options.onChange();
      }
      this.#options.onSample(sample);
    }
    throw new Error('The gateway is gone.');
  }

  async #start(): Promise<GatewayContact> {
    const { home, command, environment } = this.#options;
    const [program, ...args] = command;
    if (program === undefined) throw new TypeError('The gateway command is empty.');
    const logFile = join(home.local, 'logs', 'gateway-output.log');
    await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
    const log = await open(logFile, 'a', 0o600);
    const child = spawn(program, args, {
      env: environment,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      windowsHide: true,
    });
    await once(child, 'spawn').finally(() => log.close());
    child.unref();
    let exited = false;
    child.once('exit', () => {
      exited = true;
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    // Also when this supervisor is to stop meanwhile: what was started must be known, to be ended.
    while (performance.now() < deadline) {
      const contact = await findGateway(home);
      if (contact) return contact;
      if (exited) break;
      await sleep(20);
    }
    throw new Error(`It did not start; see ${logFile}.`);
  }
}

/** The running gateway of this home, if it answers to our token. */
async function findGateway(home: Home): Promise<GatewayContact | undefined> {
  const record = await readGatewayRecord(home);
  const token = await readFile(gatewayTokenPath(home), 'utf8').catch(() => undefined);
  if (!record || token === undefined) return undefined;
  const address = { port: record.adminPort, token: token.trim() };
  try {
    const { status } = await callLoopback(address, { method: 'GET', path: '/samples', timeoutMs: 2000 });
    return status === 200 ? { address, pid: record.pid } : undefined;
  } catch {
    return undefined;
  }
}

function idsIn(endpoints: readonly GatewayEndpoint[], wanted: GatewayReplica['state']): Set<string> {
  const replicas = endpoints.flatMap(({ versions }) => versions.flatMap((version) => version.replicas));
  return new Set(replicas.filter(({ state }) => state === wanted).map(({ id }) => id));
}

function portPath(home: Home): string {
  return join(home.local, 'port.json');
}

async function writePort(home: Home, port: number): Promise<void> {
  await writeFileAtomic(portPath(home), JSON.stringify({ port }));
}
