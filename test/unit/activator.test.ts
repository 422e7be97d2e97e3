import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type Server,
} from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Activator, type AnotherRouter } from '../../src/cluster/router/activator.ts';
import type { RoutedReplica, RoutedVersion, RoutingTable } from '../../src/cluster/router/routing-table.ts';
import { type Answer, echo, FakeReplica, Hold } from '../conformance/fake-replica.ts';
import { until } from '../conformance/http-client.ts';

const MEGABYTE = 1024 * 1024;

/** An activator between a test and a listener that stands for HAProxy's own. */
interface World {
  readonly activator: Activator;
  readonly spool: string;
  readonly self: Server;
  another: AnotherRouter | undefined;
  readonly seen: SeenRequest[];
  answer: Answer;
  ask(options?: Ask): Promise<Reply>;
  start(options?: Ask): { readonly reply: Promise<Reply>; readonly leave: () => void };
}

type SeenRequest = Parameters<Answer>[0];

interface Ask {
  readonly hold?: string;
  readonly method?: string;
  readonly path?: string;
  readonly limit?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Several parts: chunked. */
  readonly body?: Buffer | readonly Buffer[];
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: IncomingMessage['trailers'];
  readonly text: string;
}

async function openWorld(t: TestContext, mostSpooled?: number): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'activator-'));
  const path = (name: string) => join(folder, name);
  const seen: SeenRequest[] = [];
  const self = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const { method = '', url = '', headers } = request;
    const whole = { method, url, headers, body: Buffer.concat(chunks) };
    seen.push(whole);
    world.answer(whole, response);
  });
  self.listen(path('self'));
  await once(self, 'listening');
  const activator = await Activator.open({
    socket: path('activator'),
    self: path('self'),
    spool: path('spool'),
    another: () => world.another,
    ...(mostSpooled === undefined ? {} : { mostSpooled }),
  });
  t.after(async () => {
    self.closeAllConnections();
    self.close();
    await activator.close();
    await rm(folder, { recursive: true });
  });
  const start = (options: Ask = {}) => send(path('activator'), options);
  const world: World = {
    activator,
    self,
    seen,
    spool: path('spool'),
    another: undefined,
    answer: echo,
    start,
    ask: (options) => start(options).reply,
  };
  return world;
}

function requestOptions(socketPath: string, { hold = 'body', limit = 200 * MEGABYTE, ...ask }: Ask): RequestOptions {
  const { body, method = body === undefined ? 'GET' : 'POST', path = '/score' } = ask;
  const length = body instanceof Buffer ? { 'content-length': body.length } : {};
  const said = { 'x-aksml-hold': hold, 'x-aksml-endpoint': 'web', 'x-aksml-version': 'main', 'x-aksml-limit': limit };
  return { socketPath, method, path, agent: false, headers: { ...said, ...length, ...ask.headers } };
}

function send(socketPath: string, ask: Ask): { readonly reply: Promise<Reply>; readonly leave: () => void } {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const request = httpRequest(requestOptions(socketPath, ask));
  request.on('error', reject);
  request.on('response', async (response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk);
    } catch (error) {
      return reject(error);
    }
    const { statusCode = 0, headers, trailers } = response;
    resolve({ status: statusCode, headers, trailers, text: Buffer.concat(chunks).toString() });
  });
  if (ask.body instanceof Buffer) request.end(ask.body);
  else {
    for (const part of ask.body ?? []) request.write(part);
    request.end();
  }
  promise.catch(() => undefined);
  return { reply: promise, leave: () => request.destroy() };
}

