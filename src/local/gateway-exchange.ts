import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Refusal as AdmissionRefusal, Applicant, Slot, Ticket } from '../serving/admission.ts';
import {
  addIds,
  type FlatHeaders,
  headersForClient,
  headersForReplica,
  type RequestIds,
  VERSION_HEADER,
} from '../serving/headers.ts';
import {
  noReadyReplicas,
  overloaded,
  REPLICA_CLOSED,
  type Refusal,
  refuse,
  timedOut,
  unknownPath,
  unknownService,
  unknownVersion,
} from '../serving/refusal.ts';
import { bodyContent, type ReceivedBody } from '../serving/request-body.ts';
import type { RunningEndpoint } from './gateway-endpoint.ts';
import type { ReplicaConnection } from './gateway-replica.ts';
import { type Route, replicaPath } from './gateway-routes.ts';
import type { RunningVersion } from './gateway-version.ts';

/** A request that may go to a replica: routed, authenticated, its body here. */
export interface ReadyRequest {
  readonly service: string;
  readonly route: Route;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly ids: RequestIds;
  readonly cors: FlatHeaders;
  readonly body: ReceivedBody;
  /** The version that the client asked for by name. */
  readonly asked: string | undefined;
}

export interface ExchangeResult {
  /** 0 when the client went before there was an answer. */
  readonly status: number;
  readonly version: string;
  readonly replica: string;
  readonly queueMs: number | undefined;
  readonly bytesOut: number;
}

export interface ExchangeEvents {
  /** The client has its answer, or has gone. */
  readonly answered: (result: ExchangeResult) => void;
  /** The body is not needed any more: nothing will be sent again. */
  readonly finished: () => void;
}

/** A slow reader may leave this much of an answer with us, so that it does not hold a replica. */
const MOST_UNREAD = 1024 * 1024;
/** A reader that takes nothing for this long is cut. */
const LONGEST_STALL_MS = 60_000;

/**
 * One request on its way: it waits for a slot, goes to the replica, and its answer comes back as it is made.
 * The client's side and the replica's end independently: after a 504, or when the client has gone, the replica works on and keeps its slot.
 */
export class Exchange implements Applicant, Dispatcher.DispatchHandler {
  readonly #ready: ReadyRequest;
  readonly #random: () => number;
  readonly #events: ExchangeEvents;
  /** The client's side. */
  #phase: 'waiting' | 'running' | 'answering' | 'answered' = 'waiting';
  #version: RunningVersion | undefined;
  #replica: ReplicaConnection | undefined;
  #ticket: Ticket | undefined;
  #since: number | undefined;
  #slot: Slot | undefined;
  #queueMs: number | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #status = 0;
  #bytesOut = 0;
  #flushed = false;
  #finished = false;

  constructor(ready: ReadyRequest, random: () => number, events: ExchangeEvents) {
    this.#ready = ready;
    this.#random = random;
    this.#events = events;
    ready.response.on('close', () => this.abandon());
  }

