import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import {
  type Configuration,
  type ConfigurationInput,
  loadConfiguration,
} from '../../src/engine/config/configuration.ts';

const root = await mkdtemp(join(tmpdir(), 'aksml-config-'));
after(() => rm(root, { recursive: true, force: true }));

let counter = 0;

interface Project {
  readonly files?: Readonly<Record<string, string>>;
  readonly inference?: unknown;
  readonly deployment?: unknown;
  readonly input?: Partial<ConfigurationInput>;
}

/** A folder of its own with the files, and the configuration read in it. */
async function load({ files = {}, inference, deployment, input }: Project): Promise<Configuration> {
  const folder = join(root, String(counter++));
  const all = {
    'score.py': 'def run(data):\n    return data\n',
    ...files,
    ...(inference === undefined ? {} : { 'inference.json': text(inference) }),
    ...(deployment === undefined ? {} : { 'deployment.json': text(deployment) }),
  };
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return loadConfiguration({
    ...(inference === undefined ? {} : { inferenceConfigFile: 'inference.json' }),
    ...(deployment === undefined ? {} : { deploymentConfigFile: 'deployment.json' }),
    flags: {},
    cwd: folder,
    checkSyntax: async () => ({ ok: true }),
    ...input,
    ...(input?.cwd === undefined ? {} : { cwd: join(folder, input.cwd) }),
  });
}

function text(content: unknown): string {
  return typeof content === 'string' ? content : JSON.stringify(content, undefined, 2);
}

function told(configuration: Configuration): string[] {
  return configuration.problems.map(({ severity, code, path, line }) =>
    [severity, code, path, line].filter(Boolean).join(' '),
  );
}