/** A table with one endpoint `web`, whose version `main` has so many replicas of concurrency 1. */
function table(replicas: number, coldStartMs = 60_000): RoutingTable {
  const version = (name: string, ready: readonly RoutedReplica[]): RoutedVersion => ({
    name,
    isDefault: name === 'main',
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 500,
    scoringTimeoutMs: 60_000,
    scoringRoute: '/score',
    ownServer: false,
    http2: false,
    coldStartMs,
    replicas: ready,
  });
  const ready = Array.from({ length: replicas }, (_, index): RoutedReplica => {
    return { id: `web-${index}`, address: '10.0.0.1', port: 5001, state: 'ready' };
  });
  return {
    endpoints: [
      {
        name: 'web',
        auth: { mode: 'none' },
        corsAllowedOrigins: [],
        maxBodyBytes: 1,
        sticky: false,
        versions: [version('main', ready), version('next', [])],
      },
    ],
    routers: [],
  };
}

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const digest: Answer = ({ body }, response) => void response.end(`${body.length} ${sha256(body)}`);

test('activator: a request reaches HAProxy with method, path, headers and body as they were, and says what was done', async (t) => {
  const world = await openWorld(t);
  world.answer = (_request, response) => {
    response.writeHead(201, 'Made', { 'x-of-replica': 'yes', 'set-cookie': ['a=1', 'b=2'], 'x-aksml-version': 'main' });
    response.end('answer');
  };
  const reply = await world.ask({
    method: 'PUT',
    path: '/a%2Fb//c?x=%20&y=//',
    body: Buffer.from('hello'),
    headers: {
      host: 'scoring.example',
      'x-several': ['1', '2'],
      'x-aksml-route': 'web/main',
      'x-aksml-mirror': 'forged',
      connection: 'keep-alive',
      'content-type': 'text/plain',
    },
  });
  assert.equal(reply.status, 201);
  assert.equal(reply.text, 'answer');
  assert.equal(reply.headers['x-of-replica'], 'yes');
  assert.equal(reply.headers['x-aksml-version'], 'main');
  assert.deepEqual(reply.headers['set-cookie'], ['a=1', 'b=2']);
  const [seen] = world.seen;
  assert.equal(`${seen?.method} ${seen?.url} ${seen?.body}`, 'PUT /a%2Fb//c?x=%20&y=// hello');
  const { connection: _connection, ...headers } = seen?.headers ?? {};
  assert.deepEqual(headers, {
    host: 'scoring.example',
    'x-several': '1, 2',
    'content-type': 'text/plain',
    'content-length': '5',
    'x-aksml-route': 'web/main',
    'x-aksml-endpoint': 'web',
    'x-aksml-version': 'main',
    'x-aksml-pass': 'body',
  });
});

test('activator: bodies arrive whole, declared or chunked, of any size, and leave no file behind', async (t) => {
  const world = await openWorld(t);
  world.answer = digest;
  for (const size of [0, 1, 65_536, MEGABYTE, MEGABYTE + 1, 30 * MEGABYTE]) {
    const body = Buffer.alloc(size, 'abcdefg');
    assert.equal((await world.ask({ body })).text, `${size} ${sha256(body)}`);
    const half = Math.floor(size / 2);
    const parts = [body.subarray(0, half), body.subarray(half)].filter((part) => part.length > 0);
    assert.equal((await world.ask({ method: 'POST', body: parts })).text, `${size} ${sha256(body)}`);
  }
  assert.deepEqual(await readdir(world.spool), []);
  assert.equal(world.activator.figures().bytesHeld, 0);
  assert.equal(world.activator.figures().held, 0);
});

test('activator: a body above the limit is 413 with v1’s text, declared or not; one that the disk may not have is 507', async (t) => {
  const world = await openWorld(t, 3 * MEGABYTE);
  const text = 'The request body is larger than the limit of 2000000 bytes.';
  const limit = 2_000_000;
  const declared = await world.ask({ limit, body: Buffer.alloc(limit + 1) });
  assert.deepEqual([declared.status, declared.text], [413, text]);
  const chunked = await world.ask({ limit, body: [Buffer.alloc(limit), Buffer.alloc(1)], method: 'POST' });
  assert.deepEqual([chunked.status, chunked.text], [413, text]);
  assert.equal((await world.ask({ limit, body: Buffer.alloc(limit) })).status, 200);
  assert.equal((await world.ask({ body: Buffer.alloc(4 * MEGABYTE) })).status, 507);
  assert.equal((await world.ask({ body: Buffer.alloc(3 * MEGABYTE) })).status, 200, 'what was refused is not held');
  assert.equal(world.seen.length, 2);
});

