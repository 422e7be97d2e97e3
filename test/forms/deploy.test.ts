import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { DeploymentPlan } from '../../src/contract/deployment.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { DEPLOY_FORM, type DeployWish, type Evaluation } from '../../src/contract/webview/deploy.ts';
import { RUN_START, type RunView, reduceRun } from '../../src/contract/webview/run.ts';
import { effectiveSettings } from '../../src/engine/config/effective-settings.ts';
import { contentOf, editedText } from '../../src/extension/forms/configuration-text.ts';
import { changedLines } from '../../src/extension/forms/line-diff.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm, until } from './form-world.ts';
import { looksAndReads } from './looks.ts';
import { endpoint } from './samples.ts';

const found = findChromium();

const DEPLOYMENT = '{\n  "computeType": "aks",\n  "numReplicas": 2\n}\n';
const INFERENCE = '{\n  "entryScript": "score.py",\n  "sourceDirectory": "source"\n}\n';

const PLAN: DeploymentPlan = {
  action: 'create',
  name: 'diabetes',
  target: 'local',
  form: 'service',
  versionName: 'diabetes',
  models: ['diabetes:3'],
  code: 'score.py in source',
  environment: 'diabetes-env',
  settings: effectiveSettings({ computeType: 'aks', numReplicas: 2, cpu: 0.5, memoryInGB: 1 }),
  problems: [],
};

const EXISTS: Problem = {
  severity: 'error',
  code: 'service.exists',
  path: '--name',
  message: 'The service diabetes already exists.',
  remedy: 'Choose another name, or replace what it runs.',
};

const RUNNING: RunView = [
  { type: 'start', stage: 'models', label: 'Placing the models' } as const,
  { type: 'done', stage: 'models', reused: true, detail: 'diabetes:3' } as const,
  { type: 'start', stage: 'environment', label: 'Installing diabetes-env' } as const,
  { type: 'progress', stage: 'environment', done: 12, total: 30, unit: 'packages' } as const,
].reduce(reduceRun, RUN_START);

