import { spawn } from 'node:child_process';
import { join } from 'node:path';
import packageJson from '../package.json' with { type: 'json' };
import { shellLine } from '../src/contract/shell-words.ts';
import { buildAll } from './build.ts';
import { SAMPLE, SAMPLE_MODEL, trainSampleModel } from './sample.ts';

/** From a fresh clone to a scored request. Every step looks first whether its result is there already. */
const root = join(import.meta.dirname, '..');

console.log(bold(`aksml ${packageJson.version}: the sample project, from training to a scored request\n`));
await step('Building the command line', buildAll);
const trained = await trainSampleModel({ step, run });
if (trained || !(await succeeds(['model', 'show', '-n', 'diabetes', '-o', 'none']))) {
  await aksml('Registering the model', [
    'model',
    'register',
    '-n',
    'diabetes',
    '-p',
    SAMPLE_MODEL,
    '--model-framework',
    'ScikitLearn',
    '--tag',
    'source=sample',
    '-o',
    'table',
  ]);
}
await aksml('Deploying it to this machine', [
  ...['model', 'deploy', '-n', 'diabetes', '-m', 'diabetes', '-ct', 'local'],
  ...[
    '-ic',
    'inferenceconfig.json',
    '-dc',
    'deploymentconfig.json',
    '--overwrite',
    '--python',
    'nearest',
    '-o',
    'table',
  ],
]);
await aksml('Scoring two patients with the key', ['service', 'run', '-n', 'diabetes', '-d', '@sample-request.json']);
await aksml('Where it is', [
  'service',
  'show',
  '-n',
  'diabetes',
  '--query',
  '{state: state, scoringUri: scoringUri, swaggerUri: swaggerUri}',
  '-o',
  'yaml',
]);

console.log(`
${bold('What next')} (in ${SAMPLE}, with ${bold('npx aksml')})
  see the keys        aksml service get-keys -n diabetes
  follow the log      aksml service get-logs -n diabetes -f
  see the metrics     aksml local metrics
  change the code     edit source/score.py, then
                      aksml model deploy -n diabetes -m diabetes -ct local -ic inferenceconfig.json -dc deploymentconfig.json --overwrite --python nearest
  see what changed    aksml service history -n diabetes
  go back             aksml service rollback -n diabetes
  stop it             aksml service delete -n diabetes
`);

async function step<T>(label: string, work: () => Promise<T>): Promise<T> {
  console.log(`${bold('›')} ${label} …`);
  return work();
}

async function aksml(label: string, args: readonly string[]): Promise<void> {
  console.log(`\n${bold('›')} ${label}: ${dim(shellLine(['aksml', ...args]))}`);
  await run(process.execPath, [join(root, 'bin', 'aksml.js'), ...args], SAMPLE);
}

async function succeeds(args: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, 'bin', 'aksml.js'), ...args], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('close', (code) => resolve(code === 0)));
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: 'inherit' });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 130));
  });
  if (code !== 0) process.exit(code);
}

function bold(text: string): string {
  return process.stdout.isTTY ? `\x1b[1m${text}\x1b[22m` : text;
}

function dim(text: string): string {
  return process.stdout.isTTY ? `\x1b[2m${text}\x1b[22m` : text;
}
