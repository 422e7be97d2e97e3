import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, type Dispatcher, Pool } from 'undici';
import type { FlatHeaders } from '../../serving/headers.ts';
import { NO_DISK_ROOM, noReadyReplicas, overloaded, type Refusal, refuse, tooLarge } from '../../serving/refusal.ts';
import { BodyStore, bodyContent, type ReceivedBody } from '../../serving/request-body.ts';
import { passUpgrade } from './activator-upgrade.ts';
import { type Arrival, ColdQueue, versionKey } from './cold-queue.ts';
import { HOLD_HEADERS, HOP_HEADER, type Hold, NOT_OURS, parseHold, passedHeaders } from './hold.ts';
import { Passage, Unheard } from './passage.ts';
import type { RoutingTable } from './routing-table.ts';

export interface ActivatorOptions {
  /** Where HAProxy sends what is to be held: path of a unix socket. */
  readonly socket: string;
  /** HAProxy's listener for what has been held: path of a unix socket. */
  readonly self: string;
  /** For bodies that are too large for memory; emptied. */
  readonly spool: string;
  /** Bytes of all of them together. */
  readonly mostSpooled?: number;
  /** Who serves while HAProxy of this router takes nothing any more, because it ends. */
  readonly another?: () => AnotherRouter | undefined;
}

export interface AnotherRouter {
  /** Where it takes requests of other routers: `http://HOST:PORT`. */
  readonly origin: string;
  /** By which routers know one another. */
  readonly secret: string;
}

/** Since the activator began, but for what is held now. */
export interface ActivatorFigures {
  readonly held: number;
  readonly bytesHeld: number;
  /** By {@link versionKey}. */
  readonly copied: ReadonlyMap<string, number>;
  /** Copies that were not made, because the version that should get them is behind. */
  readonly dropped: ReadonlyMap<string, number>;
}

/** Requests at a time: each has two connections and perhaps a file. */
const MOST_HELD = 8192;
/** One endpoint leaves room for others. */
const MOST_HELD_OF_ENDPOINT = 2048;
/** Copies under way to one version. */
const MOST_COPIES = 32;
/** HAProxy gives up clients that say nothing; those that send ever so slowly end here. */
const LONGEST_REQUEST_MS = 3_600_000;
const KEEP_IDLE_MS = 4000;
/** After a refusal the rest of a body is read for so long, so that the client comes to read the refusal. */
const READ_ON_MS = 5000;

/**
 * Holds requests for HAProxy, which cannot: until their body is here whole, until a version has its first replica, until a copy of them is made.
 * Then it passes them on to HAProxy's own listener, and brings the answer back as it is made.
 */
export class Activator {
  readonly #bodies: BodyStore;
  readonly #cold = new ColdQueue();
  readonly #self: Pool;
  readonly #others = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  readonly #another: ActivatorOptions['another'];
  readonly #server: Server;
  readonly #heldBy = new Map<string, number>();
  readonly #copying = new Map<string, number>();
  readonly #copied = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  #held = 0;

  private constructor(options: ActivatorOptions) {
    this.#another = options.another;
    this.#bodies = new BodyStore(options.spool, options.mostSpooled);
    this.#self = new Pool('http://haproxy', {
      socketPath: options.self,
      connections: null,
      pipelining: 1,
      // Much shorter than HAProxy keeps an idle one, so that no request is written to a connection that is just being closed.
      keepAliveTimeout: KEEP_IDLE_MS,
      keepAliveMaxTimeout: KEEP_IDLE_MS,
      // HAProxy's own time-outs hold.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#server = createServer({ requestTimeout: LONGEST_REQUEST_MS, keepAliveTimeout: 0, maxHeaderSize: 128 * 1024 });
    this.#server.on('request', (request, response) => this.#take(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#take(request, response, true));
    this.#server.on('upgrade', (request, socket, head) => {
      passUpgrade(request, socket, head, { self: options.self, cold: this.#cold }).catch(() => socket.destroy());
    });
  }

