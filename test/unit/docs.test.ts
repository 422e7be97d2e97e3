import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { differencesDocument } from '../../scripts/docs.ts';

test('the document of differences from v1 says what the engine does', async () => {
  const document = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'differences-from-v1.md'), 'utf8');
  assert.equal(document, differencesDocument(), 'run "npm run docs"');
});