const PROBLEMS: readonly (readonly [what: string, project: Project, problems: readonly string[]])[] = [
  [
    'every problem of both files at once, each with its key and line',
    {
      inference: '{\n"entryScript": "scorer.py",\n"runtime": "r",\n"cudaVersion": "11.0"}',
      deployment:
        '{\n"computeType": "aks",\n"numReplicas": 0,\n"containerResourceRequirements": {\n"cpu": "1",\n"memoryInGB": -1}}',
    },
    [
      'error runtime.unsupported runtime 3',
      'error cudaVersion.unsupported cudaVersion 4',
      'error entryScript.notFound entryScript 2',
      'error type.notComparable:str/int containerResourceRequirements.cpu 5',
      'error memoryInGB.notPositive containerResourceRequirements.memoryInGB 6',
      'error numReplicas.notPositive numReplicas 3',
    ],
  ],
  [
    'a flag is named as it is written',
    {
      deployment: { computeType: 'aks' },
      input: { flags: { cpuCores: -1, autoscaleMinReplicas: 2 } },
    },
    ['error cpu.notPositive --cpu-cores', 'error minReplicas.withoutAutoscale --autoscale-min-replicas'],
  ],
  [
    'a flag repairs what the file lacks',
    {
      inference: {},
      deployment: { computeType: 'aks', autoScaler: { minReplicas: 2 } },
      input: { flags: { entryScript: 'score.py', autoscaleEnabled: true } },
    },
    [],
  ],
  [
    'what the front end is to do, and no replica without calls',
    {
      deployment: {
        computeType: 'aksendpoint',
        autoScaler: { autoscaleEnabled: true, minReplicas: 0, coldStartSeconds: 30 },
        frontEnd: { stickiness: 'session', requestsPerSecond: 50, allowedAddresses: '10.0.0.0/8, 2001:db8::1' },
        rollout: { steps: '5, 25', intervalSeconds: 60, maxErrorPercent: 0.5, maxP99Ms: 800 },
        mirrorPercentile: 2.5,
      },
    },
    [],
  ],
  [
    'what the front end cannot do',
    {
      deployment:
        '{"computeType": "aksendpoint",\n"autoScaler": {"autoscaleEnabled": true,\n"minReplicas": 0},\n"frontEnd": {"stickiness": "cookie",\n"requestsPerSecond": -1,\n"allowedAddresses": "10.0.0.0/33"},\n"rollout": {"steps": "50, 25",\n"maxErrorPercent": 101},\n"mirrorPercentile": 120}',
    },
    [
      'error requestsPerSecond.negative frontEnd.requestsPerSecond 5',
      'error minReplicas.notPositive autoScaler.minReplicas 3',
      'error allowedAddresses.invalid frontEnd.allowedAddresses 6',
      'error stickiness.unknown frontEnd.stickiness 4',
      'error rollout.steps rollout.steps 7',
      'error mirrorPercentile.outOfRange mirrorPercentile 9',
      'error maxErrorPercent.outOfRange rollout.maxErrorPercent 8',
    ],
  ],
  [
    'keys that v1 ignored in silence',
    {
      deployment:
        '{"computeType": "aks",\n"ComputeTarget": "x",\n"numreplicas": 2,\n"cpu_cores": 1,\n"autoScaler": {"autoscaleEnabled": "false"},\n"port": 80}',
    },
    [
      'warning key.unknown ComputeTarget 2',
      'warning key.unknown numreplicas 3',
      'warning key.unknown cpu_cores 4',
      'warning key.noEffect port 6',
      'warning value.notBoolean autoScaler.autoscaleEnabled 5',
    ],
  ],
  [
    'a container instance, with what has no effect',
    {
      deployment: '{"computeType": "ACI",\n"dnsNameLabel": "d",\n"numReplicas": 3}',
    },
    [
      'warning key.noEffect numReplicas 3',
      'warning computeType.aci computeType 1',
      'warning key.noEffect dnsNameLabel 2',
    ],
  ],
  [
    'an environment with problems inside',
    {
      inference:
        '{"entryScript": "score.py",\n"condaFile": "x.yml",\n"environment": {"python": {"condaDependencies": {"dependencys": []}},\n"docker": {"baseImage": "a",\n"baseDockerfile": "FROM a"}}}',
    },
    [
      'error condaDependencies.unknownKey environment.python.condaDependencies.dependencys 3',
      'error environment.docker.imageAndDockerfile environment.docker.baseDockerfile 5',
      'warning environment.noAzuremlDefaults environment 3',
      'error environment.withLegacyKeys condaFile 2',
      'error condaFile.notFound condaFile 2',
    ],
  ],
  [
    'an empty conda file, before anything is deployed',
    {
      files: { 'env.yml': '' },
      inference: { entryScript: 'score.py', runtime: 'python', condaFile: 'env.yml' },
    },
    ['error condaDependencies.notMapping 1'],
  ],
  [
    'a Python that v1 replaced',
    {
      files: { 'env.yml': 'dependencies:\n- python=3.7.*\n- pip: [azureml-defaults]\n' },
      inference: { entryScript: 'score.py', runtime: 'python', condaFile: 'env.yml' },
    },
    ['warning condaFile.pythonReplaced dependencies'],
  ],
  [
    'a conda file that the ignore file leaves out',
    {
      files: { 'src/score.py': '', 'src/env.yml': 'dependencies:\n- python=3.8\n- pip: [azureml-defaults]\n' },
      inference: { entryScript: 'score.py', sourceDirectory: 'src', runtime: 'python', condaFile: 'env.yml' },
      input: { isIgnored: async (_, path) => path === 'env.yml' },
    },
    ['warning condaFile.ignored condaFile 5'],
  ],
  [
    'an option of endpoints for a service',
    { input: { flags: { mirrorPercentile: 5 } } },
    ['warning key.noEffect --mirror-percentile'],
  ],
  [
    'an entry script outside what is deployed',
    {
      files: { 'src/.keep': '' },
      inference: { entryScript: '../score.py', sourceDirectory: 'src' },
    },
    ['warning entryScript.outsideSource entryScript 2'],
  ],
  [
    'a script that Python refuses, at its own line',
    {
      inference: { entryScript: 'score.py' },
      input: { checkSyntax: async () => ({ ok: false, line: 7, message: 'invalid syntax' }) },
    },
    ['error entryScript.syntax 7'],
  ],
  [
    'files that are not there',
    { input: { inferenceConfigFile: 'a.json', deploymentConfigFile: 'b.json' } },
    ['error file.notFound', 'error file.notFound'],
  ],
  [
    'a registered environment by name',
    {
      inference: { entryScript: 'score.py', environment: { name: 'sklearn', version: 3 } },
    },
    ['notice difference.environment-reference environment 3'],
  ],
  [
    'keys whose meaning is plain though v1 ignored them',
    {
      files: { steps: 'RUN true\n' },
      inference: { entryScript: 'score.py', description: 'mine', extraDockerFileSteps: 'steps' },
    },
    [
      'notice difference.extraDockerFileSteps extraDockerFileSteps 4',
      'notice difference.no-runtime extraDockerFileSteps 4',
      'notice difference.description-in-file description 3',
    ],
  ],
  [
    'a key that v1 ignored, and that names nothing, without refusing it',
    { inference: { entryScript: 'score.py', extraDockerFileSteps: 'gone' } },
    ['warning extraDockerFileSteps.noEffect extraDockerFileSteps 3'],
  ],
];

for (const [what, project, problems] of PROBLEMS) {
  test(`tells ${what}`, async () => {
    const configuration = await load(project);
    assert.deepEqual(told(configuration), problems);
    assert.equal(configuration.valid, !problems.some((problem) => problem.startsWith('error')));
    for (const { severity, remedy, message } of configuration.problems) {
      assert.ok(severity === 'notice' || remedy, message);
    }
  });
}

