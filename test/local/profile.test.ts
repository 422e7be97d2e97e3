import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEPLOY, openWorld, outcomeOf, type World, writeProject } from './world.ts';

const PROFILE = ['model', 'profile', '-ic', 'inferenceconfig.json', '-m', 'weights'] as const;

/** Busy for 20 ms a request; refuses one of them; holds 200 MB. */
const BUSY = `import json, time

def init():
    global ballast
    ballast = bytearray(200 * 1024 * 1024)
    for place in range(0, len(ballast), 4096):
        ballast[place] = 1

def run(data):
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    if json.loads(data) == {"bad": True}:
        raise ValueError("this one is bad")
    return "done"
`;

const SLOW = `import time

def init():
    time.sleep(600)

def run(data):
    return data
`;

interface Profile {
  readonly [key: string]: unknown;
  readonly recommendedCpu: number;
  readonly recommendedMemoryInGB: number;
}

describe('a profile', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await writeProject(world, BUSY);
    await world.write('requests.jsonl', '{"row": 1}\n{"bad": true}\n');
    await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  });
  after(() => world.close());

  const services = async () =>
    (await world.aksml('service', 'list', '-o', 'json')).json<{ name: string }[]>().map(({ name }) => name);

  test('measures on this machine what v1 measured in the cloud', async () => {
    const made = await world.aksml(
      ...PROFILE,
      '-n',
      'busy',
      '--idi',
      'requests.jsonl',
      '-t',
      'profile.json',
      '-o',
      'json',
    );
    assert.equal(made.code, 0, made.stderr);
    const profile = made.json<Profile>();
    assert.equal(profile['name'], 'busy');
    assert.equal(profile['state'], 'Succeeded');
    assert.deepEqual(profile['modelIds'], ['weights:1']);
    assert.deepEqual([profile['requestedCpu'], profile['requestedMemoryInGB']], [3.5, 15]);
    assert.equal(profile['successRate'], 50);
    assert.deepEqual((profile['error'] as { statusCode: number }).statusCode, 502, 'what run() refuses');
    assert.ok((profile['latencyPercentile50InMs'] as number) >= 20, 'the script works for 20 ms');
    const percentiles = ['50', '90', '95', '99', '999'].map(
      (which) => profile[`latencyPercentile${which}InMs`] as number,
    );
    assert.deepEqual(
      percentiles,
      percentiles.toSorted((a, b) => a - b),
    );
    assert.ok((profile['cpuTimePerQueryInMs'] as number) >= 19, 'the CPU time of the group');
    assert.ok((profile['maxUtilizedMemoryInGB'] as number) >= 0.2, 'the memory of the group');
    assert.ok(profile.recommendedCpu >= 0.1 && profile.recommendedCpu <= 3.5);
    assert.ok(profile.recommendedMemoryInGB >= 0.3 && profile.recommendedMemoryInGB <= 15);
    assert.deepEqual(JSON.parse(await readFile(join(world.project, 'profile.json'), 'utf8')), profile);
  });

  test('leaves no service and no history behind', async () => {
    assert.deepEqual(await services(), []);
    const history = await world.aksml('service', 'history', '-n', 'profile-busy', '-o', 'json');
    assert.doesNotMatch(history.stdout, /"number"/);
  });

  test('gives its CPU and memory to a deploy, over those of the file', async () => {
    await world.write(
      'deploymentconfig.json',
      JSON.stringify({ computeType: 'aks', numReplicas: 1, containerResourceRequirements: { cpu: 3, memoryInGB: 9 } }),
    );
    await world.write('profile.json', JSON.stringify({ recommendedCpu: 0.7, recommendedMemoryInGB: 1.3 }));
    const plan = await world.aksml(
      ...DEPLOY,
      '-n',
      'tuned',
      '-m',
      'weights',
      '-pi',
      'profile.json',
      '--dry-run',
      '-o',
      'json',
    );
    assert.equal(plan.code, 0, plan.stderr);
    const { resources } = plan.json<{ settings: { resources: { cpu: number; memoryInGB: number } } }>().settings;
    assert.deepEqual([resources.cpu, resources.memoryInGB], [0.7, 1.3]);
    await world.write('failed.json', JSON.stringify({ state: 'Failed' }));
    const refused = await world.aksml(...DEPLOY, '-n', 'tuned', '-m', 'weights', '--pi', 'failed.json');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /lacks recommendedCpu/);
  });

  test('that is killed is cleaned up by the next one of its name; Ctrl+C cleans up at once', async () => {
    await world.write('source/score.py', SLOW);
    const args = [...PROFILE, '-n', 'stuck', '--idi', 'requests.jsonl'];
    const killed = world.start(...args);
    await begun(killed);
    killed.kill('SIGKILL');
    assert.deepEqual(await services(), ['profile-stuck'], 'nobody could clean up');

    const interrupted = world.start(...args);
    const outcome = outcomeOf(interrupted);
    await begun(interrupted);
    const taken = await world.aksml(...args);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /is being made already/);
    interrupted.kill('SIGINT');
    assert.equal((await outcome).code, 130);
    assert.deepEqual(await services(), []);
  });

  test('never takes the service of somebody else for its own', async () => {
    await writeProject(world);
    await world.aksml(...DEPLOY, '-n', 'profile-mine', '-m', 'weights', '-ae', 'false');
    const refused = await world.aksml(...PROFILE, '-n', 'mine', '--idi', 'requests.jsonl');
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /profile-mine exists/);
    assert.deepEqual(await services(), ['profile-mine']);
  });

  test('refuses an input that is none, and limits that v1 refused', async () => {
    const missing = await world.aksml(...PROFILE, '-n', 'busy', '--idi', '1f3a-dataset');
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /keeps no datasets/);
    const greedy = await world.aksml(...PROFILE, '-n', 'busy', '--idi', 'requests.jsonl', '-cc', '4');
    assert.equal(greedy.code, 2);
    assert.match(greedy.stderr, /0\.1 to 3\.5/);
  });
});

/** Until its service is there. */
function begun(child: ReturnType<World['start']>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.includes('replicas ready')) resolve();
  });
  child.once('close', () => reject(new Error(`It ended too early:\n${text}`)));
  return promise;
}
