import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { GatewayReplica } from '../../src/local/gateway-protocol.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void;

/** A scoring server that does what a test tells it, and counts. */
export class FakeReplica {
  readonly id: string;
  readonly seen: SeenRequest[] = [];
  inFlight = 0;
  mostInFlight = 0;
  answer: Answer;
  readonly #server: Server;
  #state: GatewayReplica['state'] = 'ready';

  private constructor(id: string, answer: Answer) {
    this.id = id;
    this.answer = answer;
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy());
    });
  }

  static async start(id: string, answer: Answer = echo): Promise<FakeReplica> {
    const replica = new FakeReplica(id, answer);
    replica.#server.listen(0, '127.0.0.1');
    await once(replica.#server, 'listening');
    return replica;
  }

  get server(): Server {
    return this.#server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get facts(): GatewayReplica {
    return { id: this.id, port: this.#lastPort ?? this.port, state: this.#state };
  }
  #lastPort: number | undefined;

  drain(): void {
    this.#state = 'draining';
  }

  /** As `kill -9` would: connections break, the port refuses. */
  async kill(): Promise<void> {
    this.#lastPort ??= this.port;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = '', url = '', headers } = request;
    const seen = { method, url, headers, body: Buffer.concat(chunks) };
    this.seen.push(seen);
    this.answer(seen, response);
  }
}

export const echo: Answer = ({ method, url, headers, body }, response) => {
  const answer = Buffer.from(JSON.stringify({ method, url, headers, body: body.toString() }));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
  response.end(answer);
};

/** Answers nothing until it is told to. */
export class Hold {
  readonly waiting: ServerResponse[] = [];

  readonly answer: Answer = (_request, response) => {
    this.waiting.push(response);
  };

  /** The one that came first. */
  release(text = 'done'): void {
    this.waiting.shift()?.end(text);
  }

  releaseAll(): void {
    while (this.waiting.length > 0) this.release();
  }
}
