import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GatewayConfiguration, GatewayEndpoint, GatewaySample } from '../../src/local/gateway-protocol.ts';
import { gatewayRecordPath, gatewayTokenPath, readGatewayRecord } from '../../src/local/gateway-record.ts';
import { callLoopback, streamLoopback } from '../../src/local/loopback-http.ts';
import { identifyProcess } from '../../src/local/process-identity.ts';
import { FakeReplica, Hold } from '../conformance/fake-replica.ts';
import { call, until } from '../conformance/http-client.ts';
import { startGateway, type TestGatewayOptions } from './gateway-process.ts';

async function gatewayFor(t: TestContext, options: TestGatewayOptions = {}) {
  const gateway = await startGateway(options);
  t.after(() => gateway.remove());
  return gateway;
}

async function replicaFor(
  t: TestContext,
  ...rest: Parameters<typeof FakeReplica.start> extends [string, ...infer R] ? R : never
) {
  const replica = await FakeReplica.start('r1', ...rest);
  t.after(() => replica.kill());
  return replica;
}

function serving(replica: FakeReplica, rest: Partial<GatewayEndpoint> = {}): GatewayConfiguration {
  const version = {
    name: 'main',
    isDefault: true,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 10_000,
    scoringTimeoutMs: 60_000,
    scoringRoute: '/score',
    swaggerRoute: '/swagger.json',
    replicas: [replica.facts],
  };
  const endpoint = {
    name: 'svc',
    auth: { mode: 'none' as const },
    corsAllowedOrigins: [],
    maxBodyBytes: 1e8,
    versions: [version],
  };
  return { port: 0, endpoints: [{ ...endpoint, ...rest }] };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');

test('an endpoint with a port of its own has the root there, as v1’s local service had', async (t) => {
  const gateway = await gatewayFor(t);
  const replica = await replicaFor(t);
  const ownPort = await freePort();
  await gateway.configure(serving(replica, { ownPort }));
  for (const host of ['127.0.0.1', ...(hasIpv6 ? ['[::1]'] : [])]) {
    const base = `http://${host}:${ownPort}`;
    assert.equal(JSON.parse((await call(`${base}/score?x=1`, { body: 'b' })).text).url, '/score?x=1');
    assert.equal(JSON.parse((await call(`${base}/swagger.json`)).text).url, '/swagger.json');
    assert.equal((await call(`${base}/`)).text, 'Healthy');
  }
  await gateway.configure(serving(replica));
  await assert.rejects(call(`http://127.0.0.1:${ownPort}/score`, { body: 'b' }));
});

test('a taken port is 409 and leaves everything as it was', async (t) => {
  const gateway = await gatewayFor(t);
  const replica = await replicaFor(t);
  const stranger = createServer().listen(0, '127.0.0.1');
  t.after(() => stranger.close());
  await once(stranger, 'listening');
  const address = stranger.address();
  const taken = typeof address === 'object' && address ? address.port : 0;
  const ownPort = await freePort();
  await gateway.configure(serving(replica));

  const another = serving(replica, { name: 'other', ownPort });
  const body = { ...another, endpoints: [...another.endpoints, ...serving(replica, { ownPort: taken }).endpoints] };
  const answer = await gateway.admin({ method: 'PUT', path: '/configuration', body });
  assert.equal(answer.status, 409);
  assert.deepEqual(Object.keys(answer.body ?? {}).sort(), ['listener', 'message']);
  assert.match(JSON.stringify(answer.body), new RegExp(String(taken)));
  assert.equal((await call(`http://127.0.0.1:${gateway.port}/api/v1/service/svc/score`, { body: 'b' })).status, 200);
  await assert.rejects(call(`http://127.0.0.1:${ownPort}/score`), 'what was opened on the way is closed again');
});

test('a configuration that makes no sense is refused whole', async (t) => {
  const gateway = await gatewayFor(t);
  const replica = await replicaFor(t);
  await gateway.configure(serving(replica));
  for (const body of [
    {},
    { port: -1, endpoints: [] },
    serving(replica, { auth: { mode: 'key', keyHashes: ['plain'] } }),
  ]) {
    const answer = await gateway.admin({ method: 'PUT', path: '/configuration', body });
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
  }
  assert.equal((await call(`http://127.0.0.1:${gateway.port}/api/v1/service/svc/score`, { body: 'b' })).status, 200);
});

test('the admin port obeys the token alone, which only the user can read', async (t) => {
  const gateway = await gatewayFor(t);
  for (const token of ['', 'wrong', `${gateway.token}x`]) {
    for (const [method, path] of [
      ['PUT', '/configuration'],
      ['GET', '/samples'],
      ['GET', '/metrics'],
      ['POST', '/stop'],
    ] as const) {
      assert.equal((await callLoopback({ port: gateway.adminPort, token }, { method, path })).status, 401);
    }
  }
  for (const path of [gatewayTokenPath(gateway.home), gatewayRecordPath(gateway.home)]) {
    if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o077, 0, path);
  }
  const record = await readGatewayRecord(gateway.home);
  assert.equal(record?.pid, gateway.process.pid);
  assert.equal(record?.startTime, (await identifyProcess(record?.pid ?? 0))?.startTime);
});

