import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { packageExtension } from '../../scripts/package.ts';
import { openWorld, type World } from '../local/world.ts';
import { launchChromium } from './chromium.ts';
import { type CodeServer, startCodeServer } from './code-server.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

/** A home and a project of its own, opened in a real VS Code with the packaged extension. */
export interface VsCodeWorld extends World {
  readonly server: CodeServer;
  readonly workbench: Workbench;
  /** The process ids of the extension's engine, one a window that uses it. */
  engineProcesses(): Promise<readonly number[]>;
  untilNoEngine(): Promise<void>;
  /** Another window of the same VS Code. */
  newWindow(): Promise<Workbench>;
}

export interface VsCodeOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Packaged extensions beside ours. */
  readonly extensions?: readonly string[];
  readonly variables?: NodeJS.ProcessEnv;
  /** Writes the project before it is opened. */
  readonly project?: (world: World) => Promise<void>;
  readonly size?: { readonly width: number; readonly height: number };
}

const ENGINE_END_MS = 60_000;
const SIZE = { width: 1400, height: 1000 };

export async function openVsCode(options: VsCodeOptions = {}): Promise<VsCodeWorld> {
  const world = await openWorld(options.variables);
  const folder = await mkdtemp(join(tmpdir(), 'aksml-vscode-'));
  const opened: (() => Promise<void>)[] = [
    () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
    world.close,
  ];
  const close = async () => {
    for (const step of opened.toReversed()) await step();
  };
  try {
    await options.project?.(world);
    const server = await startCodeServer({
      folder,
      extensions: [await packageExtension(join(folder, 'aksml.vsix')), ...(options.extensions ?? [])],
      settings: options.settings,
      environment: world.environment,
    });
    opened.push(server.stop);
    const browser = await launchChromium();
    opened.push(() => browser.close());
    const newWindow = async () => openWorkbench(await newPage(browser, options.size), server.address, world.project);
    return {
      ...world,
      server,
      workbench: await newWindow(),
      newWindow,
      engineProcesses: () => engineProcessesBelow(server.extensions),
      async untilNoEngine() {
        const deadline = Date.now() + ENGINE_END_MS;
        while ((await engineProcessesBelow(server.extensions)).length > 0) {
          if (Date.now() > deadline) throw new Error('the engine outlives VS Code');
          await sleep(200);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Those that run the engine's program from this folder. */
async function engineProcessesBelow(folder: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = pids.map(async (pid) => {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    return words.some((word) => word.startsWith(folder) && word.endsWith('engine-host.js')) ? [Number(pid)] : [];
  });
  return (await Promise.all(found)).flat();
}

async function newPage(browser: Browser, size = SIZE): Promise<Page> {
  const context = await browser.newContext({
    viewport: size,
    permissions: ['clipboard-read', 'clipboard-write'],
    reducedMotion: 'reduce',
  });
  return context.newPage();
}

/**
 * One step of a journey. A step that fails ends the journey, because those after it build on it, and leaves behind what the window showed
 * and logged.
 */
export async function step(t: TestContext, world: VsCodeWorld, name: string, work: () => Promise<void>): Promise<void> {
  let failure: unknown;
  await t.test(name, async () => {
    try {
      await work();
    } catch (error) {
      failure = error;
      console.log(`What was there is in ${await keepEvidence(world, name)}`);
      throw error;
    }
  });
  if (failure !== undefined) throw new Error(`The journey ended at "${name}".`);
}

async function keepEvidence(world: VsCodeWorld, name: string): Promise<string> {
  const folder = join(import.meta.dirname, '..', '..', '.cache', 'vscode-failures', name.replaceAll(/\W+/g, '-'));
  await mkdir(folder, { recursive: true });
  await world.workbench.screenshot(join(folder, 'window.png')).catch(() => undefined);
  await writeFile(join(folder, 'logs.txt'), await world.server.logs());
  return folder;
}
