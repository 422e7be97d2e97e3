import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import { condaFile, createCommand, withoutChannelTokens } from '../../src/engine/environments/conda.ts';
import { classifyCondaPackage, parseMatchSpec, toPypiSpecifier } from '../../src/engine/environments/conda-packages.ts';
import {
  expandVariables,
  gitVariables,
  netrcText,
  redactor,
  withoutCredentials,
} from '../../src/engine/environments/credentials.ts';
import { mlflowSpecification } from '../../src/engine/environments/mlflow.ts';
import { mlflowContradictions } from '../../src/engine/environments/mlflow-contradictions.ts';
import { frameworkSpecification, noCodeFramework } from '../../src/engine/environments/no-code.ts';
import { indexVariables, NO_INDEXES } from '../../src/engine/environments/package-indexes.ts';
import { parsePipConfiguration } from '../../src/engine/environments/pip-configuration.ts';
import { planEnvironment } from '../../src/engine/environments/plan.ts';
import { parseLauncherList } from '../../src/engine/environments/python.ts';
import { acceptsPython, parsePythonRequest, pythonDistance } from '../../src/engine/environments/python-version.ts';
import { parsePipLine } from '../../src/engine/environments/requirement.ts';
import {
  classifyFailure,
  compileCommand,
  explainFailure,
  installCommand,
  parseLock,
  parseUvVersion,
  type Uv,
} from '../../src/engine/environments/uv.ts';
import { chooseUvWheel, pipDownloadCommand, UV_VERSION } from '../../src/engine/environments/uv-bootstrap.ts';
import { parseSimpleHtml, parseSimpleJson } from '../../src/engine/environments/wheel.ts';

function definition(
  dependencies: string[],
  pip: string[],
  more: Partial<EnvironmentDefinition> = {},
): EnvironmentDefinition {
  return {
    environmentVariables: {},
    secretEnvironmentVariables: [],
    python: { userManagedDependencies: false, condaDependencies: { channels: [], dependencies, pip } },
    docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
    ...more,
  };
}

const SERVER = [
  'azureml-inference-server-http>=1.4,<2; python_version >= "3.9"',
  'azureml-inference-server-http>=0.7,<2; python_version < "3.9"',
  'flask-cors',
];

const CORE_NEEDS = 'importlib-resources; python_version < "3.9"';

test('conda match specifications are read and translated', () => {
  const table: [string, string, string | undefined][] = [
    ['numpy', 'numpy', ''],
    ['numpy=1.2', 'numpy', '==1.2.*'],
    ['numpy = 1.2', 'numpy', '==1.2.*'],
    ['numpy==1.2', 'numpy', '==1.2'],
    ['numpy 1.2', 'numpy', '==1.2'],
    ['numpy 1.2 py36_0', 'numpy', '==1.2'],
    ['numpy=1.2=py36_0', 'numpy', '==1.2.*'],
    ['numpy=1.2.*', 'numpy', '==1.2.*'],
    ['numpy=*', 'numpy', ''],
    ['numpy>=1.16.0,<=1.16.2', 'numpy', '>=1.16.0,<=1.16.2'],
    ['numpy >=1.2', 'numpy', '>=1.2'],
    ['numpy~=1.2', 'numpy', '~=1.2'],
    ['numpy=1.0rc1', 'numpy', '==1.0rc1'],
    ['numpy=1.1|1.2', 'numpy', undefined],
    ["conda-forge::numpy[version='>=1.2']", 'numpy', '>=1.2'],
    ['conda-forge/linux-64::numpy=2', 'numpy', '==2.*'],
    ['ruamel.yaml=0.17', 'ruamel.yaml', '==0.17.*'],
  ];
  for (const [text, name, specifier] of table) {
    const spec = parseMatchSpec(text);
    assert.equal(spec?.name, name, text);
    assert.equal(toPypiSpecifier(spec?.version ?? ''), specifier, text);
  }
  assert.equal(parseMatchSpec('pytorch::pytorch')?.channel, 'pytorch');
  assert.deepEqual(classifyCondaPackage('pytorch'), { kind: 'pypi', name: 'torch' });
  assert.deepEqual(classifyCondaPackage('cudatoolkit'), { kind: 'ignored' });
  assert.deepEqual(classifyCondaPackage('r-caret'), { kind: 'condaOnly' });
});

