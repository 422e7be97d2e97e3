import assert from 'node:assert/strict';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from 'undici';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { SOCKETS } from '../../src/cluster/router/haproxy-names.ts';
import { ownerOf } from '../../src/cluster/router/owners.ts';
import type { RoutedAuth } from '../../src/cluster/router/routing-table.ts';
import { serveTokens } from '../../src/cluster/router/token-socket.ts';
import { sha256 } from '../conformance/data-plane-world.ts';
import { FakeReplica } from '../conformance/fake-replica.ts';
import { call } from '../conformance/http-client.ts';
import { routedEndpoint, routedVersion, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();
const SECRETS = { hop: ['secret-of-the-test'], challenges: new Map<string, string>(), certificates: [] };
const SOON = 1;

/** Nearly all requests take a shorter way through HAProxy's rules, which says the same. */
describe('usual requests', { skip: typeof program === 'string' ? false : program.skip }, () => {
  let routers: TestRouter[];
  let replica: FakeReplica;
  let tokens: Server;
  const good = new Map<string, number>();

  before(async () => {
    routers = await Promise.all(
      ['127.0.0.1', '127.0.0.2'].map((address, index) => startRouter({ name: `router-${index}`, address })),
    );
    replica = await FakeReplica.start('a');
    const folder = routers[0]?.settings.folder ?? '';
    tokens = await serveTokens(join(folder, SOCKETS.tokens), async (audience, subject, token) =>
      good.get(`${audience} ${subject} ${token}`),
    );
  });
  after(async () => {
    tokens.close();
    await Promise.all([...routers.map((router) => router.remove()), replica.kill()]);
  });

  const configure = (endpoints: Readonly<Record<string, RoutedAuth>>) => {
    const peers = routers.map(({ settings }) => settings);
    const table = {
      endpoints: Object.entries(endpoints).map(([name, auth]) =>
        routedEndpoint(name, [routedVersion('main', [replica])], { auth }),
      ),
      routers: peers.map(({ name, address, hopPort }) => ({ name, address, hopPort })),
    };
    return Promise.all(routers.map(({ router }) => router.configure(table, SECRETS)));
  };

  test('a connection that has shown a good key or token is believed that one, for that endpoint, until it changes', async (t) => {
    const keys = (...values: string[]): RoutedAuth => ({ mode: 'key', keyHashes: values.map(sha256) });
    const tokensOf = (subjectUid: string): RoutedAuth => ({ mode: 'token', audience: 'https://x/svc', subjectUid });
    const client = new Client(`http://127.0.0.1:${routers[0]?.settings.port}`);
    let connections = 0;
    client.on('connect', () => {
      connections += 1;
    });
    t.after(() => client.close());
    const statuses = async (...asked: (readonly [endpoint: string, secret: string])[]) => {
      const all: number[] = [];
      for (const [endpoint, secret] of asked) {
        const reply = await client.request({
          path: `/api/v1/service/${endpoint}/score`,
          method: 'POST',
          body: 'x',
          headers: secret === '' ? {} : { authorization: `Bearer ${secret}` },
        });
        await reply.body.dump();
        all.push(reply.statusCode);
      }
      return all;
    };

    await configure({
      one: keys('first', 'second'),
      other: keys('third'),
      issued: tokensOf('uid-1'),
      open: { mode: 'none' },
    });
    const each = [
      ['one', 'first'],
      ['one', 'wrong'],
      ['one', 'first'],
      ['other', 'first'],
      ['one', ''],
      ['one', 'first:one'],
      ['open', ''],
      ['one', 'second'],
      ['other', 'third'],
      ['one', 'first'],
    ] as const;
    assert.deepEqual(await statuses(...each), [200, 401, 200, 401, 401, 401, 200, 200, 200, 200]);

    await configure({ one: keys('fourth', 'second'), other: keys('third'), issued: tokensOf('uid-1') });
    assert.deepEqual(await statuses(['one', 'first'], ['one', 'second'], ['one', 'first'], ['one', 'fourth']), [
      ...[401, 200, 401, 200],
    ]);

    const now = Math.floor(Date.now() / 1000);
    good.set('https://x/svc uid-1 short', now + SOON + 1).set('https://x/svc uid-1 long', now + 3600);
    const tokensAsked = [
      ['issued', 'short'],
      ['issued', 'short'],
      ['issued', 'long'],
      ['issued', 'forged'],
      ['issued', 'long'],
    ] as const;
    assert.deepEqual(await statuses(...tokensAsked), [200, 200, 200, 401, 200]);
    while (Date.now() / 1000 < now + SOON + 2) await statuses(['issued', 'long']);
    assert.deepEqual(await statuses(['issued', 'short'], ['issued', 'long']), [401, 200]);
    await configure({ issued: tokensOf('uid-2') });
    assert.deepEqual(await statuses(['issued', 'long'], ['issued', 'long'], ['one', 'fourth']), [401, 401, 404]);
    assert.equal(connections, 1);
  });

  test('what a replica says of its version, of its connection or of the routers goes no further', async (t) => {
    const forger = await FakeReplica.start('forger', (_request, response) => {
      response.writeHead(200, {
        'azureml-model-deployment': 'forged',
        'x-aksml-version': 'forged',
        connection: 'keep-alive, x-of-the-connection',
        'x-of-the-connection': '1',
        'x-kept': 'yes',
      });
      response.end('ok');
    });
    t.after(() => forger.kill());
    const names = routers.map(({ settings }) => settings.name);
    const owned = names.map((owner) =>
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find((name) => ownerOf(name, names) === owner),
    );
    const peers = routers.map(({ settings: { name, address, hopPort } }) => ({ name, address, hopPort }));
    const endpoints = owned.map((name) => routedEndpoint(name ?? '', [routedVersion('main', [forger])]));
    await Promise.all(routers.map(({ router }) => router.configure({ endpoints, routers: peers }, SECRETS)));
    for (const name of owned) {
      const { headers } = await call(`http://127.0.0.1:${routers[0]?.settings.port}/api/v1/service/${name}/score`, {
        body: 'x',
      });
      assert.equal(headers['azureml-model-deployment'], 'main');
      assert.equal(headers['x-kept'], 'yes');
      assert.deepEqual(
        Object.keys(headers).filter((header) => /^x-aksml-|x-of-the/.test(header)),
        [],
      );
      assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/);
      assert.equal(headers['x-ms-request-id'], headers['x-request-id']);
    }
  });
});
