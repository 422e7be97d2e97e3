import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import type { PreparedEnvironment } from '../../src/engine/environments/environment.ts';
import { lendEnvironments, prepareShared, sharedVariables } from './shared-home.ts';
import { openWorld, type World } from './world.ts';

/**
 * Real projects, from their own files to a scored request. Where a project's own packages are of no Python that is still around, its conda
 * file is replaced by {@link SKLEARN}; where its model was never published, one is trained here.
 */
const fixtures = join(import.meta.dirname, '..', '..', '..', 'shared', 'fixtures');
const skip = existsSync(fixtures) ? false : 'the published projects are not on this machine';
const run = promisify(execFile);

const SKLEARN = ['azureml-defaults', 'inference-schema[numpy-support]', 'joblib', 'pandas', 'scikit-learn'];
/** Names the Python of {@link DEFINITION}, because v1's legacy form would choose one. */
const condaFile = (pythonVersion: string) =>
  JSON.stringify({ name: 'sklearn', dependencies: [`python=${pythonVersion}`, { pip: SKLEARN }] });
const DEFINITION: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: false, condaDependencies: { channels: [], dependencies: [], pip: SKLEARN } },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};

/** The regression answers the sum of its ten features; the classifier of 784 pixels, which half is brighter. */
const TRAIN = `
import os, sys, joblib, numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
os.chdir(sys.argv[1])
rows = np.vstack([np.eye(10), np.ones((1, 10))])
joblib.dump(LinearRegression().fit(rows, rows.sum(axis=1)), "regression.pkl")
half = np.repeat([1.0, 0.0], 392)
joblib.dump(LogisticRegression().fit([half, 1 - half], [0, 1]), "mnist.pkl")
`;
const TEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const DARK_ABOVE = Array.from({ length: 784 }, (_, index) => Number(index >= 392));
/** What the published regression model of the v2 samples answers to its sample request. */
const PUBLISHED = [11055.977245525679, 4503.079536107787];

interface Project {
  /** Copied from the fixtures: where they belong below the project's folder, by where they are. */
  readonly from: Readonly<Record<string, string>>;
  /** Where the trained model belongs. */
  readonly trained?: readonly [model: 'regression' | 'mnist', path: string];
  /** Text replaced in its files: what samples leave for their reader to fill in. */
  readonly fill?: Readonly<Record<string, readonly (readonly [text: string, by: string])[]>>;
  /** Where `sklearn.yml` belongs, if not in the folder of the commands. */
  readonly condaFolder?: string;
  /** The folder in which the commands are given. */
  readonly cwd?: string;
  /** Commands before the deployment, each without `aksml`. */
  readonly prepare?: readonly (readonly string[])[];
  /** What `model deploy` is given beside the name. */
  readonly deploy: readonly string[];
  readonly check: (service: Service) => Promise<void>;
}

interface Service {
  readonly scoringUri: string;
  readonly authorization: string;
  /** `service run`; a request that begins with `@` is a file of the project. */
  score(request: string): Promise<unknown>;
}

const data = (...rows: unknown[]) => JSON.stringify({ data: rows });
const sampleRequest = '../../model-2/sample-request.json';