test('what only versions of an endpoint have counts for one, whatever its compute type says', async () => {
  const flags = { autoRollout: '10,50', mirrorPercentile: 5 };
  for (const file of [{}, { deployment: { computeType: 'aks' } }]) {
    const { deployment, problems } = await load({ ...file, input: { flags, isVersion: true } });
    assert.deepEqual([deployment?.rolloutSteps, deployment?.mirrorPercentile], [[10, 50], 5]);
    assert.deepEqual(problems, []);
  }
});

test('suggestions name the key that was meant', async () => {
  const { problems } = await load({
    deployment: { computeType: 'aks', ComputeTarget: 'x', numreplicas: 2, memory_gb: 1, scoringTimoutMs: 5, tags: {} },
  });
  assert.deepEqual(
    problems.map(({ remedy }) => remedy),
    [
      'Did you mean "computeTargetName"?',
      'Did you mean "numReplicas"?',
      'Did you mean "containerResourceRequirements.memoryInGB"?',
      'Did you mean "scoringTimeoutMs"?',
      'Use the option --tag of the command; it is never read from the file.',
    ],
  );
});

test("paths start at the working directory, else at the configuration file's folder or the repository", async () => {
  const files = { 'repo/.git/HEAD': '', 'repo/src/score.py': '', 'repo/deploy/other.py': '', 'elsewhere/.keep': '' };
  const load2 = (config: string, cwd: string) =>
    load({
      files: { ...files, 'repo/deploy/ic.json': config },
      input: { inferenceConfigFile: '../repo/deploy/ic.json', cwd },
    });
  const fromRepository = await load2('{"entryScript": "score.py", "sourceDirectory": "src"}', 'elsewhere');
  assert.deepEqual(told(fromRepository), ['notice difference.path-base entryScript 1']);
  assert.match(fromRepository.inference?.sourceDirectory ?? '', /repo[/\\]src$/);
  const fromFolder = await load2('{"entryScript": "other.py"}', 'elsewhere');
  assert.match(fromFolder.inference?.entryScript ?? '', /deploy[/\\]other\.py$/);
});

test('the older form becomes the environment that v1 made of it', async () => {
  const { inference } = await load({
    files: {
      'src/score.py': '',
      'src/env.yml': 'name: e\ndependencies:\n- numpy\n- pip:\n  - --extra-index-url https://x\n  - azureml-defaults\n',
    },
    inference: {
      entryScript: 'score.py',
      sourceDirectory: 'src',
      runtime: 'python',
      condaFile: 'env.yml',
      baseImage: 'b:1',
    },
  });
  assert.deepEqual(inference?.namedFiles, ['score.py', 'env.yml']);
  assert.ok(inference?.environment.kind === 'inline');
  const { python, docker, environmentVariables, inferencingStackVersion } = inference.environment.definition;
  assert.deepEqual(python.condaDependencies, {
    name: 'e',
    channels: [],
    dependencies: ['numpy', 'python=3.10.18'],
    pip: ['--extra-index-url https://x', 'azureml-defaults'],
  });
  assert.equal(docker.baseImage, 'b:1');
  assert.equal(inferencingStackVersion, 'latest');
  assert.deepEqual(environmentVariables, { EXAMPLE_ENV_VAR: 'EXAMPLE_VALUE' });
});

test('neither messages nor the summary show a key or a password', async () => {
  const configuration = await load({
    inference: {
      entryScript: 'score.py',
      runtime: 'python',
      baseImage: 'b',
      baseImageRegistry: { address: 'a', password: 'hunter2' },
    },
    deployment: '{"computeType": "aks", "keys": {"primaryKey": 4711, "secondaryKey": "hunter2"}}',
  });
  assert.equal(configuration.deployment?.secondaryKey, 'hunter2');
  const shown = JSON.stringify({ problems: configuration.problems, spec: configuration.spec });
  assert.doesNotMatch(shown, /hunter2|4711/);
});

test('no JSON makes it throw', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.jsonValue(),
      fc.constantFrom('aks', 'aksendpoint', 'aci', 'local'),
      async (value, computeType) => {
        const keys = ['autoScaler', 'keys', 'namespace', 'numReplicas', 'port', 'versionName', 'sslKey'];
        const deployment = { computeType, ...Object.fromEntries(keys.map((key) => [key, value])) };
        const inference = { entryScript: 'score.py', condaFile: value, environment: value, sourceDirectory: value };
        await load({ deployment, inference });
        await load({
          deployment: value,
          inference: { entryScript: 'score.py', environment: { python: value, docker: value, r: value } },
        });
      },
    ),
    { numRuns: 30 },
  );
});

test('of a file with thousands of unknown keys a hundred are told, and how many others there are', async () => {
  const keys = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`key${index}`, index]));
  const { problems } = await load({
    inference: { entryScript: 'score.py', runtime: 'python' },
    deployment: { computeType: 'local', ...keys },
  });
  assert.equal(problems.filter(({ code }) => code === 'key.unknown').length, 100);
  const [more] = problems.filter(({ code }) => code === 'problems.more');
  assert.equal(more?.message, 'There are 1900 more problems of the kind key.unknown.');
});
