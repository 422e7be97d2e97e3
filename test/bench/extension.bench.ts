import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { writeProject } from '../local/world.ts';
import { packTestExtension } from '../vscode/test-extension.ts';
import { openVsCode, type VsCodeWorld } from '../vscode/world.ts';

/**
 * What the extension costs a VS Code window: how long it takes to activate, as VS Code itself measures it, next to an extension that does
 * nothing; and from a click on its icon to the first rows of its tree, for which the engine has to be started. The window is loaded anew for
 * each round. What a window loads of the bundle is measured by `test/vscode/packaging.test.ts`.
 */
const ROUNDS = 7;

const folder = await mkdtemp(join(tmpdir(), 'aksml-extension-bench-'));
const bare = await packTestExtension(
  {
    publisher: 'aksml',
    name: 'bare',
    manifest: { displayName: 'Bare', activationEvents: ['onStartupFinished'] },
    code: 'exports.activate = () => undefined;\n',
  },
  join(folder, 'bare.vsix'),
);
// As tall as VS Code's table of activations.
const size = { width: 1400, height: 1700 };
const world = await openVsCode({ extensions: [bare], project: writeProject, size });
try {
  const times: Record<'ours' | 'theirs', Activation[]> = { ours: [], theirs: [] };
  const paints: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    await world.workbench.openView('Explorer');
    await world.workbench.reload();
    const { 'aksml.aksml': ours, 'aksml.bare': theirs } = await activationTimes(world);
    const paint = await firstTreePaint(world.workbench.page);
    // The first round fills the caches.
    if (round === 0 || ours === undefined || theirs === undefined) continue;
    paints.push(paint);
    times.ours.push(ours);
    times.theirs.push(theirs);
  }
  const whole = ({ load, activate }: Activation) => load + activate;
  console.table({
    'activation, ms': { ...summary(times.ours.map(whole)), limit: 50 },
    'of which activate() itself': summary(times.ours.map(({ activate }) => activate)),
    'activation of an extension that does nothing, ms': summary(times.theirs.map(whole)),
    'from the click to the first rows of the tree, ms': { ...summary(paints), limit: 1000 },
  });
} finally {
  await world.close();
  await rm(folder, { recursive: true, force: true });
}

/** In the window itself, so that what it takes to ask it is not measured. */
function firstTreePaint(page: Page): Promise<number> {
  return page.evaluate<number>(`(async () => {
    const icon = document.querySelector('.activitybar a[aria-label^="AKS ML"]');
    const started = performance.now();
    icon.dispatchEvent(new MouseEvent('mousedown', { bubbles: true }));
    icon.click();
    while (document.querySelector('.pane-body .custom-view-tree-node-item') === null)
      await new Promise((resolve) => requestAnimationFrame(resolve));
    return performance.now() - started;
  })()`);
}

interface Activation {
  /** Reading and evaluating its code, which VS Code does while it does the same for others. */
  readonly load: number;
  readonly activate: number;
}

async function activationTimes({ workbench }: VsCodeWorld): Promise<Record<string, Activation>> {
  // Only an extension that has been activated has a line there.
  await workbench.row('model').waitFor();
  await workbench.command('Developer: Show Running Extensions');
  const running = workbench.page.locator('.runtime-extensions-editor .monaco-list-row', {
    hasText: 'AKS Model Deploy',
  });
  await running.filter({ hasText: 'Activation' }).waitFor();
  await workbench.page.keyboard.press('Escape');
  await running.waitFor({ state: 'detached' });
  await workbench.command('Developer: Startup Performance');
  await workbench.page.locator('.view-line', { hasText: 'aksml.bare' }).waitFor();
  const rows = (await workbench.editorText()).matchAll(/\| (\S+) +\| (?:true|false) +\| (\d+) +\| (\d+) +\|/g);
  const times = [...rows].map(([, id = '', load, activate]) => [
    id,
    { load: Number(load), activate: Number(activate) },
  ]);
  await workbench.command('View: Close All Editors');
  return Object.fromEntries(times);
}

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { median: at(0.5), fastest: at(0), slowest: at(1) };
}
