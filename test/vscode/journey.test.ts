import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ANSWER, DEPLOY, type World, writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { openVsCode, step, type VsCodeWorld } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

test('a model goes from the Explorer to its answers', { skip }, async (t) => {
  const world = await openVsCode({ project: writeModel });
  t.after(world.close);
  await journey(t, world);
});

async function writeModel(world: World): Promise<void> {
  await writeProject(world, SCRIPT);
  await world.write('model/weights.pkl', '42');
}

/** Of what was deployed by right-click, which has the file at the top of the model's folder. */
const SCRIPT = ANSWER(1).replace('os.path.join(folder, "model", "weights.txt")', 'os.path.join(folder, "weights.pkl")');

async function journey(t: TestContext, world: VsCodeWorld): Promise<void> {
  const { workbench } = world;
  const { page, spoken } = workbench;

  await step(t, world, 'a right-click on the model opens a form, which deploys it', async () => {
    await workbench.expand('model', 'weights.pkl');
    await workbench.choose(workbench.row('weights.pkl'), 'Deploy…');
    const form = await workbench.webview('h1:has-text("Deploy")');
    await form.getByRole('textbox', { name: /Name/ }).first().fill('scorer');
    await form.getByRole('button', { name: 'Deploy', exact: true }).click();
    await workbench.openView('AKS ML');
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
  });

  await step(t, world, 'the test form sends a request and shows what it answers', async () => {
    await workbench.choose(workbench.row('scorer').first(), 'Test Endpoint…');
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('button', { name: /Send/ }).click();
    await form.getByText('"answer": 1').waitFor();
  });

  await step(t, world, 'a copied key is the key, and the form never holds it unasked', async () => {
    await workbench.choose(workbench.row('scorer').first(), 'Keys and Tokens…');
    const form = await workbench.webview('h1:has-text("Keys and tokens")');
    const { primaryKey } = (await world.aksml('service', 'get-keys', '-n', 'scorer', '-o', 'json')).json<{
      primaryKey: string;
    }>();
    assert.equal((await form.content()).includes(primaryKey), false);
    await form.getByRole('button', { name: /^Copy the key: Primary/ }).click();
    await workbench.clipboard(primaryKey);
  });

  await step(t, world, 'after a reload of the window the forms are there again', async () => {
    await workbench.reload();
    await page.getByRole('tab', { name: /Keys of scorer/ }).waitFor();
    await workbench.webview('h1:has-text("Keys and tokens")');
  });

  await step(t, world, 'a broken script is named with its traceback on the endpoint', async () => {
    await workbench.openView('AKS ML');
    await world.write('source/score.py', SCRIPT.replace('def init():', 'def init():\n    raise ValueError("broken")'));
    const failed = await world.aksml(...DEPLOY, '-n', 'scorer', '-m', 'weights.pkl', '--overwrite');
    assert.notEqual(failed.code, 0);
    await spoken(/^Cause: .*broken/)
      .or(spoken(/^scorer, endpoint, (Unhealthy|Failed)/))
      .first()
      .waitFor();
  });

  await step(t, world, 'the mended script is deployed, and answers', async () => {
    await world.write('source/score.py', SCRIPT.replace('"answer": 1', '"answer": 3'));
    const mended = await world.aksml(...DEPLOY, '-n', 'scorer', '-m', 'weights.pkl', '--overwrite');
    assert.equal(mended.code, 0, mended.stderr);
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
    await workbench.choose(workbench.row('scorer').first(), 'Test Endpoint…');
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('button', { name: /Send/ }).click();
    await form.getByText('"answer": 3').waitFor();
  });

  await step(t, world, 'the log is streamed to its own channel', async () => {
    await workbench.choose(workbench.row('scorer').first(), 'Stream Logs');
    await page.locator('.panel .view-line', { hasText: 'ready for serving traffic' }).first().waitFor();
  });
}