test('samples and metrics tell what is busy, queued and done', async (t) => {
  const gateway = await gatewayFor(t);
  const hold = new Hold();
  const replica = await replicaFor(t, hold.answer);
  await gateway.configure(serving(replica));
  const service = `http://127.0.0.1:${gateway.port}/api/v1/service/svc`;
  const calls = [1, 2, 3].map(() => call(`${service}/score`, { body: 'b' }));

  const stream = streamLoopback(
    { port: gateway.adminPort, token: gateway.token },
    { method: 'GET', path: '/samples?stream=1' },
    (answer) => new Error(`refused with ${answer.status}`),
  );
  for await (const line of stream) {
    const { versions, port, time } = line as GatewaySample;
    const [version] = versions;
    if (version?.queued !== 2) continue;
    assert.equal(port, gateway.port);
    assert.ok(time > 0);
    assert.deepEqual(version, {
      endpoint: 'svc',
      version: 'main',
      queued: 2,
      requests: 3,
      completed: 0,
      replicas: [{ id: 'r1', inFlight: 1, consecutiveFailures: 0 }],
    });
    break;
  }
  const during = await metrics(gateway.adminPort, gateway.token);
  assert.match(during, /aksml_requests_queued\{endpoint="svc",version="main"\} 2/);
  assert.match(during, /aksml_utilization_ratio\{endpoint="svc",version="main"\} 3/);
  for (const _ of calls) {
    await until(() => hold.waiting.length > 0, 'the next is at the replica');
    hold.release();
  }
  await Promise.all(calls);
  await call(`${service.replace('svc', 'nobody')}/score`);
  const after = await metrics(gateway.adminPort, gateway.token);
  assert.match(after, /aksml_requests_total\{endpoint="svc",version="main",status="200"\} 3/);
  assert.match(after, /aksml_requests_total\{endpoint="",version="",status="404"\} 1/);
  assert.match(after, /aksml_queue_wait_seconds_count\{endpoint="svc",version="main"\} 3/);
  assert.match(after, /aksml_replicas_ready\{endpoint="svc",version="main"\} 1/);
  await gateway.configure({ ...serving(replica), endpoints: [] });
  const deleted = await metrics(gateway.adminPort, gateway.token);
  assert.doesNotMatch(deleted, /"svc"/);
  assert.match(deleted, /aksml_requests_total\{endpoint="",version="",status="404"\} 1/);
});

test('without authentication, a name that a stranger gave this machine is refused', async (t) => {
  const gateway = await gatewayFor(t);
  const replica = await replicaFor(t);
  await gateway.configure(serving(replica));
  const url = `http://127.0.0.1:${gateway.port}/api/v1/service/svc/score`;
  const by = (host: string) => call(url, { body: 'b', headers: { host } });
  assert.equal((await by('localhost')).status, 200);
  assert.equal((await by('rebound.example')).status, 421);
  await gateway.configure(serving(replica, { corsAllowedOrigins: ['https://rebound.example'] }));
  assert.equal((await by('rebound.example')).status, 200);
});

test('the access log has a line for each request, and no key, query or body in it', async (t) => {
  const gateway = await gatewayFor(t);
  const replica = await replicaFor(t);
  await gateway.configure(serving(replica));
  const url = `http://127.0.0.1:${gateway.port}/api/v1/service/svc/score?secret-query`;
  await call(url, { body: 'secret-body', headers: { authorization: 'Bearer secret-key', 'x-request-id': 'id-1' } });
  await gateway.admin({ method: 'POST', path: '/stop' });
  await once(gateway.process, 'exit');
  const text = await readFile(join(gateway.home.local, 'logs', 'gateway.log'), 'utf8');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const line = lines.find(({ requestId }) => requestId === 'id-1');
  assert.deepEqual(
    [line?.endpoint, line?.version, line?.replica, line?.method, line?.path, line?.status, line?.bytesIn],
    ['svc', 'main', 'r1', 'POST', '/score', 200, 11],
  );
  assert.doesNotMatch(text, /secret/);
});

