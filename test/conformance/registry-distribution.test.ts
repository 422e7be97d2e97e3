import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { Credentials } from '../../src/engine/registry/credentials.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { type Manifest, MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { type RunningRegistry, startDockerRegistry } from '../images/docker-registry.ts';
import { registryConformance } from './registry.ts';

const found = findDockerRegistry();
let running: RunningRegistry;
let repositories = 0;

function client(options: { chunkBytes?: number; host?: string; credentials?: Credentials } = {}): DistributionRegistry {
  repositories += 1;
  return connect(`${options.host ?? running.host}/t${repositories}`, options);
}

function connect(
  address: string,
  options: { chunkBytes?: number; credentials?: Credentials } = {},
): DistributionRegistry {
  const { credentials, ...rest } = options;
  return new DistributionRegistry(address, { fetch, ...rest, credentials: async () => credentials });
}

if ('skip' in found) {
  test('registry over the distribution API', { skip: found.skip }, () => {});
} else {
  before(async () => {
    running = await startDockerRegistry(found.command);
  });
  after(() => running.stop());

  registryConformance('distribution API', async () => {
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

  test('a registry with basic authentication lets in who has the password', async (t) => {
    const guarded = await startDockerRegistry(found.command, { htpasswd: HTPASSWD });
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