const PROJECTS: Readonly<Record<string, Project>> = {
  'the safe rollout sample of v2, turned into configuration files': {
    from: { 'aml-v2/online-managed-sample': 'managed/sample', 'aml-v2/online-model-2': 'model-2' },
    cwd: 'managed/sample',
    prepare: [['import', 'green-deployment.yml', '--endpoint-file', 'endpoint.yml']],
    deploy: ['-m', '../../model-2/model', '-ic', 'inferenceconfig.json', '-dc', 'deploymentconfig.json'],
    check: async ({ score }) => assert.deepEqual(await score('@sample-request.json'), [0.5, 0.5]),
  },
  'a v2 sample with a decorated run() and its schema': {
    ...openApi('code-decorated'),
    check: async ({ score, scoringUri, authorization }) => {
      assertNear((await score(`@${sampleRequest}`)) as { output: number[] }, { output: PUBLISHED });
      const swagger = await fetch(scoringUri.replace(/score$/, 'swagger.json'), { headers: { authorization } });
      const { definitions } = (await swagger.json()) as { definitions: { ServiceInput: { example: unknown } } };
      assert.deepEqual(definitions.ServiceInput.example, { data: [TEN] });
    },
  },
  'a v2 sample with a swagger file of its own': {
    ...openApi('code-custom'),
    check: async ({ score }) => assertNear(await score(`@${sampleRequest}`), PUBLISHED),
  },
  'a v2 sample that takes a picture and answers with one': {
    ...binaryPayloads('single-file-to-file-score.py'),
    check: async (service) => {
      const answer = await post(service, 'file');
      assert.equal(answer.headers.get('content-type'), 'image/jpg');
      assert.deepEqual([...new Uint8Array(await answer.arrayBuffer()).subarray(0, 3)], [0xff, 0xd8, 0xff]);
      assert.equal((await post(service)).status, 422);
    },
  },
  'a v2 sample that takes several pictures': {
    ...binaryPayloads('multi-file-to-json-score.py'),
    check: async (service) => {
      const answer = await post(service, 'file[]', 'file[]');
      const { response } = (await answer.json()) as { response: unknown[] };
      assert.deepEqual(response, Array(2).fill({ filename: 'input.jpg', size: [512, 340] }));
    },
  },
  'a v2 sample with two published models in one folder': {
    from: { 'aml-v2/online-custom-container-minimal/multimodel': '.' },
    fill: {
      'minimal-multimodel-deployment.yml': [
        ['{{ENDPOINT_NAME}}', 'multimodel'],
        ['image: {{ACR_NAME}}.azurecr.io/azureml-examples/minimal-multimodel:1', 'conda_file: sklearn.yml'],
      ],
    },
    deploy: ['--v2-deployment', 'minimal-multimodel-deployment.yml'],
    check: async ({ score }) => {
      const iris = JSON.parse((await score('@test-data/iris-test-data.json')) as string) as Record<string, object>;
      assert.equal(Object.keys(iris['0'] ?? {}).length, 5);
      const diabetes = JSON.parse((await score('@test-data/diabetes-test-data.json')) as string) as object;
      assert.ok('0' in diabetes);
    },
  },
  'a v2 sample for Kubernetes, with a registered model': {
    from: { 'aml-v2/amlarc-akshci-mnist': '.' },
    trained: ['mnist', 'sklearn_mnist_model.pkl'],
    fill: {
      'deployment.yml': [
        ['<your model name>:<your model version>', 'akshci:1'],
        ['./model/conda.yml', './sklearn.yml'],
      ],
      'endpoint.yml': [['<your compute target name>', 'local']],
    },
    prepare: [['model', 'register', '-n', 'akshci', '-p', 'sklearn_mnist_model.pkl']],
    deploy: ['--v2-deployment', 'deployment.yml', '--v2-endpoint', 'endpoint.yml'],
    check: async ({ score }) => {
      assert.deepEqual(await score(data(DARK_ABOVE)), [1]);
      assert.equal(((await score('@sample-request.json')) as number[]).length, 1);
    },
  },
  'an ONNX model without a scoring script': {
    from: { 'aml-v1/notebooks-onnx': '.' },
    prepare: [['model', 'register', '-n', 'mnist', '-p', 'mnist-model.onnx', '--model-framework', 'Onnx']],
    deploy: ['-m', 'mnist:1'],
    check: async ({ score }) => {
      const { outputs } = (await score('@onnx-mnist-predict-input.json')) as { outputs: Record<string, object> };
      assert.deepEqual(
        Object.values(outputs).map((output) => 'dims' in output && output.dims),
        [['1', '10']],
      );
    },
  },
  "v1's first tutorial of the command line, on a Python of today": {
    from: { 'aml-v1/mlops-cli-train-deploy': '.' },
    trained: ['mnist', 'mymodel.pkl'],
    prepare: [['model', 'register', '-n', 'mymodel', '-p', 'mymodel.pkl', '-t', 'registeredmodel.json']],
    deploy: [
      ...['-f', 'registeredmodel.json', '--ic', 'inferenceConfig.json', '--dc', 'aciDeploymentConfig.yml'],
      ...['--python', 'python3'],
    ],
    check: async ({ score }) => {
      assert.deepEqual(await score(data(DARK_ABOVE)), [1]);
      assert.equal(((await score('@testdata.json')) as number[]).length, 1);
    },
  },
  "v1's quickstart": {
    from: { 'aml-v1/notebooks-quickstart': '.' },
    trained: ['mnist', 'model/model.pkl'],
    deploy: ['-m', './model', '-es', 'score.py', '-rt', 'python', '-cf', 'sklearn.yml', '-cp', 'aci', '-cc', '1'],
    check: async ({ score }) => assert.deepEqual(await score(data(DARK_ABOVE)), [1]),
  },
  "v1's local web service": {
    from: { 'aml-v1/notebooks-deploy-to-local/extracted/register-model-deploy-local': '.' },
    trained: ['regression', 'sklearn_regression_model.pkl'],
    deploy: [
      ...['-m', 'sklearn_regression_model.pkl', '-es', 'score.py', '-rt', 'python', '-cf', 'sklearn.yml'],
      ...['-cp', 'local'],
    ],
    check: async ({ score, scoringUri }) => {
      assert.match(scoringUri, /^http:\/\/localhost:\d+\/score$/);
      assert.match((await score(data(TEN))) as string, /^Hello from the updated score.py: \[5[45]\./);
    },
  },
  "v1's local web service with a source directory": {
    from: { 'aml-v1/notebooks-deploy-to-local/extracted/register-model-deploy-local-advanced': '.' },
    trained: ['regression', 'sklearn_regression_model.pkl'],
    condaFolder: 'source_directory',
    deploy: [
      ...['-m', 'sklearn_regression_model.pkl', '-es', 'x/y/score.py', '-sd', 'source_directory', '-rt', 'python'],
      ...['-cf', 'sklearn.yml', '-cp', 'local'],
    ],
    check: async ({ score }) => {
      assert.match((await score(data(TEN))) as string, /^Hello \w+ from \w+ here is your result = \[5[45]\./);
    },
  },
  "v1's service with Application Insights": {
    from: { 'aml-v1/notebooks-enable-app-insights-in-production-service/extracted': '.' },
    cwd: 'enable-app-insights-in-production-service',
    trained: ['regression', 'sklearn_regression_model.pkl'],
    deploy: [
      ...['-m', 'sklearn_regression_model.pkl', '-es', 'score.py', '-rt', 'python', '-cf', 'sklearn.yml'],
      ...['-cp', 'aks', '-ai', 'true'],
    ],
    check: async ({ score }) => assertNear(await score(data(TEN)), [55]),
  },
};

function openApi(code: string): Omit<Project, 'check'> {
  return {
    from: {
      'aml-v2/online-managed-openapi': 'managed/openapi',
      'aml-v2/online-deploy-with-packages/custom-model/model': 'model-1/model',
      'aml-v2/online-model-2/sample-request.json': 'model-2/sample-request.json',
    },
    cwd: 'managed/openapi',
    fill: {
      'deployment.yml': [
        ['<my-endpoint-name>', code],
        ['<CODE_DIR>', code],
      ],
    },
    deploy: ['--v2-deployment', 'deployment.yml'],
  };
}

function binaryPayloads(script: string): Omit<Project, 'check'> {
  return {
    from: { 'aml-v2/online-managed-binary-payloads': '.' },
    fill: {
      'binary-payloads-deployment.yml': [
        ['<ENDPOINT_NAME>', 'pictures'],
        ['<SCORING_SCRIPT>', script],
      ],
    },
    deploy: ['--v2-deployment', 'binary-payloads-deployment.yml'],
  };
}

/** Sends the sample's picture once for each name of a field. */
async function post({ scoringUri, authorization }: Service, ...fields: string[]): Promise<Response> {
  const form = new FormData();
  const picture = await readFile(join(fixtures, 'aml-v2/online-managed-binary-payloads/input.jpg'));
  for (const field of fields) form.append(field, new Blob([picture]), 'input.jpg');
  return fetch(scoringUri, { method: 'POST', headers: { authorization }, body: form });
}

/** Numbers equal up to the last digits, which depend on the machine. */
function assertNear(actual: unknown, expected: unknown): void {
  const rounded = (value: unknown) =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === 'number' ? Number(part.toPrecision(9)) : part));
  assert.equal(rounded(actual), rounded(expected));
}

