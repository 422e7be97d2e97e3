import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Locator, Page } from 'playwright-core';
import { type FormContract, type FormHandlers, FormServer } from '../../src/contract/webview/channel.ts';
import type { FormName } from '../../src/contract/webview/forms.ts';
import { formHtml } from '../../src/extension/forms/html.ts';
import THEMES from './themes.json' with { type: 'json' };

const ORIGIN = 'https://form.test';
const DIST = join(import.meta.dirname, '..', '..', 'dist', 'webview');
const FAKE_VSCODE = await readFile(join(import.meta.dirname, 'fake-vscode.js'), 'utf8');
const EDGES = await readFile(join(import.meta.dirname, 'edges.js'), 'utf8');
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export type ThemeName = keyof typeof THEMES;
export const THEME_NAMES = Object.keys(THEMES) as readonly ThemeName[];

/** A form in a plain browser, with this process as its extension. */
export interface OpenedForm<C extends FormContract> {
  readonly page: Page;
  readonly server: FormServer<C>;
  /** Errors of the page and violations of its content security policy. */
  readonly complaints: readonly string[];
  /** What the page would keep over a reload. */
  state(): Promise<unknown>;
  close(): Promise<void>;
}

export interface FormWish<C extends FormContract> {
  readonly form: FormName;
  readonly contract: C;
  readonly handlers: FormHandlers<C>;
  readonly theme?: ThemeName;
  readonly width?: number;
  readonly scope?: unknown;
  /** English -> what VS Code shows instead. */
  readonly l10n?: Readonly<Record<string, string>>;
}

export async function openForm<C extends FormContract>(browser: Browser, wish: FormWish<C>): Promise<OpenedForm<C>> {
  const { form, contract, handlers, theme = 'dark', width = 1000, scope = {}, l10n = {} } = wish;
  const context = await browser.newContext({ viewport: { width, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  const server = new FormServer(
    contract,
    (message) => void page.evaluate(`postMessage(${JSON.stringify(message)})`).catch(() => undefined),
    handlers,
  );
  await page.exposeFunction('aksmlPost', (message: unknown) => server.receive(message));
  await page.addInitScript({ content: `{ const THEME = ${JSON.stringify(THEMES[theme])};\n${FAKE_VSCODE}}` });
  const html = formHtml({
    title: form,
    language: 'en',
    script: `${ORIGIN}/${form}.js`,
    style: `${ORIGIN}/style.css`,
    cspSource: ORIGIN,
    l10n,
    scope,
  });
  await page.route(`${ORIGIN}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: html });
    const contentType = pathname.endsWith('.css') ? 'text/css' : 'text/javascript';
    return route.fulfill({ contentType, body: await readFile(join(DIST, pathname)) });
  });
  await page.goto(`${ORIGIN}/`);
  return {
    page,
    server,
    complaints,
    state: () => page.evaluate(`JSON.parse(sessionStorage.getItem('state') ?? 'null')`),
    close: () => context.close(),
  };
}

/** What axe finds against the rules of WCAG 2.2 A and AA and its best practices, one line a finding. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found = await page.evaluate<readonly AxeRule[]>(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  );
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary}`),
  );
}

interface AxeRule {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** Controls whose edge cannot be seen, by their names: what a theme of high contrast is chosen for. */
export function edgeless(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(EDGES);
}

/** Waits until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error(`It does not come about: ${holds}`);
  }
}

/** Waits until a control holds what is expected of it. */
export function untilValue(control: Locator, isExpected: (value: string) => boolean): Promise<void> {
  return until(async () => isExpected(await control.inputValue()));
}

/** How far the page reaches beyond its window's right edge, in pixels. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

/** Tall enough for most forms; of a longer one its beginning is shown. */
const PICTURE_HEIGHT = 760;

/** Writes what is seen to the folder that AKSML_SCREENSHOTS names, for people and for the README. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['AKSML_SCREENSHOTS'];
  if (!folder) return;
  const { width = 0 } = page.viewportSize() ?? {};
  const height = await page.evaluate<number>(
    'Math.ceil(document.querySelector("#form").getBoundingClientRect().height)',
  );
  await page.setViewportSize({ width, height: Math.min(height, PICTURE_HEIGHT) });
  await page.evaluate('scrollTo(0, 0)');
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
