import { createServer, type Server, type ServerOptions } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AksmlError } from '../contract/error.ts';

/** Both, because `localhost` means either; a machine without IPv6 has only the first. */
const LOOPBACK = ['127.0.0.1', '::1'] as const;

/** A client has this long for its headers, milliseconds: a slow one costs a connection, never a replica. */
const HEADERS_MS = 10_000;
/** And this long for the whole request. */
const REQUEST_MS = 300_000;
/** Longer than clients keep idle connections, so that it is they who close: a request never meets a connection that is just closing. */
const KEEP_ALIVE_MS = 120_000;

export function portTaken(port: number, reason: string): AksmlError {
  return new AksmlError('gateway.portTaken', `Port ${port} cannot be opened: ${reason}`, {
    subject: String(port),
    remedy: 'Choose another port, or end the program that has it.',
  });
}

/** One port of this machine, on every loopback address. */
export class LoopbackListener {
  readonly port: number;
  readonly #servers: readonly Server[];

  private constructor(port: number, servers: readonly Server[]) {
    this.port = port;
    this.#servers = servers;
  }

  /** Opens `port`, or any when it is 0. @throws AksmlError `gateway.portTaken` */
  static async open(port: number, attach: (server: Server) => void): Promise<LoopbackListener> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await LoopbackListener.#open(port, attach);
      } catch (error) {
        // A free IPv4 port may be taken on IPv6: ask for another.
        if (port !== 0 || attempt === 10) throw error;
      }
    }
  }

  static async #open(port: number, attach: (server: Server) => void): Promise<LoopbackListener> {
    const servers: Server[] = [];
    let actual = port;
    try {
      for (const host of LOOPBACK) {
        const server = createServer(SERVER_OPTIONS);
        attach(server);
        try {
          actual = await listen(server, host, actual);
          servers.push(server);
        } catch (error) {
          if (!(host === '::1' && isMissingFamily(error))) throw error;
        }
      }
      return new LoopbackListener(actual, servers);
    } catch (error) {
      for (const server of servers) server.close();
      throw portTaken(actual, isInUse(error) ? 'another program has it.' : String(error));
    }
  }

  /** Takes no new connections; requests under way finish. */
  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeIdleConnections();
    }
  }

  closeIdleConnections(): void {
    for (const server of this.#servers) server.closeIdleConnections();
  }
}

const SERVER_OPTIONS: ServerOptions = {
  headersTimeout: HEADERS_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: 2000,
  // Other upgrades, such as the h2c that Java's client offers with every request, are to be ignored.
  shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
};

/** Without `shouldUpgradeCallback` every offer of an upgrade would have to be taken or refused: then websockets are not offered. */
export function canUpgrade(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  return (major === 22 && minor >= 21) || (major === 24 && minor >= 9) || major > 24;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen({ host, port, ipv6Only: true, exclusive: true }, () => {
    server.off('error', reject);
    resolve((server.address() as AddressInfo).port);
  });
  return promise;
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function isMissingFamily(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT');
}

/** The answer to what is not HTTP, or not in time. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? '408 Request Timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
