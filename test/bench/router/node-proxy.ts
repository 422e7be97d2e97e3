/** A proxy that does as little as can be, with undici: `node-proxy.ts PORT UPSTREAM`. */
import { createServer } from 'node:http';
import { Pool } from 'undici';

const [port, upstream] = process.argv.slice(2);
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 64 });
createServer((request, response) => {
  pool
    .request({ path: request.url ?? '/', method: request.method as 'GET', headers: request.headers })
    .then(({ statusCode, headers, body }) => {
      response.writeHead(statusCode, headers);
      body.pipe(response);
    })
    .catch(() => response.destroy());
}).listen(Number(port), '127.0.0.1');
