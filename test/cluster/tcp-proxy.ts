import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between clients and a server, and can take it away. */
export interface TcpProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** After so many more bytes towards the server every connection ends, and none is made any more. */
  goAwayAfter(bytes: number): void;
  comeBack(): void;
  /** How often it has gone away. */
  readonly departures: number;
}

export async function openTcpProxy(
  t: { after(work: () => Promise<void>): void },
  target: { readonly host: string; readonly port: number },
): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let room = Number.POSITIVE_INFINITY;
  let departures = 0;
  const leave = () => {
    departures += 1;
    for (const each of open) each.destroy();
  };
  const server = createServer((socket) => {
    if (room <= 0) {
      socket.destroy();
      return;
    }
    const onward = connect(target);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      open.add(end);
      end.on('error', () => other.destroy());
      end.on('close', () => {
        open.delete(end);
        other.destroy();
      });
    }
    socket.on('data', (chunk) => {
      room -= chunk.length;
      if (room <= 0) leave();
    });
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    for (const each of open) each.destroy();
    await once(server, 'close');
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    goAwayAfter: (bytes) => {
      room = bytes;
      if (room <= 0) leave();
    },
    comeBack: () => {
      room = Number.POSITIVE_INFINITY;
    },
    get departures() {
      return departures;
    },
  };
}
