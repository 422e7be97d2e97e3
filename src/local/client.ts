import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComputeTargetStatus } from '../contract/compute-record.ts';
import type {
  AccessToken,
  ComputeTarget,
  EndpointChange,
  EndpointRequest,
  EndpointSecrets,
  Keys,
  LogLine,
  LogQuery,
  StoredVariables,
} from '../contract/compute-target.ts';
import type { Cause, Endpoint } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import type { EndpointCounters } from '../contract/metrics.ts';
import type { Home } from '../home/home.ts';
import { countersOf } from '../serving/metrics.ts';
import { effectiveShares } from '../serving/traffic.ts';
import { WatchedEndpoints } from '../serving/watched-endpoints.ts';
import type { ApplyRequest, RegenerateRequest, SupervisorStatus } from './control-protocol.ts';
import { damaged, damagedEndpoints, notFound, readEndpointRecords } from './endpoint-store.ts';
import { readGatewayFigures } from './gateway-figures.ts';
import type { LocatedLine, LogRequest } from './log-reader.ts';
import { findReplicaFolders } from './replica-record.ts';
import { SecretStore } from './secret-store.ts';
import { SupervisorConnection } from './supervisor-connection.ts';
import { stoppedMarkPath, supervisorLogPath } from './supervisor-record.ts';

export interface LocalTargetOptions {
  readonly home: Home;
  /** Of this process; the supervisor is started with it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Starts the supervisor: executable and arguments, with absolute paths. */
  readonly command: readonly string[];
  readonly clock: () => Date;
}

/** What `aksml local status` shows. */
export interface LocalStatus {
  /** Present while a supervisor runs. */
  readonly supervisor?: SupervisorStatus;
  /** Stopped on request: endpoints stay known and start again with {@link LocalTarget.start} or the next change. */
  readonly stopped: boolean;
  /** Names of the endpoints there are. */
  readonly endpoints: readonly string[];
  /** Names of the endpoints whose records cannot be read. */
  readonly damaged: readonly string[];
  readonly logFile: string;
}

