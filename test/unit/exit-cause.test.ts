import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CauseCode } from '../../src/contract/endpoint.ts';
import { causeOfExit, type ReplicaExit } from '../../src/serving/exit-cause.ts';

const stamp = '2026-01-31 08:15:30,123';
const cause = (exit: Partial<ReplicaExit>) =>
  causeOfExit({ wasReady: false, exitCode: 3, stdout: [], stderr: [], ...exit });

const wrapped = (raised: string[], wrapper: string) => [
  `${stamp} E [42] azmlinfsrv - Encountered Exception Traceback (most recent call last):`,
  '  File "/env/user_script.py", line 117, in invoke_init',
  '    self._user_init()',
  '  File "score.py", line 5, in init',
  ...raised,
  '',
  'The above exception was the direct cause of the following exception:',
  '',
  'Traceback (most recent call last):',
  '  File "/env/aml_blueprint.py", line 107, in setup',
  wrapper,
  '',
  `${stamp} I [42] azmlinfsrv - Model Directory Contents:`,
];

test('the traceback of init() is whole, and without the part of the scoring server', () => {
  const chained = [
    'KeyError: "a"',
    '',
    'The above exception was the direct cause of the following exception:',
    '',
    'Traceback (most recent call last):',
    '  File "score.py", line 7, in init',
    'my.package.ModelError: two',
    'lines',
  ];
  const { code, message, logTail } = cause({
    stdout: [
      `${stamp} E [42] azmlinfsrv - User's init function failed`,
      ...wrapped(chained, 'UserScriptException: Caught'),
    ],
  });
  assert.equal(code, 'UserScriptInitFailed');
  assert.match(message, /my\.package\.ModelError: two/);
  assert.equal(logTail?.[0], 'Traceback (most recent call last):');
  assert.equal(logTail?.at(-1), 'lines');
});

test('what has changed around an old script is named, with what to do', () => {
  const imported = (...raised: string[]) =>
    cause({ stdout: wrapped(raised, 'UserScriptImportException: Failed to import user script') }).remedy ?? '';
  const joblib = ['    from sklearn.externals import joblib', "ImportError: cannot import name 'joblib'"];
  assert.match(imported(...joblib), /scikit-learn==0\.22/);
  const library = 'OSError: libcrypto.so.1.0.0: cannot open shared object file: No such file or directory';
  const pickled = [
    '  File "/env/lib/joblib/numpy_pickle.py", line 632, in _unpickle',
    "ModuleNotFoundError: No module named 'sklearn.linear_model.ridge'",
  ];
  const stdout = [
    `${stamp} E [42] azmlinfsrv - User's init function failed`,
    ...wrapped(pickled, 'UserScriptException: Caught'),
  ];
  assert.match(cause({ stdout }).remedy ?? '', /saved with other versions/);
  assert.match(imported(library), /lacks the library libcrypto\.so\.1\.0\.0/);
});

test('a missing module is named, with what to do', () => {
  const { code, message, remedy } = cause({
    stdout: wrapped(
      ["ModuleNotFoundError: No module named 'sklearn'"],
      'UserScriptImportException: Failed to import user script',
    ),
  });
  assert.equal(code, 'UserScriptImportError');
  assert.match(message, /No module named 'sklearn'/);
  assert.match(remedy ?? '', /"sklearn"/);
});

const codes: [sentence: string, exit: Partial<ReplicaExit>, code: CauseCode][] = [
  [
    'a script without run()',
    { stdout: ['x.UserScriptError: User script at /a.py does not have a run() function defined.'] },
    'UserScriptFunctionNotFound',
  ],
  [
    'a run() with wrong parameters',
    { stdout: ['x.UserScriptError: run() cannot accept positional-only arguments, *args, or **kwargs.'] },
    'UserScriptFunctionNotFound',
  ],
  [
    'an environment without the scoring server',
    { exitCode: 1, stderr: ["ModuleNotFoundError: No module named 'azureml_inference_server_http'"] },
    'EnvironmentMissing',
  ],
  [
    'a config.json that is no JSON',
    { stdout: [`${stamp} C [1] azmlinfsrv - Invalid config file!: Traceback`] },
    'InvalidDeploymentSpec',
  ],
  [
    'a worker that the system killed during init()',
    { stderr: [`${stamp} E [1] gunicorn.error - Worker (pid:7) was sent SIGKILL! Perhaps out of memory?`] },
    'PodOutOfMemory',
  ],
  [
    'a command whose port is taken',
    { exitCode: 1, stderr: ['OSError: [Errno 98] Address already in use'] },
    'PortInUse',
  ],
  ['anything else', { signal: 'SIGKILL', wasReady: true }, 'DeploymentCrashLoopBackOff'],
];
for (const [sentence, exit, code] of codes) test(`${sentence}: ${code}`, () => assert.equal(cause(exit).code, code));

test('a crash without a known reason shows what the process itself wrote to stderr', () => {
  const { message, logTail } = cause({
    exitCode: 139,
    stderr: [`${stamp} I [1] gunicorn.error - Booting worker`, 'Fatal Python error: Segmentation fault'],
  });
  assert.match(message, /code 139 before it was ready/);
  assert.deepEqual(logTail, ['Fatal Python error: Segmentation fault']);
});
