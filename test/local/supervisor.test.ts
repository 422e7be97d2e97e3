import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gone, leftovers, openSupervisorWorld, scriptAnswering } from './supervisor-world.ts';

test('a deployed service answers with its key, and leaves no process behind when it is deleted', async (t) => {
  const world = await openSupervisorWorld(t);
  assert.deepEqual(await world.target.listEndpoints(), []);
  assert.equal((await world.target.localStatus()).supervisor, undefined, 'looking starts nothing');

  const endpoint = await world.deploy('hello', scriptAnswering('hello'));
  assert.deepEqual(await world.score(endpoint), { status: 200, body: '"hello"' });
  assert.equal((await world.score(endpoint, '{}', { authorization: 'Bearer wrong' })).status, 401);
  assert.match(endpoint.status?.scoringUri ?? '', /^http:\/\/127\.0\.0\.1:\d+\/api\/v1\/service\/hello\/score$/);

  const before = await world.target.getKeys('hello');
  const after = await world.target.regenerateKey('hello', 'primary', 'a-key-of-my-own');
  assert.deepEqual(after, { primaryKey: 'a-key-of-my-own', secondaryKey: before.secondaryKey });
  assert.equal((await world.score(endpoint)).status, 200);
  assert.equal((await world.score(endpoint, '{}', { authorization: `Bearer ${before.primaryKey}` })).status, 401);
  assert.equal((await world.score(endpoint, '{}', { authorization: `Bearer ${before.secondaryKey}` })).status, 200);

  const supervisor = await world.supervisorPid();
  const gateway = await world.gatewayPid();
  const replica = endpoint.status?.versions[0]?.replicas[0]?.pid ?? 0;
  await world.target.deleteEndpoint('hello');
  await gone(replica);
  await assert.rejects(world.target.getEndpoint('hello'), { code: 'service.notFound' });
  await gone(gateway);
  await gone(supervisor);
  assert.deepEqual(await leftovers(world.home), []);
});
