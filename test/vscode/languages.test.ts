import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ANSWER, writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { packTestExtension, TOOL_CALLER } from './test-extension.ts';
import { openVsCode, step } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

const BROKEN = '{\n  "ComputeType": "aks",\n  "authEnabled": "true"\n}\n';

const V2_DEPLOYMENT = `
type: kubernetes
name: blue
code_configuration: {code: ../source, scoring_script: score.py}
environment: {image: base:1}
instance_count: 2
`;

const COMMENTED = '{\n  # as agreed with the team\n  "computeType": "aks",\n  "mystery": true\n}\n';

test('a configuration is judged as it is written, and mended with what is offered', {
  skip,
  timeout: 600_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-tool-caller-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const world = await openVsCode({
    // In a browser VS Code saves by itself a second after a change, which would make "not saved" a matter of speed.
    settings: { 'files.autoSave': 'off' },
    extensions: [await packTestExtension(TOOL_CALLER, join(folder, 'caller.vsix'))],
    project: async (project) => {
      await writeProject(project);
      await project.write('deploymentconfig.json', BROKEN);
      await project.write('deploymentconfig.commented.json', COMMENTED);
      await project.write('source/.amlignore', 'data/\n');
      await project.write('source/data/large.csv', '1,2\n');
    },
  });
  t.after(() => world.close());
  const { workbench } = world;
  const { page } = workbench;

  const lens = (title: string) => page.locator('.codelens-decoration a', { hasText: title });

  await step(
    t,
    world,
    'the problems of the file that is opened are shown, and above it what can be done with it',
    async () => {
      await workbench.openFile('deploymentconfig.json');
      await page.locator('.squiggly-error, .squiggly-warning, .squiggly-unnecessary').first().waitFor();
      // VS Code asks for them only while the editor has the focus.
      for (const title of ['Deploy', 'Open form']) await lens(title).waitFor();
      await lens('Validate').click();
      await workbench.notification(/would be refused: computeType is missing/).waitFor();
      await workbench.command('Problems: Focus on Problems View');
      await page.getByRole('treeitem', { name: /computeType is missing. Rename "ComputeType"/ }).waitFor();
    },
  );

  await step(t, world, 'a quick fix renames the key, and the file is mended without being saved', async () => {
    await page.locator('.monaco-editor .view-line', { hasText: '{' }).first().click();
    await workbench.fix('Rename to "computeType"');
    await page.locator('.monaco-editor .view-line', { hasText: '"computeType": "aks"' }).waitFor();
    await page.getByRole('treeitem', { name: /computeType is missing/ }).waitFor({ state: 'detached' });
    assert.equal(await readFile(join(world.project, 'deploymentconfig.json'), 'utf8'), BROKEN);
    await workbench.command('File: Save');
  });

  await step(
    t,
    world,
    'a comment, which makes YAML of JSON, is no problem, and the file is JSON again without it',
    async () => {
      const language = page.locator('.statusbar-item[id="status.editor.mode"]');
      await workbench.openFile('deploymentconfig.commented.json');
      await language.filter({ hasText: 'YAML' }).waitFor();
      await page.getByRole('treeitem', { name: /"mystery" is not a key of this file/ }).waitFor();
      await page.locator('.editor-instance .squiggly-error').waitFor({ state: 'detached' });
      await page.locator('.monaco-editor .view-line', { hasText: '# as agreed' }).click();
      await workbench.command('Delete Line');
      await workbench.command('File: Save');
      await language.filter({ hasText: /^JSON$/ }).waitFor();
    },
  );

  await step(t, world, 'a deploy task that is refused tells the problems of files that are closed', async () => {
    await workbench.command('View: Close All Editors');
    await world.write('deploymentconfig.json', BROKEN);
    await workbench.command('Tasks: Run Build Task');
    await workbench.pick(/deploy project/);
    // The task's terminal comes to the front when it likes, and would hide the problems again.
    await page.locator('.part.panel .badge-content', { hasText: /^1$/ }).waitFor();
    await workbench.command('Problems: Focus on Problems View');
    await page.getByRole('treeitem', { name: /computeType is missing. Rename "ComputeType"/ }).waitFor();
  });

  const callTool = async (tool: string, input: object) => {
    await workbench.command('Tool Caller: Call');
    const asked = page.getByPlaceholder('aksml_deploy aksml_list aksml_plan aksml_troubleshoot');
    await asked.fill(`${tool} ${JSON.stringify(input)}`);
    await page.keyboard.press('Enter');
  };
  const toolSays = (text: string) =>
    page.locator('.editor-group-container.active .view-line', { hasText: text }).first().waitFor();
  const deployment = {
    name: 'tooled',
    models: [join(world.project, 'model')],
    inferenceConfigFile: 'inferenceconfig.json',
    deploymentConfigFile: 'deploymentconfig.json',
  };
  const endpoints = async () => (await world.aksml('service', 'list', '-o', 'json')).json<readonly unknown[]>();

  await step(t, world, 'language models are offered the tools, which answer from the workspace', async () => {
    await callTool('aksml_list', { kind: 'targets' });
    await toolSays('local: local, reachable');
    await callTool('aksml_plan', deployment);
    await toolSays('The deployment would be refused:');
    await toolSays('computeType is missing');
  });

  await step(t, world, 'what a language model wants to deploy is deployed when the person agrees', async () => {
    await world.write('deploymentconfig.json', JSON.stringify({ computeType: 'aks', numReplicas: 1 }));
    await world.write(
      'source/score.py',
      ANSWER(1).replace('def init():', 'def init():\n    raise ValueError("broken")'),
    );
    await callTool('aksml_deploy', deployment);
    await workbench.answer(/Would create the service tooled on local/, 'Cancel');
    await toolSays('Failed: Canceled');
    assert.deepEqual(await endpoints(), []);
    await callTool('aksml_deploy', deployment);
    await workbench.answer(/Would create the service tooled on local/, 'Yes');
    await toolSays('Failed: tooled');
  });

  await step(t, world, 'and a language model finds out why that failed, and deploys what was mended', async () => {
    await callTool('aksml_troubleshoot', { name: 'tooled' });
    await toolSays('What to do: Correct init()');
    await toolSays('ValueError: broken');
    await world.write('source/score.py', ANSWER(1));
    await callTool('aksml_deploy', { ...deployment, overwrite: true });
    await workbench.answer(/Would \w+ the service tooled on local/, 'Yes');
    await toolSays('tooled: Healthy, scoring URI http');
  });

  await step(t, world, 'what a deployment leaves out is grey in the Explorer', async () => {
    await workbench.openView('Explorer');
    await workbench.expand('source', 'data');
    await page
      .locator('.explorer-folders-view [aria-label*="Left out of deployments by .amlignore"]')
      .first()
      .waitFor();
  });

  await step(t, world, 'a v2 deployment is written as configuration files beside it, which are opened', async () => {
    await world.write('v2/deployment.yml', V2_DEPLOYMENT);
    await workbench.expand('v2', 'deployment.yml');
    await workbench.choose(workbench.row('deployment.yml'), 'Import v2 Deployment…');
    await page.getByRole('tab', { name: /^inferenceconfig\.json/ }).waitFor();
    await page.getByRole('tab', { name: /^deploymentconfig\.json/ }).waitFor();
    assert.equal(JSON.parse(await readFile(join(world.project, 'v2/deploymentconfig.json'), 'utf8')).numReplicas, 2);
  });

  await step(t, world, 'a model that only its content tells is offered to be deployed once it is there', async () => {
    await world.write('booster.txt', 'tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n');
    await workbench.choose(workbench.row('booster.txt'), 'Deploy…');
    await workbench.webview('h1:has-text("Deploy")');
  });
});
