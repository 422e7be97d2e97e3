import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import type { RouterCertificate } from '../../src/cluster/router/table-facts.ts';
import { eventually } from '../cluster/world.ts';
import { selfSigned } from './self-signed.ts';
import { freePorts, routedEndpoint, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();
const skip = typeof program === 'string' ? false : program.skip;
const TABLE = { endpoints: [routedEndpoint('by-node', [], { httpsPort: 31124 })], routers: [] };

interface World extends TestRouter {
  readonly tlsPort: number;
  show(
    certificates: readonly RouterCertificate[],
    rules?: { readonly allowInsecureConnections: boolean },
  ): Promise<void>;
}

async function openWorld(t: TestContext): Promise<World> {
  const [tlsPort = 0] = await freePorts(1, '127.0.0.1');
  const started = await startRouter({ tlsPort });
  t.after(() => started.remove());
  return {
    ...started,
    tlsPort,
    show: (certificates, rules) =>
      started.router.configure(TABLE, { hop: [], challenges: new Map([['token', 'answer']]), certificates }, rules),
  };
}

async function certificate(name: string, hosts: readonly string[]): Promise<RouterCertificate> {
  return { name, hosts, ...(await selfSigned(hosts)) };
}

/** The names that the certificate is for, which a client that asks for `host` is shown. */
async function shownTo(port: number, host: string): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', servername: host, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname?.replaceAll('DNS:', '');
}

async function plain(port: number, path: string): Promise<{ status?: number; location?: string }> {
  const request = httpRequest({ port, host: '127.0.0.1', path, headers: { host: 'score.example.com:8080' } }).end();
  const [response] = await once(request, 'response');
  response.resume();
  assert.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/);
  return { status: response.statusCode, location: response.headers.location };
}

test('each host name is shown its own certificate, and plain HTTP is redirected only where there is one', {
  skip,
}, async (t) => {
  const { settings, tlsPort, show } = await openWorld(t);
  assert.equal((await plain(settings.port, '/api/v1/service/web/score')).status, 404);
  const a = await certificate('a', ['a.example.com']);
  await show([a]);
  assert.equal(await shownTo(tlsPort, 'a.example.com'), 'a.example.com');
  const location = 'https://score.example.com/api/v1/service/web/score?x=1';
  // The worker of before the reload takes connections for a moment longer.
  await eventually('plain HTTP is redirected', async () => {
    return isDeepStrictEqual(await plain(settings.port, '/api/v1/service/web/score?x=1'), { status: 308, location });
  });
  assert.deepEqual(await plain(settings.port, '/api/v1/service/by-node/score'), {
    status: 308,
    location: 'https://score.example.com:31124/api/v1/service/by-node/score',
  });
  assert.equal((await plain(settings.port, '/.well-known/acme-challenge/token')).status, 200);

  await show([a, await certificate('b', ['b.example.com', '*.b.example.com'])]);
  assert.equal(await shownTo(tlsPort, 'x.b.example.com'), 'b.example.com, *.b.example.com');
  assert.equal(await shownTo(tlsPort, 'a.example.com'), 'a.example.com');
  assert.equal(await shownTo(tlsPort, 'other.example.com'), 'a.example.com');
  await show([a]);
  assert.equal(await shownTo(tlsPort, 'x.b.example.com'), 'a.example.com');
  await show([a], { allowInsecureConnections: true });
  await eventually('plain HTTP is answered', async () => {
    return (await plain(settings.port, '/api/v1/service/web/score')).status === 404;
  });
  await show([]);
  await eventually('nobody listens for TLS', async () => {
    return shownTo(tlsPort, 'a.example.com').then(
      () => false,
      (error: unknown) => /ECONNREFUSED/.test(String(error)),
    );
  });
});

test('a certificate that is no certificate, or not of its key, does not keep the others from being shown', {
  skip,
}, async (t) => {
  const { tlsPort, show } = await openWorld(t);
  const a = await certificate('a', ['a.example.com']);
  const b = await certificate('b', ['b.example.com']);
  await show([
    { ...a, name: 'alien', key: b.key },
    { ...a, name: 'broken', certificate: 'x' },
    { ...a, name: 'x;show info' },
    { ...a, name: 'hostile', hosts: ['a b', 'c\n/etc/passwd', 'good.example.com'] },
    b,
  ]);
  assert.equal(await shownTo(tlsPort, 'b.example.com'), 'b.example.com');
  assert.equal(await shownTo(tlsPort, 'good.example.com'), 'a.example.com');
});

test('renewing a certificate under load closes no connection and fails no request', { skip }, async (t) => {
  const { tlsPort, show } = await openWorld(t);
  await show([await certificate('a', ['a.example.com'])]);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  t.after(async () => agent.destroy());
  const sockets = new Set<unknown>();
  const serials = new Set<string>();
  const ask = async () => {
    const options = { port: tlsPort, host: '127.0.0.1', servername: 'a.example.com', rejectUnauthorized: false, agent };
    const request = httpsRequest({ ...options, path: '/nothing' }).end();
    const [response] = await once(request, 'response');
    sockets.add(response.socket);
    response.resume();
    await once(response, 'end');
    assert.equal(response.statusCode, 404);
  };
  for (let renewal = 0; renewal < 5; renewal += 1) {
    const next = await certificate('a', ['a.example.com']);
    let done = false;
    const renewing = show([next]).then(() => {
      done = true;
    });
    let asked = 0;
    while (!done || asked < 200) {
      await Promise.all([ask(), ask(), ask(), ask()]);
      asked += 4;
    }
    await renewing;
    const socket = connect({
      port: tlsPort,
      host: '127.0.0.1',
      servername: 'a.example.com',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    serials.add(socket.getPeerCertificate().serialNumber);
    socket.destroy();
  }
  assert.equal(serials.size, 5, 'new connections are shown the new certificate');
  assert.equal(sockets.size, 4, 'the old connections are the ones that are used still');
});
