import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cause, LivenessProbe, ReplicaStatus } from '../contract/endpoint.ts';
import { causeOfExit } from '../serving/exit-cause.ts';
import { watchLiveness } from './liveness.ts';
import { LogStream } from './log-stream.ts';
import { answersAt, lastObservation, type Observation, observeRoute, observeStatus } from './readiness.ts';
import type { ReplicaLaunch } from './replica-launch.ts';
import { endProcess, type ProcessExit, type ReplicaProcess, startProcess } from './replica-process.ts';
import { type ReplicaRecord, readLauncherStatus, STATUS_FILE, writeReplicaRecord } from './replica-record.ts';

/** What a replica needs of its surroundings. */
export interface ReplicaHost {
  readonly clock: () => Date;
  /** Prepares a start. @throws CauseError when there is nothing that could be started. */
  launch(replica: ReplicaRecord, folder: string): Promise<ReplicaLaunch>;
  livenessProbe(): LivenessProbe;
  /** Whether no request is at the replica; undefined when that is not known. */
  isIdle(id: string): boolean | undefined;
  /** Something that shows in the endpoint's status, or that the gateway must know, is different. */
  changed(): void;
  readonly readinessTimeoutMs: number;
}

/** Thrown by {@link ReplicaHost.launch}. */
export class CauseError extends Error {
  readonly reason: Cause;

  constructor(reason: Cause) {
    super(reason.message);
    this.reason = reason;
  }
}

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;
/** A replica that lived this long has earned a restart without delay. */
const STABLE_MS = 60_000;
const GRACE_MS = 5000;
const MESSAGE_STEP_MS = 5000;
const CAUSE_LINES = 1000;

const SCORING_SERVER: Pick<ReplicaLaunch, 'readiness' | 'livenessRoute'> = {
  readiness: { kind: 'status' },
  livenessRoute: '/',
};

interface Attempt {
  readonly cause: Cause;
  readonly wasReady: boolean;
  readonly lasted: number;
}

/**
 * One replica: a process group that is kept running until {@link stop}. Restarts with growing delays; every change is told to the host.
 */
