import { type Dispatcher, Pool } from 'undici';

/**
 * Shorter than any server keeps an idle connection (gunicorn's threads 2 s, uvicorn 5 s), so that no request is written to one that the
 * replica is just closing. On loopback a new connection costs less than that doubt.
 */
const KEEP_IDLE_MS = 1000;
const CONNECT_MS = 5000;

/** The connections to one replica. How many there are is decided by admission. */
export class ReplicaConnection {
  readonly id: string;
  readonly port: number;
  /** Connections refused or cut since the last answered request. */
  consecutiveFailures = 0;
  readonly #pool: Pool;
  #cut = false;

  constructor(id: string, port: number) {
    this.id = id;
    this.port = port;
    this.#pool = new Pool(`http://127.0.0.1:${port}`, {
      connections: null,
      pipelining: 1,
      keepAliveTimeout: KEEP_IDLE_MS,
      keepAliveMaxTimeout: KEEP_IDLE_MS,
      // Time-outs are the exchange's: a zombie may take its time.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: CONNECT_MS },
    });
  }

  send(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(request, handler);
  }

  /** Ends what is in flight too. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    void this.#pool.destroy().catch(() => undefined);
  }
}
