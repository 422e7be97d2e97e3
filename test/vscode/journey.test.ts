import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ANSWER, DEPLOY, type World, writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import type { Workbench } from './workbench.ts';
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

  await step(
    t,
    world,
    'a right-click on the model opens a form, which deploys it, even if the engine is killed meanwhile',
    async () => {
      await workbench.expand('model', 'weights.pkl');
      await workbench.choose(workbench.row('weights.pkl'), 'Deploy…');
      const form = await workbench.webview('h1:has-text("Deploy")');
      await form.getByRole('textbox', { name: /Name/ }).first().fill('scorer');
      await form.getByRole('button', { name: 'Deploy', exact: true }).click();
      await form.getByText('Preparing the environment').waitFor();
      const killed = await world.engineProcesses();
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await form.getByText('Done: it answers at').waitFor();
      const others = (await world.engineProcesses()).filter((pid) => !killed.includes(pid));
      assert.deepEqual([killed.length, others.length], [1, 1]);
      const models = (await world.aksml('model', 'list', '-o', 'json')).json<readonly unknown[]>();
      assert.equal(models.length, 1, 'the file is registered once');
      await workbench.openView('AKS ML');
      await spoken(/^scorer, endpoint, Healthy/).waitFor();
    },
  );

  await step(t, world, 'the test form sends a request and shows what it answers', async () => {
    await workbench.choose(workbench.row('scorer').first(), 'Test Endpoint…');
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('button', { name: /Send/ }).click();
    await form.getByText('"answer": 1').waitFor();
  });

  await step(t, world, 'the request is saved for a REST client, without the key', async () => {
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('button', { name: 'Save as .http…' }).click();
    await workbench.accept(/scorer\.http$/);
    await page.getByRole('tab', { name: /^scorer.http/ }).waitFor();
    const text = await readFile(join(world.project, 'scorer.http'), 'utf8');
    assert.match(text, /^POST http:\S+\/score$/m);
    assert.match(text, /^Authorization: Bearer \{\{\$processEnv AKSML_KEY\}\}$/m);
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

  await step(t, world, 'the log is streamed to its own channel, and steered wherever it is seen', async () => {
    await workbench.openView('AKS ML');
    await workbench.choose(workbench.row('scorer').first(), 'Stream Logs');
    await page.locator('.panel .view-line', { hasText: 'the weights are 42' }).first().waitFor();
    await page.locator('.panel').getByRole('button', { name: 'Pause Log' }).click();
    await page.locator('.statusbar-item', { hasText: 'Streaming scorer, paused' }).waitFor();
    await workbench.choose(workbench.row('scorer').first(), 'Resume Log');
    const status = page.locator('.statusbar-item', { hasText: /Streaming scorer$/ });
    await status.click();
    await workbench.pick(/Stop Streaming/);
    await status.waitFor({ state: 'hidden' });
    await page.locator('.panel .view-line', { hasText: 'Streaming has stopped.' }).waitFor();
  });

  await step(t, world, 'a broken script is named with its traceback, in the form and on the endpoint', async () => {
    await world.write('source/score.py', SCRIPT.replace('def init():', 'def init():\n    raise ValueError("broken")'));
    await redeploy(workbench);
    const form = await workbench.webview('h1:has-text("Deploy scorer")');
    const traceback = form.getByText('Traceback (most recent call last)');
    await traceback.waitFor();
    assert.match(await traceback.innerText(), /score\.py", line \d+, in init\n.*\nValueError: broken/);
    await spoken(/^scorer, endpoint, Unhealthy/).waitFor();
    for (const row of [spoken(/^scorer, endpoint/), spoken(/^scorer, version of scorer/)]) {
      await row.locator('.monaco-tl-twistie').click();
    }
    await spoken(/^UserScriptInitFailed, .*ValueError: broken/).waitFor();
  });

  await step(t, world, 'the mended script is deployed, and answers', async () => {
    await world.write('source/score.py', SCRIPT.replace('"answer": 1', '"answer": 3'));
    await redeploy(workbench);
    await spoken(/^scorer, endpoint, Healthy/).waitFor();
    await workbench.choose(workbench.row('scorer').first(), 'Test Endpoint…');
    const form = await workbench.webview('h1:has-text("Test scorer")');
    await form.getByRole('button', { name: /Send/ }).click();
    await form.getByText('"answer": 3').waitFor();
  });

  await step(t, world, 'it is deleted from the tree', async () => {
    await workbench.choose(workbench.row('scorer').first(), 'Delete Endpoint…');
    await workbench.answer('Delete the endpoint scorer?', 'Delete');
    await spoken(/^scorer, endpoint/).waitFor({ state: 'detached' });
  });
}

/** By the form that "Update Endpoint…" opens, which has the endpoint's own models and the folder's files. */
async function redeploy(workbench: Workbench): Promise<void> {
  await workbench.choose(workbench.row('scorer').first(), 'Update Endpoint…');
  const form = await workbench.webview('h1:has-text("Deploy scorer")');
  await form.getByText('replace what scorer runs on').waitFor();
  await form.getByRole('button', { name: 'Deploy', exact: true }).click();
}

test('an endpoint gets a second version, which gets a part of the traffic, and lets callers in by tokens', {
  skip,
}, async (t) => {
  const world = await openVsCode({ project: writeVersioned, variables: { SHOP_SECRET: SECRET } });
  t.after(world.close);
  const { workbench } = world;

  await step(t, world, 'a version is added by the form', async () => {
    const deployed = await world.aksml(...DEPLOY, '-n', 'shop', '-m', 'model');
    assert.equal(deployed.code, 0, deployed.stderr);
    await world.write('deploymentconfig.json', JSON.stringify({ computeType: 'aksendpoint', numReplicas: 1 }));
    await workbench.openView('AKS ML');
    await workbench.choose(workbench.spoken(/^shop, endpoint, Healthy/), 'Add Version…');
    const form = await workbench.webview('h1:has-text("New version")');
    await form.getByText('add the version shop-next to shop on local').waitFor();
    await form.getByRole('button', { name: 'Deploy', exact: true }).click();
    await form.getByText('Done: it answers at').waitFor();
  });

  await step(t, world, 'its share of the traffic is set by the form, and shown in the tree', async () => {
    await workbench.choose(workbench.row('shop').first(), 'Roll Out Traffic…');
    const form = await workbench.webview('h1:has-text("Rollout of shop")');
    await form.getByRole('textbox', { name: 'Traffic of shop-next in percent' }).fill('30');
    await form.getByRole('button', { name: 'Apply' }).click();
    await workbench.expand('shop', 'shop-next');
    for (const share of ['blue70 % traffic', 'shop-next30 % traffic']) {
      await workbench.page.getByRole('treeitem').filter({ hasText: share }).waitFor();
    }
  });

  await step(t, world, 'a deleted version comes back with its share and its secret when that is undone', async () => {
    await workbench.choose(workbench.row('shop-next').first(), 'Delete Version…');
    await workbench.answer('Delete the version shop-next of shop?', 'Delete');
    await workbench.row('shop-next').waitFor({ state: 'detached' });
    await workbench.press('Deleted: shop-next of shop.', 'Undo');
    await workbench.spoken(/^shop-next, version of shop, Healthy/).waitFor();
    await workbench.page.getByRole('treeitem').filter({ hasText: 'shop-next30 % traffic' }).waitFor();
    const answers = await world.aksml('endpoint', 'realtime', 'run', '-n', 'shop', '--vn', 'shop-next', '-d', '{}');
    assert.match(answers.stdout, new RegExp(SECRET), answers.stderr);
  });

  await step(t, world, 'a token is fetched, told of by its claims, and copied', async () => {
    await workbench.choose(workbench.row('shop').first(), 'Keys and Tokens…');
    const form = await workbench.webview('h1:has-text("Keys and tokens of shop")');
    await form.getByRole('button', { name: 'Fetch a token' }).click();
    await form.getByText(/Valid for \d+ h/).waitFor();
    await form.getByText('aksml-local').waitFor();
    await form.getByRole('button', { name: 'Copy the token' }).click();
    await form
      .getByText(/copied/i)
      .first()
      .waitFor();
    const [uri, token] = [
      await scoringUri(world),
      await workbench.page.evaluate<string>('navigator.clipboard.readText()'),
    ];
    const answer = await fetch(uri, { method: 'POST', body: '{}', headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200, await answer.text());
    assert.equal((await form.content()).includes(token), false);
  });
});

const SECRET = 'swordfish';

async function writeVersioned(world: World): Promise<void> {
  await writeProject(world, ANSWER(1).replace('"answer": 1', '"answer": os.environ["TOLD"]'));
  const inference = await readFile(join(world.project, 'inferenceconfig.json'), 'utf8');
  const told = inference.replace(
    '"environmentVariables":{',
    `"environmentVariables":{"TOLD":"\${secret:SHOP_SECRET}",`,
  );
  await world.write('inferenceconfig.json', told);
  const first = { computeType: 'aksendpoint', numReplicas: 1, versionName: 'blue', authEnabled: false };
  await world.write('deploymentconfig.json', JSON.stringify({ ...first, tokenAuthEnabled: true }));
}

async function scoringUri(world: World): Promise<string> {
  const shown = await world.aksml('endpoint', 'realtime', 'show', '-n', 'shop', '-o', 'json');
  return shown.json<{ scoringUri: string }>().scoringUri;
}
