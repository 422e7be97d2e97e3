import { link, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands in for a listening unix socket: who connects meanwhile waits, and is let through afterwards. */
export class Gate {
  readonly #path: string;
  readonly #server: Server;
  readonly #waiting: Socket[] = [];
  #open = false;

  private constructor(path: string) {
    this.#path = path;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      if (this.#open) this.#pass(socket);
      else this.#waiting.push(socket);
    });
  }

  /** From now on, who connects to `path` waits. */
  static async shut(path: string): Promise<Gate> {
    const gate = new Gate(path);
    await rm(`${path}.gate`, { force: true });
    await new Promise<void>((resolve, reject) => {
      gate.#server.once('error', reject);
      gate.#server.listen(`${path}.gate`, resolve);
    });
    await rm(`${path}.held`, { force: true });
    await link(path, `${path}.held`);
    await rename(`${path}.gate`, path);
    return gate;
  }

  /** Everybody goes to the socket that was at the path before. */
  async open(): Promise<void> {
    await rename(`${this.#path}.held`, this.#path);
    this.#open = true;
    for (const socket of this.#waiting.splice(0)) this.#pass(socket);
    this.#server.close();
  }

  #pass(socket: Socket): void {
    const onward = connect({ path: this.#path, allowHalfOpen: true });
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
    socket.pipe(onward);
    onward.pipe(socket);
  }
}
