import { setTimeout as sleep } from 'node:timers/promises';
import type { Frame, Locator, Page } from 'playwright-core';

/** Long enough for a busy machine of two cores; a condition that holds is seen at once. */
const PATIENCE_MS = 90_000;
const ATTEMPT_MS = 5_000;
const POLL_MS = 50;

/** The VS Code window as a person sees it. Everything waits until what it names is there. */
export interface Workbench {
  readonly page: Page;
  /** Shows a view container by the title of its activity-bar item. */
  openView(title: string): Promise<void>;
  /** A row of whichever tree shows it now, by its label. */
  row(label: string | RegExp): Locator;
  /** The same by what a screen reader says of it. */
  spoken(name: RegExp): Locator;
  /** The row at the end of a path of labels, each parent expanded. */
  expand(...path: readonly (string | RegExp)[]): Promise<Locator>;
  /** An action of a row's or a view's context menu. */
  choose(target: Locator, ...menu: readonly string[]): Promise<void>;
  /** Drags something onto a row of another view container, which shows itself when it is dragged over its icon. */
  drag(from: Locator, title: string, to: Locator): Promise<void>;
  /** Runs a command by its title in the palette. */
  command(title: string): Promise<void>;
  /** Opens a file of the folder by its name. */
  openFile(name: string): Promise<void>;
  /** The frame of the webview that holds the element. */
  webview(selector: string): Promise<Frame>;
  /** Picks an entry of the quick pick that is open. */
  pick(label: string | RegExp): Promise<void>;
  /** Fills the input box that is open, and confirms. */
  input(text: string): Promise<void>;
  /** Confirms what the input box that opens proposes, once it does. */
  accept(proposed: RegExp): Promise<void>;
  /** A notification that says this. */
  notification(text: string | RegExp): Locator;
  /** Presses a button of a notification. */
  press(text: string | RegExp, button: string): Promise<void>;
  /** Presses a button of the modal dialog that says this. */
  answer(text: string | RegExp, button: string): Promise<void>;
  /** The lines of the active text editor that are in sight. */
  editorText(): Promise<string>;
  /** Takes a quick fix that is offered where the cursor is. */
  fix(title: string): Promise<void>;
  /** Waits until this has been copied. */
  clipboard(text: string): Promise<void>;
  /** Loads the window again, as "Developer: Reload Window" does. */
  reload(): Promise<void>;
  screenshot(path: string): Promise<void>;
}

export async function openWorkbench(page: Page, address: string, folder: string): Promise<Workbench> {
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(`${address}/?folder=${encodeURIComponent(folder)}`);
  await shown(page);
  return workbenchOf(page);
}

async function shown(page: Page): Promise<void> {
  await page.locator('.monaco-workbench .part.statusbar').waitFor();
  await page.locator('.explorer-viewlet, .pane-composite-part.sidebar .composite.title').first().waitFor();
}

