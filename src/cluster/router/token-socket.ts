import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { LONGEST_TOKEN } from '../../serving/signed-token.ts';

/** When a token ends, in seconds since the epoch; undefined for one that does not open the endpoint. */
export type Verify = (audience: string, subjectUid: string, token: string) => Promise<number | undefined>;

/** An audience and a uid have room beside the longest token. Bytes. */
const LONGEST_LINE = LONGEST_TOKEN + 1024;
const MOST_CONNECTIONS = 1024;
const IDLE_MS = 60_000;
const REQUEST = /^VERIFY ([\x21-\x7e]+) ([\x21-\x7e]+) ([\x21-\x7e]+)\r?$/;

/**
 * Answers who asks on a unix socket whether a token opens an endpoint, a line each: `VERIFY <audience> <subjectUid> <token>` gets
 * `OK <exp>`, in seconds since the epoch, or `NO`. A connection may ask many times; its questions are answered one after the other.
 * What is no such line gets `NO` and the end of the connection.
 */
export async function serveTokens(path: string, verify: Verify): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    answerLines(socket, verify).then(
      (goodbye) => socket.end(goodbye).resume(),
      () => socket.destroy(),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen(path, () => resolve(server));
  return promise;
}

/** Until the other end is done, or asks something else. Returns what is said last. */
async function answerLines(socket: Socket, verify: Verify): Promise<string> {
  let rest = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    rest += chunk.toString('latin1');
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const question = REQUEST.exec(end <= LONGEST_LINE ? rest.slice(0, end) : '');
      rest = rest.slice(end + 1);
      if (!question) return 'NO\n';
      const [, audience = '', subjectUid = '', token = ''] = question;
      const expiry = await verify(audience, subjectUid, token);
      if (!socket.write(expiry === undefined ? 'NO\n' : `OK ${expiry}\n`)) await drained(socket);
    }
    if (rest.length > LONGEST_LINE) return 'NO\n';
  }
  return '';
}

/** Or closed, after which reading ends, too. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