/** The embedded compute target: endpoints on this machine, looked after by a supervisor that outlives the command. */
export interface LocalTarget extends ComputeTarget {
  localStatus(): Promise<LocalStatus>;
  /** Ends every process of this home. Endpoints stay known. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

const GIB = 1024 ** 3;
const RECONNECT_MS = 200;
const OFFLINE_POLL_MS = 500;
const STOPPED: Cause = {
  code: 'Stopped',
  message: 'The compute target local is stopped.',
  remedy: 'Run "aksml local start".',
};

export function openLocalTarget(options: LocalTargetOptions): LocalTarget {
  return new Client(options);
}

class Client implements LocalTarget {
  readonly name = 'local';
  readonly kind = 'local';
  readonly #options: LocalTargetOptions;
  readonly #connection: SupervisorConnection;

  constructor(options: LocalTargetOptions) {
    this.#options = options;
    this.#connection = new SupervisorConnection(options);
  }

  async listEndpoints(signal?: AbortSignal): Promise<Endpoint[]> {
    const resting = await this.#resting();
    return resting ?? ((await this.#connection.call({ method: 'GET', path: '/endpoints', signal })) as Endpoint[]);
  }

  async getEndpoint(name: string, signal?: AbortSignal): Promise<Endpoint> {
    try {
      const resting = await this.#resting();
      if (!resting) return (await this.#connection.call({ method: 'GET', path: pathOf(name), signal })) as Endpoint;
      const endpoint = resting.find(({ metadata }) => metadata.name === name);
      if (!endpoint) throw notFound(name);
      return endpoint;
    } catch (error) {
      if (!AksmlError.is(error, 'service.notFound')) throw error;
      throw (await damagedEndpoints(this.#options.home)).includes(name) ? damaged(this.#options.home, name) : error;
    }
  }

  async applyEndpoint(endpoint: Endpoint, secrets?: EndpointSecrets, signal?: AbortSignal): Promise<Endpoint> {
    const body: ApplyRequest = { requestId: randomUUID(), endpoint, ...(secrets === undefined ? {} : { secrets }) };
    return (await this.#connection.call({
      method: 'PUT',
      path: pathOf(endpoint.metadata.name),
      body,
      signal,
    })) as Endpoint;
  }

  async deleteEndpoint(name: string, signal?: AbortSignal): Promise<void> {
    const isUnknown = (await this.#resting())?.every(({ metadata }) => metadata.name !== name) ?? false;
    if (isUnknown && !(await damagedEndpoints(this.#options.home)).includes(name)) throw notFound(name);
    await this.#connection.call({ method: 'DELETE', path: pathOf(name), signal }, 'service.notFound');
  }

  async *watchEndpoints(filter: { readonly name?: string }, signal: AbortSignal): AsyncGenerator<EndpointChange> {
    const watched = new WatchedEndpoints();
    const query = filter.name === undefined ? '' : `?name=${encodeURIComponent(filter.name)}`;
    while (!signal.aborted) {
      const resting = await this.#resting();
      if (resting) {
        const mine = resting.filter(({ metadata }) => filter.name === undefined || metadata.name === filter.name);
        yield* watched.listed(mine);
        await sleep(OFFLINE_POLL_MS, undefined, { signal }).catch(() => undefined);
        continue;
      }
      try {
        const stream = this.#connection.stream({ method: 'GET', path: `/watch${query}`, signal });
        for await (const change of stream) yield* watched.take(change as EndpointChange);
      } catch (error) {
        if (signal.aborted) return;
        if (AksmlError.is(error)) throw error;
      }
      watched.interrupted();
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async *readLogs(name: string, query: LogQuery, signal?: AbortSignal): AsyncGenerator<LogLine> {
    if ((await this.#resting())?.every(({ metadata }) => metadata.name !== name)) throw notFound(name);
    const positions: Record<string, number> = {};
    for (let first = true; !signal?.aborted; first = false) {
      const body: LogRequest = first ? query : { ...query, from: positions };
      try {
        const stream = this.#connection.stream({ method: 'POST', path: `${pathOf(name)}/logs`, body, signal });
        for await (const value of stream) {
          const { line, source, end } = value as LocatedLine;
          positions[source] = end;
          yield line;
        }
        return;
      } catch (error) {
        if (signal?.aborted) return;
        if (!first && AksmlError.is(error, 'service.notFound')) return;
        if (AksmlError.is(error)) throw error;
      }
      await sleep(RECONNECT_MS);
    }
  }

  async getSecretVariables({ metadata, spec }: Endpoint): Promise<StoredVariables> {
    const store = new SecretStore(this.#options.home);
    const found = spec.versions.map(
      async ({ name }) => [name, await store.environmentVariables(metadata.name, name)] as const,
    );
    return Object.fromEntries(await Promise.all(found));
  }

  async getKeys(name: string): Promise<Keys> {
    return (await this.#connection.call({ method: 'GET', path: `${pathOf(name)}/keys` })) as Keys;
  }

  async regenerateKey(name: string, which: 'primary' | 'secondary', value?: string): Promise<Keys> {
    const body: RegenerateRequest = { which, ...(value === undefined ? {} : { value }) };
    return (await this.#connection.call({ method: 'POST', path: `${pathOf(name)}/keys`, body })) as Keys;
  }

  async getAccessToken(name: string): Promise<AccessToken> {
    return (await this.#connection.call({ method: 'POST', path: `${pathOf(name)}/token` })) as AccessToken;
  }

  async readCounters(name: string, signal?: AbortSignal): Promise<EndpointCounters> {
    const text = await readGatewayFigures(this.#options.home, signal);
    return { time: performance.now(), versions: countersOf(text, name) };
  }

  /** What the machine has: replicas here reserve nothing of it. */
  async status(): Promise<ComputeTargetStatus> {
    const capacity = { cpu: availableParallelism(), memoryInGB: totalmem() / GIB, gpu: 0 };
    return { reachable: true, nodes: { total: 1, ready: 1 }, capacity };
  }