test('activator: who asks before sending is told to continue, or refused at once', async (t) => {
  const world = await openWorld(t);
  const ask = async (size: number) => {
    let continued = false;
    const options = requestOptions(join(world.spool, '..', 'activator'), { method: 'POST', limit: 1000 });
    const request = httpRequest({
      ...options,
      headers: { ...options.headers, expect: '100-continue', 'content-length': size },
    });
    request.on('continue', () => {
      continued = true;
      request.end(Buffer.alloc(size));
    });
    request.flushHeaders();
    const [response] = await once(request, 'response');
    response.resume();
    request.destroy();
    return { status: response.statusCode, continued };
  };
  assert.deepEqual(await ask(1000), { status: 200, continued: true });
  assert.deepEqual(await ask(1001), { status: 413, continued: false });
});

test('activator: an answer comes as it is made, with its trailers; HEAD has none of it', async (t) => {
  const world = await openWorld(t);
  const hold = new Hold();
  world.answer = (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', trailer: 'x-status' });
    response.flushHeaders();
    hold.answer(request, response);
  };
  const request = httpRequest(requestOptions(join(world.spool, '..', 'activator'), { method: 'POST' })).end('x');
  const [response] = await once(request, 'response');
  const [event] = hold.waiting;
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    event?.write(text);
    assert.equal(String((await once(response, 'data'))[0]), text);
  }
  event?.addTrailers({ 'x-status': 'done' });
  hold.release('');
  await once(response, 'end');
  assert.equal(response.trailers['x-status'], 'done');

  world.answer = (_request, answer) => void answer.writeHead(200, { 'content-length': 5 }).end('hello');
  const head = await world.ask({ method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '5', '']);
});

test('activator: an upstream that dies is 502 with v1’s text, or a broken answer once that has begun', async (t) => {
  const world = await openWorld(t);
  world.answer = (_request, response) => void response.socket?.destroy();
  const reply = await world.ask({ body: Buffer.from('x') });
  assert.deepEqual([reply.status, reply.text], [502, 'Replica closed connection before replying']);
  world.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    setImmediate(() => response.socket?.destroy());
  };
  await assert.rejects(world.ask({ body: Buffer.from('x') }));
  world.self.close();
  world.self.closeAllConnections();
  assert.equal((await world.ask({ body: Buffer.from('x') })).status, 502, 'nobody listens');
});

test('activator: a client that goes takes its request with it, and its body', async (t) => {
  const world = await openWorld(t);
  const hold = new Hold();
  world.answer = hold.answer;
  const going = world.start({ body: Buffer.alloc(2 * MEGABYTE) });
  await until(() => hold.waiting.length === 1, 'the request is upstream');
  const closed = hold.waiting[0] && once(hold.waiting[0], 'close');
  going.leave();
  await closed;
  await until(() => world.activator.figures().held === 0, 'nothing is held');
  await until(() => world.activator.figures().bytesHeld === 0, 'no body is held');

  const sending = connect(join(world.spool, '..', 'activator'));
  const said = 'x-aksml-hold: body\r\nx-aksml-endpoint: web\r\nx-aksml-version: main\r\nx-aksml-limit: 100000000\r\n';
  sending.write(`POST / HTTP/1.1\r\nhost: x\r\n${said}content-length: 9000000\r\n\r\n${'x'.repeat(3_000_000)}`);
  await until(() => world.activator.figures().bytesHeld >= 2_000_000, 'a part is held');
  sending.destroy();
  await until(() => world.activator.figures().held === 0, 'nothing is held');
  assert.equal(world.activator.figures().bytesHeld, 0);
  assert.equal(world.seen.length, 1);
});

