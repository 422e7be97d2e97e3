import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { SignJWT } from 'jose';
import type { GatewayEndpoint, GatewayVersion } from '../../src/local/gateway-protocol.ts';
import { type Answer, echo, FakeReplica, Hold } from './fake-replica.ts';
import { type Call, call, type Reply, until } from './http-client.ts';

/** Whatever carries scoring requests: the local gateway, the cluster's front end. */
export interface DataPlane {
  /** Resolves once the configuration is in force. */
  configure(endpoints: readonly GatewayEndpoint[]): Promise<void>;
  /** `…/api/v1/service/NAME`, without a slash at the end. */
  url(endpoint: string): string;
  /** Resolves once nothing is at these replicas any more, as the data plane sees it. */
  drained(replicaIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const KEY = 'primary-key-of-the-test';
const SECOND_KEY = 'secondary-key-of-the-test';
const MEGABYTE = 1024 * 1024;

/** The contract of facts every data plane keeps. */
export function dataPlaneConformance(name: string, start: () => Promise<DataPlane>): void {
  describe(name, () => {
    let plane: DataPlane;
    before(async () => {
      plane = await start();
    });
    after(() => plane.close());
    const world = () => new World(plane);
    routing(world);
    authentication(world);
    headers(world);
    bodies(world);
    failures(world);
    admission(world);
    traffic(world);
    streaming(world);
    changes(world);
  });
}

type Setup = Omit<Partial<GatewayEndpoint>, 'versions'> & Omit<Partial<GatewayVersion>, 'replicas' | 'name'>;

/** One endpoint `svc` with fake replicas, and what a test does with it. */
class World {
  readonly plane: DataPlane;

  constructor(plane: DataPlane) {
    this.plane = plane;
  }

  async replicas(t: TestContext, count: number, answer: Answer = echo): Promise<FakeReplica[]> {
    const replicas = await Promise.all(Array.from({ length: count }, () => FakeReplica.start(randomUUID(), answer)));
    t.after(() => Promise.all(replicas.map((replica) => replica.kill())));
    return replicas;
  }

  async serve(replicas: readonly FakeReplica[], setup: Setup = {}): Promise<string> {
    await this.plane.configure([endpoint('svc', [version('main', replicas, { isDefault: true, ...setup })], setup)]);
    return this.plane.url('svc');
  }
}

function version(name: string, replicas: readonly FakeReplica[], setup: Partial<GatewayVersion> = {}): GatewayVersion {
  return {
    name,
    isDefault: setup.isDefault ?? false,
    ...(setup.trafficPercentile === undefined ? {} : { trafficPercentile: setup.trafficPercentile }),
    maxConcurrentRequestsPerContainer: setup.maxConcurrentRequestsPerContainer ?? 1,
    maxQueueWaitMs: setup.maxQueueWaitMs ?? 10_000,
    scoringTimeoutMs: setup.scoringTimeoutMs ?? 60_000,
    scoringRoute: setup.scoringRoute ?? '/score',
    ...(setup.swaggerRoute === undefined ? {} : { swaggerRoute: setup.swaggerRoute }),
    replicas: replicas.map((replica) => replica.facts),
  };
}

function endpoint(
  name: string,
  versions: readonly GatewayVersion[],
  setup: Partial<GatewayEndpoint> = {},
): GatewayEndpoint {
  return {
    name,
    auth: setup.auth ?? { mode: 'none' },
    corsAllowedOrigins: setup.corsAllowedOrigins ?? [],
    maxBodyBytes: setup.maxBodyBytes ?? 100 * MEGABYTE,
    versions,
    ...(setup.ownPort === undefined ? {} : { ownPort: setup.ownPort }),
  };
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

function routing(world: () => World): void {
  test('both URL forms, the score, swagger and any sub-path reach the replica with their query', async (t) => {
    const replicas = await world().replicas(t, 1);
    const service = await world().serve(replicas, { scoringRoute: '/v1/predict', swaggerRoute: '/openapi.json' });
    for (const base of [service, service.replace('/service/', '/endpoint/')]) {
      for (const [path, expected] of [
        ['/score', '/v1/predict'],
        ['/score?a=1&b=%20x', '/v1/predict?a=1&b=%20x'],
        ['/swagger.json', '/openapi.json'],
        ['/v2/models/x', '/v2/models/x'],
        ['/v2/models/x?q', '/v2/models/x?q'],
      ]) {
        assert.equal(JSON.parse((await call(base + path, { body: 'x' })).text).url, expected, path);
      }
    }
  });

  test('methods and bodies arrive as they were sent', async (t) => {
    const service = await world().serve(await world().replicas(t, 1));
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const body = method === 'GET' || method === 'OPTIONS' ? undefined : `sent by ${method}`;
      const seen = JSON.parse((await call(`${service}/score`, { method, ...(body && { body }) })).text);
      assert.equal(seen.method, method);
      assert.equal(seen.body, body ?? '');
    }
    const head = await call(`${service}/score`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.ok(Number(head.headers['content-length']) > 0);
    assert.equal(head.text, '');
  });

  test('an unknown endpoint, version or path is 404', async (t) => {
    const [replica] = await world().replicas(t, 1);
    const service = await world().serve(replica ? [replica] : []);
    const root = new URL(service).origin;
    for (const url of [
      service.replace('/svc', '/other'),
      service.replace('/svc', '/svcx'),
      service.replace('/svc', '/SVC'),
      `${root}/api/v1/service/`,
      `${root}/api/v2/service/svc/score`,
      `${root}/score`,
      `${service}/swagger.json`,
    ]) {
      assert.equal((await call(url, { body: 'x' })).status, 404, url);
    }
    const reply = await call(`${service}/score`, { body: 'x', headers: { 'azureml-model-deployment': 'nope' } });
    assert.equal(reply.status, 404);
    assert.match(reply.text, /version/);
    assert.equal(replica?.seen.length, 0);
  });

  test('no trick with the path reaches another endpoint', async (t) => {
    const [own, other] = await world().replicas(t, 2);
    assert.ok(own && other);
    await world().plane.configure([
      endpoint('own', [version('main', [own], { isDefault: true })]),
      endpoint('other', [version('main', [other], { isDefault: true })], {
        auth: { mode: 'key', keyHashes: [sha256(KEY)] },
      }),
    ]);
    const { port, hostname } = new URL(world().plane.url('own'));
    for (const path of [
      '/api/v1/service/own/../other/score',
      '/api/v1/service/own/%2e%2e/other/score',
      '/api/v1/service/own/..%2fother/score',
      '/api/v1/service/own%2f..%2fother/score',
      '/api/v1/service/other%00/score',
      '//api/v1/service/other/score',
      `/api/v1/service/${'o'.repeat(4000)}/score`,
      'http://other/api/v1/service/other/score',
    ]) {
      await raw(Number(port), hostname, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    }
    assert.equal(other.seen.length, 0);
  });

  test('the endpoint itself answers whether it has replicas, even when they are busy', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const busy = call(`${service}/score`, { body: 'x' });
    await until(() => replica.inFlight === 1, 'the replica is busy');
    const health = await call(service);
    assert.deepEqual([health.status, health.text], [200, 'Healthy']);
    hold.release();
    await busy;
    await world().serve([]);
    assert.equal((await call(`${service}/`)).status, 503);
  });
}

function authentication(world: () => World): void {
  const scored = (service: string, authorization?: string | string[]) =>
    call(`${service}/score`, { body: 'x', headers: authorization === undefined ? {} : { authorization } });

  test('either key opens, anything else is 401 and never reaches the replica', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica], {
      auth: { mode: 'key', keyHashes: [sha256(KEY), sha256(SECOND_KEY)] },
    });
    for (const good of [`Bearer ${KEY}`, `bearer ${SECOND_KEY}`])
      assert.equal((await scored(service, good)).status, 200, good);
    const before = replica.seen.length;
    for (const bad of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      KEY,
      `Basic ${KEY}`,
      `Bearer ${KEY}x`,
      `Bearer ${sha256(KEY)}`,
      `Bearer ${'k'.repeat(5000)}`,
    ]) {
      const reply = await scored(service, bad);
      assert.equal(reply.status, 401, String(bad));
      assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer/);
    }
    assert.equal(replica.seen.length, before);
    assert.ok(
      replica.seen.every(({ headers: seen }) => seen.authorization === undefined),
      'the key stays at the gateway',
    );
  });

  test('a replaced key is refused at once, the other goes on working', async (t) => {
    const replicas = await world().replicas(t, 1);
    const keys = (...values: string[]) => ({ auth: { mode: 'key' as const, keyHashes: values.map(sha256) } });
    const service = await world().serve(replicas, keys(KEY, SECOND_KEY));
    assert.equal((await scored(service, `Bearer ${KEY}`)).status, 200);
    await world().serve(replicas, keys('a-new-key', SECOND_KEY));
    assert.equal((await scored(service, `Bearer ${KEY}`)).status, 401);
    assert.equal((await scored(service, 'Bearer a-new-key')).status, 200);
    assert.equal((await scored(service, `Bearer ${SECOND_KEY}`)).status, 200);
  });

  test('a token opens when it is signed for this endpoint and has not ended; forgeries do not', async (t) => {
    const ours = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...ours.publicKey.export({ format: 'jwk' }), kid: 'k1' };
    const service = await world().serve(await world().replicas(t, 1), {
      auth: { mode: 'token', issuer: 'aksml', audience: 'svc', keys: [jwk] },
    });
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: 'aksml', aud: 'svc', exp: now + 60 };
    const sign = (claims: object, key: KeyObject | Uint8Array = ours.privateKey, header: object = {}) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(key);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const publicPem = Buffer.from(ours.publicKey.export({ format: 'pem', type: 'spki' }));
    const theirJwk = theirs.publicKey.export({ format: 'jwk' });

    const valid = await sign(good);
    const accepted: Record<string, string> = {
      valid,
      'valid, again': valid,
      'audience in a list': await sign({ ...good, aud: ['other', 'svc'] }),
    };
    const refused: Record<string, string> = {
      'another audience': await sign({ ...good, aud: 'other' }),
      'another issuer': await sign({ ...good, iss: 'other' }),
      ended: await sign({ ...good, exp: now - 1 }),
      'without an end': await sign({ iss: 'aksml', aud: 'svc' }),
      'not yet valid': await sign({ ...good, nbf: now + 60 }),
      "another's signature": await sign(good, theirs.privateKey),
      'alg none': `${encode({ alg: 'none' })}.${encode(good)}.`,
      'the public key as an HMAC secret': await sign(good, publicPem, { alg: 'HS256' }),
      RS512: await sign(good, ours.privateKey, { alg: 'RS512' }),
      PS256: await sign(good, ours.privateKey, { alg: 'PS256' }),
      'its own jwk': await sign(good, theirs.privateKey, { jwk: theirJwk }),
      'its own jku': await sign(good, theirs.privateKey, { jku: 'http://127.0.0.1:1/keys' }),
      'its own x5u': await sign(good, theirs.privateKey, { x5u: 'http://127.0.0.1:1/cert' }),
      'a path as key id': await sign(good, theirs.privateKey, { kid: '../../dev/null' }),
      'a changed payload': valid.replace(/\.[^.]+\./, `.${encode({ ...good, exp: now + 9999 })}.`),
      'no signature': valid.replace(/[^.]+$/, ''),
      oversized: await sign({ ...good, filler: 'x'.repeat(9000) }),
      'not a token': 'x.y.z',
    };
    for (const [what, token] of Object.entries(accepted))
      assert.equal((await scored(service, `Bearer ${token}`)).status, 200, what);
    for (const [what, token] of Object.entries(refused))
      assert.equal((await scored(service, `Bearer ${token}`)).status, 401, what);
  });
}

