import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
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

test('answers are whole, wherever the pieces end in which they come', async (t) => {
  const said = '# names\nb1/r\nb2/r\n\n\nlast\n\n';
  const folder = await mkdtemp(join(tmpdir(), 'aksml-runtime-'));
  let end = 0;
  const server = createServer((connection) => {
    const [head, tail] = [said.slice(0, end), said.slice(end)];
    connection.write(head);
    // Once the first piece has been taken there is nothing to wait for but time.
    connection.once('data', () => setTimeout(() => connection.end(tail), 5));
  });
  const socket = join(folder, 'admin.sock');
  server.listen(socket);
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  for (end = 1; end < said.length; end += 1) {
    const answers = await new RuntimeApi(socket).run(['show servers conn', 'set weight', 'show info']);
    assert.deepEqual(answers, ['# names\nb1/r\nb2/r', '', 'last'], `after ${end} characters`);
  }
});