test('activator: requests for a version without replicas wait, are counted, and go in the order in which they came', async (t) => {
  const world = await openWorld(t);
  const hold = new Hold();
  world.answer = hold.answer;
  world.activator.update(table(0));
  const replies: Promise<Reply>[] = [];
  for (let index = 1; index <= 5; index += 1) {
    replies.push(world.ask({ hold: index % 2 ? 'cold' : 'body, cold', path: `/${index}`, body: Buffer.from('x') }));
    await until(() => world.activator.waiting().get('web/main') === index, 'it waits');
  }
  assert.deepEqual([...world.activator.waiting()], [['web/main', 5]]);
  assert.equal(world.seen.length, 0);
  world.activator.update(table(1));
  await until(() => world.seen.length === 2, 'one is served and the next is on its way');
  assert.equal(world.activator.waiting().get('web/main'), 3, 'the others wait here, not in a queue that gives them up');
  for (let served = 1; served <= 5; served += 1) {
    hold.waiting[0]?.end('done');
    hold.waiting.shift();
    await until(() => world.seen.length === Math.min(5, served + 2), 'the next one goes');
  }
  assert.deepEqual(
    (await Promise.all(replies)).map(({ status }) => status),
    [200, 200, 200, 200, 200],
  );
  assert.deepEqual(
    world.seen.map(({ url }) => url),
    ['/1', '/2', '/3', '/4', '/5'],
  );
  assert.equal(world.seen[0]?.headers['x-aksml-pass'], 'cold');
  assert.equal(world.activator.waiting().size, 0);
});

test('activator: who waits in vain gets 503 with v1’s text and when to come again', async (t) => {
  const world = await openWorld(t);
  world.activator.update(table(0, 50));
  const reply = await world.ask({ hold: 'cold' });
  assert.deepEqual([reply.status, reply.text], [503, 'No ready replicas for service web']);
  assert.equal(reply.headers['retry-after'], '1');
  assert.equal(world.activator.waiting().size, 0);
});

test('activator: who leaves while waiting is not counted any more, and nobody waits for what is gone', async (t) => {
  const world = await openWorld(t);
  world.activator.update(table(0));
  const going = world.start({ hold: 'cold' });
  const staying = world.ask({ hold: 'cold' });
  await until(() => world.activator.waiting().get('web/main') === 2, 'both wait');
  going.leave();
  await until(() => world.activator.waiting().get('web/main') === 1, 'one waits');
  world.activator.update({ endpoints: [], routers: [] });
  assert.equal((await staying).status, 200, 'HAProxy decides what becomes of it');
  assert.equal(world.seen.length, 1);
  assert.equal(world.activator.waiting().size, 0);
});

test('activator: a copy goes to the other version, its answer to nobody, and a slow one is no burden', async (t) => {
  const world = await openWorld(t);
  const hold = new Hold();
  world.answer = (request, response) => {
    if (request.headers['x-aksml-mirror'] === '1') hold.answer(request, response);
    else digest(request, response);
  };
  const body = Buffer.alloc(2 * MEGABYTE, 'mirrored');
  const reply = await world.ask({ hold: 'body,mirror=next', body });
  assert.equal(reply.text, `${body.length} ${sha256(body)}`);
  await until(() => hold.waiting.length === 1, 'the copy has come');
  const copy = world.seen.find(({ headers }) => headers['x-aksml-mirror'] === '1');
  assert.equal(copy && sha256(copy.body), sha256(body));
  assert.equal(copy?.headers['x-aksml-version'], 'next');
  const real = world.seen.find(({ headers }) => headers['x-aksml-mirror'] === undefined);
  assert.equal(real?.headers['x-aksml-version'], 'main');
  assert.equal(world.activator.figures().bytesHeld, body.length, 'kept for the copy');

  const replies = await Promise.all(
    Array.from({ length: 50 }, () => world.ask({ hold: 'mirror=next', body: Buffer.from('x') })),
  );
  assert.ok(replies.every(({ status }) => status === 200));
  assert.equal(world.activator.figures().copied.get('web/next'), 32);
  assert.equal(world.activator.figures().dropped.get('web/next'), 19);
  world.answer = digest;
  hold.releaseAll();
  await until(() => world.activator.figures().bytesHeld === 0, 'nothing is kept');
  world.answer = (request, response) => {
    if (request.headers['x-aksml-mirror'] === '1') response.socket?.destroy();
    else digest(request, response);
  };
  assert.equal((await world.ask({ hold: 'mirror=next', body })).status, 200, 'nor is one that fails');
});

