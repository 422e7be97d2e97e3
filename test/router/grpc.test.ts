import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { ownerOf } from '../../src/cluster/router/owners.ts';
import type { RouterPeer } from '../../src/cluster/router/routing-table.ts';
import { routedEndpoint, routedVersion, startRouter, type TestRouter } from './test-router.ts';

const program = await haproxyProgram();
const SECRETS = { hop: ['secret-of-the-test'], challenges: new Map<string, string>(), certificates: [] };
const LARGE = 'x'.repeat(1024 * 1024);
const same = (bytes: Buffer): Buffer<ArrayBuffer> => Buffer.from(bytes);
const METHOD = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };

describe('gRPC', { skip: typeof program === 'string' ? false : program.skip }, () => {
  for (const where of ['its owner', 'another router']) {
    test(`a server of one's own is called by way of ${where}: one answer, streams both ways, failures with their details`, async (t) => {
      const { asked, endpoint } = await startRouters(t, await startServer(t), where === 'its owner');
      const client = new Client(`127.0.0.1:${asked.settings.port}`, credentials.createInsecure(), {
        'grpc.max_receive_message_length': -1,
      });
      t.after(() => client.close());
      const path = (method: string) => `/api/v1/service/${endpoint}/test.Echo/${method}`;

      for (const text of ['hello', LARGE]) {
        const { answer, trailers } = await unary(client, path('Say'), text);
        assert.equal(answer.length, text.length);
        assert.deepEqual(trailers.get('x-length'), [String(text.length)]);
      }
      await assert.rejects(unary(client, path('Fail'), 'x'), (error: ServiceError) => {
        assert.deepEqual([error.code, error.details], [status.FAILED_PRECONDITION, 'not like this']);
        assert.deepEqual(error.metadata.get('x-why'), ['because']);
        return true;
      });

      const call = client.makeBidiStreamRequest(path('Talk'), same, same);
      const heard: string[] = [];
      let answered = () => {};
      call.on('data', (bytes: Buffer) => {
        heard.push(bytes.toString());
        answered();
      });
      const ended = new Promise((resolve, reject) => {
        call.on('status', resolve);
        call.on('error', reject);
      });
      // Each only after the answer to the one before: nothing is held back on the way.
      for (const text of ['one', 'two', 'three']) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        call.write(Buffer.from(text));
        await answer;
      }
      call.end();
      assert.deepEqual(heard, ['one', 'two', 'three']);
      assert.deepEqual(((await ended) as { metadata: Metadata }).metadata.get('x-heard'), ['3']);
    });
  }

  test('servers hear that trailers are taken, which those in C insist on', async (t) => {
    const heard: unknown[] = [];
    const server = createServer().on('stream', (stream, headers) => {
      heard.push(headers['te']);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { asked, endpoint } = await startRouters(t, (server.address() as AddressInfo).port, false);
    const session = connect(`http://127.0.0.1:${asked.settings.port}`);
    t.after(() => {
      session.destroy();
      server.close();
    });
    const request = session.request({
      ':method': 'POST',
      ':path': `/api/v1/service/${endpoint}/test.Echo/Say`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const [answer] = await once(request.end(), 'response');
    assert.deepEqual([answer[':status'], answer['grpc-status'], heard], [200, '0', ['trailers']]);
  });
});

interface Answer {
  readonly answer: Buffer;
  readonly trailers: Metadata;
}

function unary(client: Client, path: string, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const call = client.makeUnaryRequest(path, same, same, Buffer.from(text), (error, value) => {
      if (error) reject(error);
      else answer = Buffer.from(value ?? '');
    });
    call.on('status', ({ code, metadata }) => {
      if (code === status.OK) resolve({ answer, trailers: metadata });
    });
  });
}

async function startServer(t: TestContext): Promise<number> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  const one = { ...METHOD, requestStream: false, responseStream: false };
  server.addService(
    {
      Say: { ...one, path: '/test.Echo/Say' },
      Fail: { ...one, path: '/test.Echo/Fail' },
      Talk: { ...METHOD, requestStream: true, responseStream: true, path: '/test.Echo/Talk' },
    },
    {
      Say: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const trailers = new Metadata();
        trailers.set('x-length', String(call.request.length));
        done(null, call.request, trailers);
      },
      Fail: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const metadata = new Metadata();
        metadata.set('x-why', 'because');
        done({ code: status.FAILED_PRECONDITION, details: 'not like this', metadata });
      },
      Talk: (call: ServerDuplexStream<Buffer, Buffer>) => {
        let heard = 0;
        call.on('data', (bytes: Buffer) => {
          heard += 1;
          call.write(bytes);
        });
        call.on('end', () => {
          const trailers = new Metadata();
          trailers.set('x-heard', String(heard));
          call.end(trailers);
        });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  t.after(() => server.forceShutdown());
  return port;
}

/** Two, of which one is asked, and an endpoint that is its own or the other's. */
async function startRouters(
  t: TestContext,
  port: number,
  own: boolean,
): Promise<{ readonly asked: TestRouter; readonly endpoint: string }> {
  const routers = await Promise.all(
    ['127.0.0.1', '127.0.0.2'].map((address, index) => startRouter({ name: `router-${index}`, address })),
  );
  t.after(() => Promise.all(routers.map((router) => router.remove())));
  const names = routers.map(({ settings: { name } }) => name);
  const endpoint = Array.from({ length: 100 }, (_, index) => `svc-${index}`).find(
    (name) => ownerOf(name, names) === names[own ? 0 : 1],
  );
  const [asked] = routers;
  assert.ok(asked && endpoint);
  const replicas = [{ id: 'r', address: '127.0.0.1', port, state: 'ready' as const }];
  const version = routedVersion('main', [], { ownServer: true, http2: true, replicas });
  const peers: RouterPeer[] = routers.map(({ settings: { name, address, hopPort } }) => ({ name, address, hopPort }));
  for (const { router } of routers)
    await router.configure({ endpoints: [routedEndpoint(endpoint, [version])], routers: peers }, SECRETS);
  return { asked, endpoint };
}
