import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { writeProject } from '../local/world.ts';
import { packTestExtension } from '../vscode/test-extension.ts';
import { openVsCode, type VsCodeWorld } from '../vscode/world.ts';

/**
 * What the extension costs a VS Code window: how long it takes to activate, as VS Code itself measures it, next to an extension that does
 * nothing; and from a click on its icon to the first rows of its trees. The window is loaded anew for each round.
 */
const ROUNDS = 11;

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
const world = await openVsCode({ extensions: [bare], project: writeProject });
try {
  const ours: number[] = [];
  const theirs: number[] = [];
  const paints: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    await world.workbench.openView('Explorer');
    await world.workbench.reload();
    const paint = await firstTreePaint(world.workbench.page);
    const activations = await activationTimes(world);
    // The first round fills the caches.
    if (round === 0) continue;
    paints.push(paint);
    ours.push(activations['AKS Model Deploy'] ?? Number.NaN);
    theirs.push(activations['Bare'] ?? Number.NaN);
  }
  console.table({
    'activation, ms': { ...summary(ours), limit: 50 },
    'activation of an extension that does nothing, ms': summary(theirs),
    'from the click to the first rows of the trees, ms': { ...summary(paints), limit: 1000 },
  });
  const bundle = join(world.server.extensions, 'aksml.aksml-0.1.0', 'dist', 'extension.cjs');
  console.log(`the extension's own bundle: ${Math.round((await stat(bundle)).size / 1024)} KB (limit: 150)`);
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

async function activationTimes({ workbench }: VsCodeWorld): Promise<Record<string, number>> {
  await workbench.command('Developer: Show Running Extensions');
  const rows = workbench.page.locator('.runtime-extensions-editor .monaco-list-row');
  await rows.filter({ hasText: 'AKS Model Deploy' }).filter({ hasText: 'Activation' }).waitFor();
  const texts = await rows.allInnerTexts();
  return Object.fromEntries(
    texts.flatMap((text) => {
      const [, ms] = /Activation: (\d+)ms/.exec(text) ?? [];
      return ms === undefined ? [] : [[text.split('\n')[0] ?? '', Number(ms)]];
    }),
  );
}

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { median: at(0.5), fastest: at(0), slowest: at(1) };
}
