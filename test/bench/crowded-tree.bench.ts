import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { openVsCode } from '../vscode/world.ts';

/**
 * How fluent a window stays whose tree shows a thousand endpoints of ten replicas, a hundred of which change every second: the time between
 * two frames while the tree is scrolled, next to that of the same window while it shows the Explorer; and how long a row takes to open.
 */
const MEASURED_MS = 10_000;
const OPENED = 8;

const world = await openVsCode();
try {
  await replaceEngine(world.server.extensions);
  const { page } = world.workbench;
  const idle = await frames(page, '.explorer-folders-view');
  await world.workbench.openView('AKS ML');
  await world.workbench.spoken(/^endpoint-0000, endpoint/).waitFor();
  const crowded = await frames(page, '.tree-explorer-viewlet-tree-view');
  const opening: number[] = [];
  for (let index = 0; index < OPENED; index += 1) opening.push(await open(page, `endpoint-000${index}`));
  console.table({
    'between two frames of the Explorer, ms': summary(idle),
    'between two frames of the crowded tree, ms': summary(crowded),
    'from a click to the versions of an endpoint, ms': summary(opening),
  });
} finally {
  await world.close();
}

async function replaceEngine(extensions: string): Promise<void> {
  const name = (await readdir(extensions)).find((folder) => folder.startsWith('aksml.aksml-'));
  await build({
    entryPoints: [join(import.meta.dirname, 'extension', 'crowded-engine.ts')],
    outfile: join(extensions, name ?? '', 'dist', 'engine-host.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
}

/** In the window itself, while what matches the selector is scrolled up and down. */
function frames(page: Page, selector: string): Promise<number[]> {
  return page.evaluate<number[]>(`(async () => {
    const list = document.querySelector('${selector} .monaco-list .monaco-scrollable-element');
    // A synthetic event has the sign of what VS Code reads the other way round.
    const scroll = (down) => list.dispatchEvent(new WheelEvent('wheel', { deltaY: -down, bubbles: true, cancelable: true }));
    const gaps = [];
    const started = performance.now();
    for (let last = started, frame = 0; last - started < ${MEASURED_MS}; frame += 1) {
      scroll(frame % 120 < 60 ? 40 : -40);
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
    scroll(-1e6);
    return gaps;
  })()`);
}

async function open(page: Page, endpoint: string): Promise<number> {
  await page.getByRole('treeitem', { name: new RegExp(`^${endpoint}, endpoint`) }).waitFor();
  return page.evaluate<number>(`(async () => {
    const rows = () => [...document.querySelectorAll('.tree-explorer-viewlet-tree-view [role=treeitem]')];
    const row = rows().find((item) => item.ariaLabel.startsWith('${endpoint},'));
    const started = performance.now();
    row.querySelector('.monaco-tl-twistie').dispatchEvent(new MouseEvent('click', { bubbles: true }));
    const level = Number(row.ariaLevel);
    const isOpen = () => {
      const all = rows().sort((a, b) => Number(a.dataset.index) - Number(b.dataset.index));
      const place = all.findIndex((item) => item.ariaLabel.startsWith('${endpoint},'));
      return Number(all[place + 1]?.ariaLevel) > level;
    };
    while (!isOpen()) await new Promise((resolve) => requestAnimationFrame(resolve));
    const took = performance.now() - started;
    rows().find((item) => item.ariaLabel.startsWith('${endpoint},')).querySelector('.monaco-tl-twistie').click();
    return took;
  })()`);
}

function summary(values: readonly number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1));
  return { median: at(0.5), p95: at(0.95), p99: at(0.99), slowest: at(1) };
}
