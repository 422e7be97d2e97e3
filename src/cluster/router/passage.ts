import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { FlatHeaders } from '../../serving/headers.ts';
import { REPLICA_CLOSED, type Refusal, refuse } from '../../serving/refusal.ts';

/** A slow reader may leave this much of an answer here; then the sender waits. */
const MOST_UNREAD = 256 * 1024;

const NOT_PASSED_BACK: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const NOT_SENDABLE: Refusal = { status: 400, message: 'The request cannot be passed on.' };

export interface PassageEvents {
  /** Once, when nothing more is sent in either direction. */
  readonly done: () => void;
  /** Once, when there was nobody to send it to: whether it is sent to somebody else now. */
  readonly unreachable: () => boolean;
}

/** Brings an answer back as it is made: status, headers, bytes, trailers, and its breaking off. */
export class Passage implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #events: PassageEvents;
  #controller: Dispatcher.DispatchController | undefined;
  #began = false;
  #ended = false;
  #isSecondTry = false;

  constructor(response: ServerResponse, events: PassageEvents) {
    this.#response = response;
    this.#events = events;
    response.on('close', () => {
      if (!this.#ended) this.#controller?.abort(new Error('The client has gone.'));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#response.destroyed) controller.abort(new Error('The client has gone.'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    // Hints before the answer are for the next hop only.
    if (status < 200 || this.#response.destroyed) return;
    this.#began = true;
    this.#response.sendDate = false;
    this.#response.writeHead(status, statusMessage, flatten(headers));
    // Headers go with the first bytes when these are here already, else at once.
    process.nextTick(() => {
      if (!this.#ended) this.#response.flushHeaders();
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
    if (this.#response.writableLength <= MOST_UNREAD || controller.paused) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (Object.keys(trailers).length > 0) this.#response.addTrailers(pairs(trailers));
    this.#finish();
    this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (isUnreachable(error) && !this.#isSecondTry && !this.#response.destroyed) {
      this.#isSecondTry = true;
      if (this.#events.unreachable()) return;
    }
    this.#finish();
    if (this.#response.destroyed) return;
    // Once the status is out, a cut connection is the only way left to say that the answer is not whole.
    if (this.#began) this.#response.destroy();
    else refuse(this.#response, isUnsendable(error) ? NOT_SENDABLE : REPLICA_CLOSED, []);
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.done();
  }
}

/** Takes an answer that nobody gets. */
export class Unheard implements Dispatcher.DispatchHandler {
  readonly #done: () => void;

  constructor(done: () => void) {
    this.#done = done;
  }

  onRequestStart(): void {}

  onResponseStart(): void {}

  onResponseData(): void {}

  onResponseEnd(): void {
    this.#done();
  }

  onResponseError(): void {
    this.#done();
  }
}

function flatten(headers: IncomingHttpHeaders): FlatHeaders {
  return pairs(headers).flatMap(([name, value]) => (NOT_PASSED_BACK.has(name) ? [] : [name, value]));
}

function pairs(headers: IncomingHttpHeaders): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map((item): [string, string] => [name, item]),
  );
}

/** Nobody listens there, so that nothing was sent. */
function isUnreachable(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
}

/** Refused by the client library itself, whatever the other end. */
function isUnsendable(error: Error): boolean {
  return 'code' in error && (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED');
}
