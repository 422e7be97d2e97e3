import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeProject } from '../local/world.ts';
import { findChromium } from './chromium.ts';
import { PYTHON_DEBUGGER, packTestExtension } from './test-extension.ts';
import { openVsCode, step } from './world.ts';

const chromium = findChromium();
const skip = 'skip' in chromium ? chromium.skip : false;

test('a scoring script is debugged where it is written', { skip, timeout: 600_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-debugger-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const world = await openVsCode({
    project: writeProject,
    extensions: [await packTestExtension(PYTHON_DEBUGGER, join(folder, 'debugger.vsix'))],
  });
  t.after(() => world.close());
  const { workbench } = world;
  const { page } = workbench;
  const stopped = page.locator('.debug-top-stack-frame-line').first();

  await step(t, world, 'a breakpoint stops init() in the file that is open', async () => {
    const registered = await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
    if (registered.code !== 0) throw new Error(registered.stderr);
    await workbench.openFile('score.py');
    await page.locator('.monaco-editor .view-line', { hasText: 'print("the weights are"' }).first().click();
    await page.keyboard.press('F9');
    await page.locator('.codicon-debug-breakpoint, .codicon-debug-breakpoint-unverified').first().waitFor();
    await workbench.command('AKS ML: Debug Endpoint Locally…');
    await page.locator('.quick-input-list', { hasText: 'weights:1' }).waitFor();
    await page.keyboard.press('Enter');
    await stopped.waitFor();
  });

  await step(t, world, 'it goes on, answers, and stops in run()', async () => {
    await page.keyboard.press('F9');
    await page.locator('.monaco-editor .view-line', { hasText: 'return {"answer"' }).first().click();
    await page.keyboard.press('F9');
    await workbench.command('Debug: Continue');
    await workbench.openView('AKS ML');
    await workbench.spoken(/^project-debug, endpoint, Healthy/).waitFor();
    const answer = world.aksml('service', 'run', '-n', 'project-debug', '-d', '{"patient": 7}');
    await stopped.waitFor();
    await workbench.command('Debug: Continue');
    const { code, stdout, stderr } = await answer;
    if (code !== 0 || !stdout.includes('"patient": 7')) throw new Error(`${stdout}\n${stderr}`);
  });

  await step(t, world, 'what was there for the debugging alone goes with it', async () => {
    await workbench.command('Debug: Disconnect');
    await workbench.openView('AKS ML');
    await workbench.spoken(/^project-debug, endpoint/).waitFor({ state: 'detached' });
  });
});