  static async open(options: ActivatorOptions): Promise<Activator> {
    const activator = new Activator(options);
    await activator.#bodies.open();
    await rm(options.socket, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    activator.#server.once('error', reject);
    activator.#server.listen(options.socket, resolve);
    await promise;
    return activator;
  }

  /** Tells what is in force in HAProxy. */
  update(table: RoutingTable): void {
    this.#cold.update(table);
  }

  /** By {@link versionKey}: how many requests wait for a first replica. */
  waiting(): ReadonlyMap<string, number> {
    return this.#cold.waiting();
  }

  figures(): ActivatorFigures {
    return { held: this.#held, bytesHeld: this.#bodies.bytesHeld, copied: this.#copied, dropped: this.#dropped };
  }

  /** Takes nothing new; returns when everything that is held has its answer. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeIdleConnections();
    await promise;
    await Promise.all([this.#self.close(), this.#others.close()]);
  }

  #take(request: IncomingMessage, response: ServerResponse, mustContinue: boolean): void {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    this.#hold(request, response, mustContinue).catch(() => response.destroy());
  }

  async #hold(request: IncomingMessage, response: ServerResponse, mustContinue: boolean): Promise<void> {
    const say = (refusal: Refusal) => answer(request, response, refusal, mustContinue);
    const hold = parseHold(request.headers);
    if (!hold) return say(NOT_OURS);
    const { endpoint, version } = hold;
    const before = this.#heldBy.get(endpoint) ?? 0;
    if (this.#held >= MOST_HELD || before >= MOST_HELD_OF_ENDPOINT) return say(overloaded(endpoint));
    add(this.#heldBy, endpoint, 1);
    this.#held += 1;
    const arrival = hold.cold ? this.#cold.arrive(endpoint, version) : undefined;
    try {
      const body = await this.#receive(request, response, hold, mustContinue);
      if (body) await this.#afterwards(request, response, hold, body, arrival);
    } finally {
      arrival?.done();
      this.#held -= 1;
      add(this.#heldBy, endpoint, -1);
    }
  }

  /** Undefined when there is nothing to go on with: the client has its answer, or has gone. */
  async #receive(
    request: IncomingMessage,
    response: ServerResponse,
    { limit }: Hold,
    mustContinue: boolean,
  ): Promise<ReceivedBody | undefined> {
    let continued = false;
    const reception = await this.#bodies.receive(request, limit, () => {
      continued = true;
      if (mustContinue) response.writeContinue();
    });
    switch (reception.kind) {
      case 'received':
        return reception.body;
      case 'tooLarge':
        answer(request, response, tooLarge(limit), mustContinue && !continued);
        return undefined;
      case 'noRoom':
        answer(request, response, NO_DISK_ROOM, false);
        return undefined;
      case 'aborted':
        return undefined;
    }
  }

  /** Waits, passes on, copies; returns when the client has its answer. The body is let go when nobody needs it. */
  async #afterwards(
    request: IncomingMessage,
    response: ServerResponse,
    hold: Hold,
    body: ReceivedBody,
    arrival: Arrival | undefined,
  ): Promise<void> {
    let users = 1;
    const letGo = () => {
      users -= 1;
      if (users === 0) void this.#bodies.release(body).catch(() => undefined);
    };
    try {
      const end = arrival ? await arrival.wait(goneSignal(response)) : 'go';
      if (end === 'late') return answer(request, response, noReadyReplicas(hold.endpoint), false);
      if (end === 'left' || response.destroyed) return;
      const answered = this.#pass(request, response, hold, body);
      if (hold.mirror !== undefined && this.#mayCopy(hold.endpoint, hold.mirror)) {
        users += 1;
        this.#copy(request, hold, hold.mirror, body, letGo);
      }
      await answered;
    } finally {
      letGo();
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse, hold: Hold, body: ReceivedBody): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const headers = passedHeaders(request, hold, hold.version);
    const passage: Passage = new Passage(response, {
      done: resolve,
      unreachable: () => {
        const other = this.#another?.();
        if (other === undefined) return false;
        const known = [...headers, HOP_HEADER, other.secret];
        this.#others.dispatch({ origin: other.origin, ...messageOf(request, known, body) }, passage);
        return true;
      },
    });
    this.#self.dispatch(messageOf(request, headers, body), passage);
    return promise;
  }

  #mayCopy(endpoint: string, version: string): boolean {
    const key = versionKey(endpoint, version);
    const isBehind = (this.#copying.get(key) ?? 0) >= MOST_COPIES;
    add(isBehind ? this.#dropped : this.#copied, key, 1);
    return !isBehind;
  }

  #copy(request: IncomingMessage, hold: Hold, version: string, body: ReceivedBody, letGo: () => void): void {
    const key = versionKey(hold.endpoint, version);
    add(this.#copying, key, 1);
    const headers = passedHeaders(request, hold, version);
    headers.push(HOLD_HEADERS.mirror, '1');
    const done = () => {
      add(this.#copying, key, -1);
      letGo();
    };
    // What the client waits for is written first.
    setImmediate(() => this.#self.dispatch(messageOf(request, headers, body), new Unheard(done)));
  }
}

function messageOf(
  { url = '/', method = 'GET' }: IncomingMessage,
  headers: FlatHeaders,
  body: ReceivedBody,
): Dispatcher.DispatchOptions {
  const length = body.kind === 'file' ? ['content-length', String(body.size)] : [];
  return { path: url, method, headers: [...headers, ...length], body: bodyContent(body) };
}

/** `unsent`: the client still waits for leave to send its body, and will not. */
function answer(request: IncomingMessage, response: ServerResponse, refusal: Refusal, unsent: boolean): void {
  refuse(response, refusal, unsent ? ['connection', 'close'] : []);
  if (request.complete || unsent) return;
  request.resume();
  const timer = setTimeout(() => request.destroy(), READ_ON_MS);
  request.once('close', () => clearTimeout(timer));
}

function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => gone.abort());
  return gone.signal;
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