test('stopped, it answers what it holds and then ends', async (t) => {
  const gateway = await gatewayFor(t);
  const hold = new Hold();
  const replica = await replicaFor(t, hold.answer);
  await gateway.configure(serving(replica));
  const calls = ['at the replica', 'queued'].map((body) =>
    call(`http://127.0.0.1:${gateway.port}/api/v1/service/svc/score`, { body }),
  );
  await until(() => replica.inFlight === 1, 'the replica is busy');
  await call(`http://127.0.0.1:${gateway.port}/api/v1/service/svc`);
  const exit = once(gateway.process, 'exit');
  assert.equal((await gateway.admin({ method: 'POST', path: '/stop' })).status, 204);
  hold.release();
  await until(() => hold.waiting.length > 0, 'the queued one is at the replica');
  hold.release();
  assert.deepEqual(
    (await Promise.all(calls)).map(({ status }) => status),
    [200, 200],
  );
  assert.deepEqual(await exit, [0, null]);
});

test('killed, it comes back on the same port with nothing left of the old one', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'aksml-gateway-'));
  const first = await startGateway({ root });
  const replica = await replicaFor(t, new Hold().answer);
  await first.configure(serving(replica));
  const lost = call(`http://127.0.0.1:${first.port}/api/v1/service/svc/score`, { body: Buffer.alloc(3_000_000) });
  await until(() => replica.inFlight === 1, 'a large body is at the replica');
  first.process.kill('SIGKILL');
  await assert.rejects(lost);
  // A file of a body has no name from the moment it is open: nothing of it outlives the process.
  assert.equal((await readdir(join(first.home.local, 'bodies'))).length, 0);

  const second = await gatewayFor(t, { root });
  assert.equal(second.token, first.token);
  await second.configure({ ...serving(await replicaFor(t)), port: first.port });
  assert.equal(second.port, first.port);
  assert.equal((await call(`http://127.0.0.1:${second.port}/api/v1/service/svc/score`, { body: 'b' })).status, 200);
});

test('a body that the disk cannot take is 507; what needs no disk goes on', async (t) => {
  const gateway = await gatewayFor(t);
  await gateway.configure(serving(await replicaFor(t)));
  await rm(join(gateway.home.local, 'bodies'), { recursive: true });
  const url = `http://127.0.0.1:${gateway.port}/api/v1/service/svc/score`;
  assert.equal((await call(url, { body: Buffer.alloc(3_000_000) })).status, 507);
  assert.equal((await call(url, { body: 'small' })).status, 200);
});

test('there is one gateway a home, and none without a home', async (t) => {
  const gateway = await gatewayFor(t);
  await assert.rejects(startGateway({ root: gateway.home.root }), /ended before it was ready/);
  const exit = once(gateway.process, 'exit');
  await rm(gateway.home.root, { recursive: true, force: true });
  await exit;
});

test('when the supervisor is gone, it is started again; not while it is there', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'aksml-gateway-'));
  const mark = join(root, 'started');
  const command = [
    process.execPath,
    '-e',
    `require('fs').appendFileSync(${JSON.stringify(mark)}, process.env.AKSML_HOME + '\\n')`,
  ];
  await writeFile(join(root, 'ready'), '');
  const home = join(root, 'home');
  const gateway = await gatewayFor(t, {
    root: home,
    environment: { AKSML_SUPERVISOR_COMMAND: JSON.stringify(command) },
  });
  t.after(() => rm(root, { recursive: true, force: true }));

  const following = new AbortController();
  const stream = streamLoopback(
    { port: gateway.adminPort, token: gateway.token },
    { method: 'GET', path: '/samples?stream=1', signal: following.signal },
    () => new Error('refused'),
  );
  let samples = 0;
  const followed = (async () => {
    for await (const _ of stream) samples += 1;
  })().catch(() => undefined);
  // Several of its checks pass while samples are followed.
  await until(() => samples >= 15, 'samples came for a while');
  await assert.rejects(access(mark), 'not started while someone follows the samples');
  following.abort();
  await followed;
  let started = '';
  const reading = setInterval(async () => {
    started = await readFile(mark, 'utf8').catch(() => '');
  }, 20);
  t.after(() => clearInterval(reading));
  await until(() => started !== '', 'the supervisor is started');
  assert.equal(started.split('\n')[0], home);
});

async function metrics(port: number, token: string): Promise<string> {
  return (await call(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text;
}
