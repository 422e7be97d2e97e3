import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { recallDocument } from '../../src/engine/registry/documents.ts';
import { sha256 } from '../../src/engine/registry/reference.ts';
import { openHome } from '../../src/home/home.ts';

test('documents are read once, and of very many those that were kept first are forgotten', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-documents-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: folder });
  let reads = 0;
  const recall = async (text: string) => {
    const content = await recallDocument(home, sha256(Buffer.from(text)), async () => {
      reads += 1;
      return Buffer.from(text);
    });
    assert.equal(Buffer.from(content).toString(), text);
  };
  for (const text of ['first', 'first']) await recall(text);
  assert.equal(reads, 1);
  for (let number = 1; number <= 200; number += 1) await recall(`${number}`);
  assert.equal((await readdir(join(home.cache, 'documents'))).length, 100);
  await recall('200');
  assert.equal(reads, 201);
  await recall('first');
  assert.equal(reads, 202);
});