function headers(world: () => World): void {
  test('ids are made when absent, passed when given, cleaned when odd', async (t) => {
    const service = await world().serve(await world().replicas(t, 1));
    const made = await call(`${service}/score`, { body: 'x' });
    const id = made.headers['x-request-id'];
    assert.match(String(id), /^[0-9a-f-]{36}$/);
    assert.equal(made.headers['x-ms-request-id'], id);
    assert.equal(made.headers['x-ms-client-request-id'], undefined);
    assert.equal(JSON.parse(made.text).headers['x-request-id'], id);

    const given = await call(`${service}/score`, {
      body: 'x',
      headers: { 'x-request-id': 'my-id.1', 'x-ms-client-request-id': `a b${'c'.repeat(60)}/../` },
    });
    assert.equal(given.headers['x-request-id'], 'my-id.1');
    assert.equal(given.headers['x-ms-client-request-id'], `ab${'c'.repeat(38)}`);
    assert.equal(given.headers['x-ms-request-id'], `ab${'c'.repeat(38)}`);
    assert.equal(JSON.parse(given.text).headers['x-ms-client-request-id'], `ab${'c'.repeat(38)}`);

    const odd = await call(`${service}/score`, { body: 'x', headers: { 'x-request-id': 'x'.repeat(200) } });
    assert.match(String(odd.headers['x-request-id']), /^[0-9a-f-]{36}$/);
    const refused = await call(service.replace('/svc', '/nobody'), { headers: { 'x-request-id': 'my-id.2' } });
    assert.equal(refused.headers['x-request-id'], 'my-id.2');
  });

  test("the replica's headers come back, with the version that answered; those of a connection stay on it", async (t) => {
    const [replica] = await world().replicas(t, 1, (_request, response) => {
      response.writeHead(201, {
        'x-ms-run-fn-exec-ms': '1.234',
        'set-cookie': ['a=1', 'b=2'],
        connection: 'close, x-secret-hop',
        'x-secret-hop': '1',
        'azureml-model-deployment': 'forged',
        'content-type': 'text/plain',
      });
      response.end('ok');
    });
    assert.ok(replica);
    const service = await world().serve([replica]);
    const reply = await call(`${service}/score`, {
      body: 'x',
      headers: { connection: 'keep-alive, x-private-hop', 'x-private-hop': '1', te: 'trailers', 'x-kept': 'yes' },
    });
    assert.equal(reply.status, 201);
    assert.equal(reply.headers['x-ms-run-fn-exec-ms'], '1.234');
    assert.deepEqual(reply.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(reply.headers['azureml-model-deployment'], 'main');
    assert.equal(reply.headers['x-secret-hop'], undefined);
    const [seen] = replica.seen;
    assert.equal(seen?.headers['x-kept'], 'yes');
    assert.equal(seen?.headers['x-private-hop'], undefined);
    assert.equal(seen?.headers['te'], undefined);
  });

  test('CORS: an allowed origin may ask and read, a foreign one is served without', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const setup: Setup = {
      corsAllowedOrigins: ['https://app.example'],
      auth: { mode: 'key', keyHashes: [sha256(KEY)] },
    };
    const service = await world().serve([replica], setup);
    const ask = (origin: string) =>
      call(`${service}/score`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, content-type',
        },
      });
    const allowed = await ask('https://app.example');
    assert.equal(allowed.status, 200);
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://app.example');
    assert.match(String(allowed.headers['access-control-allow-methods']), /POST/);
    assert.equal(allowed.headers['access-control-allow-headers'], 'authorization, content-type');
    assert.equal(allowed.headers.vary, 'Origin');
    assert.equal((await ask('https://evil.example')).headers['access-control-allow-origin'], undefined);
    assert.equal(replica.seen.length, 0, 'the question does not reach the replica');

    const post = (origin: string, key: string) =>
      call(`${service}/score`, { body: 'x', headers: { origin, authorization: `Bearer ${key}` } });
    assert.equal(
      (await post('https://app.example', KEY)).headers['access-control-allow-origin'],
      'https://app.example',
    );
    assert.equal(
      (await post('https://app.example', 'bad')).headers['access-control-allow-origin'],
      'https://app.example',
    );
    const foreign = await post('https://evil.example', KEY);
    assert.deepEqual([foreign.status, foreign.headers['access-control-allow-origin']], [200, undefined]);

    await world().serve([replica], { ...setup, corsAllowedOrigins: ['*'] });
    assert.equal((await ask('https://any.example')).headers['access-control-allow-origin'], 'https://any.example');
    await world().serve([replica], { ...setup, corsAllowedOrigins: [] });
    assert.equal((await ask('https://app.example')).status, 401, 'switched off, the question is a request like others');
  });
}