test('a Python request accepts its minor version, whatever the patch level', () => {
  const table: [string, string, boolean][] = [
    ['=3.8', '3.8.18', true],
    ['=3.6.2', '3.6.15', true],
    ['==3.8.13', '3.8.2', true],
    ['=3.8.*', '3.8.1', true],
    [' 3.7', '3.7.16', true],
    ['=3.8.5=h123_0', '3.8.18', true],
    ['=3', '3.11.7', true],
    ['=3.8', '3.9.0', false],
    ['>=3.6,<3.9', '3.8.18', true],
    ['>=3.6,<3.9', '3.9.0', false],
    ['~=3.8', '3.11.0', true],
    ['', '3.13.0', true],
  ];
  for (const [text, version, expected] of table) {
    const request = parsePythonRequest(text);
    assert.ok(request, text);
    assert.equal(acceptsPython(request, version.split('.').map(Number)), expected, `${text} and ${version}`);
  }
  assert.equal(parsePythonRequest('=3.8|3.9'), undefined);
  assert.ok(
    pythonDistance([3, 9], [3, 8]) < pythonDistance([3, 7], [3, 8]),
    'the newer of two equally near ones is nearer',
  );
});

test('lines of a pip section are told apart', () => {
  assert.deepEqual(parsePipLine('Scikit_Learn [all] >=1.0 # why'), {
    kind: 'requirement',
    name: 'scikit-learn',
    extras: '[all]',
    specifier: '>=1.0',
    text: 'Scikit_Learn [all] >=1.0',
  });
  const table: [string, string][] = [
    ['--extra-index-url https://h/simple', 'option'],
    ['-i https://h/simple', 'option'],
    ['git+https://h/x.git@v1', 'url'],
    ['https://h/x-1.0-py3-none-any.whl', 'url'],
    ['x @ https://h/x.whl', 'url'],
    ['-e git+https://h/x.git#egg=x', 'url'],
    ['/opt/x.whl', 'url'],
    ['./x.whl', 'relative'],
    ['-r more.txt', 'relative'],
    ['.', 'relative'],
    ['# nothing', 'blank'],
    ['&&', 'unknown'],
  ];
  for (const [line, kind] of table) assert.equal(parsePipLine(line).kind, kind, line);
});

test("v1's packages become the scoring server and what scripts use of them", () => {
  const plan = planEnvironment(
    definition(
      ['python=3.8.2', 'scikit-learn=0.22.2', 'pip', 'pytorch'],
      [
        'azureml-defaults==1.1.5',
        'azureml-contrib-services',
        'inference-schema[numpy-support]==1.0.2',
        '--extra-index-url https://h/s',
      ],
    ),
  );
  assert.equal(plan.installer, 'uv');
  assert.equal(plan.python.text, '3.8.2');
  assert.deepEqual(plan.requirements, [
    'scikit-learn==0.22.2.*',
    'torch',
    'inference-schema[numpy-support]',
    'azureml-core',
    'numpy',
    CORE_NEEDS,
    ...SERVER,
    'numpy<2',
    'setuptools<81',
  ]);
  assert.deepEqual(plan.indexes.extraIndexUrls, ['https://h/s']);
  assert.deepEqual(
    plan.problems.map(({ severity, code }) => `${severity} ${code}`),
    [
      'notice environment.fromPypi',
      'notice environment.condaIgnored',
      'notice environment.umbrellaReplaced',
      'notice environment.superseded',
      'notice environment.unpinned',
      'notice environment.numpyOne',
    ],
  );
});

test('NumPy stays below 2 for pinned packages that were compiled for NumPy 1, unless its version was chosen', () => {
  const table: [pip: string[], held: boolean][] = [
    [['onnxruntime==1.15.1'], true],
    [['scikit-learn==1.4.1.post1'], true],
    [['scikit-learn==1.4.2'], false],
    [['scikit-learn'], false],
    [['scikit-learn>=0.22'], false],
    [['pandas~=1.3'], true],
    [['pandas~=2.2'], false],
    [['pandas==2.*'], false],
    [['scikit-learn>=1.0,<1.2; python_version < "3.12"'], true],
    [['xgboost<=2.0.3', 'numpy'], true],
    [['onnxruntime==1.15.1', 'numpy==2.0.1'], false],
  ];
  for (const [pip, held] of table) {
    assert.equal(planEnvironment(definition([], pip)).requirements.includes('numpy<2'), held, pip.join(' '));
  }
  const fromConda = planEnvironment(definition(['scikit-learn=0.24.2'], []));
  assert.ok(fromConda.requirements.includes('numpy<2'));
});