  async request(
    { metadata, status }: Endpoint,
    { route, headers, body, version }: EndpointRequest,
    signal?: AbortSignal,
  ): Promise<Response> {
    const uri = route === 'score' ? status?.scoringUri : status?.swaggerUri;
    if (uri === undefined) throw noUri(metadata.name, status);
    const init = {
      method: route === 'score' ? 'POST' : 'GET',
      headers: { ...headers, ...(version === undefined ? {} : { 'azureml-model-deployment': version }) },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    };
    try {
      return await fetch(uri, init);
    } catch (error) {
      if (AksmlError.isCancelled(error) || signal?.aborted) throw error;
      throw unreachable(metadata.name, uri, error);
    }
  }

  async localStatus(): Promise<LocalStatus> {
    const running = await this.#connection.isRunning();
    const records = await readEndpointRecords(this.#options.home);
    return {
      ...(running
        ? { supervisor: (await this.#connection.call({ method: 'GET', path: '/status' })) as SupervisorStatus }
        : {}),
      stopped: !running && (await this.#isStopped()),
      endpoints: records.map(({ endpoint }) => endpoint.metadata.name),
      damaged: await damagedEndpoints(this.#options.home),
      logFile: supervisorLogPath(this.#options.home),
    };
  }

  async start(): Promise<void> {
    const { home } = this.#options;
    await rm(stoppedMarkPath(home), { force: true });
    if ((await readEndpointRecords(home)).length > 0) await this.#connection.call({ method: 'GET', path: '/status' });
  }

  async stop(): Promise<void> {
    const { home } = this.#options;
    const hasAnything = (await readEndpointRecords(home)).length > 0 || (await findReplicaFolders(home)).length > 0;
    if (!hasAnything && !(await this.#connection.isRunning())) return;
    if (!(await this.#connection.isRunning()) && (await this.#isStopped())) return;
    // Also when no supervisor runs: only a supervisor knows which processes are left over.
    await this.#connection.call({ method: 'GET', path: '/health' });
    await mkdir(home.local, { recursive: true, mode: 0o700 });
    await writeFile(stoppedMarkPath(home), this.#options.clock().toISOString(), { mode: 0o600 });
    await this.#connection.stop();
  }

  /** What there is when no supervisor runs and none has to: nothing is deployed, or all was stopped on request. */
  async #resting(): Promise<Endpoint[] | undefined> {
    const records = await readEndpointRecords(this.#options.home);
    if (records.length > 0 && !(await this.#isStopped())) return undefined;
    if (await this.#connection.isRunning()) return undefined;
    return records.map(({ endpoint }) => asStopped(endpoint));
  }

  async #isStopped(): Promise<boolean> {
    return existsSync(stoppedMarkPath(this.#options.home));
  }
}

function noUri(name: string, status: Endpoint['status']): AksmlError {
  const { state = 'Transitioning', error } = status ?? {};
  const why = error === undefined ? '' : ` ${error.message}`;
  return new AksmlError('service.noUri', `${name} has no scoring URI: it is ${state}.${why}`, {
    subject: name,
    remedy: error?.remedy ?? `Wait until "aksml service show -n ${name}" says Healthy.`,
  });
}

function unreachable(name: string, uri: string, error: unknown): AksmlError {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return new AksmlError('service.unreachable', `${name} did not answer at ${uri}: ${reason}`, {
    subject: name,
    remedy: `Run the command again in a moment; if it stays so, see "aksml service show -n ${name}".`,
    cause: error,
  });
}

function pathOf(name: string): string {
  return `/endpoints/${encodeURIComponent(name)}`;
}

function asStopped(endpoint: Endpoint): Endpoint {
  const { metadata, spec } = endpoint;
  const shares = effectiveShares(spec.versions);
  return {
    ...endpoint,
    status: {
      observedGeneration: metadata.generation ?? 0,
      state: 'Unhealthy',
      error: STOPPED,
      updatedTime: metadata.creationTimestamp ?? '',
      versions: spec.versions.map(({ name }) => ({
        name,
        state: 'Unhealthy',
        error: STOPPED,
        desiredReplicas: 0,
        updatedReplicas: 0,
        availableReplicas: 0,
        effectiveTraffic: shares.get(name) ?? 0,
        replicas: [],
      })),
    },
  };
}