export class Replica {
  readonly folder: string;
  readonly logs: { readonly stdout: LogStream; readonly stderr: LogStream };
  #record: ReplicaRecord;
  #state: 'starting' | 'ready' = 'starting';
  /** Why the last attempt failed; kept until the next one is ready. */
  #cause: Cause | undefined;
  #message: string | undefined;
  #port: number | undefined;
  #pid: number | undefined;
  #workerDeaths = 0;
  #wasReady = false;
  #drainingSince: number | undefined;
  #failures = 0;
  #startedAt: number;
  #ended = false;
  readonly #host: ReplicaHost;
  readonly #stopping = new AbortController();
  #graceMs = GRACE_MS;
  #wake = new AbortController();
  #life: Promise<void> | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(folder: string, record: ReplicaRecord, host: ReplicaHost) {
    this.folder = folder;
    this.#record = record;
    this.#host = host;
    this.#startedAt = host.clock().getTime();
    this.logs = replicaLogs(folder, record);
  }

  get id(): string {
    return this.#record.id;
  }
  get record(): ReplicaRecord {
    return this.#record;
  }
  get isReady(): boolean {
    return this.#state === 'ready';
  }
  get hasEnded(): boolean {
    return this.#ended;
  }
  /** Where it listens, while it runs. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Since when it gets no new requests; milliseconds since the epoch. */
  get drainingSince(): number | undefined {
    return this.#drainingSince;
  }

  status(): ReplicaStatus {
    const state = this.#drainingSince !== undefined ? 'draining' : this.#cause ? 'failed' : this.#state;
    return {
      id: this.id,
      image: this.#record.image,
      state,
      startedTime: new Date(this.#startedAt).toISOString(),
      restarts: this.#record.restarts + this.#workerDeaths,
      ...(this.#pid === undefined ? {} : { pid: this.#pid }),
      ...(this.#cause === undefined ? {} : { error: this.#cause }),
      ...(this.#message === undefined ? {} : { message: this.#message }),
    };
  }

  /** Begins its life. */
  start(): void {
    this.#life ??= this.#live();
  }

  /** Goes on with a process of an earlier supervisor. What that one knew is known when this returns, so that no request is turned away. */
  async adopt(process: ReplicaProcess): Promise<void> {
    if (this.#record.isDraining) this.#drainingSince = this.#host.clock().getTime();
    const known = await lastObservation(this.folder, this.#record);
    if (known) this.#take(known);
    this.#life ??= this.#live(process);
  }

  /** From now on it gets no new requests, also under another supervisor, and is not started again. The owner stops it once it is idle. */
  drain(): void {
    if (this.#drainingSince !== undefined) return;
    this.#drainingSince = this.#host.clock().getTime();
    this.#record = { ...this.#record, isDraining: true };
    void this.#save();
    this.#host.changed();
  }

  /** Forgets earlier failures and tries again at once. */
  retry(): void {
    if (!this.#cause) return;
    this.#failures = 0;
    this.#cause = undefined;
    this.#wake.abort();
  }

  /** Ends it for good, and everything that it has started. */
  async stop(graceMs = GRACE_MS): Promise<void> {
    this.#graceMs = graceMs;
    this.#stopping.abort();
    this.#wake.abort();
    await this.#life;
  }

  async #live(adopted?: ReplicaProcess): Promise<void> {
    let process = adopted;
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController();
      const { cause, wasReady, lasted } = await this.#attempt(process);
      process = undefined;
      if (this.#stopping.signal.aborted || this.#drainingSince !== undefined) break;
      this.#failures = lasted > STABLE_MS ? 1 : this.#failures + 1;
      this.#cause = cause;
      this.#state = 'starting';
      this.#message = undefined;
      this.#record = withoutProcess({ ...this.#record, restarts: this.#record.restarts + 1 });
      await this.#save();
      this.#host.changed();
      await sleep(restartDelay(this.#failures, wasReady), undefined, { signal: this.#wake.signal }).catch(
        () => undefined,
      );
    }
    this.#ended = true;
    this.#host.changed();
  }

  async #attempt(adopted: ReplicaProcess | undefined): Promise<Attempt> {
    const began = this.#host.clock().getTime();
    const logStart = { stdout: await this.logs.stdout.end(), stderr: await this.logs.stderr.end() };
    try {
      const process = adopted ?? (await this.#spawn());
      this.#pid = process.identity.pid;
      const late = await this.#watch(process);
      const wasReady = this.#wasReady;
      const exit = await this.#end(process);
      const cause = late ?? (await this.#readCause(exit, wasReady, adopted ? { stdout: 0, stderr: 0 } : logStart));
      return { cause, wasReady, lasted: this.#host.clock().getTime() - began };
    } catch (error) {
      return { cause: startFailure(error), wasReady: false, lasted: 0 };
    } finally {
      this.#port = undefined;
      this.#pid = undefined;
    }
  }

  async #spawn(): Promise<ReplicaProcess> {
    const launch = await this.#host.launch(this.#record, this.folder);
    await mkdir(join(this.folder, 'logs'), { recursive: true, mode: 0o700 });
    await rm(join(this.folder, STATUS_FILE), { force: true });
    const process = await startProcess(launch, { stdout: this.logs.stdout.path, stderr: this.logs.stderr.path });
    this.#startedAt = this.#host.clock().getTime();
    this.#workerDeaths = 0;
    this.#wasReady = false;
    const { readiness, livenessRoute } = launch;
    this.#record = { ...this.#record, process: process.identity, watch: { readiness, livenessRoute } };
    await this.#save();
    return process;
  }

  /** Returns when the process has ended or must be ended; with the cause if that is this supervisor's judgement. */
  async #watch(process: ReplicaProcess): Promise<Cause | undefined> {
    const { readiness, livenessRoute } = this.#record.watch ?? SCORING_SERVER;
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, this.#stopping.signal]);
    try {
      return await Promise.race([
        process.exited.then(() => undefined),
        this.#observe(readiness, signal),
        this.#checkLiveness(livenessRoute, signal),
      ]);
    } finally {
      done.abort();
    }
  }

  /** Follows what the replica says of itself. Returns the cause when it takes too long. */
  async #observe(readiness: ReplicaLaunch['readiness'], signal: AbortSignal): Promise<Cause | undefined> {
    const observations =
      readiness.kind === 'status' ? observeStatus(this.folder, signal) : observeRoute(readiness, signal);
    let notReadySince = this.#host.clock().getTime();
    let told = 0;
    for await (const observation of observations) {
      const now = this.#host.clock().getTime();
      if (observation) this.#take(observation);
      if (this.#state === 'ready') {
        notReadySince = now;
        continue;
      }
      const waited = now - notReadySince;
      if (waited > this.#host.readinessTimeoutMs) return tooLate(waited);
      const step = Math.floor(waited / MESSAGE_STEP_MS);
      if (step > told) {
        told = step;
        this.#message = await this.#describeWaiting(step * MESSAGE_STEP_MS);
        this.#host.changed();
      }
    }
    return undefined;
  }

  #take(observation: Observation): void {
    const workerDeaths = observation.workerDeaths ?? 0;
    const isReady = observation.port !== undefined && observation.ready;
    const same = isReady === this.isReady && workerDeaths === this.#workerDeaths;
    if (same && !(isReady && this.#cause)) return;
    this.#workerDeaths = workerDeaths;
    this.#state = isReady ? 'ready' : 'starting';
    if (isReady) {
      this.#wasReady = true;
      this.#port = observation.port;
      this.#cause = undefined;
      this.#message = undefined;
      if (this.#record.initEnd === undefined) {
        this.#record = { ...this.#record, initEnd: observation.readyTime ?? this.#host.clock().getTime() };
        void this.#save();
      }
    }
    this.#host.changed();
  }

  /** A hanging `init()` looks like a long one; so say how long it has been. */
  async #describeWaiting(waitedMs: number): Promise<string> {
    const from = await this.logs.stdout.tailStart(200);
    let inInit = false;
    for await (const { text } of this.logs.stdout.lines(from, true))
      inInit ||= text.includes("Invoking user's init function");
    const what = inInit ? 'init() has been running' : 'The scoring script has been loading';
    return `${what} for ${Math.round(waitedMs / 1000)} s`;
  }

  async #checkLiveness(route: string, signal: AbortSignal): Promise<Cause | undefined> {
    const failed = await watchLiveness(
      {
        probe: () => this.#host.livenessProbe(),
        // Never behind a scoring call: a busy replica is not asked.
        mayAsk: () => this.isReady && this.#host.isIdle(this.id) === true,
        ask: async (timeoutMs) => this.#port !== undefined && (await answersAt(this.#port, route, timeoutMs)),
      },
      signal,
    );
    if (!failed) return undefined;
    return {
      code: 'DeploymentCrashLoopBackOff',
      message: `The replica was idle and did not answer ${failed} liveness probes; it is started again.`,
      remedy: 'Read the log of the replica; raise livenessProbe.timeoutSeconds if it is only slow.',
    };
  }

  async #end(process: ReplicaProcess): Promise<ProcessExit> {
    this.#state = 'starting';
    const exit = await endProcess(process, this.folder, this.#graceMs);
    const status = exit.exitCode === undefined ? await readLauncherStatus(this.folder) : undefined;
    return status?.exitCode === undefined || exit.signal ? exit : { exitCode: status.exitCode };
  }

  async #readCause(
    exit: ProcessExit,
    wasReady: boolean,
    from: { readonly stdout: number; readonly stderr: number },
  ): Promise<Cause> {
    const { stdout, stderr } = this.logs;
    return causeOfExit({
      ...exit,
      wasReady,
      stdout: await lastLines(stdout, from.stdout),
      stderr: await lastLines(stderr, from.stderr),
    });
  }

  #save(): Promise<void> {
    // Without its record a replica still runs; a later supervisor would end it and start another.
    const write = () => writeReplicaRecord(this.folder, this.#record).catch(() => undefined);
    this.#saving = this.#saving.then(write);
    return this.#saving;
  }
}

export function replicaLogs(folder: string, record: ReplicaRecord): Replica['logs'] {
  const began = Date.parse(record.createdTime);
  const logs = join(folder, 'logs');
  return { stdout: new LogStream(logs, 'stdout', began), stderr: new LogStream(logs, 'stderr', began) };
}

/** Milliseconds until the next attempt. A first crash of a replica that had served is answered at once. */
export function restartDelay(failures: number, wasReady: boolean): number {
  const waited = failures - (wasReady ? 2 : 1);
  return waited < 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** waited);
}

function withoutProcess({ process: _, watch: __, initEnd: ___, ...record }: ReplicaRecord): ReplicaRecord {
  return record;
}

async function lastLines(log: LogStream, from: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const { text } of log.lines(Math.max(from, await log.tailStart(CAUSE_LINES)), true)) lines.push(text);
  return lines;
}

function tooLate(waitedMs: number): Cause {
  return {
    code: 'ReadinessTimeout',
    message: `The replica was not ready after ${Math.round(waitedMs / 1000)} s.`,
    remedy: 'See in its log where init() stays; AKSML_READINESS_TIMEOUT_MS sets how long to wait.',
  };
}

function startFailure(error: unknown): Cause {
  if (error instanceof CauseError) return error.reason;
  const missing = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES');
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: missing ? 'EnvironmentMissing' : 'DeploymentCrashLoopBackOff',
    message: `The replica could not be started: ${message}`,
    remedy: missing
      ? 'Deploy again, so that what is missing is made anew.'
      : 'Correct the cause; the replica is started again.',
  };
}