test('the scoring server is added with a notice, and a version of it that the user names is kept', () => {
  const added = planEnvironment(definition([], ['numpy']));
  assert.deepEqual(added.requirements, ['numpy', ...SERVER]);
  assert.deepEqual(
    added.problems.map(({ code }) => code),
    ['environment.serverAdded'],
  );
  const kept = planEnvironment(definition([], ['azureml-inference-server-http==1.4.1', 'flask-cors==5.0.0']));
  assert.deepEqual(kept.requirements, ['azureml-inference-server-http==1.4.1', 'flask-cors==5.0.0']);
  assert.deepEqual(kept.problems, []);
});

test('packages of conda channels alone ask for conda, and what cannot be translated is an error', () => {
  const conda = planEnvironment(definition(['r-base=3.5', 'numpy'], ['azureml-defaults']));
  assert.equal(conda.installer, 'conda');
  assert.deepEqual(conda.conda.only, ['r-base']);
  assert.deepEqual(conda.requirements, ['azureml-core', CORE_NEEDS, ...SERVER], 'conda brings numpy itself');
  const bad = planEnvironment(definition(['numpy=1.1|1.2'], ['-r more.txt']));
  assert.deepEqual(
    bad.problems.filter(({ severity }) => severity === 'error').map(({ code }) => code),
    ['environment.condaSpecification', 'environment.pipRequirement'],
  );
});

test('a Python that conda gave setuptools to has it here, too', () => {
  const required = (python: string) => planEnvironment(definition([python], ['mlflow'])).requirements;
  assert.ok(required('python=3.10').includes('setuptools<81'));
  assert.ok(required('python>=3.8,<3.11').includes('setuptools<81'));
  assert.ok(!required('python=3.12').includes('setuptools<81'));
});

test('Docker settings have no effect on this machine, and say so', () => {
  const docker = { ...definition([], []).docker, baseImage: 'mcr.example/base', extraSteps: 'RUN true' };
  const plan = planEnvironment(definition([], ['azureml-inference-server-http'], { docker }));
  assert.match(plan.problems[0]?.message ?? '', /the base image mcr\.example\/base, the extra Docker steps/);
});

test('without a conda specification, any Python will do', () => {
  const plan = planEnvironment({ ...definition([], []), python: { userManagedDependencies: false } });
  assert.deepEqual(plan.python.constraints, []);
  assert.deepEqual(plan.requirements, ['azureml-core', 'numpy', CORE_NEEDS, ...SERVER, 'setuptools<81']);
});

test("the conda file's variables are the environment's, unless it sets them itself", () => {
  const plan = planEnvironment({
    ...definition([], []),
    environmentVariables: { A: 'own' },
    python: {
      userManagedDependencies: false,
      condaDependencies: { channels: [], dependencies: [], pip: [], variables: { A: 'conda', B: 'conda' } },
    },
  });
  assert.deepEqual(plan.environmentVariables, { A: 'own', B: 'conda' });
});

const reference = (name: string): string => `\${${name}}`;
const SECRET_URL = 'https://me:s3cret-t0ken@feed.example/simple';
const uv: Uv = { path: '/tools/uv', env: { UV_INDEX: SECRET_URL }, cwd: '/work' };

test('credentials stay out of arguments, text and errors', () => {
  assert.equal(withoutCredentials(`--index-url ${SECRET_URL}`), '--index-url https://feed.example/simple');
  const redact = redactor([SECRET_URL], { FEED_PASSWORD: 'hunter22' });
  assert.equal(redact(`GET ${SECRET_URL} s3cret-t0ken hunter22`), 'GET https://****@feed.example/simple **** ****');
  assert.equal(expandVariables(`https://${reference('USER')}@h`, { USER: 'x' }), 'https://x@h');
  assert.throws(() => expandVariables(reference('TOKEN'), {}), { code: 'environment.variableMissing' });
  const credentials = [{ host: 'h', username: 'me', password: 'a b' }];
  assert.equal(netrcText(credentials, 'machine own'), 'machine h login me password "a b"\nmachine own\n');
  assert.equal(gitVariables(credentials)['GIT_CONFIG_KEY_0'], 'http.https://h/.extraHeader');
  const options = { python: '/usr/bin/python3', preReleases: true, noIndex: true };
  const commands = [
    compileCommand(uv, 'requirements.in', options),
    installCommand(uv, 'requirements.lock', { ...options, dependencies: false }),
    pipDownloadCommand('python3', '/tmp/x', { PIP_INDEX_URL: SECRET_URL }),
  ];
  for (const { args } of commands) assert.doesNotMatch(args.join(' '), /s3cret/);
  assert.deepEqual(commands[0]?.args.slice(0, 10), [
    ...['pip', 'compile', 'requirements.in', '--python', '/usr/bin/python3', '--generate-hashes', '--no-header'],
    ...['--no-annotate', '--upgrade', '--index-strategy'],
  ]);
  assert.deepEqual(commands[1]?.args.slice(0, 7), [
    ...['pip', 'install', '--python', '/usr/bin/python3', '--requirements', 'requirements.lock', '--no-deps'],
  ]);
});