function bodies(world: () => World): void {
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

function failures(world: () => World): void {
  const score = (service: string, options: Call = {}) => call(`${service}/score`, { body: 'x', ...options });

  test('a run() that raised is 502 with what the scoring server said; other answers pass as they are', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const answers =
      (status: number, failed?: string): Answer =>
      (_request, response) => {
        if (failed) response.setHeader('x-ms-run-function-failed', failed);
        response.statusCode = status;
        response.end('{"message": "from the script"}');
      };
    for (const [status, failed, expected] of [
      [500, 'True', 502],
      [500, 'False', 500],
      [500, undefined, 500],
      [503, 'True', 503],
      [400, 'False', 400],
      [418, undefined, 418],
    ] as const) {
      replica.answer = answers(status, failed);
      const reply = await score(service);
      assert.equal(reply.status, expected);
      assert.equal(reply.text, '{"message": "from the script"}');
    }
  });

  test('a replica that dies over a request is 502 with v1’s text, and the request is not repeated', async (t) => {
    const replicas = await world().replicas(t, 2, (_request, response) => void response.destroy());
    const service = await world().serve(replicas);
    const reply = await score(service);
    assert.deepEqual([reply.status, reply.text], [502, 'Replica closed connection before replying']);
    assert.equal(
      replicas.reduce((sum, replica) => sum + replica.seen.length, 0),
      1,
    );
  });

  test('a replica that refuses connections is passed over, and no request is lost', async (t) => {
    const replicas = await world().replicas(t, 3);
    const service = await world().serve(replicas);
    await replicas[0]?.kill();
    const replies = await Promise.all(Array.from({ length: 30 }, () => score(service)));
    assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [200]);
  });

  test('without a replica, or with none that can be reached, it is 503 with v1’s text', async (t) => {
    const [dead] = await world().replicas(t, 1);
    assert.ok(dead);
    const service = await world().serve([]);
    const none = await score(service);
    assert.deepEqual([none.status, none.text], [503, 'No ready replicas for service svc']);
    await world().serve([dead], { maxQueueWaitMs: 100 });
    await dead.kill();
    const unreachable = await score(service);
    assert.equal(unreachable.status, 503);
    assert.match(unreachable.text, /^No ready replicas for service svc$/);
  });

  test('an answer that breaks off is seen to be broken', async (t) => {
    const [replica] = await world().replicas(t, 1, (_request, response) => {
      response.write('half');
      setImmediate(() => response.destroy());
    });
    assert.ok(replica);
    const service = await world().serve([replica]);
    await assert.rejects(score(service));
    replica.answer = echo;
    assert.equal((await score(service)).status, 200);
  });

  test('what is not HTTP, or smuggles, is refused and reaches nobody', async (t) => {
    const [replica] = await world().replicas(t, 1);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const { hostname, port } = new URL(service);
    const post = 'POST /api/v1/service/svc/score HTTP/1.1\r\nhost: x\r\n';
    for (const bytes of [
      'nonsense\r\n\r\n',
      `${post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      `${post}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`,
      `${post}transfer-encoding: chunked\r\n\r\nzz\r\n`,
      `${post}: empty\r\ncontent-length: 0\r\n\r\n`,
      `${post}content-length: -1\r\n\r\n`,
      `${post}x: ${'y'.repeat(100_000)}\r\n\r\n`,
    ]) {
      assert.match(await raw(Number(port), hostname, bytes), /^HTTP\/1\.[01] (400|413|431) /, bytes.slice(0, 120));
    }
    assert.equal(replica.seen.length, 0);
  });
}

function admission(world: () => World): void {
  test('no replica ever gets more than its limit, and the queue is served in order', async (t) => {
    for (const limit of [1, 3]) {
      const replicas = await world().replicas(t, 2, (_request, response) => setTimeout(() => response.end('ok'), 2));
      const service = await world().serve(replicas, { maxConcurrentRequestsPerContainer: limit });
      const replies = await Promise.all(Array.from({ length: 200 }, () => call(`${service}/score`, { body: 'x' })));
      assert.ok(replies.every(({ status }) => status === 200));
      assert.deepEqual(
        replicas.map(({ mostInFlight }) => mostInFlight),
        [limit, limit],
      );
    }
  });

  test('first come, first served', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const order: number[] = [];
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i += 1) {
      calls.push(call(`${service}/score`, { body: String(i) }).then(() => order.push(i)));
      if (i === 0) await until(() => replica.inFlight === 1, 'the first is at the replica');
      else await arrived(service);
    }
    for (let i = 0; i < 8; i += 1) {
      await until(() => hold.waiting.length === 1, `number ${i} is at the replica`);
      hold.release();
    }
    await Promise.all(calls);
    assert.deepEqual(
      replica.seen.map(({ body }) => Number(body)),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  });

  test('who has waited maxQueueWaitMs gets 503 with v1’s text; the replica never hears of it', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { maxQueueWaitMs: 150 });
    const first = call(`${service}/score`, { body: 'x' });
    await until(() => replica.inFlight === 1, 'the replica is busy');
    const refused = await Promise.all(Array.from({ length: 5 }, () => call(`${service}/score`, { body: 'x' })));
    for (const { status, text } of refused) {
      assert.deepEqual([status, text], [503, 'Too many requests for service svc (overloaded)']);
    }
    hold.release();
    assert.equal((await first).status, 200);
    assert.equal(replica.seen.length, 1);
  });

  test('after scoringTimeoutMs it is 504, and the replica gets nothing new while it still works', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { scoringTimeoutMs: 150 });
    const late = await call(`${service}/score`, { body: 'late' });
    assert.equal(late.status, 504);
    assert.equal(late.headers['azureml-model-deployment'], 'main');
    const next = call(`${service}/score`, { body: 'next' });
    await arrived(service);
    assert.equal(replica.seen.length, 1, 'the next one waits for the late one');
    replica.answer = echo;
    hold.release();
    assert.equal((await next).status, 200);
    assert.equal(replica.mostInFlight, 1);
  });

  test('time in the queue does not count as scoring time', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica], { scoringTimeoutMs: 400 });
    const first = call(`${service}/score`, { body: '1' });
    await until(() => hold.waiting.length === 1, 'the first is at the replica');
    const second = call(`${service}/score`, { body: '2' });
    assert.equal((await first).status, 504);
    hold.release();
    await until(() => hold.waiting.length === 1, 'the second is at the replica');
    hold.release();
    assert.equal((await second).status, 200);
  });

  test('a client that goes leaves the queue, but not the replica that works for it', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const [atReplica, inQueue] = [new AbortController(), new AbortController()];
    const gone = [
      assert.rejects(call(`${service}/score`, { body: 'at the replica', signal: atReplica.signal })),
      until(() => replica.inFlight === 1, 'the replica is busy').then(() =>
        assert.rejects(call(`${service}/score`, { body: 'in the queue', signal: inQueue.signal })),
      ),
    ];
    await until(() => replica.inFlight === 1, 'the replica is busy');
    await arrived(service);
    const last = call(`${service}/score`, { body: 'last' });
    await arrived(service);
    inQueue.abort();
    atReplica.abort();
    await Promise.all(gone);
    await arrived(service);
    assert.equal(replica.seen.length, 1, 'the slot is taken until the replica has answered');
    hold.release();
    await until(() => replica.seen.length === 2, 'the next one is served');
    hold.release();
    assert.equal((await last).text, 'done');
    assert.deepEqual(
      replica.seen.map(({ body }) => String(body)),
      ['at the replica', 'last'],
    );
    assert.equal(replica.mostInFlight, 1);
  });
}

function traffic(world: () => World): void {
  test('shares are kept within chance, the default takes the rest, and a header picks a version', async (t) => {
    const [a, b, c] = await world().replicas(t, 3);
    assert.ok(a && b && c);
    const many = { maxConcurrentRequestsPerContainer: 50 };
    await world().plane.configure([
      endpoint('svc', [
        version('a', [a], { isDefault: true, trafficPercentile: 1, ...many }),
        version('b', [b], { trafficPercentile: 20, ...many }),
        version('c', [c], { trafficPercentile: 0, ...many }),
      ]),
    ]);
    const service = world().plane.url('svc');
    const total = 2000;
    const counts = new Map<string, number>();
    for (let done = 0; done < total; done += 50) {
      const replies = await Promise.all(Array.from({ length: 50 }, () => call(`${service}/score`, { body: 'x' })));
      for (const {
        headers: { 'azureml-model-deployment': name },
      } of replies) {
        counts.set(String(name), (counts.get(String(name)) ?? 0) + 1);
      }
    }
    // Five standard deviations: one run in two million fails by chance.
    const deviation = 5 * Math.sqrt(total * 0.2 * 0.8);
    assert.ok(Math.abs((counts.get('b') ?? 0) - total * 0.2) < deviation, JSON.stringify([...counts]));
    assert.equal((counts.get('a') ?? 0) + (counts.get('b') ?? 0), total);
    assert.equal(c.seen.length, 0);
    const picked = await call(`${service}/score`, { body: 'x', headers: { 'azureml-model-deployment': 'c' } });
    assert.equal(picked.headers['azureml-model-deployment'], 'c');
    assert.equal(c.seen.length, 1);
  });
}

function streaming(world: () => World): void {
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
        `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nx-saw: ${request.url}\r\n\r\n`,
      );
      socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk}`));
      socket.on('end', () => socket.destroy());
      socket.on('error', () => socket.destroy());
    });
    const service = await world().serve([replica], { auth: { mode: 'key', keyHashes: [sha256(KEY)] } });
    const upgrade = (key: string) =>
      httpRequest(`${service}/ws?x=1`, {
        headers: { connection: 'Upgrade', upgrade: 'websocket', authorization: `Bearer ${key}` },
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

function changes(world: () => World): void {
  test('replicas are replaced, versions come and go, shares and keys change under load: no request fails', async (t) => {
    const plane = world().plane;
    const answer: Answer = (_request, response) => setTimeout(() => response.end('ok'), 3);
    let generation = await world().replicas(t, 2, answer);
    const leave = async (replicas: readonly FakeReplica[], change: () => Promise<void>) => {
      for (const replica of replicas) replica.drain();
      await change();
      await plane.drained(replicas.map(({ id }) => id));
    };
    const hashes = [sha256(KEY)];
    const shape = (main: readonly FakeReplica[], treatment: readonly FakeReplica[], share: number) =>
      plane.configure([
        endpoint(
          'svc',
          [
            version('main', main, { isDefault: true }),
            ...(treatment.length > 0 ? [version('next', treatment, { trafficPercentile: share })] : []),
          ],
          { auth: { mode: 'key', keyHashes: hashes } },
        ),
      ]);
    await shape(generation, [], 0);

    const statuses = new Map<number | string, number>();
    let running = true;
    const client = async () => {
      while (running) {
        const outcome = await call(`${plane.url('svc')}/score`, {
          body: 'x',
          headers: { authorization: `Bearer ${KEY}` },
        }).then(
          (reply: Reply) => reply.status,
          (error: Error) => error.message,
        );
        statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    const served = () => [...statuses.values()].reduce((a, b) => a + b, 0);
    for (let round = 0; round < 10; round += 1) {
      const next = await world().replicas(t, 2, answer);
      const treatment = round % 2 === 0 ? await world().replicas(t, 1, answer) : [];
      const old = generation;
      hashes.push(sha256(`key of round ${round}`));
      await leave(old, () => shape([...old, ...next], treatment, 30));
      await shape(next, treatment, 60);
      await Promise.all(old.map((replica) => replica.kill()));
      generation = next;
      const before = served();
      await until(() => served() > before + 20, 'the new replicas have served');
      // Its traffic goes first, then the version: who waits for it is sent on.
      await leave(treatment, () => shape(next, treatment, 0));
    }
    running = false;
    await Promise.all(clients);
    assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]));
  });

  test('who waits for a version without replicas any more is served by another', async (t) => {
    const hold = new Hold();
    const [old] = await world().replicas(t, 1, hold.answer);
    const [next] = await world().replicas(t, 1);
    assert.ok(old && next);
    const service = await world().serve([old]);
    const first = call(`${service}/score`, { body: 'first' });
    await until(() => old.inFlight === 1, 'the old replica is busy');
    const second = call(`${service}/score`, { body: 'second' });
    await arrived(service);
    old.drain();
    await world().plane.configure([
      endpoint('svc', [version('main', [old]), version('next', [next], { isDefault: true })]),
    ]);
    assert.equal((await second).headers['azureml-model-deployment'], 'next');
    hold.release();
    assert.equal((await first).text, 'done');
  });

  test('a replica that is cut fails what it had, and an endpoint that is deleted is 404', async (t) => {
    const hold = new Hold();
    const [replica] = await world().replicas(t, 1, hold.answer);
    assert.ok(replica);
    const service = await world().serve([replica]);
    const lost = call(`${service}/score`, { body: 'x' });
    await until(() => replica.inFlight === 1, 'the replica is busy');
    await world().plane.configure([]);
    assert.equal((await lost).status, 502);
    assert.equal((await call(`${service}/score`, { body: 'x' })).status, 404);
  });
}

/** A request sent just now has been taken in, because a later one on another connection is answered. */
async function arrived(service: string): Promise<void> {
  for (let i = 0; i < 3; i += 1) await call(service);
}

/** Sends bytes as they are; what came back when the other side closes, or as soon as it matches. */
async function raw(port: number, host: string, bytes: string, enough?: RegExp): Promise<string> {
  const socket = await open(port, host, bytes);
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    text += chunk;
    if (enough?.test(text)) resolve();
  });
  socket.on('close', () => resolve());
  await promise;
  socket.destroy();
  return text;
}

async function open(port: number, host: string, bytes: string): Promise<Socket> {
  const socket = connect(port, host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes, 'latin1');
  return socket;
}

function chunked(url: string, chunk: Buffer, times: number): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const request = httpRequest(url, { method: 'POST' }, async (response) => {
    let text = '';
    for await (const part of response) text += part;
    resolve({ status: response.statusCode ?? 0, text });
  });
  request.on('error', reject);
  for (let i = 0; i < times; i += 1) request.write(chunk);
  request.end();
  return promise;
}
