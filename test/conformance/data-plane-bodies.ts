import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { chunked, KEY, MEGABYTE, open, raw, sha256, type World } from './data-plane-world.ts';
import { type Answer, echo, Hold } from './fake-replica.ts';
import { call, until } from './http-client.ts';

export function bodies(world: () => World): void {
  const digest: Answer = ({ body }, response) => response.end(`${body.length} ${sha256(body)}`);

  test('bodies from 0 bytes to the limit arrive whole, declared or chunked', async (t) => {
    const service = await world().serve(await world().replicas(t, 1, digest));
    for (const size of [0, 1, 65_536, MEGABYTE, MEGABYTE + 1, 9 * MEGABYTE, 100 * MEGABYTE]) {
      const body = Buffer.alloc(size, 'abcdefg');
      assert.equal((await call(`${service}/score`, { method: 'POST', body })).text, `${size} ${sha256(body)}`);
    }
    const chunk = Buffer.alloc(300_000, 'chunk');
    const whole = Buffer.concat(Array.from({ length: 10 }, () => chunk));
    assert.equal((await chunked(`${service}/score`, chunk, 10)).text, `${whole.length} ${sha256(whole)}`);
  });

  test('a body above the limit is 413: at once when declared, as soon as it is seen when not', async (t) => {
    const [replica] = await world().replicas(t, 1, digest);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const { hostname, port } = new URL(service);
    const head = `POST /api/v1/service/svc/score HTTP/1.1\r\nhost: x\r\ncontent-length: ${100 * MEGABYTE + 1}\r\n\r\n`;
    assert.match(await raw(Number(port), hostname, head, /\r\n\r\n/), /^HTTP\/1\.1 413 /);
    await world().serve([replica], { maxBodyBytes: MEGABYTE });
    assert.equal((await call(`${service}/score`, { body: Buffer.alloc(MEGABYTE + 1) })).status, 413);
    assert.equal((await call(`${service}/score`, { body: Buffer.alloc(MEGABYTE) })).status, 200);
    assert.equal((await chunked(`${service}/score`, Buffer.alloc(100_000), 20)).status, 413);
    assert.equal(replica.seen.length, 1);
  });

  test('who asks before sending is told to continue, or refused at once', async (t) => {
    const service = await world().serve(await world().replicas(t, 1, digest), { maxBodyBytes: 1000 });
    const ask = (size: number) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ status: number; continued: boolean }>();
      let continued = false;
      const request = httpRequest(`${service}/score`, {
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': size },
      });
      request.on('continue', () => {
        continued = true;
        request.end(Buffer.alloc(size));
      });
      request.on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, continued });
        request.destroy();
      });
      request.on('error', reject);
      request.flushHeaders();
      return promise;
    };
    assert.deepEqual(await ask(1000), { status: 200, continued: true });
    assert.deepEqual(await ask(1001), { status: 413, continued: false });
  });

  test('a client that sends slowly, or never ends, holds no replica', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica], { maxQueueWaitMs: 0 });
    const { hostname, port } = new URL(service);
    const slow = await Promise.all(
      Array.from({ length: 20 }, () =>
        open(
          Number(port),
          hostname,
          'POST /api/v1/service/svc/score HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nslow',
        ),
      ),
    );
    for (let i = 0; i < 20; i += 1) assert.equal((await call(`${service}/score`, { body: 'quick' })).status, 200);
    const [first] = slow;
    const answered = first && once(first, 'data');
    first?.write('x'.repeat(96));
    assert.match(String(await answered), /^HTTP\/1\.1 200 /);
    for (const socket of slow) socket.destroy();
    assert.equal((await call(`${service}/score`, { body: 'quick' })).status, 200);
    assert.equal(replica.seen.length, 22);
  });
}

export function streaming(world: () => World): void {
  test('what the replica sends arrives while it is still sending', async (t) => {
    const hold = new Hold();
    const service = await world().serve(
      await world().replicas(t, 1, (request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.flushHeaders();
        hold.answer(request, response);
      }),
    );
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    httpRequest(`${service}/score`, { method: 'POST' }, resolve).on('error', reject).end('x');
    const response = await promise;
    assert.equal(response.statusCode, 200, 'the headers came before any data');
    const [event] = hold.waiting;
    for (const text of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
      event?.write(text);
      const [chunk] = await once(response, 'data');
      assert.equal(String(chunk), text);
    }
    hold.release('');
    await once(response, 'end');
  });

  test('a client that reads slowly gets all of a large answer', async (t) => {
    const whole = Buffer.alloc(20 * MEGABYTE, 'large answer');
    const service = await world().serve(await world().replicas(t, 1, (_request, response) => void response.end(whole)));
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    httpRequest(`${service}/score`, resolve).on('error', reject).end();
    const hash = createHash('sha256');
    for await (const chunk of await promise) {
      hash.update(chunk);
      await new Promise((next) => setImmediate(next));
    }
    assert.equal(hash.digest('hex'), sha256(whole));
  });

  test('a stream that its client has left is ended, and the replica is free again', async (t) => {
    const [replica] = await world().replicas(t, 1, (_request, response) => {
      const timer = setInterval(() => response.write('data: tick\n\n'), 5);
      response.on('close', () => clearInterval(timer));
    });
    assert.ok(replica);
    const service = await world().serve([replica], { scoringTimeoutMs: 200 });
    const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest(`${service}/score`, resolve);
    request.on('error', () => undefined);
    request.end();
    const response = await promise;
    response.on('error', () => undefined);
    await once(response, 'data');
    request.destroy();
    await until(() => replica.inFlight === 0, 'the replica is free');
    replica.answer = echo;
    assert.equal((await call(`${service}/score`, { body: 'x' })).status, 200);
  });

  test('a websocket passes both ways', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    replica.server.on('upgrade', (request, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${acceptOf(request)}\r\nx-saw: ${request.url}\r\n\r\n`,
      );
      socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk}`));
      socket.on('end', () => socket.destroy());
      socket.on('error', () => socket.destroy());
    });
    const service = await world().serve([replica], { auth: { mode: 'key', keyHashes: [sha256(KEY)] } });
    const upgrade = (key: string) =>
      httpRequest(`${service}/ws?x=1`, {
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-version': '13',
          authorization: `Bearer ${key}`,
        },
      }).end();
    const [response, socket] = await once(upgrade(KEY), 'upgrade');
    assert.equal(response.headers['x-saw'], '/ws?x=1');
    socket.write('hello');
    assert.equal(String((await once(socket, 'data'))[0]), 'echo hello');
    socket.destroy();
    const [refused] = await once(upgrade('bad'), 'response');
    refused.resume();
    assert.equal(refused.statusCode, 401);
  });

  test('an offer of HTTP/2 is ignored, as Java’s client expects', async (t) => {
    const service = await world().serve(await world().replicas(t, 1));
    const reply = await call(`${service}/score`, {
      body: 'x',
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA' },
    });
    assert.equal(reply.status, 200);
    assert.equal(JSON.parse(reply.text).body, 'x');
  });
}

/** By RFC 6455, 4.2.2. */
function acceptOf({ headers }: IncomingMessage): string {
  const text = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  return createHash('sha1').update(text).digest('base64');
}
