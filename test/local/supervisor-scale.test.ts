import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processesMarked } from '../../src/local/process-identity.ts';
import { eventually, load, openSupervisorWorld, scriptAnswering } from './supervisor-world.ts';

test('a version comes, takes its share and goes under load without a failed request', async (t) => {
  const world = await openSupervisorWorld(t);
  const form = { form: 'endpoint' } as const;
  await world.deploy('shop', scriptAnswering('blue'), { name: 'blue' }, form);
  const image = await world.bundle(scriptAnswering('green'));
  const { primaryKey } = await world.target.getKeys('shop');
  const uri = (await world.target.getEndpoint('shop')).status?.scoringUri ?? '';
  assert.match(uri, /\/api\/v1\/endpoint\/shop\/score$/);
  const requests = load(t, uri, primaryKey);

  await world.apply('shop', { name: 'green', image, isDefault: false, trafficPercentile: 50 });
  const two = await world.until('shop', ({ status }) => status?.versions[1]?.effectiveTraffic === 50);
  assert.equal((await world.score(two, '{}', { 'azureml-model-deployment': 'green' })).body, '"green"');
  await eventually('an answer of each', () => requests.bodies.size === 2);

  const versions = two.spec.versions.filter(({ name }) => name === 'blue');
  const one = await world.target.applyEndpoint({ ...two, spec: { ...two.spec, versions } });
  assert.equal(one.status?.versions[0]?.effectiveTraffic, 100);

  // A new default takes over only when it can.
  const [blue, green] = two.spec.versions;
  assert.ok(blue && green);
  const red = { ...green, name: 'red', image: await world.bundle(scriptAnswering('red')), isDefault: true };
  await world.target.applyEndpoint({ ...one, spec: { ...one.spec, versions: [{ ...blue, isDefault: false }, red] } });
  await world.until('shop', ({ status }) => status?.versions[1]?.effectiveTraffic === 100);
  await eventually('an answer of the new default', () => requests.bodies.size === 3);
  const { failed } = await requests.stop();
  assert.deepEqual(failed, []);
});

test('load above the target adds replicas', async (t) => {
  const world = await openSupervisorWorld(t);
  const scale = {
    kind: 'auto',
    minReplicas: 1,
    maxReplicas: 3,
    targetUtilization: 70,
    refreshPeriodInSeconds: 1,
  } as const;
  const endpoint = await world.deploy('elastic', scriptAnswering('x', 'pass', 'time.sleep(0.1)'), { scale });
  const { primaryKey } = await world.target.getKeys('elastic');
  const requests = load(t, endpoint.status?.scoringUri ?? '', primaryKey, 4);
  const grown = await world.until('elastic', ({ status }) => status?.versions[0]?.availableReplicas === 3);
  assert.equal(grown.status?.versions[0]?.desiredReplicas, 3);
  assert.deepEqual((await requests.stop()).failed, []);
});

test('an idle replica that does not answer is started again; a busy one is not even asked', async (t) => {
  const world = await openSupervisorWorld(t);
  const livenessProbe = {
    periodSeconds: 1,
    initialDelaySeconds: 0,
    timeoutSeconds: 1,
    successThreshold: 1,
    failureThreshold: 2,
  };
  const endpoint = await world.deploy(
    'lively',
    scriptAnswering('x', 'pass', 'time.sleep(5 if "slow" in data else 0)'),
    { livenessProbe },
  );
  assert.equal((await world.score(endpoint, '"slow"')).status, 200);
  const [replica] = (await world.target.getEndpoint('lively')).status?.versions[0]?.replicas ?? [];
  assert.equal(replica?.restarts, 0);

  const folder = `${world.home.local}/replicas/lively/lively/${replica?.id}`;
  for (const pid of await processesMarked('AKSML_REPLICA_FOLDER', folder)) process.kill(pid, 'SIGSTOP');
  await world.until(
    'lively',
    ({ status }) => status?.versions[0]?.replicas[0]?.restarts === 1 && status.state === 'Healthy',
  );
  assert.equal((await world.score(endpoint)).status, 200);
});
