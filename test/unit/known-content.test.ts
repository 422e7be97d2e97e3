import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownContent } from '../../src/engine/registry/known-content.ts';
import { type Manifest, MEDIA_TYPE } from '../../src/engine/registry/registry.ts';

const DIGEST = `sha256:${'1'.repeat(64)}`;
const BLOB = `sha256:${'2'.repeat(64)}`;
const layer = { mediaType: MEDIA_TYPE.layer, digest: BLOB, size: 1 };
const MANIFEST: Manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config: layer, layers: [layer] };

test('what a manifest names is there for a minute after it was read, in its repository alone', () => {
  let now = 0;
  const known = new KnownContent(() => now);
  known.add('images/web', DIGEST, MANIFEST);
  now = 59_999;
  assert.ok(known.hasBlob('images/web', BLOB));
  assert.ok(!known.hasBlob('images/web2', BLOB) && !known.hasBlob('images/web', DIGEST));
  now = 60_000;
  assert.ok(!known.hasBlob('images/web', BLOB));
});

test('a manifest that has gone takes what it named along, and after a loss nothing is believed', () => {
  const known = new KnownContent(() => 0);
  known.add('images/web', 'web-1', MANIFEST);
  known.add('images/web2', 'web2-1', MANIFEST);
  known.forget('images/web');
  assert.ok(!known.hasBlob('images/web', BLOB) && known.hasBlob('images/web2', BLOB));
  known.distrust();
  assert.ok(!known.hasBlob('images/web2', BLOB));
});

test('a repository is in the index when something in it had a tag', () => {
  const known = new KnownContent(() => 0);
  known.add('images/web', DIGEST, MANIFEST);
  assert.ok(!known.isNoted('images/web'));
  known.add('images/web', 'web-1', MANIFEST);
  assert.ok(known.isNoted('images/web'));
});
