import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { Problem } from '../../src/contract/problem.ts';
import { CONFIGURATION_FORM, type ConfigurationFile, type Edit } from '../../src/contract/webview/configuration.ts';
import { contentOf, editedText } from '../../src/extension/forms/configuration-text.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm, until, untilValue } from './form-world.ts';
import { looksAndReads } from './looks.ts';

const found = findChromium();

const DEPLOYMENT = `{
  # as agreed with the team
  "computeType": "aks",
  "containerResourceRequirements": { "cpu": 0.5, "memoryInGB": 1 },
  "autoScaler": { "autoscaleEnabled": true, "minReplicas": 4, "maxReplicas": 2 },
  "authEnabled": true
}
`;

const INFERENCE = `{
  "entryScript": "score.py",
  "sourceDirectory": "source",
  "environment": {
    "name": "diabetes-env",
    "environmentVariables": { "LOG_LEVEL": "INFO" },
    "python": { "condaDependencies": { "channels": ["conda-forge"], "dependencies": ["python=3.11", { "pip": ["azureml-defaults", "scikit-learn==1.7.2"] }] } }
  }
}
`;

const MIN_ABOVE_MAX: Problem = {
  severity: 'error',
  code: 'autoscale.minAboveMax',
  path: 'autoScaler.minReplicas',
  message: 'minReplicas (4) is above maxReplicas (2).',
  remedy: 'Lower minReplicas or raise maxReplicas.',
};

/** A document as VS Code would keep it. */
function documentOf(file: ConfigurationFile, text: string) {
  const document = { text, edits: [] as Edit[] };
  const view = () => ({ file, path: `${file}.json`, ...contentOf(document.text) });
  return { document, view };
}

