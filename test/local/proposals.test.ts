import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { DeploymentProposal } from '../../src/contract/proposal.ts';
import { noCodeDefinition } from '../../src/engine/environments/no-code.ts';
import { prepareShared } from './shared-home.ts';
import { openWorld, type World } from './world.ts';

const run = promisify(execFile);

const TRAIN = `
import sys, joblib, lightgbm, numpy
from sklearn.linear_model import Ridge
rows = numpy.random.RandomState(7).rand(200, 3)
target = rows @ [1.0, 2.0, 3.0]
joblib.dump(Ridge(alpha=1e-6).fit(rows, target), sys.argv[1] + "/Ridge model.pkl")
lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(rows, target).booster_.save_model(sys.argv[1] + "/boosted.txt")
`;

interface Scaffolded extends DeploymentProposal {
  readonly written: readonly string[];
  readonly next: readonly (readonly string[])[];
}

async function trained(): Promise<World> {
  const world = await openWorld();
  const packages = { channels: [], dependencies: [], pip: ['scikit-learn', 'joblib', 'lightgbm'] };
  const { python } = await prepareShared(noCodeDefinition('ScikitLearn', packages));
  await mkdir(join(world.project, 'outputs'));
  await run(python, ['-c', TRAIN, join(world.project, 'outputs')]);
  return world;
}

async function scaffold(world: World, path: string): Promise<Scaffolded> {
  const outcome = await world.aksml('model', 'scaffold', '-p', path, '-o', 'json');
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.json<unknown>() as Scaffolded;
}

test('a trained model becomes a service with what is scaffolded for it, and what is there already is taken', async (t) => {
  const world = await trained();
  t.after(() => world.close());
  const cases = [
    { path: 'outputs/Ridge model.pkl', name: 'ridge-model', script: 'joblib.load' },
    { path: 'outputs/boosted.txt', name: 'boosted', script: 'lightgbm.Booster' },
  ];
  for (const { path, name, script } of cases) {
    const { next, written, entryScript } = await scaffold(world, path);
    assert.equal(written.length, 4);
    assert.match(await readFile(entryScript?.path ?? '', 'utf8'), new RegExp(script));
    for (const [, ...words] of next) {
      const outcome = await world.aksml(...words, '-o', 'json');
      assert.equal(outcome.code, 0, outcome.stderr);
    }
    const scored = await world.aksml('service', 'run', '-n', name, '-d', '{"data": [[0.5, 0.5, 0.5]]}', '-o', 'json');
    const [prediction] = scored.json<readonly number[]>();
    assert.ok(Math.abs((prediction ?? 0) - 3) < 0.5, `${name} predicted ${prediction}`);
    const again = await scaffold(world, path);
    assert.deepEqual(again.written, [], 'nothing is missing the second time');
    assert.equal(again.name, `${name}-2`, 'the name is taken');
    await rm(join(world.project, name), { recursive: true });
  }
});

test('packages that a project lists elsewhere make the environment, near the script that is there', async (t) => {
  const world = await trained();
  t.after(() => world.close());
  await world.write('app/score.py', 'def init():\n    pass\n\ndef run(data):\n    return data\n');
  await world.write('pyproject.toml', '[project]\nname = "x"\ndependencies = ["pandas>=2", "numpy"]\n');
  const proposal = await scaffold(world, 'outputs/boosted.txt');
  assert.equal(proposal.entryScript?.path, join(world.project, 'app', 'score.py'));
  assert.equal(proposal.environmentFrom, join(world.project, 'pyproject.toml'));
  assert.match(await readFile(join(world.project, 'app', 'conda_dependencies.yml'), 'utf8'), /- pandas>=2\n\s+- numpy/);
  const valid = await world.aksml(
    'config',
    'validate',
    '-ic',
    'boosted/inferenceconfig.json',
    '-dc',
    'boosted/deploymentconfig.json',
  );
  assert.equal(valid.code, 0, valid.stdout);
});

test('what is no model is refused, and nothing is written', async (t) => {
  const world = await openWorld();
  t.after(() => world.close());
  await world.write('notes.txt', 'tree of life\n');
  const outcome = await world.aksml('model', 'scaffold', '-p', 'notes.txt');
  assert.equal(outcome.code, 2);
  assert.match(outcome.stderr, /notes\.txt is in no model format/);
});
