import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { disableLoginStart, enableLoginStart, type LoginStart, loginFile } from '../../src/local/login-start.ts';

const base: LoginStart = {
  platform: 'linux',
  homeFolder: '/home/ann',
  environment: {},
  command: ['/opt/node 24/bin/node', '/opt/$aksml/dist/supervisor.js'],
  home: '/home/ann/100% "mine" & $HOME',
};

test('a systemd user unit starts the supervisor and leaves its replicas alone', () => {
  const { path, content } = loginFile(base);
  assert.equal(path, '/home/ann/.config/systemd/user/aksml-local.service');
  assert.match(content, /^ExecStart="\/opt\/node 24\/bin\/node" "\/opt\/\$\$aksml\/dist\/supervisor\.js"$/m);
  assert.ok(content.includes('Environment="AKSML_HOME=/home/ann/100%% \\"mine\\" & $HOME"'));
  assert.match(content, /^KillMode=process$/m);
  const elsewhere = loginFile({ ...base, environment: { XDG_CONFIG_HOME: '/conf' } });
  assert.equal(elsewhere.path, '/conf/systemd/user/aksml-local.service');
});

test('a launch agent does the same on macOS', () => {
  const { path, content } = loginFile({ ...base, platform: 'darwin', homeFolder: '/Users/ann' });
  assert.equal(path, '/Users/ann/Library/LaunchAgents/dev.aksml.local.plist');
  assert.ok(content.includes('<string>/home/ann/100% &quot;mine&quot; &amp; $HOME</string>'));
  assert.ok(content.includes('<key>AbandonProcessGroup</key>\n  <true/>'));
});

test('a script in the Startup folder does the same on Windows', () => {
  const { path, content } = loginFile({
    ...base,
    platform: 'win32',
    homeFolder: 'C:\\Users\\ann',
    command: ['C:\\Program Files\\nodejs\\node.exe', 'C:\\aksml\\dist\\supervisor.js'],
    home: 'C:\\Users\\ann\\.aksml',
  });
  assert.equal(
    path,
    'C:\\Users\\ann\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\aksml-local.vbs',
  );
  assert.ok(
    content.includes(
      'shell.Run """C:\\Program Files\\nodejs\\node.exe"" ""C:\\aksml\\dist\\supervisor.js""", 0, False',
    ),
  );
});

test('enabling writes the file and disabling removes it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-login-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const start = { ...base, platform: 'darwin', homeFolder: folder } as const;
  const path = await enableLoginStart(start);
  assert.ok((await readFile(path, 'utf8')).includes('supervisor.js'));
  assert.equal(await disableLoginStart(start), path);
  await assert.rejects(readFile(path), { code: 'ENOENT' });
});
