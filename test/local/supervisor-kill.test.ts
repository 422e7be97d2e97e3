import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { processesMarked } from '../../src/local/process-identity.ts';
import { replicasFolder } from '../../src/local/replica-record.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { eventually, gone, load, openSupervisorWorld, scriptAnswering } from './supervisor-world.ts';

const pidsOf = (endpoint: Endpoint) => endpoint.status?.versions[0]?.replicas.map(({ pid }) => pid) ?? [];

test('nobody notices that the supervisor was killed, and its successor adopts what runs', async (t) => {
  const world = await openSupervisorWorld(t);
  const endpoint = await world.deploy('steady', scriptAnswering('one'), { scale: { kind: 'fixed', replicas: 2 } });
  const { primaryKey } = await world.target.getKeys('steady');
  const requests = load(t, endpoint.status?.scoringUri ?? '', primaryKey);

  const first = await world.supervisorPid();
  process.kill(first, 'SIGKILL');
  await gone(first);
  // No command is needed: the gateway starts the next one.
  await eventually('a new supervisor', async () => (await world.supervisorPid().catch(() => first)) !== first);
  const after = await world.until('steady', ({ status }) => status?.state === 'Healthy');
  assert.deepEqual(pidsOf(after).toSorted(), pidsOf(endpoint).toSorted());
  assert.equal(after.status?.scoringUri, endpoint.status?.scoringUri);
  await world.deploy('steady', scriptAnswering('two'));
  await eventually('the new script answers', async () => requests.bodies.has('"two"'));

  const { sent, failed, bodies } = await requests.stop();
  assert.deepEqual(failed, []);
  assert.ok(sent > 100, `${sent} requests`);
  assert.deepEqual(bodies, new Set(['"one"', '"two"']));
});

test('a killed gateway comes back on the same port with the same endpoints', async (t) => {
  const world = await openSupervisorWorld(t);
  const endpoint = await world.deploy('steady', scriptAnswering('one'));
  const before = await world.gatewayPid();
  process.kill(before, 'SIGKILL');
  await gone(before);
  await eventually('a new gateway', async () => (await world.gatewayPid()) !== before);
  const after = await world.until('steady', ({ status }) => status?.state === 'Healthy');
  assert.equal(after.status?.scoringUri, endpoint.status?.scoringUri);
  assert.deepEqual(await world.score(after), { status: 200, body: '"one"' });
});

test('a killed replica is replaced, while the other one answers', async (t) => {
  const world = await openSupervisorWorld(t);
  const endpoint = await world.deploy('steady', scriptAnswering('one'), { scale: { kind: 'fixed', replicas: 2 } });
  const [victim = 0] = pidsOf(endpoint);
  process.kill(victim, 'SIGKILL');
  const broken = await world.until('steady', ({ status }) => status?.state === 'Unhealthy');
  assert.match(broken.status?.error?.message ?? '', /SIGKILL/);
  assert.equal((await world.score(endpoint)).status, 200);
  const healed = await world.until('steady', ({ status }) => status?.state === 'Healthy');
  assert.deepEqual(healed.status?.versions[0]?.replicas.map(({ restarts }) => restarts).toSorted(), [0, 1]);
});

test('after everything was killed, as by a reboot, the next command brings it back', async (t) => {
  const world = await openSupervisorWorld(t);
  const endpoint = await world.deploy('steady', scriptAnswering('one'));
  for (const pid of [await world.supervisorPid(), await world.gatewayPid(), ...pidsOf(endpoint)])
    process.kill(pid ?? 0, 'SIGKILL');
  const keys = await world.target.getKeys('steady');
  await world.newTarget().listEndpoints();
  const back = await world.until('steady', ({ status }) => status?.state === 'Healthy');
  assert.equal(back.status?.scoringUri, endpoint.status?.scoringUri);
  assert.deepEqual(await world.target.getKeys('steady'), keys);
  assert.equal((await world.score(back)).status, 200);

  await world.target.stop();
  const [stopped] = await world.target.listEndpoints();
  assert.equal(stopped?.status?.error?.code, 'Stopped');
  assert.equal((await world.target.localStatus()).stopped, true, 'looking has not started it again');
  await world.target.start();
  await world.until('steady', ({ status }) => status?.state === 'Healthy');
});

test('a supervisor killed at any moment of a redeploy loses nothing and leaves nothing behind', async (t) => {
  const world = await openSupervisorWorld(t);
  const random = seededRandom(42);
  const endpoint = await world.deploy('steady', scriptAnswering('0'));
  const { primaryKey } = await world.target.getKeys('steady');
  const requests = load(t, endpoint.status?.scoringUri ?? '', primaryKey);
  for (let turn = 1; turn <= 5; turn++) {
    const pid = await world.supervisorPid();
    const killed = sleep(random() * 1500).then(() => process.kill(pid, 'SIGKILL'));
    await world.deploy('steady', scriptAnswering(String(turn)));
    await killed;
    await eventually('a new supervisor', async () => (await world.supervisorPid().catch(() => pid)) !== pid);
    const after = await world.until('steady', ({ status }) => status?.state === 'Healthy');
    assert.equal((await world.score(after)).body, `"${turn}"`);
    // The master and its one worker; whoever was half started or half drained is gone.
    const folder = join(replicasFolder(world.home), 'steady', 'steady');
    await eventually('one replica', async () => {
      const ids = await readdir(folder);
      const counts = await Promise.all(ids.map((id) => processesMarked('AKSML_REPLICA_FOLDER', join(folder, id))));
      return counts.flat().length === 2;
    });
  }
  assert.deepEqual((await requests.stop()).failed, []);
});

test('only one supervisor looks after a home', async (t) => {
  const world = await openSupervisorWorld(t);
  await world.deploy('steady', scriptAnswering('one'));
  const before = await world.supervisorPid();
  const main = fileURLToPath(new URL('../../src/local/supervisor-main.ts', import.meta.url));
  const second = spawn(process.execPath, [main], {
    env: { ...process.env, AKSML_HOME: world.home.root },
    stdio: 'inherit',
  });
  assert.deepEqual(await once(second, 'exit'), [0, null]);
  assert.equal(await world.supervisorPid(), before);
  const many = Array.from({ length: 4 }, () => world.newTarget().listEndpoints());
  assert.ok((await Promise.all(many)).every((endpoints) => endpoints.length === 1));
});
