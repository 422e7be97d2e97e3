import { once } from 'node:events';
import { connect } from 'node:net';

const REQUESTS = 10_000;
const WARM_UP = 3000;
const BODY = '{"data": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}';

export interface Target {
  readonly port: number;
  readonly path: string;
}

/**
 * One request at a time, to each target in turn: whatever else the machine does meets all of them alike. The replica must answer in one packet.
 * Sorted milliseconds, a list per target.
 */
export async function alternate(targets: readonly Target[]): Promise<number[][]> {
  const senders = targets.map(({ port, path }) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n`;
    const request = Buffer.from(head + BODY);
    return { socket, request, times: [] as number[] };
  });
  for (let count = 0; count < WARM_UP + REQUESTS; count += 1) {
    for (const { socket, request, times } of senders) {
      const sent = performance.now();
      socket.write(request);
      await once(socket, 'data');
      if (count >= WARM_UP) times.push(performance.now() - sent);
    }
  }
  for (const { socket } of senders) socket.destroy();
  return senders.map(({ times }) => times.sort((a, b) => a - b));
}
