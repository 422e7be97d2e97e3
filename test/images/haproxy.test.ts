import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { haproxyFiles, haproxyKey } from '../../src/engine/images/haproxy.ts';
import { openHome } from '../../src/home/home.ts';
import { eventually } from '../cluster/world.ts';
import { ARCHITECTURE } from './package-world.ts';

const run = promisify(execFile);
const PLATFORM = { os: 'linux', architecture: ARCHITECTURE };
const haproxy = await haproxyProgram();
const skip = typeof haproxy === 'string' ? false : haproxy.skip;

async function openFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-haproxy-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function command(socket: string, line: string): Promise<string> {
  const connection = connect(socket);
  connection.write(`${line}\n`);
  return text(connection);
}

test('HAProxy runs with its own C library alone, and so does the process that it becomes with a reload', {
  skip,
}, async (t) => {
  const folder = await openFolder(t);
  if (typeof haproxy !== 'string') return;
  const prefix = join(haproxy, '..', '..');
  const { stdout } = await run(haproxy, ['-vv']);
  assert.match(stdout, /^HAProxy version 3\.0\./);
  assert.match(stdout, /Built with Lua version/);

  const server = createServer((_, response) => response.end('scored')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => void server.close());
  const socket = join(folder, 'fe.sock');
  const master = join(folder, 'master.sock');
  const config = join(folder, 'haproxy.cfg');
  await writeFile(
    config,
    `global
  stats socket ${join(folder, 'stats.sock')} level admin
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
listen fe
  bind unix@${socket}
  server s 127.0.0.1:${(server.address() as AddressInfo).port}
`,
  );
  const child = spawn(haproxy, ['-W', '-db', '-S', master, '-f', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {},
  });
  t.after(async () => {
    child.kill('SIGKILL');
  });
  await eventually('it has loaded its configuration anew', async () =>
    (await command(master, 'reload').catch(() => '')).includes('Success=1'),
  );
  const maps = await readFile(`/proc/${child.pid}/maps`, 'utf8');
  const loaded = [...maps.matchAll(/ (\/\S+)$/gm)].map(([, path]) => path ?? '');
  assert.ok(loaded.some((path) => path.startsWith(join(prefix, 'lib', 'libc.so'))));
  assert.deepEqual(
    loaded.filter((path) => path.includes('.so') && !path.startsWith(prefix)),
    [],
  );
  const answer = await run('curl', ['--silent', '--unix-socket', socket, 'http://x/']);
  assert.equal(answer.stdout, 'scored');
});

test('a package that is not the pinned one is refused wherever it comes from, and what was fetched is checked again', async (t) => {
  const folder = await openFolder(t);
  const tools = { home: openHome({ AKSML_HOME: folder }), environment: { AKSML_DEBIAN_MIRROR: 'https://mirror/x/' } };
  const asked: string[] = [];
  const other: typeof fetch = async (url) => {
    asked.push(String(url));
    return new Response('something else');
  };
  await assert.rejects(haproxyFiles({ ...tools, fetch: other }, PLATFORM, '/x'), (error: unknown) => {
    assert.ok(AksmlError.is(error, 'haproxy.unobtainable') && /not the pinned one/.test(error.message));
    return true;
  });
  assert.match(asked[0] ?? '', /^https:\/\/mirror\/x\/debian.*\.deb$/);
  assert.match(asked[1] ?? '', /^https:\/\/snapshot\.debian\.org\/archive\/debian(-security)?\/\d{8}T\d{6}Z\/pool\//);
  await assert.rejects(
    haproxyFiles({ ...tools, fetch: other }, { os: 'linux', architecture: 's390x' }, '/x'),
    (error: unknown) => AksmlError.is(error, 'haproxy.unfit'),
  );
  assert.notEqual(haproxyKey(PLATFORM, '/a'), haproxyKey(PLATFORM, '/b'));
});
