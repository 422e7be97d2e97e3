import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test as nodeTest, type TestContext } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import type { Credentials } from '../../src/engine/registry/credentials.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { type Manifest, MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { type Fetch, lightFetch } from '../../src/http/fetch.ts';
import { registryPrograms } from '../images/distribution.ts';
import { type RunningRegistry, startDockerRegistry } from '../images/docker-registry.ts';
import { registryConformance } from './registry.ts';

for (const program of await registryPrograms()) {
  if ('skip' in program)
    nodeTest(`registry over the distribution API: ${program.name}`, { skip: program.skip }, () => {});
  else registrySuite(program.name, program.command);
}

function registrySuite(name: string, command: string): void {
  let running: RunningRegistry;
  let repositories = 0;

  const client = (options: { chunkBytes?: number; host?: string; fetch?: Fetch } = {}): DistributionRegistry => {
    repositories += 1;
    return connect(`${options.host ?? running.host}/t${repositories}`, options);
  };
  const test = (sentence: string, check: (t: TestContext) => Promise<void>): void => {
    nodeTest(`${name}: ${sentence}`, check);
  };

  before(async () => {
    running = await startDockerRegistry(command);
  });
  after(() => running.stop());

  registryConformance(`distribution API of ${name}`, async () => {
    const registry = client({ chunkBytes: 1 << 20 });
    return { registry, again: connect(registry.location) };
  });

  test('an upload whose requests are cut off before they arrive goes on where the registry stands', async (t) => {
    const line = await openBadLine(running.host, { cutAt: (count) => count % 4 === 0, passedBytes: 0 });
    t.after(() => line.close());
    const registry = client({ chunkBytes: 256 * 1024, host: line.host });
    const content = randomBytes(2 << 20);
    async function* stream() {
      yield content;
    }
    const blob = await registry.putBlob('models/a', stream(), { mediaType: MEDIA_TYPE.layer });
    assert.ok(content.equals(await buffer(await registry.getBlob('models/a', blob.digest))));
    assert.ok(line.cuts() >= 3, `${line.cuts()} requests were cut off`);
  });

  test('an upload that the registry forgets half-way begins again when its content can be read again', async (t) => {
    const line = await openBadLine(running.host, { cutAt: (count) => count === 4, passedBytes: 100_000 });
    t.after(() => line.close());
    const registry = client({ chunkBytes: 256 * 1024, host: line.host });
    const content = randomBytes(2 << 20);
    const repeatable = { [Symbol.asyncIterator]: () => Readable.from([content])[Symbol.asyncIterator]() };
    const blob = await registry.putBlob('models/a', repeatable, { mediaType: MEDIA_TYPE.layer });
    assert.ok(content.equals(await buffer(await registry.getBlob('models/a', blob.digest))));
    assert.equal(line.cuts(), 1);
  });

  test('a tag that is deleted takes no other tag of the same manifest along', async () => {
    const registry = client();
    const config = await registry.putBlob('a', Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty });
    const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [config] };
    for (const tag of ['1', '2']) await registry.putManifest('a', manifest, { tag });
    await registry.deleteManifest('a', '1');
    assert.deepEqual(await registry.listTags('a'), ['2']);
    await assert.rejects(registry.deleteManifest('a', '1'), (error) => AksmlError.is(error, 'registry.notFound'));
  });

  test('credentials that have expired are asked for anew, also in the middle of the work', async (t) => {
    const guarded = await startDockerRegistry(command, { htpasswd: HTPASSWD });
    t.after(() => guarded.stop());
    const passwords = ['expired', 'correct horse', 'correct horse'];
    let asked = 0;
    const registry = new DistributionRegistry(guarded.host, {
      fetch: lightFetch,
      credentials: async () => {
        asked += 1;
        return { kind: 'password', username: 'ann', password: passwords[asked - 1] ?? '' };
      },
    });
    const { digest } = await registry.putBlob('a', Buffer.from('guarded'), { mediaType: MEDIA_TYPE.layer });
    assert.equal(await registry.hasBlob('a', digest), true);
    assert.equal(asked, 2, 'once at first, and once when they were refused');
  });

  test('an upload outlives a registry that is killed and started again', async (t) => {
    const dying = await startDockerRegistry(command);
    t.after(() => dying.stop());
    const registry = connect(dying.host, { chunkBytes: 256 * 1024 });
    const content = randomBytes(4 << 20);
    let killed = false;
    const repeatable = {
      async *[Symbol.asyncIterator]() {
        for (let start = 0; start < content.length; start += 1 << 20) {
          if (start > 0 && !killed) {
            killed = true;
            await dying.restart();
          }
          yield content.subarray(start, start + (1 << 20));
        }
      },
    };
    const blob = await registry.putBlob('models/a', repeatable, { mediaType: MEDIA_TYPE.layer });
    assert.equal(killed, true);
    assert.ok(content.equals(await buffer(await registry.getBlob('models/a', blob.digest))));
  });

  test('of writers that take the next number at once each gets one of its own, and none is lost', async () => {
    const address = client().location;
    const writers = Array.from({ length: 6 }, () => connect(address));
    const numbers = await Promise.all(
      writers.map(async (registry, index) => {
        const config = await registry.putBlob('a', Buffer.from(`"${index}"`), { mediaType: MEDIA_TYPE.empty });
        const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [config] };
        for (let number = 1; ; number += 1) {
          const { written } = await registry.putManifest('a', manifest, { tag: String(number), ifAbsent: true });
          if (written) return number;
        }
      }),
    );
    assert.equal(new Set(numbers).size, writers.length, numbers.join(', '));
    const reader = connect(address);
    for (const [index, number] of numbers.entries()) {
      const { manifest } = await reader.getManifest('a', String(number));
      assert.equal((await buffer(await reader.getBlob('a', manifest.config.digest))).toString(), `"${index}"`);
    }
    assert.deepEqual((await reader.listTags('a')).sort(), numbers.map(String).sort());
  });

  test('a writer that was held up while another took the tag does not overwrite it', async () => {
    const address = client().location;
    const fast = connect(address);
    let overtaken = false;
    const slow = connect(address, {
      fetch: async (url, asked) => {
        // Before it leaves its claim, after it has seen that the tag is free.
        if (!overtaken && asked.method === 'PUT' && /\/manifests\/1\.claim-/.test(url.href)) {
          overtaken = true;
          assert.equal((await put(fast, 'fast')).written, true);
        }
        return lightFetch(url, asked);
      },
    });
    const put = async (registry: DistributionRegistry, text: string) => {
      const config = await registry.putBlob('a', Buffer.from(`"${text}"`), { mediaType: MEDIA_TYPE.empty });
      const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [config] };
      return registry.putManifest('a', manifest, { tag: '1', ifAbsent: true });
    };
    assert.equal((await put(slow, 'slow')).written, false);
    assert.equal(overtaken, true);
    const { manifest } = await fast.getManifest('a', '1');
    assert.equal((await buffer(await fast.getBlob('a', manifest.config.digest))).toString(), '"fast"');
  });

  test('a claim may be taken back later than the tag is written, which nobody else gets meanwhile', async () => {
    const released = Promise.withResolvers<void>();
    const registry = client({
      fetch: async (url, asked) => {
        if (asked.method === 'DELETE') await released.promise;
        return lightFetch(url, asked);
      },
    });
    const config = await registry.putBlob('a', Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty });
    const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [config] };
    const left: Promise<unknown>[] = [];
    const later = (work: Promise<unknown>) => void left.push(work);
    assert.equal((await registry.putManifest('a', manifest, { tag: '1', ifAbsent: true, later })).written, true);
    const other = connect(registry.location);
    assert.equal((await other.putManifest('a', manifest, { tag: '1', ifAbsent: true, later })).written, false);
    released.resolve();
    await Promise.all(left);
    const [host, prefix] = registry.location.split('/');
    const answer = await fetch(`http://${host}/v2/${prefix}/a/tags/list`);
    assert.deepEqual(((await answer.json()) as { tags: unknown }).tags, ['1']);
  });

  test('repositories are listed although the registry shows nobody its catalog', async () => {
    const withoutCatalog: Fetch = async (url, asked) =>
      url.href.includes('/v2/_catalog') ? new Response(null, { status: 403 }) : lightFetch(url, asked);
    const registry = client({ fetch: withoutCatalog });
    const config = await registry.putBlob('models/a', Buffer.from('{}'), { mediaType: MEDIA_TYPE.empty });
    const manifest: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [config] };
    await registry.putManifest('models/a', manifest, { tag: '1' });
    assert.deepEqual(await registry.listRepositories('models/'), ['models/a']);
  });

  test('a registry with basic authentication lets in who has the password', async (t) => {
    const guarded = await startDockerRegistry(command, { htpasswd: HTPASSWD });
    t.after(() => guarded.stop());
    const content = Buffer.from('guarded');
    const right = connect(guarded.host, {
      credentials: { kind: 'password', username: 'ann', password: 'correct horse' },
    });
    const { digest } = await right.putBlob('a', content, { mediaType: MEDIA_TYPE.layer });
    assert.equal(await right.hasBlob('a', digest), true);
    const wrong = connect(guarded.host, { credentials: { kind: 'password', username: 'ann', password: 'wrong' } });
    for (const registry of [wrong, connect(guarded.host)]) {
      await assert.rejects(registry.hasBlob('a', digest), (error) => AksmlError.is(error, 'registry.unauthorized'));
    }
  });
}

