import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import type { RoutedVersion } from '../../src/cluster/router/routing-table.ts';
import { eventually } from '../cluster/world.ts';
import { FakeReplica, Hold } from '../conformance/fake-replica.ts';
import { call, until } from '../conformance/http-client.ts';
import { routedEndpoint, routedVersion, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();

describe('a router on its own', { skip: typeof program === 'string' ? false : program.skip }, () => {
  const score = ({ settings }: TestRouter, body: string | Buffer = 'x') =>
    call(`http://127.0.0.1:${settings.port}/api/v1/service/svc/score`, { body, agent: new Agent() });

  async function open(t: TestContext) {
    const world = await startRouter();
    const replicas = await Promise.all(['a', 'b'].map((id) => FakeReplica.start(id)));
    t.after(async () => {
      await world.remove();
      await Promise.all(replicas.map((replica) => replica.kill()));
    });
    const [real, other] = replicas;
    assert.ok(real && other);
    return { world, real, other };
  }

  test('HAProxy that is killed is back at once, with all that it did before', async (t) => {
    const { world, real } = await open(t);
    const version = routedVersion('main', [real], { maxConcurrentRequestsPerContainer: 5 });
    await world.router.configure({ endpoints: [routedEndpoint('svc', [version])], routers: [] });
    assert.equal((await score(world)).status, 200);
    for (const all of [true, false]) {
      const pids = await processesOf(world.settings.folder);
      assert.ok(pids.length >= 2, 'a master and a worker');
      for (const pid of all ? pids : pids.slice(-1)) process.kill(pid, 'SIGKILL');
      await eventually('it is another one', async () => {
        const present = await processesOf(world.settings.folder);
        return present.length >= 2 && !present.some((pid) => pids.includes(pid));
      });
      await eventually('it serves', async () => (await score(world).catch(() => undefined))?.status === 200);
      const large = await score(world, Buffer.alloc(300_000, 'x'));
      assert.equal(large.status, 200, 'by way of the activator, too');
    }
    await world.router.configure({ endpoints: [], routers: [] });
    assert.equal((await score(world)).status, 404, 'and it is told what is new');
  });

  test('a router that ends under load answers everybody, and tells them to go elsewhere next', async (t) => {
    const { world, real, other } = await open(t);
    const version = routedVersion('main', [real, other], { maxConcurrentRequestsPerContainer: 5 });
    await world.router.configure({ endpoints: [routedEndpoint('svc', [version])], routers: [] });
    let answered = 0;
    const client = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (;;) {
        const url = `http://127.0.0.1:${world.settings.port}/api/v1/service/svc/score`;
        const reply = await call(url, { body: 'x', agent });
        assert.equal(reply.status, 200, reply.text);
        answered += 1;
        if (reply.headers.connection === 'close') return;
      }
    };
    const clients = Array.from({ length: 30 }, client);
    await until(() => answered > 1000, 'all are at it');
    const ended = world.router.stop();
    await Promise.all(clients);
    await ended;
    assert.equal(real.seen.length + other.seen.length, answered);
  });

  test('a request whose body comes when its endpoint has gone never reaches another one', async (t) => {
    const { world, real, other } = await open(t);
    const serve = (name: string, replica: FakeReplica) =>
      world.router.configure({ endpoints: [routedEndpoint(name, [routedVersion('main', [replica])])], routers: [] });
    await serve('svc', real);
    const socket = connect(world.settings.port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    t.after(() => socket.destroy());
    socket.write('POST /api/v1/service/svc/score HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx');
    await eventually('it is being waited for', async () => {
      const [text = ''] = await world.router.api.run(['show sess']);
      return text.includes('fe=public');
    });
    await serve('other', other);
    socket.write('x');
    await until(() => answer.includes('\r\n\r\n'), 'there is an answer');
    assert.match(answer, /^HTTP\/1.1 404 /);
    assert.equal(other.seen.length, 0);
  });

  test('a replica is drained when what came before a reload is answered, too', async (t) => {
    const { world, real } = await open(t);
    const hold = new Hold();
    real.answer = hold.answer;
    const configure = (maxQueueWaitMs: number, replicas: FakeReplica[]) =>
      world.router.configure({
        endpoints: [routedEndpoint('svc', [routedVersion('main', replicas, { maxQueueWaitMs })])],
        routers: [],
      });
    await configure(500, [real]);
    const reply = score(world);
    await until(() => hold.waiting.length === 1, 'it is at the replica');
    await configure(123, []);
    let isDrained = false;
    const drained = world.router.drained([real.id]).then(() => {
      isDrained = true;
    });
    for (let round = 0; round < 3; round += 1) await world.router.drained(['another']);
    assert.equal(isDrained, false);
    hold.releaseAll();
    await drained;
    assert.equal((await reply).status, 200);
  });

  test('who waits for a version by its name is told when it is there no more', async (t) => {
    const { world, real, other } = await open(t);
    const hold = new Hold();
    other.answer = hold.answer;
    const main = routedVersion('main', [real]);
    const next = routedVersion('next', [other], { isDefault: false, trafficPercentile: 0 });
    const configure = (versions: RoutedVersion[]) =>
      world.router.configure({ endpoints: [routedEndpoint('svc', versions)], routers: [] });
    await configure([main, next]);
    const url = `http://127.0.0.1:${world.settings.port}/api/v1/service/svc/score`;
    const named = () => call(url, { body: 'x', headers: { 'azureml-model-deployment': 'next' } });
    const first = named();
    await until(() => other.inFlight === 1, 'the first is at the replica');
    const second = named();
    const queued = () => world.router.backends.queuedIn([...world.router.ownedVersions().keys()]);
    await eventually('the second waits', async () => [...(await queued()).values()].includes(1));
    await configure([main]);
    assert.equal((await second).status, 404);
    assert.equal((await named()).status, 404);
    hold.releaseAll();
    await first;
    assert.equal(real.seen.length, 0);
  });

  test('a mirror gets copies of its share, whatever becomes of them, and clients the answers of the others alone', async (t) => {
    const { world, real, other } = await open(t);
    const hold = new Hold();
    other.answer = hold.answer;
    const configure = (percentile: number) =>
      world.router.configure({
        endpoints: [
          routedEndpoint(
            'svc',
            [
              routedVersion('main', [real], { maxConcurrentRequestsPerContainer: 100 }),
              routedVersion('next', [other], {
                isDefault: false,
                trafficPercentile: 0,
                maxConcurrentRequestsPerContainer: 100,
              }),
            ],
            { mirror: { version: 'next', percentile } },
          ),
        ],
        routers: [],
      });
    await configure(100);
    const large = Buffer.alloc(300_000, 'x');
    for (const body of ['x', large]) {
      const reply = await score(world, body);
      assert.deepEqual([reply.status, reply.headers['azureml-model-deployment']], [200, 'main']);
    }
    await until(() => hold.waiting.length === 2, 'the copies have come, and nobody waits for them');
    assert.deepEqual(other.seen.map(({ body }) => body.length).sort(), [1, large.length]);
    hold.releaseAll();
    other.answer = (_request, response) => void response.socket?.destroy();
    assert.equal((await score(world)).status, 200, 'nor does it matter how they fail');
    await configure(0);
    const before = other.seen.length;
    for (let index = 0; index < 20; index += 1) assert.equal((await score(world)).status, 200);
    assert.equal(other.seen.length, before);
    other.answer = (_request, response) => void response.end();
    await configure(25);
    for (let index = 0; index < 400; index += 1) assert.equal((await score(world)).status, 200);
    const figures = world.activator.figures();
    const copied = (figures.copied.get('svc/next') ?? 0) + (figures.dropped.get('svc/next') ?? 0) - before;
    // Six standard deviations.
    assert.ok(Math.abs(copied - 100) < 52, `${copied} of 400`);
  });
});

/** Processes whose command names the folder: the master, then its workers. */
async function processesOf(folder: string): Promise<number[]> {
  const all = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const commands = await Promise.all(
    all.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')] as const),
  );
  return commands.filter(([, command]) => command.includes(folder)).map(([pid]) => pid);
}
