import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { writeHashed } from '../../src/engine/registry/blob-file.ts';

const MIB = 1 << 20;
const folder = await mkdtemp(join(tmpdir(), 'aksml-blob-file-'));
after(() => rm(folder, { recursive: true, force: true }));

/** One buffer for all chunks, overwritten when the next is asked for. */
async function* reusing(content: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; at < content.length; at += chunkBytes) {
    const part = content.subarray(at, at + chunkBytes);
    chunk.set(part);
    yield chunk.subarray(0, part.length);
    chunk.fill(0);
  }
}

describe('writing content of which little is known', () => {
  for (const size of [0, 1, 4 * MIB, 4 * MIB + 1, 70 * MIB + 3]) {
    it(`names ${size} bytes by what it wrote, from a source that uses its buffer again`, async () => {
      const content = randomBytes(size);
      const path = join(folder, `of-${size}`);
      const written = await writeHashed(path, reusing(content, 3 * MIB + 7), undefined, undefined);
      const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
      assert.deepEqual(written, { digest, size });
      assert.ok((await readFile(path)).equals(content));
    });
  }

  it('passes on what the source fails with, when the hashing thread has begun', async () => {
    async function* failing() {
      yield new Uint8Array(8 * MIB);
      throw new Error('the source broke');
    }
    await assert.rejects(writeHashed(join(folder, 'failing'), failing(), undefined, undefined), /the source broke/);
  });

  it('stops when it is cancelled', async () => {
    const cancel = new AbortController();
    async function* endless() {
      for (;;) yield new Uint8Array(MIB);
    }
    const onBytes = (bytes: number) => bytes > 8 * MIB && cancel.abort();
    await assert.rejects(writeHashed(join(folder, 'endless'), endless(), onBytes, cancel.signal), {
      name: 'AbortError',
    });
  });
});
