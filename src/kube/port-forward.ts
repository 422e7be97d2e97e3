import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { WebSocket } from 'undici';
import { AksmlError } from '../contract/error.ts';
import { type KubeClient, objectPath } from './kube.ts';
import type { ObjectName } from './object.ts';
import { PODS } from './resource.ts';

const PROTOCOL = 'v4.channel.k8s.io';
const DATA = 0;
const ERROR = 1;
/** What waits to be sent before the writer is held back. */
const HIGH_WATER = 1024 * 1024;

/** One connection to a port of a pod, through the API server. @throws AksmlError `kube.portForward` | `kube.forbidden` and what credentials throw */
export async function connectToPod(
  kube: KubeClient,
  pod: Required<ObjectName>,
  port: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  const { transport } = kube;
  const { headers, dispatcher } = await transport.socketOptions(signal);
  const url = new URL(
    transport.path({ path: objectPath(PODS, pod, 'portforward'), query: { ports: port } }),
    transport.server,
  );
  url.protocol = transport.server.protocol === 'https:' ? 'wss:' : 'ws:';
  // Most commands need none.
  const { WebSocket } = await import('../http/undici.ts');
  const socket = new WebSocket(url, { protocols: [PROTOCOL], headers, dispatcher });
  socket.binaryType = 'arraybuffer';
  const stream = new ForwardedPort(socket, pod, port);
  // What fails before the connection is open is told by `opened`; afterwards whoever has the stream listens.
  stream.on('error', () => undefined);
  const abort = () => stream.destroy(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal?.removeEventListener('abort', abort));
  try {
    await stream.opened;
  } catch (error) {
    signal?.throwIfAborted();
    // A WebSocket does not tell what the server said to its refusal.
    throw (await forbidden(kube, pod, error, signal)) ?? error;
  }
  return stream;
}

/** An error that names the right, where that is what is missing. */
async function forbidden(
  kube: KubeClient,
  { namespace, name }: Required<ObjectName>,
  cause: unknown,
  signal: AbortSignal | undefined,
): Promise<AksmlError | undefined> {
  const right = { verb: 'create', resource: PODS, subresource: 'portforward', namespace } as const;
  if (await kube.mayI(right, signal).catch(() => true)) return undefined;
  return new AksmlError(
    'kube.forbidden',
    `The cluster does not allow forwarding a port of ${name}: ${kube.context.user.name} cannot create resource "pods/portforward" in the namespace "${namespace}".`,
    { subject: `pods/${namespace}/${name}`, remedy: 'Ask an administrator of the cluster for this right.', cause },
  );
}

export interface ForwardedListener {
  readonly port: number;
  close(): Promise<void>;
}

/** A port of this machine's loopback whose every connection leads to a port of a pod, which `choose` names for each. */
export async function forwardPort(
  kube: KubeClient,
  choose: (signal: AbortSignal) => Promise<{ readonly pod: Required<ObjectName>; readonly port: number }>,
  options: { readonly localPort?: number; readonly onError?: (error: unknown) => void; readonly signal: AbortSignal },
): Promise<ForwardedListener> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (local) => {
    open.add(local);
    local.once('close', () => open.delete(local));
    local.on('error', () => local.destroy());
    choose(options.signal)
      .then(({ pod, port }) => connectToPod(kube, pod, port, options.signal))
      .then((remote) => {
        remote.on('error', () => local.destroy());
        remote.on('close', () => local.end());
        local.on('close', () => remote.destroy());
        local.pipe(remote).pipe(local);
      })
      .catch((error) => {
        options.onError?.(error);
        local.destroy();
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: options.localPort ?? 0 }, resolve);
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const local of open) local.destroy();
    });
  options.signal.addEventListener('abort', () => void close(), { once: true });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close };
}

/** The kubelet's framing: a byte for the channel; the first message of each channel only names the port. */
class ForwardedPort extends Duplex {
  readonly opened: Promise<void>;
  readonly #socket: WebSocket;
  readonly #pod: Required<ObjectName>;
  readonly #port: number;
  readonly #begun = new Set<number>();

  constructor(socket: WebSocket, pod: Required<ObjectName>, port: number) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#pod = pod;
    this.#port = port;
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    socket.addEventListener('open', () => opened.resolve());
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) this.#take(Buffer.from(data));
    });
    socket.addEventListener('error', (event) => {
      const error = this.#failure(event.message || 'the connection failed', event.error);
      opened.reject(error);
      this.destroy(error);
    });
    socket.addEventListener('close', () => {
      opened.reject(this.#failure('the connection was closed'));
      this.push(null);
      this.destroy();
    });
    opened.promise.catch(() => undefined);
  }

  #take(message: Buffer): void {
    const channel = message[0] ?? DATA;
    if (!this.#begun.has(channel)) {
      this.#begun.add(channel);
      return;
    }
    const content = message.subarray(1);
    if (channel === ERROR) this.destroy(this.#failure(content.toString('utf8').trim()));
    else if (channel === DATA) this.push(content);
  }

  #failure(reason: string, cause?: unknown): AksmlError {
    const { namespace, name } = this.#pod;
    return new AksmlError(
      'kube.portForward',
      `Port ${this.#port} of the pod ${name} could not be reached: ${reason}.`,
      {
        subject: `pods/${namespace}/${name}`,
        remedy: 'See whether the pod still runs, and whether you may forward ports (pods/portforward, create).',
        cause,
      },
    );
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      done(this.#failure('the connection is closed'));
      return;
    }
    this.#socket.send(Buffer.concat([Uint8Array.of(DATA), chunk]));
    this.#whenSent(done);
  }

  #whenSent(done: () => void): void {
    if (this.#socket.bufferedAmount < HIGH_WATER || this.destroyed) done();
    else setTimeout(() => this.#whenSent(done), 5);
  }

  override _final(done: () => void): void {
    // The protocol cannot close one direction: HTTP/1.1 clients do not need it.
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.close();
    done(error);
  }
}
