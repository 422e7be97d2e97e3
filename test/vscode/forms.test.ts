import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame } from 'playwright-core';
import { writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { openVsCode, step, type VsCodeWorld } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

const COMMENTED = `{
  # as agreed with the team
  "computeType": "aks",
  "mystery": true,
  "numReplicas": 2
}
`;

/** Of a server that refuses every connection. */
const KUBECONFIG = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'near',
  clusters: [{ name: 'one', cluster: { server: 'http://127.0.0.1:9' } }],
  users: [{ name: 'me', user: {} }],
  contexts: ['near', 'far'].map((name) => ({ name, context: { cluster: 'one', user: 'me' } })),
});

test('a model is deployed, tested, looked at and let in by forms', { skip }, async (t) => {
  const world = await openVsCode({
    project: async (project) => {
      await writeProject(project);
      await project.write('deploymentconfig.json', COMMENTED);
    },
  });
  t.after(world.close);
  await journey(t, world);
});

async function journey(t: TestContext, world: VsCodeWorld): Promise<void> {
  const { workbench } = world;
  const { page } = workbench;
  const shot = async (name: string) => {
    const folder = process.env['AKSML_SCREENSHOTS'];
    if (folder) await workbench.screenshot(join(folder, `vscode-${name}.png`));
  };
  const onDisk = () => readFile(join(world.project, 'deploymentconfig.json'), 'utf8');

  await step(t, world, 'the form edits the file, and VS Code undoes it', async () => {
    await workbench.openFile('deploymentconfig.json');
    await workbench.command('AKS ML: Open Form');
    const form = await workbench.webview('h1:has-text("Deployment configuration")');
    const replicas = form.getByRole('textbox', { name: 'numReplicas' });
    await replicas.fill('1');
    await replicas.press('Enter');
    await page.keyboard.press('Control+s');
    await until(async () => (await onDisk()) === COMMENTED.replace('2', '1'));
    await form.getByText('"mystery" is not a key of this file').waitFor();
    await shot('configuration');
    await form.getByRole('heading', { name: 'Deployment configuration' }).click();
    await page.keyboard.press('Control+z');
    await until(async () => (await replicas.inputValue()) === '2');
    await page.keyboard.press('Control+y');
    await until(async () => (await replicas.inputValue()) === '1');
    await page.keyboard.press('Control+s');
    await until(async () => (await onDisk()) === COMMENTED.replace('2', '1'));
  });

  await step(t, world, 'a folder is registered as a model by the form, and deployed from there', async () => {
    await workbench.command('AKS ML: Register Model…');
    const form = await workbench.webview('h1:has-text("Register a model")');
    await form.getByRole('textbox', { name: 'File or folder' }).fill(join(world.project, 'model'));
    await form.getByText('becomes model:1').waitFor();
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill('weights');
    await form.getByRole('textbox', { name: 'Tags' }).fill('source=notebook');
    await form.getByRole('button', { name: 'Register', exact: true }).click();
    await form.getByText('Registered as weights:1.').waitFor();
    await shot('model');
    const [model] = (await world.aksml('model', 'list', '-o', 'json')).json<{ id: string; tags: object }[]>();
    assert.deepEqual([model?.id, model?.tags], ['weights:1', { source: 'notebook' }]);
    await form.getByRole('button', { name: 'Deploy…' }).click();
  });

  await step(t, world, 'the plan is shown, a change is reviewed, written and deployed', async () => {
    const form = await workbench.webview('#tab-plan');
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill('scorer');
    await form.getByText('weights:1').first().waitFor();
    await form.getByText('create the service scorer on local').waitFor();
    const inference = join(world.project, 'inferenceconfig.json');
    const text = await readFile(inference, 'utf8');
    await rm(inference);
    await form.getByText(/The file \S*inferenceconfig\.json does not exist/).waitFor();
    await form.getByRole('tab', { name: 'Changes (0)' }).waitFor();
    await writeFile(inference, text);
    await form.getByText('Deploying would do this').waitFor();
    await form.getByRole('tab', { name: 'Deployment' }).click();
    const wait = form.getByRole('textbox', { name: 'maxQueueWaitMs' });
    await wait.fill('750');
    await wait.press('Enter');
    await form.getByRole('button', { name: 'Review the changes' }).click();
    await form.getByText('"maxQueueWaitMs": 750').waitFor();
    await shot('deploy-changes');
    assert.doesNotMatch(await onDisk(), /maxQueueWaitMs/);
    await form.getByRole('button', { name: 'Write and deploy' }).click();
    await form.getByText('it answers at').waitFor();
    await shot('deployed');
    assert.match(await onDisk(), /# as agreed with the team[\s\S]*"maxQueueWaitMs": 750/);
  });

  await step(t, world, 'a cluster that does not answer is not attached, and the form says what to do', async () => {
    await world.write('kubeconfig', KUBECONFIG);
    await workbench.command('AKS ML: Attach Cluster…');
    const form = await workbench.webview('h1:has-text("Attach a cluster")');
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill('prod');
    await form.getByRole('textbox', { name: 'Registry' }).fill('registry.example/team');
    await form.getByRole('textbox', { name: 'Kubeconfig' }).fill(join(world.project, 'kubeconfig'));
    await form.getByRole('combobox', { name: 'Context' }).click();
    await form.getByRole('option', { name: 'far' }).click();
    await form.getByRole('button', { name: 'Attach', exact: true }).click();
    await form.getByText('127.0.0.1:9').first().waitFor();
    await shot('cluster');
    const targets = await world.aksml('computetarget', 'list', '-o', 'json');
    assert.doesNotMatch(targets.stdout, /prod/);
  });

  await step(t, world, 'a request is sent and answered', async () => {
    await workbench.command('AKS ML: Test Endpoint');
    await workbench.pick(/^scorer/);
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('textbox', { name: 'Body of the request' }).fill('{"data": [1]}');
    await form.getByRole('button', { name: 'Send' }).click();
    await form.getByText('"answer"').waitFor();
    await shot('test');
  });

  await step(t, world, 'a key is shown, and replaced once its consequence was read', async () => {
    await workbench.command('AKS ML: Keys');
    await workbench.pick(/^scorer/);
    const form = await workbench.webview('h1:has-text("Keys and tokens of scorer")');
    await form.getByRole('button', { name: 'Show the key: Primary key' }).click();
    const key = form.locator('.secret').first();
    await until(async () => !/•/.test(await key.innerText()));
    const before = await key.innerText();
    await form.getByRole('button', { name: 'Regenerate… Primary key' }).click();
    await shot('keys');
    await form.getByRole('button', { name: 'Regenerate', exact: true }).click();
    await until(async () => /•/.test(await key.innerText()));
    await form.getByRole('button', { name: 'Show the key: Primary key' }).click();
    await until(async () => !/•/.test(await key.innerText()));
    assert.notEqual(await key.innerText(), before);
  });

  await step(t, world, 'the page of the endpoint follows its load, also after the window is loaded again', async () => {
    await workbench.command('AKS ML: Open Endpoint');
    await workbench.pick(/^scorer/);
    await measured(await workbench.webview('h1:text-is("scorer")'));
    await shot('endpoint');
    await workbench.reload();
    await measured(await workbench.webview('h1:text-is("scorer")'));
  });
}

function measured(form: Frame): Promise<void> {
  return form.getByRole('img', { name: 'Ready replicas: scorer 1' }).waitFor();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`It does not come about: ${holds}`);
  }
}
