import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import type { ReplicaRecord } from '../../src/cluster/router/aversion.ts';
import { LoadSampler } from '../../src/cluster/router/load-sampler.ts';
import { ownerOf } from '../../src/cluster/router/owners.ts';
import { RequestLog } from '../../src/cluster/router/request-log.ts';
import type { RoutedEndpoint, RouterPeer } from '../../src/cluster/router/routing-table.ts';
import { type Answer, echo, FakeReplica, Hold } from '../conformance/fake-replica.ts';
import { call, until } from '../conformance/http-client.ts';
import { routedEndpoint, routedVersion, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();
const SECRETS = { hop: ['secret-of-the-test'], challenges: new Map<string, string>(), certificates: [] };
const slowly: Answer = (_request, response) => setTimeout(() => response.end('ok'), 3);

describe('routers that share endpoints', { skip: typeof program === 'string' ? false : program.skip }, () => {
  let routers: TestRouter[];
  const peers = (): RouterPeer[] =>
    routers.map(({ settings }) => ({ name: settings.name, address: settings.address, hopPort: settings.hopPort }));
  const configure = (endpoints: readonly RoutedEndpoint[], among = peers()) =>
    Promise.all(routers.map(({ router }) => router.configure({ endpoints, routers: among }, SECRETS)));
  const url = ({ settings }: TestRouter, endpoint: string) =>
    `http://${settings.address}:${settings.port}/api/v1/service/${endpoint}/score`;
  const queuedIn = async ({ router }: TestRouter) => {
    const queued = await router.backends.queuedIn([...router.ownedVersions().keys()]);
    return [...queued.values()].reduce((sum, count) => sum + count, 0);
  };
  /** An endpoint of the given owner. */
  const ownedBy = (owner: string, among = peers()) => {
    const names = among.map(({ name }) => name);
    const name = Array.from({ length: 100 }, (_, index) => `svc-${index}`).find(
      (each) => ownerOf(each, names) === owner,
    );
    assert.ok(name);
    return name;
  };

  before(async () => {
    routers = await Promise.all(
      ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((address, index) =>
        startRouter({ name: `router-${index}`, address }),
      ),
    );
  });
  after(() => Promise.all(routers.map((router) => router.remove())));

  test('whichever is asked, a replica never has more than its limit, and nobody is refused', async (t) => {
    const replicas = await Promise.all(['a', 'b'].map((id) => FakeReplica.start(id, slowly)));
    t.after(() => Promise.all(replicas.map((replica) => replica.kill())));
    await configure([routedEndpoint('svc', [routedVersion('main', replicas, { maxQueueWaitMs: 60_000 })])]);
    const replies = await Promise.all(
      Array.from({ length: 300 }, (_, index) => {
        const router = routers[index % routers.length];
        assert.ok(router);
        return call(url(router, 'svc'), { body: 'x' });
      }),
    );
    assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
    assert.deepEqual([...new Set(replies.map(({ headers }) => headers['azureml-model-deployment']))], ['main']);
    assert.deepEqual(
      replicas.map(({ mostInFlight }) => mostInFlight),
      [1, 1],
    );
  });

  test('only a router that knows the secret is let in where routers talk', async (t) => {
    const replica = await FakeReplica.start('a');
    t.after(() => replica.kill());
    await configure([routedEndpoint('svc', [routedVersion('main', [replica])])]);
    for (const secret of ['', 'out', 'guess']) {
      for (const { settings } of routers) {
        const target = `http://${settings.address}:${settings.hopPort}/score`;
        const reply = await call(target, {
          body: 'x',
          headers: { 'x-aksml-hop': secret, 'x-aksml-route': 'svc/main' },
        });
        assert.equal(reply.status, 404);
      }
    }
    assert.equal(replica.seen.length, 0);
  });

  test('who waits in a router that is no longer the owner goes on to the new one', async (t) => {
    const hold = new Hold();
    const replica = await FakeReplica.start('a', hold.answer);
    t.after(() => replica.kill());
    const [first, second, third] = routers;
    assert.ok(first && second && third);
    const name = ownedBy(third.settings.name);
    const endpoints = [routedEndpoint(name, [routedVersion('main', [replica])])];
    await configure(endpoints);
    const calls = [call(url(first, name), { body: '0' })];
    await until(() => hold.waiting.length === 1, 'the first is at the replica');
    calls.push(call(url(second, name), { body: '1' }));
    while ((await queuedIn(third)) !== 1) await new Promise((resolve) => setImmediate(resolve));
    const rest = peers().filter((peer) => peer.name !== third.settings.name);
    await configure(endpoints, rest);
    replica.answer = (_request, response) => void response.end('ok');
    hold.releaseAll();
    assert.deepEqual(
      (await Promise.all(calls)).map(({ status }) => status),
      [200, 200],
    );
  });

  test('a replica that dies over a request is 502 whichever is asked, also where its connection was used before', async (t) => {
    const replica = await FakeReplica.start('a');
    t.after(() => replica.kill());
    await configure([routedEndpoint('svc', [routedVersion('main', [replica])])]);
    for (const router of routers) {
      replica.answer = echo;
      for (let used = 0; used < 3; used += 1) await call(url(router, 'svc'), { body: 'x' });
      const before = replica.seen.length;
      replica.answer = (_request, response) => void response.destroy();
      const reply = await call(url(router, 'svc'), { body: 'x', agent: new Agent() });
      assert.deepEqual([reply.status, reply.text], [502, 'Replica closed connection before replying']);
      assert.equal(replica.seen.length, before + 1);
    }
  });

  test('a later request of a client’s connection gets 502 from a replica that dies, too, be it v1’s server, which closes after every answer, or an own one', async (t) => {
    const replica = await FakeReplica.start('a');
    t.after(() => replica.kill());
    for (const ownServer of [false, true]) {
      await configure([routedEndpoint('svc', [routedVersion('main', [replica], { ownServer })])]);
      for (const router of routers) {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        t.after(() => agent.destroy());
        replica.answer = (_request, response) => {
          if (!ownServer) response.setHeader('connection', 'close');
          response.end('ok');
        };
        for (let used = 0; used < 3; used += 1)
          assert.equal((await call(url(router, 'svc'), { body: 'x', agent })).status, 200);
        const before = replica.seen.length;
        replica.answer = (_request, response) => void response.destroy();
        const reply = await call(url(router, 'svc'), { body: 'x', agent });
        assert.deepEqual([reply.status, reply.text], [502, 'Replica closed connection before replying']);
        assert.equal(reply.headers['azureml-model-deployment'], 'main');
        assert.equal(replica.seen.length, before + 1);
      }
    }
  });

  test('when the owner dies, only what was in it is lost, and who asked says so', async (t) => {
    const replicas = await Promise.all(['a', 'b'].map((id) => FakeReplica.start(id, slowly)));
    t.after(() => Promise.all(replicas.map((replica) => replica.kill())));
    const [first, , third] = routers;
    assert.ok(first && third);
    const name = ownedBy(third.settings.name);
    await configure([routedEndpoint(name, [routedVersion('main', replicas)])]);
    const outcomes: (number | string)[] = [];
    let running = true;
    const clients = Array.from({ length: 4 }, async () => {
      while (running) {
        outcomes.push(
          // Each over a connection of its own: that of routers was used before.
          await call(url(first, name), { body: 'x', agent: new Agent() }).then(
            ({ status }) => status,
            (error: Error) => error.message,
          ),
        );
      }
    });
    await until(() => outcomes.length > 50, 'requests go through');
    const hold = new Hold();
    for (const replica of replicas) replica.answer = hold.answer;
    await until(() => hold.waiting.length === replicas.length, 'there is one at each replica');
    await third.router.kill();
    for (const replica of replicas) replica.answer = slowly;
    hold.releaseAll();
    const then = outcomes.length;
    await until(() => outcomes.length > then + 50, 'requests go on');
    running = false;
    await Promise.all(clients);
    const failed = outcomes.filter((outcome) => outcome !== 200);
    assert.ok(failed.length >= replicas.length, 'what was at replicas is lost');
    assert.ok(
      failed.length <= 2 * clients.length && failed.every((outcome) => outcome === 502),
      JSON.stringify(failed),
    );
    await third.router.start();
  });

  test('what a version holds is sampled, also where no request has ended yet, and is gone with its requests', async (t) => {
    const hold = new Hold();
    const replica = await FakeReplica.start('a', hold.answer);
    t.after(() => replica.kill());
    const [first] = routers;
    assert.ok(first);
    const log = await RequestLog.listen(first.settings.logPort);
    t.after(() => log.close());
    const endpoints = ['idle', 'svc'].map((name) => routedEndpoint(name, [routedVersion('main', [replica])]));
    await first.router.configure({ endpoints, routers: peers().slice(0, 1) });
    const sampler = new LoadSampler(first.router, log);
    const sampled = async (expected: readonly string[]) => {
      let loads: string[] = [];
      const deadline = Date.now() + 60_000;
      while (loads.join() !== expected.join() && Date.now() < deadline) {
        const { versions } = await sampler.sample();
        loads = versions.map(({ endpoint, busy, queued, completed }) => `${endpoint} ${busy} ${queued} ${completed}`);
      }
      assert.deepEqual(loads, expected);
    };
    await sampled(['idle 0 0 0', 'svc 0 0 0']);
    const calls = Array.from({ length: 3 }, () => call(url(first, 'svc'), { body: 'x' }));
    await sampled(['idle 0 0 0', 'svc 1 2 0']);
    replica.answer = echo;
    hold.releaseAll();
    await Promise.all(calls);
    await sampled(['idle 0 0 0', 'svc 0 0 3']);
  });

  for (const limit of [1, 4]) {
    test(`a replica that fails at once does not attract the traffic (concurrency ${limit})`, async (t) => {
      const failing = await FakeReplica.start('failing', (_request, response) => {
        response.statusCode = 500;
        response.end();
      });
      const working = await Promise.all(['a', 'b'].map((id) => FakeReplica.start(id, slowly)));
      t.after(() => Promise.all([failing, ...working].map((replica) => replica.kill())));
      const [first] = routers;
      assert.ok(first);
      const log = await RequestLog.listen(first.settings.logPort);
      t.after(() => log.close());
      const versions = [routedVersion('main', [failing, ...working], { maxConcurrentRequestsPerContainer: limit })];
      await first.router.configure({ endpoints: [routedEndpoint('svc', versions)], routers: peers().slice(0, 1) });
      const ask = async (count: number) => {
        const before = failing.seen.length;
        for (let done = 0; done < count; done += 4)
          await Promise.all(Array.from({ length: 4 }, () => call(url(first, 'svc'), { body: 'x' })));
        return failing.seen.length - before;
      };
      const attracted = await ask(200);
      while (working.some(({ seen }) => seen.length === 0)) await ask(4);
      let counted = new Map<string, ReplicaRecord>();
      await until(() => {
        for (const servers of log.takeServers().values()) counted = new Map([...counted, ...servers]);
        return counted.size === 3;
      }, 'the log has told of all three');
      const [[backend = ''] = []] = first.router.ownedVersions();
      await first.router.shun(new Map([[backend, counted]]));
      assert.ok(attracted > 50 && (await ask(200)) === 0, `it had ${attracted} of 200 before`);
      failing.answer = slowly;
      const served = failing.seen.length;
      const trial = first.router.shun(new Map([[backend, new Map()]]));
      await ask(200);
      await trial;
      assert.ok(failing.seen.length > served, 'it is tried');
      const works = { completed: 1, failed: 0 };
      const [[name = ''] = []] = [...counted].filter(([, { failed }]) => failed > 0);
      await first.router.shun(new Map([[backend, new Map([[name, works]])]]));
      assert.ok((await ask(200)) > 30, 'it has its share again');
    });
  }

  test('a replica that comes to others gets one request at a time before it gets its share', async (t) => {
    const hold = new Hold();
    const old = await FakeReplica.start('old', hold.answer);
    const fresh = await FakeReplica.start('fresh', hold.answer);
    t.after(() => Promise.all([old, fresh].map((replica) => replica.kill())));
    const [first] = routers;
    assert.ok(first);
    const configured = (replicas: FakeReplica[]) => {
      const versions = [routedVersion('main', replicas, { maxConcurrentRequestsPerContainer: 4 })];
      return first.router.configure({ endpoints: [routedEndpoint('svc', versions)], routers: peers().slice(0, 1) });
    };
    await configured([old]);
    const calls = Array.from({ length: 8 }, () => call(url(first, 'svc'), { body: 'x' }));
    await until(() => old.inFlight === 4, 'the old one has all that it takes');
    await configured([old, fresh]);
    await until(() => fresh.inFlight > 0, 'the new one has its first');
    assert.equal(fresh.inFlight, 1);
    await until(() => fresh.inFlight === 4, 'it has its share');
    assert.equal(old.inFlight, 4);
    hold.releaseAll();
    assert.deepEqual([...new Set((await Promise.all(calls)).map(({ status }) => status))], [200]);
  });

  test('a pool that is used up costs a reload, which loses nothing and keeps every limit', async (t) => {
    const replicas = await Promise.all(['a', 'b'].map((id) => FakeReplica.start(id, slowly)));
    t.after(() => Promise.all(replicas.map((replica) => replica.kill())));
    const [first] = routers;
    assert.ok(first);
    const alone = peers().slice(0, 1);
    const shape = (queueMs: number) => [
      routedEndpoint('svc', [routedVersion('main', replicas)]),
      routedEndpoint('other', [routedVersion('main', [], { maxQueueWaitMs: queueMs })]),
    ];
    await first.router.configure({ endpoints: shape(500), routers: alone });
    const outcomes: number[] = [];
    let running = true;
    const clients = Array.from({ length: 6 }, async () => {
      while (running) outcomes.push((await call(url(first, 'svc'), { body: 'x' })).status);
    });
    for (const queueMs of [123, 124, 125]) {
      const before = outcomes.length;
      await first.router.configure({ endpoints: shape(queueMs), routers: alone });
      await until(() => outcomes.length > before + 50, 'requests go on');
    }
    running = false;
    await Promise.all(clients);
    assert.deepEqual([...new Set(outcomes)], [200]);
    assert.deepEqual(
      replicas.map(({ mostInFlight }) => mostInFlight),
      [1, 1],
    );
  });
});