suite('the configuration form', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const world = (file: ConfigurationFile, text: string) => {
    const { document, view } = documentOf(file, text);
    return {
      document,
      view,
      wish: {
        form: 'configuration' as const,
        contract: CONFIGURATION_FORM,
        handlers: {
          open: () => ({
            file: view(),
            folder: 'project',
            offers: { targets: ['local', 'gpu-cluster'], environments: [{ name: 'shared', version: '2' }] },
          }),
          edit: (edit: Edit) => {
            document.edits.push(edit);
            document.text = editedText(document.text, edit.path, edit.value);
            return null;
          },
          browse: () => ({ path: 'source/other.py' }),
          openAsText: () => null,
          deploy: () => null,
        },
      },
    };
  };

  looksAndReads(
    'deploymentconfig',
    () => browser,
    world('deploymentconfig', DEPLOYMENT).wish,
    async (form) => {
      await form.page.getByRole('heading', { name: 'Resources' }).waitFor();
      form.server.notify('problems', { problems: [MIN_ABOVE_MAX] });
      await form.page.getByText('minReplicas (4) is above').waitFor();
      await form.page.getByText('How many replicas does my load need?').click();
      await form.page.getByRole('textbox', { name: 'Requests per second' }).fill('20');
      await form.page.getByRole('textbox', { name: 'Seconds per request' }).fill('10');
      await form.page.getByText('286 replicas').waitFor();
    },
  );

  looksAndReads(
    'inferenceconfig',
    () => browser,
    world('inferenceconfig', INFERENCE).wish,
    async ({ page }) => {
      await page.getByRole('heading', { name: 'Image' }).waitFor();
    },
  );

  test('what is typed reaches the file, comments stay, and taking a key out gives its default back', async () => {
    const { wish, document, view } = world('deploymentconfig', DEPLOYMENT);
    const form = await openForm(browser, wish);
    const cpu = form.page.getByRole('textbox', { name: 'containerResourceRequirements.cpu', exact: true });
    await cpu.fill('0.75');
    await cpu.press('Enter');
    form.server.notify('file', view());
    await untilValue(cpu, (value) => value === '0.75');
    assert.equal(document.text, DEPLOYMENT.replace('0.5', '0.75'));
    await form.page.locator('[id="field-containerResourceRequirements.cpu"]').hover();
    await form.page.getByRole('button', { name: 'Take containerResourceRequirements.cpu out of the file' }).click();
    form.server.notify('file', view());
    await untilValue(cpu, (value) => value === '');
    assert.equal(document.text, DEPLOYMENT.replace('"cpu": 0.5, ', ''));
    await form.close();
  });

  test('a switch, a choice and a figure that is none', async () => {
    const { wish, document } = world('deploymentconfig', DEPLOYMENT);
    const form = await openForm(browser, wish);
    await form.page.getByRole('checkbox', { name: 'authEnabled', exact: true }).click();
    await form.page.getByRole('combobox', { name: 'computeTargetName' }).click();
    await form.page.getByRole('option', { name: 'gpu-cluster' }).click();
    await form.page.getByRole('textbox', { name: 'scoringTimeoutMs' }).fill('a minute');
    await form.page.getByText('Write a number, without a unit.').waitFor();
    assert.deepEqual(document.edits, [
      { path: ['authEnabled'], value: false },
      { path: ['computeTargetName'], value: 'gpu-cluster' },
    ]);
    await form.close();
  });

  test('a search finds a key by what it is for, and stays over a reload', async () => {
    const { wish } = world('deploymentconfig', DEPLOYMENT);
    const form = await openForm(browser, wish);
    await form.page.getByRole('textbox', { name: 'Search the keys' }).fill('answered 504');
    await form.page.getByText('1 keys').waitFor();
    await form.page.reload();
    await form.page.getByRole('textbox', { name: 'scoringTimeoutMs' }).waitFor();
    await form.page.getByText('1 keys').waitFor();
    await form.close();
  });

  test('packages, variables and a script that is browsed for', async () => {
    const { wish, document } = world('inferenceconfig', INFERENCE);
    const form = await openForm(browser, wish);
    const pip = form.page.getByRole('textbox', { name: 'environment.python.condaDependencies: pip packages' });
    await pip.fill('azureml-defaults\nscikit-learn==1.7.2\nnumpy');
    await pip.blur();
    await form.page.getByRole('textbox', { name: 'environment.environmentVariables, new name' }).fill('MODE');
    await form.page.getByRole('textbox', { name: 'environment.environmentVariables, new value' }).fill('fast');
    await form.page.getByRole('button', { name: 'Add to environment.environmentVariables' }).click();
    await form.page.getByRole('button', { name: 'Browse… entryScript' }).click();
    await until(() => document.edits.length === 3);
    assert.deepEqual(
      document.edits.map(({ path }) => path.join('.')),
      ['environment.python.condaDependencies', 'environment.environmentVariables', 'entryScript'],
    );
    assert.equal(
      document.text,
      INFERENCE.replace('"scikit-learn==1.7.2"]', '"scikit-learn==1.7.2", "numpy"]')
        .replace('"LOG_LEVEL": "INFO" }', '"LOG_LEVEL": "INFO", "MODE": "fast" }')
        .replace('"score.py"', '"source/other.py"'),
    );
    await form.close();
  });

  test('a registered environment takes the place of the one that the file describes', async () => {
    const { wish, document, view } = world('inferenceconfig', INFERENCE);
    const form = await openForm(browser, wish);
    const choice = form.page.getByRole('combobox', { name: 'Registered environment' });
    await choice.click();
    await form.page.getByRole('option', { name: 'shared:2' }).click();
    await until(() => document.edits.length === 1);
    assert.deepEqual(contentOf(document.text).values['environment'], { name: 'shared', version: '2' });
    form.server.notify('file', view());
    await form.page.getByRole('textbox', { name: 'environment.name' }).waitFor();
    await until(async () => (await choice.textContent())?.includes('shared:2') ?? false);
    await form.close();
  });

  test('a file in YAML of its own is shown as what it is', async () => {
    const { wish } = world('deploymentconfig', 'computeType: aks\n');
    const form = await openForm(browser, wish);
    await form.page.getByText('is written as YAML').waitFor();
    await form.page.getByRole('button', { name: 'Open as text' }).first().waitFor();
    await form.close();
  });
});