function connect(
  address: string,
  options: { chunkBytes?: number; credentials?: Credentials; fetch?: Fetch } = {},
): DistributionRegistry {
  const { credentials, ...rest } = options;
  return new DistributionRegistry(address, { fetch: lightFetch, ...rest, credentials: async () => credentials });
}

/** ann / correct horse, bcrypt. */
const HTPASSWD = 'ann:$2b$04$hkmVbxu1jwD6.3F/00iKzusAU5Yi1BbnDzOKtbPrHk4irDtwq0Oja\n';

/** A proxy that cuts connections: of the requests that it counts, those chosen, after so many bytes of the body. */
async function openBadLine(
  target: string,
  options: { cutAt: (count: number) => boolean; passedBytes: number },
): Promise<{ host: string; cuts(): number; close(): Promise<void> }> {
  let count = 0;
  let cuts = 0;
  const [hostname, port] = target.split(':');
  const server = createServer((incoming, outgoing) => {
    count += 1;
    const left = options.cutAt(count) ? options.passedBytes : Number.POSITIVE_INFINITY;
    if (left === 0) {
      cuts += 1;
      incoming.socket.destroy();
      return;
    }
    const onward = request({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers });
    onward.on('error', () => incoming.socket.destroy());
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    let passed = 0;
    incoming.on('data', (part: Buffer) => {
      onward.write(part);
      passed += part.length;
      if (passed < left || onward.destroyed) return;
      cuts += 1;
      onward.destroy();
    });
    incoming.on('end', () => onward.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    cuts: () => cuts,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
