import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { RuntimeApi } from '../../src/cluster/router/runtime-api.ts';

test('HAProxy is waited for while it may come, and no longer once it has ended', async () => {
  let asked = 0;
  const isRunning = () => {
    asked += 1;
    return asked < 3;
  };
  const api = new RuntimeApi(join(tmpdir(), 'aksml-no-such-folder', 'admin.sock'), isRunning);
  await assert.rejects(api.run(['show info']), { code: 'router.haproxyUnreachable' });
  assert.equal(asked, 3);
});
