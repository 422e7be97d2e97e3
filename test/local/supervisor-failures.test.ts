import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LogLine, LogQuery } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { exists } from '../../src/local/process-identity.ts';
import { eventually, openSupervisorWorld, type SupervisorWorld, scriptAnswering } from './supervisor-world.ts';

const failedOr = (...states: readonly string[]) => {
  return ({ status }: Endpoint) => status !== undefined && states.includes(status.state);
};

async function logOf(world: SupervisorWorld, name: string, query: LogQuery = {}): Promise<LogLine[]> {
  return Array.fromAsync(world.target.readLogs(name, query));
}

test('a failing init() shows its traceback at once, and what was deployed before keeps serving', async (t) => {
  const world = await openSupervisorWorld(t);
  const good = await world.deploy('fragile', scriptAnswering('good'));
  const image = await world.bundle(scriptAnswering('bad', 'raise ValueError("no model here")'));
  await world.apply('fragile', { image });
  const broken = await world.until('fragile', failedOr('Failed', 'Unhealthy'));
  assert.equal(broken.status?.state, 'Unhealthy');
  assert.equal(broken.status?.error?.code, 'UserScriptInitFailed');
  assert.match(broken.status?.error?.message ?? '', /ValueError: no model here/);
  assert.ok(broken.status?.error?.logTail?.some((line) => line.includes('raise ValueError')));
  assert.equal(broken.status?.versions[0]?.servingImage, good.status?.versions[0]?.servingImage);
  assert.equal((await world.score(good)).body, '"good"');

  // Deploying the cure does not wait for the next attempt of the disease.
  assert.equal((await world.score(await world.deploy('fragile', scriptAnswering('cured')))).body, '"cured"');
});

test('causes are told apart', async (t) => {
  const world = await openSupervisorWorld(t);
  const causeOf = async (name: string, image: string) => {
    await world.apply(name, { image });
    const { status } = await world.until(name, failedOr('Failed'));
    await world.target.deleteEndpoint(name);
    return status?.error;
  };
  const missingModule = await causeOf('imports', await world.bundle(`import not_installed\n${scriptAnswering('x')}`));
  assert.equal(missingModule?.code, 'UserScriptImportError');
  assert.match(missingModule?.remedy ?? '', /not_installed/);
  assert.equal((await causeOf('norun', await world.bundle('def init(): pass')))?.code, 'UserScriptFunctionNotFound');
  assert.equal(
    (await causeOf('crash', await world.bundle(scriptAnswering('x', 'os.kill(os.getpid(), 9)'))))?.code,
    'PodOutOfMemory',
  );
  assert.equal(
    (await causeOf('leaves', await world.bundle(scriptAnswering('x', 'os._exit(7)'))))?.code,
    'DeploymentCrashLoopBackOff',
  );

  const image = await world.bundle(scriptAnswering('gone'));
  await rm(join(world.home.bundles, image.slice(7)), { recursive: true });
  assert.equal((await causeOf('gone', image))?.code, 'EnvironmentMissing');
});

test('an init() that hangs stays Transitioning and says for how long; deleting it works', async (t) => {
  const world = await openSupervisorWorld(t);
  const image = await world.bundle(scriptAnswering('never', 'time.sleep(3600)'));
  await world.apply('hanging', { image });
  const waiting = await world.until('hanging', ({ status }) =>
    Boolean(status?.versions[0]?.replicas[0]?.message?.includes('init() has been running')),
  );
  assert.equal(waiting.status?.state, 'Transitioning');
  const pid = waiting.status?.versions[0]?.replicas[0]?.pid ?? 0;
  await world.target.deleteEndpoint('hanging');
  assert.equal(exists(pid), false);
});

test('an init() that takes too long is a cause of its own', async (t) => {
  const world = await openSupervisorWorld(t, { AKSML_READINESS_TIMEOUT_MS: '3000' });
  await world.apply('slow', { image: await world.bundle(scriptAnswering('never', 'time.sleep(3600)')) });
  const { status } = await world.until('slow', failedOr('Failed'));
  assert.equal(status?.error?.code, 'ReadinessTimeout');
});

test('a script that prints 100 MB fills neither the disk nor the reader', async (t) => {
  const world = await openSupervisorWorld(t);
  const noise =
    'line = "x" * 1023 + "\\n"\nfor i in range(100 * 1024): sys.stderr.write(line)\nprint("the last words")';
  await world.deploy('noisy', scriptAnswering('done', noise));
  const size = await eventually('rotation', async () => {
    const bytes = await folderSize(world.home.local);
    return bytes < 60 * 1024 * 1024 && bytes;
  });
  assert.ok(size > 0);
  assert.ok((await logOf(world, 'noisy', { lines: 50, grep: 'the last words' })).length === 1);
  assert.equal((await logOf(world, 'noisy', { lines: 7 })).length, 7);
});

