import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

interface Message {
  readonly type: 'request' | 'response' | 'event';
  readonly command?: string;
  readonly event?: string;
  readonly request_seq?: number;
  readonly success?: boolean;
  readonly message?: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

/** A client of the Debug Adapter Protocol, as an editor is one. */
export class DebugAdapter {
  readonly #socket: Socket;
  readonly #seen: Message[] = [];
  #waiting: (() => void)[] = [];
  #received = Buffer.alloc(0);
  #sequence = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** Undefined while nothing listens there. */
  static async attach(port: number): Promise<DebugAdapter | undefined> {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
    } catch {
      return undefined;
    }
    return new DebugAdapter(socket);
  }

  /** Without waiting for the answer. */
  send(command: string, args: object = {}): number {
    this.#sequence += 1;
    const text = JSON.stringify({ seq: this.#sequence, type: 'request', command, arguments: args });
    this.#socket.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    return this.#sequence;
  }

  async call(command: string, args: object = {}): Promise<Readonly<Record<string, unknown>>> {
    const sequence = this.send(command, args);
    const answer = await this.#next((message) => message.type === 'response' && message.request_seq === sequence);
    if (!answer.success) throw new Error(`${command}: ${answer.message}`);
    return answer.body ?? {};
  }

  async event(name: string): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#next((message) => message.event === name)).body ?? {};
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Takes the first message that fits, also one that has come already. */
  async #next(fits: (message: Message) => boolean): Promise<Message> {
    while (true) {
      const at = this.#seen.findIndex(fits);
      const [found] = at < 0 ? [] : this.#seen.splice(at, 1);
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (true) {
      const end = this.#received.indexOf('\r\n\r\n');
      const length = Number(/Content-Length: (\d+)/i.exec(this.#received.toString('latin1', 0, Math.max(end, 0)))?.[1]);
      if (end < 0 || this.#received.length < end + 4 + length) break;
      this.#seen.push(JSON.parse(this.#received.toString('utf8', end + 4, end + 4 + length)) as Message);
      this.#received = this.#received.subarray(end + 4 + length);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