test('activator: nobody but HAProxy is served, and what is held ends in order', async (t) => {
  const world = await openWorld(t);
  const without = ['x-aksml-limit', 'x-aksml-endpoint', 'x-aksml-version'];
  for (const name of without) assert.equal((await world.ask({ headers: { [name]: [] } })).status, 400, name);
  const hold = new Hold();
  world.answer = hold.answer;
  const last = world.ask({ body: Buffer.from('x') });
  await until(() => hold.waiting.length === 1, 'it is upstream');
  const closed = world.activator.close();
  hold.release('done');
  assert.equal((await last).text, 'done');
  await closed;
});

test('activator: a websocket waits for a first replica, too, and then passes both ways', async (t) => {
  const world = await openWorld(t);
  world.self.on('upgrade', (request, socket) => {
    const said = `x-saw: ${request.url} ${request.headers['x-aksml-pass']} ${request.headers['x-aksml-version']}`;
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${said}\r\n\r\n`);
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk}`));
    socket.on('end', () => socket.destroy());
    socket.on('error', () => socket.destroy());
  });
  const upgrade = () =>
    httpRequest(
      requestOptions(join(world.spool, '..', 'activator'), {
        hold: 'cold',
        path: '/ws?x=1',
        headers: { connection: 'Upgrade', upgrade: 'websocket' },
      }),
    ).end();
  world.activator.update(table(0, 30));
  const [late] = await once(upgrade(), 'response');
  late.resume();
  assert.equal(late.statusCode, 503);
  world.activator.update(table(0));
  const opened = once(upgrade(), 'upgrade');
  await until(() => world.activator.waiting().get('web/main') === 1, 'it waits');
  world.activator.update(table(1));
  const [response, socket] = await opened;
  assert.equal(response.headers['x-saw'], '/ws?x=1 cold main');
  socket.write('hello');
  assert.equal(String((await once(socket, 'data'))[0]), 'echo hello');
  socket.end();
  await once(socket, 'close');
});

test('activator: what is held while HAProxy ends is taken by another router', async (t) => {
  const world = await openWorld(t);
  const other = await FakeReplica.start('other', digest);
  t.after(() => other.kill());
  world.activator.update(table(0));
  const body = Buffer.alloc(2 * MEGABYTE, 'held');
  const headers = { 'x-aksml-route': 'web/main', 'x-aksml-hop': 'forged' };
  const reply = world.ask({ hold: 'body,cold', body, headers });
  await until(() => world.activator.waiting().size === 1, 'it is held');
  world.self.close();
  world.another = { origin: `http://127.0.0.1:${other.port}`, secret: 'ours' };
  world.activator.update(table(1));
  assert.equal((await reply).text, `${body.length} ${sha256(body)}`);
  const { 'x-aksml-hop': hop, 'x-aksml-route': route, 'x-aksml-pass': pass } = other.seen[0]?.headers ?? {};
  assert.deepEqual([hop, route, pass], ['ours', 'web/main', 'body,cold']);
  await other.kill();
  assert.equal((await world.ask({ body })).status, 502, 'when nobody is there, that is said');
  await until(() => world.activator.figures().bytesHeld === 0, 'no body is held');
});