describe('published projects deploy to this machine', { skip }, () => {
  let world: World;
  let python: PreparedEnvironment;
  before(async () => {
    python = await prepareShared(DEFINITION);
    world = await openWorld({ UV_CACHE_DIR: sharedVariables('')['UV_CACHE_DIR'] });
    await lendEnvironments(world.home);
    await run(python.python, ['-c', TRAIN, world.project]);
  });
  after(() => world.close());

  for (const [index, [sentence, project]] of Object.entries(PROJECTS).entries()) {
    test(sentence, (t) => deployAndScore(t, `project-${index}`, project));
  }

  async function deployAndScore(t: TestContext, name: string, project: Project): Promise<void> {
    const folder = join(name, project.cwd ?? '.');
    await layOut(name, folder, project);
    const aksml = (...args: readonly string[]) => world.aksmlIn(folder, ...args);
    for (const command of project.prepare ?? []) {
      const { code, stderr } = await aksml(...command);
      assert.equal(code, 0, stderr);
    }
    const deploy = project.deploy.map((argument) => (argument === 'python3' ? python.pythonVersion : argument));
    const deployed = await aksml('model', 'deploy', '-n', name, ...deploy, '-o', 'json');
    if (/"code":"python\.(notFound|missing)"/.test(deployed.stderr)) {
      return t.skip('its environment asks for a Python that this machine does not have');
    }
    assert.equal(deployed.code, 0, deployed.stderr);
    const { scoringUri, authEnabled } = deployed.json<{ scoringUri: string; authEnabled: boolean }>();
    const keys = authEnabled ? await aksml('service', 'get-keys', '-n', name, '-o', 'json') : undefined;
    const score: Service['score'] = async (request) => {
      const scored = await aksml('service', 'run', '-n', name, '-d', request, '-o', 'json');
      assert.equal(scored.code, 0, scored.stderr);
      return scored.json<unknown>();
    };
    await project.check({ scoringUri, authorization: `Bearer ${keys?.json()['primaryKey']}`, score });
    assert.equal((await aksml('service', 'delete', '-n', name, '--yes')).code, 0);
  }

  async function layOut(
    name: string,
    folder: string,
    { from, trained, fill, condaFolder = '.' }: Project,
  ): Promise<void> {
    for (const [source, target] of Object.entries(from)) {
      await cp(join(fixtures, source), join(world.project, name, target), { recursive: true });
    }
    await writeFile(join(world.project, folder, condaFolder, 'sklearn.yml'), condaFile(python.pythonVersion));
    if (trained) {
      const target = join(world.project, folder, trained[1]);
      await mkdir(dirname(target), { recursive: true });
      await cp(join(world.project, `${trained[0]}.pkl`), target);
    }
    for (const [file, replacements] of Object.entries(fill ?? {})) {
      const path = join(world.project, folder, file);
      const text = await readFile(path, 'utf8');
      await writeFile(
        path,
        replacements.reduce((before, [what, by]) => before.replaceAll(what, by), text),
      );
    }
  }
});
