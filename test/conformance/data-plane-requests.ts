import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { SignJWT } from 'jose';
import { endpoint, KEY, raw, type Setup, sha256, version, type World } from './data-plane-world.ts';
import { Hold } from './fake-replica.ts';
import { call, until } from './http-client.ts';

export function routing(world: () => World): void {
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

const SECOND_KEY = 'secondary-key-of-the-test';
export function authentication(world: () => World): void {
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

export function headers(world: () => World): void {
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
