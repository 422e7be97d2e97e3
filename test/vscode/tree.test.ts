import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ANSWER, DEPLOY, writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { openVsCode, step, type VsCodeWorld } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

test('the tree shows what is, whoever changes it', { skip }, async (t) => {
  const world = await openVsCode({
    project: async (project) => {
      await writeProject(project);
      await project.write('trained.v2.pkl', '42');
    },
  });
  t.after(world.close);
  await journey(t, world);
});

async function journey(t: TestContext, world: VsCodeWorld): Promise<void> {
  const { workbench } = world;
  const { spoken } = workbench;
  const must = async (...args: readonly string[]) => {
    const outcome = await world.aksml(...args);
    assert.equal(outcome.code, 0, outcome.stderr);
  };

  await step(t, world, 'an empty workspace says what to do next', async () => {
    await workbench.openView('AKS ML');
    await workbench.row('Deploy a model').waitFor();
    await workbench.expand('Models', 'Register a model, or drop its file here');
  });

  await step(
    t,
    world,
    'a model that is dragged there from the Explorer is registered, and deployed from there',
    async () => {
      await workbench.openView('Explorer');
      await workbench.drag(workbench.row('trained.v2.pkl'), 'AKS ML', workbench.row('Models'));
      await spoken(/^trained.v2[, ].*1 version/).waitFor();
      await workbench.press('Registered as trained.v2:1.', 'Deploy…');
      const form = await workbench.webview('h1:has-text("Deploy")');
      await form.getByText('trained.v2:1').first().waitFor();
    },
  );

  await step(t, world, 'what the command line registers and deploys is there without a refresh', async () => {
    await must('model', 'register', '-n', 'weights', '-p', 'model');
    await spoken(/^weights, .*1 version|^weights 1 version/).waitFor();
    await must(...DEPLOY, '-n', 'scorer', '-m', 'weights:1');
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
    await workbench.expand('scorer', 'History', 'revision 1');
  });

  await step(
    t,
    world,
    'rows that are open stay open while a redeploy goes by, and its revision joins them',
    async () => {
      await world.write('source/score.py', ANSWER(2));
      await must(...DEPLOY, '-n', 'scorer', '-m', 'weights:1', '--overwrite');
      await workbench.row('revision 2').waitFor();
      assert.equal(await workbench.row('revision 1').isVisible(), true);
    },
  );

  await step(
    t,
    world,
    'a revision that is chosen in the palette is compared with the files of the folder',
    async () => {
      await workbench.command('AKS ML: Compare Revision with Working Tree');
      await workbench.pick(/^scorer/);
      await workbench.pick(/^revision 1/);
      await workbench.page.getByRole('tab', { name: /scorer revision 1 and the working tree/ }).waitFor();
      const [deployed, now] = [ANSWER(1), ANSWER(2)].map((text) => text.match(/"answer": \d/)?.[0] ?? '');
      await workbench.page.locator('.editor.original .view-line', { hasText: deployed }).waitFor();
      await workbench.page.locator('.editor.modified .view-line', { hasText: now }).waitFor();
    },
  );

  await step(t, world, 'a killed engine is started again, and the tree goes on following', async () => {
    const [engine] = await world.engineProcesses();
    assert.ok(engine !== undefined);
    process.kill(engine, 'SIGKILL');
    await must('service', 'delete', '-n', 'scorer', '--yes');
    await spoken(/^scorer, endpoint/).waitFor({ state: 'detached' });
    assert.equal((await world.engineProcesses()).includes(engine), false);
    await must(...DEPLOY, '-n', 'scorer', '-m', 'weights:1');
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
  });

  await step(t, world, 'another window shows the same, and what it deletes leaves both', async () => {
    const other = await world.newWindow();
    await other.openView('AKS ML');
    await other.spoken(/^scorer, endpoint, Healthy/).waitFor();
    await spoken(/^scorer, endpoint/).click();
    await workbench.page.keyboard.press('Delete');
    await workbench.answer('Delete the endpoint scorer?', 'Delete');
    await spoken(/^scorer, endpoint/).waitFor({ state: 'detached' });
    await other.spoken(/^scorer, endpoint/).waitFor({ state: 'detached' });
    await other.page.close();
  });

  await step(t, world, 'and what was deleted comes back with "Undo"', async () => {
    await workbench.press('Deleted: scorer', 'Undo');
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
  });

  await step(t, world, 'after a reload of the window the tree is there again', async () => {
    await workbench.reload();
    await workbench.openView('AKS ML');
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
  });

  await step(t, world, 'when VS Code ends, so does its engine, and what is deployed goes on', async () => {
    await world.server.stop();
    await world.untilNoEngine();
    const shown = await world.aksml('service', 'show', '-n', 'scorer', '-o', 'json');
    assert.equal(shown.json()['state'], 'Healthy');
  });
}