test('what a script forks dies with its replica, also when it has left the process group', async (t) => {
  const world = await openSupervisorWorld(t);
  const fork = `
import subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print("forked", child.pid)`;
  await world.deploy('forking', scriptAnswering('forked', fork));
  const [line] = await logOf(world, 'forking', { grep: 'forked' });
  const pid = Number(/forked (\d+)/.exec(line?.line ?? '')?.[1]);
  assert.ok(exists(pid));
  await world.target.deleteEndpoint('forking');
  await eventually('the end of the forked process', () => !exists(pid));
});

test('a script that ends its process is started again, and the restart is counted', async (t) => {
  const world = await openSupervisorWorld(t);
  const endpoint = await world.deploy(
    'leaving',
    scriptAnswering('here', 'pass', 'os._exit(3) if "leave" in data else None'),
  );
  assert.equal((await world.score(endpoint, '"leave"')).status, 502);
  await world.until(
    'leaving',
    ({ status }) => (status?.versions[0]?.replicas[0]?.restarts ?? 0) > 0 && status?.state === 'Healthy',
  );
  assert.equal((await world.score(endpoint)).status, 200);
});

test('a service of compute type local has a port of its own, which may be taken', async (t) => {
  const world = await openSupervisorWorld(t);
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const image = await world.bundle(scriptAnswering('mine'));
  const local = { computeType: 'local', auth: 'none', port } as const;
  await world.apply('ported', { image }, local);
  const blocked = await world.until('ported', failedOr('Failed'));
  assert.equal(blocked.status?.error?.code, 'PortInUse');

  const unaffected = await world.deploy('other', scriptAnswering('other'), {}, { computeType: 'local', auth: 'none' });
  assert.match(unaffected.status?.scoringUri ?? '', /^http:\/\/localhost:\d+\/score$/);
  assert.equal((await world.score(unaffected)).body, '"other"');
  await assert.rejects(world.target.getKeys('other'), { code: 'auth.notKey' });

  other.close();
  const opened = await world.until('ported', failedOr('Healthy'));
  assert.equal(opened.status?.scoringUri, `http://localhost:${port}/score`);
  assert.equal((await world.score(opened)).body, '"mine"');
});

test('a command of the user serves in place of a scoring script', async (t) => {
  const world = await openSupervisorWorld(t);
  const server = `
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = b"ready" if self.path == "/ready" else os.environ["GREETING"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()`;
  const container = {
    command: [world.python, '-c', server, '{port}'],
    port: 8080,
    scoringRoute: '/v1/models/x:predict',
    livenessRoute: '/alive',
    readinessRoute: '/ready',
  };
  const image = await world.bundle('', { container });
  await world.apply(
    'custom',
    { image, container },
    { auth: 'token' },
    { environmentVariables: { custom: { GREETING: 'from a secret' } } },
  );
  const endpoint = await world.until('custom', failedOr('Healthy'));
  const { accessToken, refreshAfter, expiryOn } = await world.target.getAccessToken('custom');
  assert.ok(refreshAfter < expiryOn);
  assert.deepEqual(await world.score(endpoint, '{}', { authorization: `Bearer ${accessToken}` }), {
    status: 200,
    body: 'from a secret',
  });
  assert.equal((await world.score(endpoint)).status, 401);
});

test('the log can be followed over a redeploy and a killed supervisor', async (t) => {
  const world = await openSupervisorWorld(t);
  await world.deploy('spoken', scriptAnswering('one', 'print("init of one")'));
  const leave = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { line } of world.target.readLogs('spoken', { follow: true, grep: 'init of' }, leave.signal))
      seen.push(line);
  })();
  await eventually('the first line', () => seen.length === 1);
  process.kill(await world.supervisorPid(), 'SIGKILL');
  await world.deploy('spoken', scriptAnswering('two', 'print("init of two")'));
  await eventually('the second line', () => seen.length === 2);
  leave.abort();
  await following;
  assert.match(seen[0] ?? '', /init of one$/);
  assert.match(seen[1] ?? '', /init of two$/);
  const init = await logOf(world, 'spoken', { init: true });
  assert.ok(init.some(({ line }) => line.includes('init of two')));
});

test('writes are refused on stale versions, taken names and bad names', async (t) => {
  const world = await openSupervisorWorld(t);
  const image = await world.bundle(scriptAnswering('x', 'time.sleep(3600)'));
  const endpoint = await world.apply('strict', { image });
  const { resourceVersion: _, ...bare } = endpoint.metadata;
  await assert.rejects(world.target.applyEndpoint({ ...endpoint, metadata: bare }), { code: 'endpoint.exists' });
  await world.apply('strict', { maxQueueWaitMs: 1 });
  await assert.rejects(world.target.applyEndpoint(endpoint), { code: 'endpoint.conflict' });
  await assert.rejects(world.apply('../../etc', { name: 'ok-name', image }), { code: 'endpoint.invalid' });
  await assert.rejects(world.apply('pathy', { image: 'sha256:../../etc' }), { code: 'endpoint.invalid' });
});

async function folderSize(folder: string): Promise<number> {
  let total = 0;
  for (const path of await readdir(folder, { recursive: true })) {
    total += await stat(join(folder, path)).then(
      (entry) => (entry.isFile() ? entry.size : 0),
      () => 0,
    );
  }
  return total;
}