test("the definition's indexes win over the user's uv settings, and those over pip's", () => {
  const pip = {
    indexUrl: 'https://pip',
    extraIndexUrls: ['https://pip-extra'],
    findLinks: ['/nowhere'],
    trustedHosts: ['t'],
    noIndex: false,
  };
  const none = indexVariables(NO_INDEXES, {}, pip);
  assert.equal(none['UV_DEFAULT_INDEX'], 'https://pip');
  assert.equal(none['UV_INDEX'], 'https://pip-extra');
  assert.equal(none['UV_INSECURE_HOST'], 't');
  assert.equal(none['UV_FIND_LINKS'], undefined, 'a folder that does not exist is passed over');
  const own = indexVariables(
    { ...NO_INDEXES, indexUrl: 'https://own', extraIndexUrls: ['https://own-extra'] },
    { UV_INDEX_URL: 'https://user', UV_INDEX: 'https://user-extra' },
    pip,
  );
  assert.equal(own['UV_DEFAULT_INDEX'], 'https://own');
  assert.equal(own['UV_INDEX'], 'https://own-extra https://user-extra');
  assert.deepEqual(
    [
      ...parsePipConfiguration(
        '[global]\nindex-url = https://h\n[other]\ncert = no\n[install]\nextra-index-url =\n  https://a\n  https://b\n',
      ),
    ],
    [
      ['index-url', 'https://h'],
      ['extra-index-url', 'https://a https://b'],
    ],
  );
});

test("uv's output is read", () => {
  assert.deepEqual(parseUvVersion('uv 0.13.9 (x86_64-unknown-linux-gnu)\n'), [0, 13, 9]);
  assert.equal(parseUvVersion('something else'), undefined);
  assert.deepEqual(
    parseLock(
      '# head\nsix==1.17.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nx @ https://h/x.whl\n    # via y\n',
    ),
    ['six==1.17.0 --hash=sha256:aa --hash=sha256:bb', 'x @ https://h/x.whl'],
  );
  const stderr =
    'warning: noise\nResolved 3 packages in 1ms\nerror: No solution found when resolving dependencies\n  cause: Because x has no usable wheels\n';
  assert.deepEqual(explainFailure(stderr), [
    'error: No solution found when resolving dependencies',
    '  cause: Because x has no usable wheels',
  ]);
  assert.equal(classifyFailure(stderr), 'noWheel');
  assert.equal(
    classifyFailure('error: No solution found\n  cause: Because x was not found in the package registry'),
    'notFound',
  );
  assert.equal(classifyFailure('  cause: dns error'), 'network');
  assert.equal(classifyFailure('status client error (401 Unauthorized)'), 'authentication');
  assert.deepEqual(parseLauncherList(' -V:3.12 *        C:\\Python312\\python.exe\r\nnone\r\n'), [
    'C:\\Python312\\python.exe',
  ]);
});

test('a package index is read in both of its forms, and files without a checksum are not offered', () => {
  const sha256 = 'a'.repeat(64);
  const expected = [{ filename: 'uv.whl', url: 'https://h/files/uv.whl', sha256 }];
  const files = [
    { filename: 'uv.whl', url: '../../files/uv.whl', hashes: { sha256 } },
    { filename: 'bare.whl', url: '/bare.whl' },
  ];
  assert.deepEqual(parseSimpleJson(JSON.stringify({ files }), 'https://h/simple/uv/'), expected);
  const html = `<a data-x="1" href="/files/uv.whl#sha256=${sha256}">uv.whl</a><a href="/bare.whl">bare.whl</a>`;
  assert.deepEqual(parseSimpleHtml(html, 'https://h/simple/uv/'), expected);
  const wheels = ['manylinux_2_17_x86_64', 'musllinux_1_1_x86_64', 'macosx_11_0_arm64', 'win_amd64'].map((tag) => ({
    filename: `uv-${UV_VERSION}-py3-none-${tag}.whl`,
    url: '',
    sha256,
  }));
  assert.match(chooseUvWheel(wheels, 'linux', 'x64')?.filename ?? '', /musllinux/);
  assert.match(chooseUvWheel(wheels, 'darwin', 'arm64')?.filename ?? '', /macosx/);
  assert.match(chooseUvWheel(wheels, 'win32', 'x64')?.filename ?? '', /win_amd64/);
  assert.equal(chooseUvWheel(wheels, 'linux', 'riscv64'), undefined);
});

