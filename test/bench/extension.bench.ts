import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { eventually } from '../cluster/world.ts';
import { writeProject } from '../local/world.ts';
import { packTestExtension } from '../vscode/test-extension.ts';
import type { Workbench } from '../vscode/workbench.ts';
import { openVsCode, type VsCodeWorld } from '../vscode/world.ts';

/**
 * What the extension costs a VS Code window: how long it takes to activate, next to an extension that does nothing; and from a click on its
 * icon to the first rows of its tree, for which the engine has to be started. The window is loaded anew for each round. What a window loads
 * of the bundle is measured by `test/vscode/packaging.test.ts`.
 *
 * VS Code's own table counts the reading of an extension's code from when it took it in hand, and it takes all those in hand at once that
 * wait for the window to have started: what it says is also the time that an extension stood behind the others. Its marks are set around the
 * reading itself.
 */
const ROUNDS = 7;
const MARKS = 'Bare: Save Marks';

const folder = await mkdtemp(join(tmpdir(), 'aksml-extension-bench-'));
const marksFile = join(folder, 'marks.json');
const bare = await packTestExtension(
  {
    publisher: 'aksml',
    name: 'bare',
    manifest: {
      displayName: 'Bare',
      activationEvents: ['onStartupFinished'],
      contributes: { commands: [{ command: 'bare.saveMarks', title: MARKS }] },
    },
    code: `const { renameSync, writeFileSync } = require('node:fs');
const file = ${JSON.stringify(marksFile)};
exports.activate = () => void require('vscode').commands.registerCommand('bare.saveMarks', () => {
  writeFileSync(file + '.new', JSON.stringify(MonacoPerformanceMarks.getMarks()));
  renameSync(file + '.new', file);
});
`,
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
  const own = ({ read, activate }: Activation) => read + activate;
  const told = ({ load, activate }: Activation) => load + activate;
  console.table({
    'activation: reading its code and activate(), ms': { ...summary(times.ours.map(own)), limit: 50 },
    'of which activate() itself': summary(times.ours.map(({ activate }) => activate)),
    'the same of an extension that does nothing, ms': summary(times.theirs.map(own)),
    "as VS Code's table says it, with the wait for others, ms": summary(times.ours.map(told)),
    'the same of an extension that does nothing': summary(times.theirs.map(told)),
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
  /** Until its code was read and evaluated, with the wait for others. */
  readonly load: number;
  /** Reading and evaluating its code. */
  readonly read: number;
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
  const marks = await savedMarks(workbench);
  const at = (name: string) => marks.get(name) ?? Number.NaN;
  const times = [...rows].map(([, id = '', load, activate]) => {
    const read = at(`code/extHost/didLoadExtensionCode/${id}`) - at(`code/extHost/willLoadExtensionCode/${id}`);
    return [id, { load: Number(load), read, activate: Number(activate) }];
  });
  await workbench.command('View: Close All Editors');
  return Object.fromEntries(times);
}

/** VS Code's own of its extension host, by name: milliseconds. */
async function savedMarks(workbench: Workbench): Promise<ReadonlyMap<string, number>> {
  await rm(marksFile, { force: true });
  await workbench.command(MARKS);
  const marks = await eventually('the marks are saved', () =>
    readFile(marksFile, 'utf8').then(
      (text): readonly { readonly name: string; readonly startTime: number }[] => JSON.parse(text),
      () => undefined,
    ),
  );
  return new Map(marks.map(({ name, startTime }) => [name, startTime]));
}

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { median: at(0.5), fastest: at(0), slowest: at(1) };
}
