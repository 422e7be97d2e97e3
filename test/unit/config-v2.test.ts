import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfiguration } from '../../src/engine/config/configuration.ts';
import {
  readEnvironmentFolder,
  scaffoldEnvironment,
  writeEnvironmentFolder,
} from '../../src/engine/config/environment-folder.ts';
import { Report } from '../../src/engine/config/report.ts';
import { importV2 } from '../../src/engine/config/v2.ts';
import { parseMemory, parseQuantity, parseReference } from '../../src/engine/config/v2-values.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'shared', 'fixtures', 'aml-v2');
const root = await mkdtemp(join(tmpdir(), 'aksml-v2-'));
after(() => rm(root, { recursive: true, force: true }));

async function project(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(root, name);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

const ENDPOINT =
  'name: iris\nauth_mode: aad_token\ncompute: azureml:my-aks\ntraffic: {blue: 90, green: 10}\nmirror_traffic: {green: 5}\n';
const DEPLOYMENT = `
name: green
type: kubernetes
endpoint_name: iris
model: {name: iris-model, path: ./model.pkl}
code_configuration: {code: ./src, scoring_script: score.py}
environment: {image: base:1, conda_file: ./conda.yml}
environment_variables: {LEVEL: 3}
app_insights_enabled: true
scale_settings: {type: target_utilization, min_instances: 2, max_instances: 5, polling_interval: 3, target_utilization_percentage: 60}
request_settings: {request_timeout_ms: 3000, max_concurrent_requests_per_instance: 4, max_queue_wait_ms: 700}
resources: {requests: {cpu: "100m", memory: 512Mi}, limits: {cpu: "2", memory: 1Gi, nvidia.com/gpu: 1}}
liveness_probe: {initial_delay: 5, period: 6, timeout: 7, success_threshold: 1, failure_threshold: 9}
`;

test('a v2 deployment means the same in v1, and its v1 files say the same again', async () => {
  const folder = await project('whole', {
    'endpoint.yml': ENDPOINT,
    'deployment.yml': DEPLOYMENT,
    'conda.yml': 'dependencies:\n- python=3.10\n- pip: [azureml-inference-server-http]\n',
    'src/score.py': '',
    'model.pkl': '',
  });
  const result = await importV2({ endpointFile: 'endpoint.yml', deploymentFile: 'deployment.yml', cwd: folder });
  assert.deepEqual(
    result.problems.filter(({ severity }) => severity !== 'notice'),
    [],
  );
  assert.deepEqual(result.deployment, {
    computeType: 'aksendpoint',
    computeTargetName: 'my-aks',
    authEnabled: false,
    tokenAuthEnabled: true,
    appInsightsEnabled: true,
    cpu: 0.1,
    memoryInGB: 0.5,
    cpuLimit: 2,
    memoryInGBLimit: 1,
    gpuCores: 1,
    autoscaleEnabled: true,
    minReplicas: 2,
    maxReplicas: 5,
    refreshPeriodInSeconds: 3,
    targetUtilization: 60,
    scoringTimeoutMs: 3000,
    maxConcurrentRequestsPerContainer: 4,
    maxQueueWaitMs: 700,
    livenessProbe: {
      periodSeconds: 6,
      initialDelaySeconds: 5,
      timeoutSeconds: 7,
      successThreshold: 1,
      failureThreshold: 9,
    },
    versionName: 'green',
    trafficPercentile: 10,
    mirrorPercentile: 5,
    environmentVariables: { LEVEL: '3' },
  });
  assert.deepEqual(result.models, [
    { kind: 'path', path: join(folder, 'model.pkl'), isTriton: false, name: 'iris-model' },
  ]);

  await writeFile(join(folder, 'ic.json'), JSON.stringify(result.inferenceConfigJson));
  await writeFile(join(folder, 'dc.json'), JSON.stringify(result.deploymentConfigJson));
  const again = await loadConfiguration({
    inferenceConfigFile: 'ic.json',
    deploymentConfigFile: 'dc.json',
    flags: {},
    cwd: folder,
  });
  assert.deepEqual(again.inference, result.inference);
  const { environmentVariables: _, ...deployment } = result.deployment;
  assert.deepEqual(again.deployment, deployment);
});

test('a container of its own keeps its routes, and wrong values are told at their v2 keys', async () => {
  const folder = await project('container', {
    'd.yml':
      'name: tf\nendpoint_name: tf-ep\ninstance_count: -1\nresources: {requests: {cpu: lots}}\nunknown_key: 1\nmodel: azureml:m:3\nenvironment:\n  image: tf:1\n  inference_config:\n    liveness_route: {port: 8501, path: /live}\n    readiness_route: {port: 8501, path: /ready}\n    scoring_route: {port: 8501, path: /predict}\n    http2: true\n',
  });
  const result = await importV2({ deploymentFile: 'd.yml', cwd: folder });
  assert.deepEqual(result.container, {
    image: 'tf:1',
    port: 8501,
    scoringRoute: '/predict',
    livenessRoute: '/live',
    readinessRoute: '/ready',
    http2: true,
  });
  assert.deepEqual(result.models, [{ kind: 'registered', id: 'm:3' }]);
  assert.deepEqual(
    result.problems.map(({ code, path, line }) => `${code} ${path} ${line}`),
    [
      'key.unknown unknown_key 5',
      'v2.quantity resources.requests.cpu 4',
      'numReplicas.notPositive instance_count 3',
      'serviceName.invalid name 1',
    ],
  );
});

test('quantities and references', () => {
  assert.deepEqual(['100m', '0.5', 2, '1k', 'x'].map(parseQuantity), [0.1, 0.5, 2, 1000, undefined]);
  assert.deepEqual(['512Mi', '1Gi', '2G', 'much'].map(parseMemory), [0.5, 1, 1.86264514923, undefined]);
  assert.deepEqual(parseReference('azureml:m:1'), { name: 'm', version: '1' });
  assert.deepEqual(parseReference('azureml:m@latest'), { name: 'm' });
  assert.deepEqual(parseReference('azureml://registries/r/environments/e/versions/4'), {
    name: 'e',
    version: '4',
    registry: 'r',
  });
  assert.equal(parseReference('./model'), undefined);
});

const skip = existsSync(FIXTURES) ? false : 'the published v2 projects are not on this machine';

test('every published v2 deployment is imported, or refused for a placeholder, a missing file or a name', {
  skip,
}, async (context) => {
  const files = (await readdir(FIXTURES, { recursive: true })).filter((file) => /\.ya?ml$/.test(file));
  const explained =
    /^(?:v2\.placeholder|(?:sourceDirectory|condaFile|model)\.notFound|serviceName\.invalid|entryScript\.missing)$/;
  let imported = 0;
  let refused = 0;
  for (const file of files) {
    const path = join(FIXTURES, file);
    if (!/^(?:instance_count|instance_type|code_configuration):/m.test(await readFile(path, 'utf8'))) continue;
    const result = await importV2({ deploymentFile: basename(path), cwd: dirname(path) });
    const errors = result.problems.filter(({ severity }) => severity === 'error');
    for (const { code, message, remedy } of errors) {
      assert.match(code, explained, `${file}: ${message}`);
      assert.ok(remedy);
    }
    if (result.valid) imported++;
    else refused++;
  }
  context.diagnostic(`${imported} imported, ${refused} refused`);
  assert.ok(imported > 0 && refused > 0);
});

test('an environment survives its form on disk', async () => {
  const folder = join(root, 'environment');
  await scaffoldEnvironment(folder, 'mine');
  const report = new Report();
  const read = await readEnvironmentFolder('environment', root, report);
  assert.deepEqual(report.problems, []);
  assert.equal(read?.name, 'mine');
  assert.deepEqual(read?.python.condaDependencies?.pip, ['azureml-defaults']);
  assert.ok(read);
  await assert.rejects(writeEnvironmentFolder(folder, read), { code: 'environment.folderExists' });
  const { baseImage: _, ...docker } = read.docker;
  const changed = { ...read, docker: { ...docker, baseDockerfile: 'FROM a\n' } };
  await writeEnvironmentFolder(folder, changed, { overwrite: true });
  assert.deepEqual(await readEnvironmentFolder('environment', root, report), changed);
});
