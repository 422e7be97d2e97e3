/** A scoring server that takes about a millisecond, and none at `/fast`: `node replica.ts` prints its port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const answer = Buffer.from(JSON.stringify([1, 2, 3]));

const server = createServer((request, response) => {
  const reply = () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  };
  request.resume();
  request.on('end', () => (request.url === '/fast' ? reply() : setTimeout(reply, 1)));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