suite('the deploy form', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const world = (wish: Partial<DeployWish> = {}, problems: readonly Problem[] = []) => {
    const calls: (readonly [name: string, wish: DeployWish | undefined])[] = [];
    const disk = { deploymentconfig: DEPLOYMENT, inferenceconfig: INFERENCE };
    const after = (file: keyof typeof disk, { edits }: DeployWish) =>
      edits
        .filter((edit) => edit.file === file)
        .reduce((text, { path, value }) => editedText(text, path, value), disk[file]);
    const files = ['deploymentconfig', 'inferenceconfig'] as const;
    return {
      calls,
      wish: {
        form: 'deploy' as const,
        contract: DEPLOY_FORM,
        scope: { folder: '/project', target: 'local' },
        handlers: {
          open: () => ({
            folder: 'project',
            wish: {
              target: 'local',
              name: 'diabetes',
              models: ['diabetes:3'],
              deploymentConfigFile: 'deploymentconfig.json',
              inferenceConfigFile: 'inferenceconfig.json',
              overwrite: false,
              edits: [],
              ...wish,
            },
            choices: {
              targets: ['local', 'gpu-cluster'],
              models: [
                { id: 'diabetes:3', framework: 'ScikitLearn' },
                { id: 'churn:1', framework: 'Onnx' },
              ],
              deploymentFiles: ['deploymentconfig.json'],
              inferenceFiles: ['inferenceconfig.json'],
            },
            offers: { targets: ['local'], environments: [] },
          }),
          evaluate: ({ wish: asked }: { wish: DeployWish }): Evaluation => ({
            files: files.map((file) => ({ file, path: `${file}.json`, ...contentOf(after(file, asked)) })),
            problems: [...problems],
            plan: { ...PLAN, name: asked.name, target: asked.target, models: asked.models },
            changes: files
              .filter((file) => after(file, asked) !== disk[file])
              .map((file) => ({
                path: `${file}.json`,
                isNew: false,
                lines: changedLines(disk[file], after(file, asked)),
              })),
            fit: { cpu: 8, memoryInGB: 16, gpu: 0, isFree: false, replicas: 16 },
          }),
          browse: () => ({}),
          browseModel: () => ({ path: '/project/model.pkl' }),
          openDiff: () => null,
          openAsText: () => null,
          write: ({ wish: asked }: { wish: DeployWish }) => {
            calls.push(['write', asked]);
            for (const file of files) disk[file] = after(file, asked);
            return null;
          },
          deploy: ({ wish: asked }: { wish: DeployWish }) => {
            calls.push(['deploy', asked]);
            return null;
          },
          cancel: () => {
            calls.push(['cancel', undefined]);
            return null;
          },
          follow: () => null,
        },
      },
    };
  };

  looksAndReads(
    'deploy',
    () => browser,
    world({}, [EXISTS]).wish,
    async ({ page, server }) => {
      await page.getByText('room for up to 16 replicas').waitFor();
      server.notify('run', RUNNING);
      await page.getByText('12 / 30 packages').waitFor();
    },
  );

  looksAndReads(
    'deploy-changes',
    () => browser,
    world({ edits: [{ file: 'deploymentconfig', path: ['numReplicas'], value: 4 }] }).wish,
    async ({ page, server }) => {
      await page.getByRole('tab', { name: 'Changes (1)' }).click();
      await page.getByText('"numReplicas": 4').waitFor();
      const failed: RunView = {
        ...RUNNING,
        status: 'failed',
        error: {
          code: 'deployment.failed',
          message: 'init() failed.',
          remedy: 'Correct score.py.',
          logTail: ['KeyError'],
        },
      };
      server.notify('run', failed);
      await page.getByText('Correct score.py.').waitFor();
    },
  );

  test('a change is shown as a difference before it is written, and what is deployed is what was written', async () => {
    const { wish, calls } = world();
    const form = await openForm(browser, wish);
    await form.page.getByRole('tab', { name: 'Deployment' }).click();
    const replicas = form.page.getByRole('textbox', { name: 'numReplicas' });
    await replicas.fill('4');
    await replicas.press('Enter');
    await form.page.getByRole('button', { name: 'Review the changes' }).click();
    await form.page.getByText('+   "numReplicas": 4').waitFor();
    await form.page.getByText('−   "numReplicas": 2').waitFor();
    assert.equal(calls.length, 0);
    await form.page.getByRole('button', { name: 'Write and deploy' }).click();
    await until(() => calls.length === 2);
    assert.deepEqual(
      calls.map(([name, asked]) => [name, asked?.edits]),
      [
        ['write', [{ file: 'deploymentconfig', path: ['numReplicas'], value: 4 }]],
        ['deploy', []],
      ],
    );
    await form.page.getByText('The files are as they are on the disk.').waitFor();
    await form.close();
  });

  test('a deployment that is begun before its last change is planned waits for the plan, and goes by it', async () => {
    const problems: Problem[] = [];
    const { wish, calls } = world({}, problems);
    const form = await openForm(browser, wish);
    const button = form.page.getByRole('button', { name: 'Deploy', exact: true });
    const name = form.page.getByRole('textbox', { name: 'Name' });
    await form.page.getByText('create the service diabetes on local').waitFor();
    const nameAndDeploy = async (text: string) => {
      await name.fill(text);
      await button.dispatchEvent('click');
    };
    await nameAndDeploy('heart');
    await until(() => calls.length === 1);
    assert.equal(calls[0]?.[1]?.name, 'heart');
    problems.push(EXISTS);
    await nameAndDeploy('kidney');
    await form.page.getByText(EXISTS.message).waitFor();
    assert.equal(await button.isDisabled(), true);
    assert.equal(calls.length, 1);
    await form.close();
  });

  test('a deployment that would be refused cannot be begun, and the form says how to replace what is there', async () => {
    const { wish, calls } = world({}, [EXISTS]);
    const form = await openForm(browser, wish);
    await form.page.getByText('The service diabetes already exists.').waitFor();
    assert.equal(await form.page.getByRole('button', { name: 'Deploy', exact: true }).isDisabled(), true);
    await form.page.getByRole('checkbox', { name: 'Replace what diabetes runs now' }).click();
    await form.page.getByRole('textbox', { name: 'Name' }).fill('Diabetes!');
    await form.page.getByText('3 to 32 lower-case letters').waitFor();
    assert.deepEqual(calls, []);
    await form.close();
  });

  test('what was begun is there after a reload, but for keys that were typed', async () => {
    const { wish } = world();
    const form = await openForm(browser, wish);
    const newer = form.page.getByRole('checkbox', { name: 'Look for newer packages' });
    await newer.click();
    await form.page.getByRole('tab', { name: 'Deployment' }).click();
    await form.page.getByRole('textbox', { name: 'keys.primaryKey' }).fill('geheim-geheim');
    await form.page.getByRole('textbox', { name: 'namespace' }).fill('team-a');
    await form.page.getByRole('tab', { name: 'Changes (1)' }).click();
    await form.page.getByText('"namespace": "team-a"').waitFor();
    await form.page.getByText('"primaryKey": "geheim-geheim"').waitFor();
    assert.doesNotMatch(JSON.stringify(await form.state()), /geheim/);
    await form.page.reload();
    await form.page.getByText('"namespace": "team-a"').waitFor();
    assert.equal(await form.page.getByText('geheim').count(), 0);
    assert.equal(await newer.getAttribute('aria-checked'), 'true');
    await form.close();
  });

  test('a run is followed stage by stage, can be cancelled, and ends with what to do next', async () => {
    const problems: Problem[] = [];
    const { wish, calls } = world({}, problems);
    const form = await openForm(browser, wish);
    await form.page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await until(() => calls.length === 1);
    form.server.notify('run', RUNNING);
    await form.page.getByText('Installing diabetes-env').waitFor();
    assert.equal(await form.page.getByRole('button', { name: 'Deploy', exact: true }).isDisabled(), true);
    await form.page.getByRole('button', { name: 'Cancel' }).click();
    await until(() => calls.length === 2);
    form.server.notify('run', { ...RUNNING, status: 'done', endpoint: endpoint() });
    await form.page.getByText('it answers at http://127.0.0.1').waitFor();
    await form.page.getByRole('button', { name: 'Test' }).waitFor();
    problems.push(EXISTS);
    form.server.notify('changed', {});
    await form.page.getByText('It is deployed. To deploy it again').waitFor();
    assert.equal(await form.page.getByText(EXISTS.message).count(), 0);
    assert.deepEqual(form.complaints, []);
    await form.close();
  });
});
