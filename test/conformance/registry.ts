import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import { type Descriptor, type Manifest, MEDIA_TYPE, type Registry } from '../../src/engine/registry/registry.ts';

export interface RegistryUnderTest {
  /** An empty one. */
  readonly registry: Registry;
  /** Another client of the same content, as another process would have it. */
  readonly again: Registry;
}

/** What every {@link Registry} does. `open` makes an empty one for each test and cleans up through the test context. */
export function registryConformance(
  name: string,
  open: (t: { after(work: () => Promise<void>): void }) => Promise<RegistryUnderTest>,
): void {
  const it = (sentence: string, check: (under: RegistryUnderTest) => Promise<void>): void => {
    test(`${name}: ${sentence}`, async (t) => {
      await check(await open({ after: (work) => t.after(work) }));
    });
  };

  it('gives back the bytes that were stored, to every client', async ({ registry, again }) => {
    for (const content of [Buffer.alloc(0), Buffer.from('small'), randomBytes(9 << 20)]) {
      const blob = await registry.putBlob('models/a', content, { mediaType: MEDIA_TYPE.layer });
      assert.deepEqual(blob, describe(content, MEDIA_TYPE.layer));
      assert.equal(await again.hasBlob('models/a', blob.digest), true);
      assert.ok(content.equals(await buffer(await again.getBlob('models/a', blob.digest))));
    }
  });

  it('takes a stream of chunks and tells how far it is', async ({ registry }) => {
    const content = randomBytes(5 << 20);
    const seen: number[] = [];
    const blob = await registry.putBlob('models/a', slices(content, 1_000_003), {
      mediaType: MEDIA_TYPE.layer,
      expected: describe(content, MEDIA_TYPE.layer),
      onBytes: (bytes) => seen.push(bytes),
    });
    assert.equal(seen.at(-1), content.byteLength);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
    assert.ok(content.equals(await buffer(await registry.getBlob('models/a', blob.digest))));
  });

  it('does not take known content again, and lets go of its source', async ({ registry, again }) => {
    const content = Buffer.from('known');
    const expected = await registry.putBlob('models/a', content, { mediaType: MEDIA_TYPE.layer });
    const stored = await registry.putBlob('models/a', mustNotBeRead(), { mediaType: MEDIA_TYPE.layer, expected });
    assert.equal(stored.digest, expected.digest);
    const source = await again.getBlob('models/a', expected.digest);
    await registry.putBlob('models/a', source, { mediaType: MEDIA_TYPE.layer, expected });
    assert.ok(source.destroyed);
  });

  it('refuses content that is not what was announced, and keeps nothing', async ({ registry }) => {
    const expected = describe(Buffer.from('announced'), MEDIA_TYPE.layer);
    const put = registry.putBlob('models/a', slices(Buffer.from('delivered'), 4), {
      mediaType: MEDIA_TYPE.layer,
      expected,
    });
    await assert.rejects(put, isCode('registry.digestMismatch'));
    assert.equal(await registry.hasBlob('models/a', expected.digest), false);
  });

  it('keeps nothing of content whose source fails or is cancelled', async ({ registry }) => {
    const content = randomBytes(3 << 20);
    const expected = describe(content, MEDIA_TYPE.layer);
    const failing = registry.putBlob('models/a', failsAfter(content.subarray(0, 1 << 20)), {
      mediaType: MEDIA_TYPE.layer,
      expected,
    });
    await assert.rejects(failing, /the source failed/);
    const controller = new AbortController();
    const cancelled = registry.putBlob('models/a', slices(content, 1 << 20), {
      mediaType: MEDIA_TYPE.layer,
      expected,
      signal: controller.signal,
      onBytes: () => controller.abort(),
    });
    await assert.rejects(cancelled, (error) => AksmlError.isCancelled(error));
    assert.equal(await registry.hasBlob('models/a', expected.digest), false);
  });

  it('says that a blob, a manifest, a tag is not there', async ({ registry }) => {
    const { digest } = describe(Buffer.from('nothing'), MEDIA_TYPE.layer);
    assert.equal(await registry.hasBlob('models/a', digest), false);
    await assert.rejects(registry.getBlob('models/a', digest), isCode('registry.notFound'));
    await assert.rejects(registry.getManifest('models/a', digest), isCode('registry.notFound'));
    await assert.rejects(registry.getManifest('models/a', '1'), isCode('registry.notFound'));
    assert.deepEqual(await registry.listTags('models/a'), []);
    assert.deepEqual(await registry.listRepositories('models/'), []);
  });

  it('finds a manifest by its tag and by its digest', async ({ registry, again }) => {
    const manifest = await storeContent(registry, 'models/a', 'one');
    const { descriptor, written } = await registry.putManifest('models/a', manifest, { tag: '1' });
    assert.equal(written, true);
    for (const reference of ['1', descriptor.digest]) {
      const found = await again.getManifest('models/a', reference);
      assert.deepEqual(found.manifest, manifest);
      assert.equal(found.descriptor.digest, descriptor.digest);
      assert.equal(found.descriptor.size, descriptor.size);
    }
  });

  it('keeps a manifest without a tag by its digest', async ({ registry }) => {
    const manifest = await storeContent(registry, 'revisions/a', 'untagged');
    const { descriptor } = await registry.putManifest('revisions/a', manifest, {});
    assert.deepEqual((await registry.getManifest('revisions/a', descriptor.digest)).manifest, manifest);
    assert.deepEqual(await registry.listTags('revisions/a'), []);
  });

  it('moves a tag, and still has the earlier manifest by its digest', async ({ registry }) => {
    const first = await storeContent(registry, 'models/a', 'first');
    const second = await storeContent(registry, 'models/a', 'second');
    const { descriptor } = await registry.putManifest('models/a', first, { tag: '1' });
    await registry.putManifest('models/a', second, { tag: '1' });
    assert.deepEqual((await registry.getManifest('models/a', '1')).manifest, second);
    assert.deepEqual((await registry.getManifest('models/a', descriptor.digest)).manifest, first);
    assert.deepEqual(await registry.listTags('models/a'), ['1']);
  });

  it('leaves an existing tag alone when asked to', async ({ registry }) => {
    const first = await storeContent(registry, 'models/a', 'first');
    const second = await storeContent(registry, 'models/a', 'second');
    assert.equal((await registry.putManifest('models/a', first, { tag: '1', ifAbsent: true })).written, true);
    assert.equal((await registry.putManifest('models/a', second, { tag: '1', ifAbsent: true })).written, false);
    assert.deepEqual((await registry.getManifest('models/a', '1')).manifest, first);
  });

  it('refuses a manifest whose content is not there', async ({ registry }) => {
    const manifest = await storeContent(registry, 'models/a', 'whole');
    const missing = describe(Buffer.from('missing'), MEDIA_TYPE.layer);
    const put = registry.putManifest('models/a', { ...manifest, layers: [missing] }, { tag: '1' });
    await assert.rejects(put, isCode('registry.blobUnknown'));
    assert.deepEqual(await registry.listTags('models/a'), []);
  });

  it('lists tags and repositories', async ({ registry, again }) => {
    for (const repository of ['models/a', 'models/b-1.x', 'environments/a']) {
      const manifest = await storeContent(registry, repository, repository);
      await registry.putManifest(repository, manifest, { tag: '1' });
    }
    await registry.putManifest('models/a', await storeContent(registry, 'models/a', 'more'), { tag: '2' });
    assert.deepEqual((await again.listTags('models/a')).sort(), ['1', '2']);
    assert.deepEqual((await again.listRepositories('models/')).sort(), ['models/a', 'models/b-1.x']);
    assert.deepEqual(await again.listRepositories('revisions/'), []);
  });

  it('makes a blob available in another repository', async ({ registry }) => {
    const manifest = await storeContent(registry, 'models/a', 'shared');
    for (const blob of [manifest.config, ...manifest.layers]) await registry.mountBlob('models/a', 'models/b', blob);
    await registry.putManifest('models/b', manifest, { tag: '1' });
    assert.deepEqual((await registry.getManifest('models/b', '1')).manifest, manifest);
    const unknown = describe(Buffer.from('unknown'), MEDIA_TYPE.layer);
    await assert.rejects(registry.mountBlob('models/a', 'models/b', unknown), isCode('registry.notFound'));
  });

  it('lists what refers to a manifest', async ({ registry, again }) => {
    const manifest = await storeContent(registry, 'images/a', 'image');
    const { descriptor: subject } = await registry.putManifest('images/a', manifest, { tag: '1' });
    assert.deepEqual(await registry.listReferrers('images/a', subject.digest), []);
    const bills = [];
    for (const text of ['one', 'two', 'two']) {
      const bill = await storeContent(registry, 'images/a', text);
      bills.push((await registry.putReferrer('images/a', { ...bill, subject })).digest);
    }
    const found = await again.listReferrers('images/a', subject.digest);
    assert.deepEqual(found.map(({ digest }) => digest).sort(), [...new Set(bills)].sort());
    assert.ok(found.every(({ artifactType }) => artifactType === 'application/vnd.aksml.test.v1'));
    assert.deepEqual(await again.listTags('images/a'), ['1']);
  });

  it('deletes a manifest by its digest, with its tags, and no other', async ({ registry, again }) => {
    const first = await storeContent(registry, 'models/a', 'first');
    const { descriptor } = await registry.putManifest('models/a', first, { tag: '1' });
    await registry.putManifest('models/a', await storeContent(registry, 'models/a', 'second'), { tag: '2' });
    await registry.deleteManifest('models/a', descriptor.digest);
    await assert.rejects(again.getManifest('models/a', '1'), isCode('registry.notFound'));
    await assert.rejects(again.getManifest('models/a', descriptor.digest), isCode('registry.notFound'));
    assert.deepEqual(await again.listTags('models/a'), ['2']);
    await assert.rejects(registry.deleteManifest('models/a', descriptor.digest), isCode('registry.notFound'));
  });

  it('refuses names that the distribution specification does not allow', async ({ registry }) => {
    for (const repository of ['Models/a', 'models/../a', 'models/a_', '/models', '']) {
      await assert.rejects(registry.listTags(repository), isCode('registry.badName'), repository);
    }
    const manifest = await storeContent(registry, 'models/a', 'one');
    for (const tag of ['', '../1', '-1', 'x'.repeat(129)]) {
      await assert.rejects(registry.putManifest('models/a', manifest, { tag }), isCode('registry.badName'), tag);
    }
    await assert.rejects(registry.hasBlob('models/a', 'sha256:../../x'), isCode('registry.badName'));
  });
}

/** Stores a config and a layer made of the text, and describes them. */
async function storeContent(registry: Registry, repository: string, text: string): Promise<Manifest> {
  const config = await registry.putBlob(repository, Buffer.from(JSON.stringify({ text })), {
    mediaType: 'application/vnd.aksml.test.config.v1+json',
  });
  const layer = await registry.putBlob(repository, Buffer.from(text), { mediaType: MEDIA_TYPE.layer });
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: 'application/vnd.aksml.test.v1',
    config,
    layers: [layer],
    annotations: { 'org.opencontainers.image.title': text },
  };
}

function describe(content: Uint8Array, mediaType: string): Descriptor {
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { mediaType, digest, size: content.byteLength };
}

async function* slices(content: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.byteLength; start += length) yield content.subarray(start, start + length);
}

// biome-ignore lint/correctness/useYield: it stands for content that nobody reads
async function* mustNotBeRead(): AsyncGenerator<Uint8Array> {
  throw new Error('known content was read again');
}

async function* failsAfter(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
  throw new Error('the source failed');
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => {
    if (AksmlError.is(error, code)) return true;
    throw error;
  };
}
