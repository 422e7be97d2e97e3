import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadConfiguration } from '../src/engine/config/configuration.ts';
import { prepareEnvironment } from '../src/engine/environments/environment.ts';
import { openHome } from '../src/home/home.ts';

const root = join(import.meta.dirname, '..');

/** The sample project. */
export const SAMPLE = join(root, 'samples', 'diabetes');
/** Its model, once {@link trainSampleModel} has made it. */
export const SAMPLE_MODEL = join(root, '.cache', 'samples', 'diabetes', 'diabetes.pkl');

export interface TrainingSteps {
  readonly step: <T>(label: string, work: () => Promise<T>) => Promise<T>;
  readonly run: (command: string, args: readonly string[], cwd: string) => Promise<void>;
}

/** Returns whether a model was trained now: one of the same script is kept. */
export async function trainSampleModel({ step, run }: TrainingSteps): Promise<boolean> {
  const script = await readFile(join(SAMPLE, 'train.py'));
  const digest = createHash('sha256').update(script).digest('hex');
  const stamp = `${SAMPLE_MODEL}.trained-by`;
  if ((await stat(SAMPLE_MODEL).catch(() => undefined)) && (await readFile(stamp, 'utf8').catch(() => '')) === digest)
    return false;
  const python = await step('Installing the environment of the sample', preparePython);
  await mkdir(dirname(SAMPLE_MODEL), { recursive: true });
  await step('Training the model', () => run(python, [join(SAMPLE, 'train.py'), SAMPLE_MODEL], SAMPLE));
  await writeFile(stamp, digest);
  return true;
}

async function preparePython(): Promise<string> {
  const { inference } = await loadConfiguration({
    inferenceConfigFile: 'inferenceconfig.json',
    flags: {},
    cwd: SAMPLE,
  });
  if (inference?.environment.kind !== 'inline') throw new Error('The sample names no environment of its own.');
  const tools = { home: openHome(process.env), environment: process.env, clock: () => new Date() };
  return (await prepareEnvironment(tools, inference.environment.definition, { pythonOverride: 'nearest' })).python;
}
