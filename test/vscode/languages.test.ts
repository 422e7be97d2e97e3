import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { openVsCode, step } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

const BROKEN = '{\n  "ComputeType": "aks",\n  "authEnabled": "true"\n}\n';

test('a configuration is judged as it is written, and mended with what is offered', {
  skip,
  timeout: 600_000,
}, async (t) => {
  const world = await openVsCode({
    project: async (project) => {
      await writeProject(project);
      await project.write('deploymentconfig.json', BROKEN);
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

  await step(t, world, 'what a deployment leaves out is grey in the Explorer', async () => {
    await workbench.openView('Explorer');
    await workbench.expand('source', 'data');
    await page
      .locator('.explorer-folders-view [aria-label*="Left out of deployments by .amlignore"]')
      .first()
      .waitFor();
  });
});