test('conda gets channels in a file, never as arguments', () => {
  const channel = 'https://conda.example/t/tk-123/private';
  assert.match(condaFile({ channels: [channel], dependencies: ['r-base'] }), /tk-123/);
  assert.equal(withoutChannelTokens(channel), 'https://conda.example/t/****/private');
  const command = createCommand({ kind: 'micromamba', path: '/m' }, '/env', '/work/environment.yml', {});
  assert.deepEqual(command.args, ['create', '--yes', '--prefix', '/env', '--file', '/work/environment.yml']);
  const conda = createCommand({ kind: 'conda', path: '/c' }, '/env', '/f', {});
  assert.deepEqual(conda.args, ['env', 'create', '--prefix', '/env', '--file', '/f']);
});

test('no-code environments pin what trained the model', async () => {
  assert.equal(frameworkSpecification('ScikitLearn', '1.5').pip[0], 'scikit-learn==1.5.*');
  assert.equal(frameworkSpecification('ScikitLearn', '1.5.2').pip[0], 'scikit-learn==1.5.2');
  assert.equal(frameworkSpecification('Onnx', '1.3').pip[0], 'onnxruntime', "that is the file format's version");
  assert.equal(noCodeFramework({ framework: 'Custom', isMlflow: true }), 'MLflow');
  assert.equal(noCodeFramework({ framework: 'Multi', isMlflow: false }), undefined);
  const conda =
    'channels: [conda-forge]\ndependencies:\n- python=3.12\n- pip\n- pip:\n  - mlflow\n  - -r requirements.txt\n';
  const files: Record<string, string> = {
    MLmodel: 'mlflow_version: 2.1.1',
    'conda.yaml': conda,
    'requirements.txt': 'xgboost==3.0.2',
  };
  assert.deepEqual(await mlflowSpecification(async (name) => files[name]), {
    channels: ['conda-forge'],
    dependencies: ['python=3.12', 'pip'],
    pip: ['mlflow', 'xgboost==3.0.2', 'pandas'],
  });
  const bare: Record<string, string> = { MLmodel: 'mlflow_version: 2.1.1', 'python_env.yaml': 'python: 3.11.4' };
  assert.deepEqual(await mlflowSpecification(async (name) => bare[name]), {
    channels: [],
    dependencies: ['python=3.11.4'],
    pip: ['mlflow-skinny==2.1.1', 'pandas'],
  });
});

test('what an MLflow model was saved with and its environment does not have is a warning, to the minor version', () => {
  const mlmodel = `flavors:
  python_function: {python_version: 3.8.5}
  sklearn: {sklearn_version: 1.1.2}
  xgboost: {xgb_version: 3.0.9}
  pytorch: {pytorch_version: 2.1.0}
  lightgbm: {lgb_version: 4}`;
  const specification = {
    channels: [],
    dependencies: ['python=3.12', 'pytorch=2.0'],
    pip: ['scikit-learn==1.7.0', 'xgboost==3.0.2', 'lightgbm==4.*'],
  };
  const messages = (python: string) =>
    mlflowContradictions(mlmodel, { ...specification, dependencies: [python, 'pytorch=2.0'] }).map(
      ({ message }) => message,
    );
  const saved = (what: string) => `The MLflow model was saved with ${what}, which is installed.`;
  const libraries = [
    saved('scikit-learn 1.1.2, and its environment names scikit-learn 1.7.0'),
    saved('torch 2.1.0, and its environment names torch 2.0'),
  ];
  assert.deepEqual(messages('python=3.12'), [
    saved('Python 3.8.5, and its environment names Python 3.12'),
    ...libraries,
  ]);
  for (const fitting of ['python=3.8', 'python==3.8.13', 'python>=3.9', 'python=3', 'python'])
    assert.deepEqual(messages(fitting), libraries, fitting);
});