  /** Looks for a version and queues there. Again, with the original `since`, when its version is no longer served. */
  enter(endpoint: RunningEndpoint | undefined, since?: number): void {
    const { service, asked, route } = this.#ready;
    this.#phase = 'waiting';
    const version = endpoint?.choose(asked, this.#random);
    this.#version = version;
    if (!endpoint) this.#refuse(unknownService(service));
    else if (!version) this.#refuse(asked === undefined ? noReadyReplicas(service) : unknownVersion(service));
    else if (replicaPath(version.configuration, route) === undefined) this.#refuse(unknownPath(service));
    else {
      this.#since = since ?? performance.now();
      if (since === undefined) version.requests += 1;
      this.#queue(version, since);
    }
  }

  get isPinned(): boolean {
    return this.#ready.asked !== undefined;
  }

  /** Answers like an endpoint that is gone, for those whose version was deleted while they waited for it by name. */
  dismiss(): void {
    this.#refuse(unknownVersion(this.#ready.service));
  }

  admitted(slot: Slot): void {
    const version = this.#version;
    const replica = version?.replica(slot.replica);
    const path = version && replicaPath(version.configuration, this.#ready.route);
    if (!version || !replica || path === undefined) throw new Error('Admitted to a replica that is not there.');
    this.#phase = 'running';
    this.#slot = slot;
    this.#queueMs = slot.waitedMs;
    this.#replica = replica;
    this.#controller = undefined;
    this.#timer = setTimeout(() => this.#timeOut(), version.configuration.scoringTimeoutMs);
    const { request, ids, body } = this.#ready;
    const headers = headersForReplica(request, ids);
    if (body.kind === 'file') headers.push('content-length', String(body.size));
    replica.send({ path, method: request.method ?? 'GET', headers, body: bodyContent(body) }, this);
  }

  refused(reason: AdmissionRefusal): void {
    const { service } = this.#ready;
    this.#refuse(reason === 'overloaded' ? overloaded(service) : noReadyReplicas(service));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    if (this.#replica) this.#replica.consecutiveFailures = 0;
    if (this.#phase !== 'running') {
      this.#discard(controller);
      return;
    }
    this.#phase = 'answering';
    this.#timer?.refresh();
    const { response, ids, cors } = this.#ready;
    // v1's router made 502 of a `run()` that raised; the replica's body says what happened.
    const failed = status === 500 && `${headers['x-ms-run-function-failed']}`.toLowerCase() === 'true';
    this.#status = failed ? 502 : status;
    const flat = headersForClient(headers, ids, this.#version?.name ?? '', cors);
    response.writeHead(this.#status, flat);
    // Headers go with the first bytes when these are here already, else at once.
    process.nextTick(() => {
      if (!this.#flushed && this.#phase === 'answering') response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase !== 'answering') return;
    const { response } = this.#ready;
    this.#flushed = true;
    this.#bytesOut += chunk.length;
    response.write(chunk);
    if (response.writableLength > MOST_UNREAD) this.#waitForReader(controller);
    else this.#timer?.refresh();
  }

  onResponseEnd(): void {
    this.#release();
    this.#complete();
    if (this.#phase === 'answering') {
      this.#ready.response.end();
      this.#answered(this.#status);
    }
    this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const nothingSent = this.#controller === undefined && !isUnsendable(error);
    this.#release();
    if (this.#phase === 'running' && nothingSent && this.#version && this.#replica) {
      clearTimeout(this.#timer);
      this.#version.rest(this.#replica);
      this.#phase = 'waiting';
      this.#queue(this.#version, this.#since);
      return;
    }
    this.#complete();
    if (this.#replica && this.#phase === 'running') this.#replica.consecutiveFailures += 1;
    if (this.#phase === 'running') {
      this.#refuse(isUnsendable(error) ? { status: 400, message: 'The request cannot be passed on.' } : REPLICA_CLOSED);
    } else if (this.#phase === 'answering') {
      // The status is out: a cut connection is the only way left to say that the answer is not whole.
      this.#answered(this.#status);
      this.#ready.response.destroy();
    }
    this.#finish();
  }

  #queue(version: RunningVersion, since: number | undefined): void {
    this.#ticket = undefined;
    this.#ticket = version.enter(this, since);
  }

  #timeOut(): void {
    const { service, response } = this.#ready;
    if (this.#phase === 'running') {
      this.#answerRefusal(timedOut(service, this.#version?.configuration.scoringTimeoutMs ?? 0));
    } else if (this.#phase === 'answering') {
      this.#answered(this.#status);
      response.destroy();
      if (this.#controller) this.#discard(this.#controller);
    }
  }

  /** The client has gone. */
  abandon(): void {
    const phase = this.#phase;
    if (phase === 'answered') return;
    this.#answered(0);
    if (phase === 'waiting') {
      if (this.#ticket) this.#version?.leave(this.#ticket);
      this.#finish();
    } else if (phase === 'answering' && this.#controller) this.#discard(this.#controller);
  }

  /** Lets the replica finish for nobody; one that goes on for longer than a scoring call may take is cut. */
  #discard(controller: Dispatcher.DispatchController): void {
    clearTimeout(this.#timer);
    controller.resume();
    this.#timer = setTimeout(
      () => controller.abort(new Error('Nobody listens any more.')),
      this.#version?.configuration.scoringTimeoutMs,
    ).unref();
  }

  #waitForReader(controller: Dispatcher.DispatchController): void {
    if (controller.paused) return;
    const { response } = this.#ready;
    controller.pause();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => response.destroy(), LONGEST_STALL_MS);
    response.once('drain', () => {
      if (this.#phase !== 'answering') return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#timeOut(), this.#version?.configuration.scoringTimeoutMs);
      controller.resume();
    });
  }

  /** Says no and ends the exchange: no replica is at work on it. */
  #refuse(refusal: Refusal): void {
    this.#answerRefusal(refusal);
    this.#finish();
  }

  #answerRefusal(refusal: Refusal): void {
    const { response, ids, cors } = this.#ready;
    if (this.#phase === 'answered') return;
    const more = addIds([...cors], ids);
    if (this.#version) more.push(VERSION_HEADER, this.#version.name);
    this.#answered(refusal.status);
    refuse(response, refusal, more);
  }

  #complete(): void {
    if (this.#version) this.#version.completed += 1;
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#events.finished();
  }

  #answered(status: number): void {
    this.#phase = 'answered';
    clearTimeout(this.#timer);
    this.#events.answered({
      status,
      version: this.#version?.name ?? '',
      replica: this.#slot?.replica ?? this.#replica?.id ?? '',
      queueMs: this.#queueMs,
      bytesOut: this.#bytesOut,
    });
  }

  #release(): void {
    if (this.#phase === 'answered') clearTimeout(this.#timer);
    this.#slot?.release(performance.now());
    this.#slot = undefined;
  }
}

/** Refused by the client library itself, whatever the replica. */
function isUnsendable(error: Error): boolean {
  return 'code' in error && (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED');
}
