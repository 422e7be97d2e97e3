import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { routedEndpoint as endpointOf } from '../../src/cluster/router/routed-endpoint.ts';
import { DEFAULT_ROUTER_SETTINGS } from '../../src/cluster/router/router-settings.ts';
import { FakeReplica } from '../conformance/fake-replica.ts';
import { call, until } from '../conformance/http-client.ts';
import { clusterEndpoint, clusterVersion } from '../unit/cluster-samples.ts';
import { HIDDEN, PATHS, SMUGGLING } from './hostile-samples.ts';
import { routedEndpoint, routedVersion, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();
const KEY_HASH = 'a'.repeat(64);

describe('hostile input to a router', { skip: typeof program === 'string' ? false : program.skip }, () => {
  let world: TestRouter;
  /** Everybody may ask it. */
  let open: FakeReplica;
  /** Nobody here knows its key. */
  let closed: FakeReplica;
  const url = (path: string) => `http://127.0.0.1:${world.settings.port}${path}`;

  before(async () => {
    world = await startRouter();
    open = await FakeReplica.start('open-1');
    closed = await FakeReplica.start('closed-1');
    await world.router.configure(
      {
        endpoints: [
          routedEndpoint('open', [routedVersion('main', [open], { maxConcurrentRequestsPerContainer: 50 })]),
          routedEndpoint('closed', [routedVersion('main', [closed])], {
            auth: { mode: 'key', keyHashes: [KEY_HASH] },
          }),
        ],
        routers: [],
      },
      { hop: ['the-secret-of-the-routers'], challenges: new Map(), certificates: [] },
    );
  });
  after(async () => {
    await world.remove();
    await Promise.all([open.kill(), closed.kill()]);
  });
  beforeEach(() => {
    open.seen.length = 0;
    closed.seen.length = 0;
  });

  const serves = async () => assert.equal((await call(url('/api/v1/service/open/score'), { body: 'x' })).status, 200);
  /** Nothing that was hidden has come through, to no replica, and the router still serves. */
  const holds = async (what: string) => {
    await serves();
    const seen = [...open.seen, ...closed.seen].map(({ url, headers, body }) =>
      JSON.stringify([url, headers, `${body}`]),
    );
    assert.equal(closed.seen.length, 0, `${what}: the endpoint behind a key was reached`);
    for (const one of open.seen) assert.ok(!one.url.includes(HIDDEN), `${what}: ${seen}`);
  };

  for (const [what, bytes] of Object.entries(SMUGGLING)) {
    test(`smuggling: ${what} brings nothing past the router`, async () => {
      const answer = await raw(world.settings.port, bytes);
      await holds(what);
      const statuses = [...answer.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map(([, status]) => Number(status));
      assert.ok(
        statuses.every((status) => status === 200 || (status >= 400 && status < 500) || status === 501),
        `${what}: ${statuses}`,
      );
    });
  }

  test('paths: no writing of a path leads to another endpoint, and none is taken for what it is not', async () => {
    for (const path of PATHS) {
      const answer = await raw(world.settings.port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
      assert.ok(status === 200 || (status >= 400 && status < 500), `${path}: ${answer.slice(0, 100)}`);
      await holds(path);
    }
  });

  test('headers that are the routers’ own are worth nothing in the hands of a client', async () => {
    const headers = {
      'x-aksml-route': 'closed/main',
      'x-aksml-version': 'main',
      'x-aksml-endpoint': 'closed',
      'x-aksml-pass': 'body,cold',
      'x-aksml-hold': 'mirror=main',
      'x-aksml-limit': '999999999',
      'x-aksml-hop': 'the-secret-of-the-routers',
      'x-aksml-twin': 't500-0',
      'x-aksml-replica': 'closed-1',
      'X-AKSML-Mirror': '1',
    };
    for (const body of ['x', Buffer.alloc(200_000, 'x')]) {
      const reply = await call(url('/api/v1/service/open/score'), { body, headers });
      assert.equal(reply.status, 200);
      const names = Object.keys(JSON.parse(reply.text).headers).filter((name) => name.startsWith('x-aksml-'));
      assert.deepEqual(
        names.filter((name) => name !== 'x-aksml-route' && name !== 'x-aksml-turn'),
        [],
        `${names}`,
      );
      assert.notEqual(JSON.parse(reply.text).headers['x-aksml-route'], 'closed/main');
    }
    const hop = `http://127.0.0.1:${world.settings.hopPort}/score`;
    for (const secret of ['', 'wrong', 'in', 'out', 'the-secret-of-the-router']) {
      const reply = await call(hop, { headers: { 'x-aksml-hop': secret, 'x-aksml-route': 'closed/main' } });
      assert.equal(reply.status, 404, secret);
    }
    await holds('headers of the routers');
  });

  test('bombs: too many headers, too long ones and endless requests are refused and cost nobody else anything', async () => {
    const request = (headers: string) => `GET /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
    const bombs = [
      request('x: y\r\n'.repeat(5000)),
      request(`x: ${'y'.repeat(200_000)}\r\n`),
      request(`${'n'.repeat(70_000)}: y\r\n`),
      request(`cookie: ${'a=b; '.repeat(30_000)}\r\n`),
      `GET /${'p'.repeat(200_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
      `${'M'.repeat(100_000)} / HTTP/1.1\r\nhost: x\r\n\r\n`,
    ];
    for (const bomb of bombs) {
      assert.match(await raw(world.settings.port, bomb), /^HTTP\/1\.1 4\d\d /, bomb.slice(0, 60));
      await holds('a bomb');
    }
    assert.equal(open.seen.filter(({ method }) => method === 'GET').length, 0, 'none reached the replica');
  });

  test('slow clients: a thousand that never finish their headers or bodies keep nobody from being served', async (t) => {
    const beginnings = [
      'GET /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\nx-slow: ',
      'POST /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nslow',
      'POST /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nslow',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ];
    const sockets: Socket[] = [];
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let index = 0; index < 1000; index += 1) {
      const socket = connect(world.settings.port, '127.0.0.1');
      socket.on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
      socket.write(beginnings[index % beginnings.length] ?? '');
    }
    await until(() => world.activator.figures().held >= 250, 'what has no length is at the activator');
    for (let index = 0; index < 50; index += 1) await serves();
    for (const socket of sockets) socket.destroy();
    await until(() => world.activator.figures().held === 0, 'who is gone is not held');
    assert.equal(open.mostInFlight <= 50, true);
  });

  test('rapid reset: streams that are begun and cancelled at once do not keep the replica or anybody else', async () => {
    for (let round = 0; round < 5; round += 1) {
      const session = connectHttp2(`http://127.0.0.1:${world.settings.port}`);
      session.on('error', () => undefined);
      await once(session, 'connect');
      for (let index = 0; index < 1000 && !session.destroyed && !session.closed; index += 1) {
        const stream = session.request({ ':path': '/api/v1/service/open/score', ':method': 'POST' });
        stream.on('error', () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await serves();
      session.destroy();
    }
    await until(() => open.inFlight === 0, 'the replica is free');
    await holds('rapid reset');
  });

  test('HTTP/2: a request that would be two, or another, in HTTP/1 is refused', async () => {
    const session = connectHttp2(`http://127.0.0.1:${world.settings.port}`);
    session.on('error', () => undefined);
    await once(session, 'connect');
    const crafted: Record<string, string>[] = [
      { ':path': `/api/v1/service/open/score HTTP/1.1\r\nx: ${HIDDEN}` },
      { ':path': `/api/v1/service/open/${HIDDEN} HTTP/1.1` },
      { ':method': `GET /${HIDDEN} HTTP/1.1\r\nx:` },
      { ':path': '/api/v1/service/open/score', 'transfer-encoding': 'chunked' },
      { ':path': '/api/v1/service/open/score', 'content-length': '5' },
      { ':path': '/api/v1/service/open/score', connection: 'x-secret' },
    ];
    for (const headers of crafted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      try {
        const stream = session.request({ ':method': 'POST', ':path': '/api/v1/service/open/score', ...headers });
        stream.on('error', () => resolve());
        stream.on('response', () => resolve());
        stream.on('close', () => resolve());
        stream.end(`0\r\n\r\nGET /${HIDDEN} HTTP/1.1\r\nhost: x\r\n\r\n`);
      } catch {
        // Node's own client does not send it.
        resolve();
      }
      await promise;
    }
    session.destroy();
    await holds('HTTP/2');
  });

  test('names and values that would be commands to HAProxy change nothing but what they are meant for', async () => {
    const configuration = await readFile(join(world.settings.folder, 'haproxy.cfg'), 'utf8');
    const evil = [
      'x\nset server b500-0/open state maint',
      'x; shutdown frontend public',
      'x %[env(PATH)]',
      'x"quoted',
      'x\\',
      '<<\npayload',
      '@master reload',
      'x|B|100',
      'x $HOME',
    ];
    const endpoints = evil.flatMap((text) => {
      const container = { port: 80, scoringRoute: `/${text}`, livenessRoute: '/', readinessRoute: '/' };
      const made = endpointOf({
        endpoint: clusterEndpoint({
          auth: 'none',
          corsAllowedOrigins: [text, `https://${text}`],
          allowedAddresses: ['127.0.0.1', text],
          versions: [clusterVersion({ container }), clusterVersion({ name: text, isDefault: false })],
        }),
        slices: [],
        settings: DEFAULT_ROUTER_SETTINGS,
      });
      const named = endpointOf({
        endpoint: clusterEndpoint({}, { metadata: { ...clusterEndpoint().metadata, name: text } }),
        slices: [],
        settings: DEFAULT_ROUTER_SETTINGS,
      });
      assert.equal(named, undefined, text);
      return made === undefined ? [] : [made];
    });
    for (const endpoint of endpoints) {
      const present = [
        routedEndpoint('open', [routedVersion('main', [open], { maxConcurrentRequestsPerContainer: 50 })]),
        { ...endpoint, name: 'evil' },
      ];
      await world.router.configure({ endpoints: present, routers: [] });
      await serves();
    }
    assert.equal(await readFile(join(world.settings.folder, 'haproxy.cfg'), 'utf8'), configuration);
    for (const text of evil.filter((each) => !each.includes('\n'))) {
      const headers = {
        'azureml-model-deployment': text,
        'x-request-id': text,
        'x-ms-client-request-id': text,
        origin: text,
        cookie: `aksml-session=${text}`,
      };
      const reply = await call(url('/api/v1/service/open/score'), { body: 'x', headers });
      assert.equal(reply.status, 404, 'no version has that name');
      assert.ok(!JSON.stringify(reply.headers).includes('/usr/bin'), 'nothing was evaluated');
    }
    await serves();
  });
});

/** What comes back until the other end is done or has said nothing for a while. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.setTimeout(300, () => socket.destroy());
  socket.write(bytes, 'latin1');
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}