function workbenchOf(page: Page): Workbench {
  const row = (label: string | RegExp): Locator => {
    const shown = typeof label === 'string' ? new RegExp(`^${escaped(label)}$`) : label;
    return page.getByRole('treeitem').filter({ has: page.locator('.label-name', { hasText: shown }) });
  };
  const quickInput = page.locator('.quick-input-widget:visible');
  const palette = async (text: string): Promise<void> => {
    const input = quickInput.locator('input').first();
    // The key is lost while the workbench is busy with what has the focus.
    await until(
      () => input.isVisible(),
      () => page.keyboard.press('F1'),
    );
    await input.fill(text);
  };
  const notification = (text: string | RegExp): Locator =>
    page.locator('.notification-toast, .notifications-center .notification-list-item').filter({ hasText: text });
  return {
    page,
    row,
    spoken: (name) => page.getByRole('treeitem', { name }),
    notification,
    async openView(title) {
      const shown = page.locator('.part.sidebar .title-label', { hasText: new RegExp(title, 'i') });
      // A click on the icon of a view that is shown, or is about to be, hides it.
      await until(
        () => shown.isVisible(),
        () => page.locator(`.activitybar a[aria-label^="${title}"]`).click(),
      );
    },
    async expand(...path) {
      let last = page.locator('never');
      for (const [index, label] of path.entries()) {
        last = row(label).first();
        await last.waitFor();
        if (index < path.length - 1 && (await last.getAttribute('aria-expanded')) === 'false') {
          await last.locator('.monaco-tl-twistie').click();
          await page.locator('[role=treeitem][aria-expanded=true]').and(last).waitFor();
        }
      }
      return last;
    },
    async choose(target, ...menu) {
      const item = (label: string): Locator =>
        page.locator('.monaco-menu .action-item:not(.disabled)', {
          has: page.getByRole('menuitem', { name: label, exact: true }),
        });
      const [first = ''] = menu;
      // What a menu offers is decided when it opens, perhaps before the window knows the extension's menus and that the folder is trusted.
      await until(
        () => item(first).last().isVisible(),
        async () => {
          if (await page.locator('.monaco-menu').first().isVisible()) await page.keyboard.press('Escape');
          await target.click({ button: 'right' });
        },
      );
      for (const label of menu) {
        await item(label).last().hover();
        await item(label).last().click();
      }
    },
    async drag(from, title, to) {
      const shown = page.locator('.part.sidebar .title-label', { hasText: new RegExp(title, 'i') });
      await from.hover();
      await page.mouse.down();
      // One move makes it a drag, and the next ones are seen as dragging over what is there.
      let nudge = 0;
      await until(
        () => shown.isVisible(),
        async () => {
          const box = await page.locator(`.activitybar a[aria-label^="${title}"]`).boundingBox();
          if (box) await page.mouse.move(box.x + box.width / 2 + (nudge++ % 3), box.y + box.height / 2, { steps: 5 });
        },
      );
      await to.hover();
      await to.hover({ position: { x: 30, y: 8 } });
      await page.mouse.up();
    },
    async command(title) {
      const option = quickInput.getByRole('option', { name: startsWith(title) }).first();
      // What is offered is decided when the palette opens, perhaps before the window knows what has just become active.
      for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
        await palette(`>${title}`);
        const isOffered = await option.waitFor({ timeout: 5_000 }).then(
          () => true,
          () => false,
        );
        if (isOffered) return option.click();
        await page.keyboard.press('Escape');
      }
      throw new Error(`The palette does not offer "${title}".`);
    },
    async openFile(name) {
      await palette(name);
      await quickInput
        .getByRole('option', { name: startsWith(name) })
        .first()
        .click();
      await page
        .getByRole('tab', { name: startsWith(name) })
        .first()
        .waitFor();
    },
    async webview(selector) {
      for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
        for (const frame of page
          .frames()
          .filter((candidate) => candidate.parentFrame()?.parentFrame() === page.mainFrame())) {
          if (
            await frame
              .locator(selector)
              .first()
              .isVisible()
              .catch(() => false)
          )
            return frame;
        }
        await page.waitForEvent('framenavigated', { timeout: 1_000 }).catch(() => undefined);
      }
      throw new Error(`No webview shows ${selector}.`);
    },
    async pick(label) {
      await quickInput.getByRole('option', { name: label }).first().click();
    },
    async input(text) {
      await quickInput.locator('input').fill(text);
      await page.keyboard.press('Enter');
    },
    async accept(proposed) {
      const input = quickInput.locator('input').first();
      await until(
        async () => proposed.test(await input.inputValue()),
        async () => undefined,
      );
      await page.keyboard.press('Enter');
    },
    async press(text, button) {
      const target = notification(text).getByRole('button', { name: button });
      await target.waitFor();
      // A click is lost on a notification that slides away under it, to make room for the next.
      await until(
        async () => !(await target.isVisible()),
        () => target.click({ timeout: 5_000 }).catch(() => undefined),
      );
    },
    async answer(text, button) {
      const dialog = page.locator('.monaco-dialog-box').filter({ hasText: text });
      await dialog.getByRole('button', { name: button, exact: true }).click();
    },
    async editorText() {
      const editor = page.locator('.editor-group-container.active .monaco-editor .view-lines').first();
      await editor.waitFor();
      return (await editor.innerText()).replaceAll('\u00a0', ' ');
    },
    async fix(title) {
      const action = page.locator('.action-widget').getByText(title);
      // What is offered is asked for anew when the text, or what is said of it, changes.
      await until(
        () => action.isVisible(),
        () => page.keyboard.press('Control+.'),
      );
      await action.click();
    },
    async clipboard(text) {
      await until(
        async () => (await page.evaluate<string>('navigator.clipboard.readText()')) === text,
        async () => undefined,
      );
    },
    async reload() {
      // A reload of the browser's page would not let VS Code keep what is open.
      await page.evaluate('globalThis.isBefore = true');
      await this.command('Developer: Reload Window');
      await page.waitForFunction('globalThis.isBefore === undefined');
      await shown(page);
    },
    async screenshot(path) {
      // What hovers belongs to nobody's picture.
      await page.mouse.move(0, 0);
      await page.screenshot({ path });
    },
  };
}

/** Tries again what may have no effect, until it had. */
async function until(done: () => Promise<boolean>, attempt: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let next = 0; !(await done()); await sleep(POLL_MS)) {
    if (Date.now() > deadline) throw new Error(`It had no effect: ${attempt}`);
    if (Date.now() < next) continue;
    await attempt();
    next = Date.now() + ATTEMPT_MS;
  }
}

function startsWith(text: string): RegExp {
  return new RegExp(`^${escaped(text)}`);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
