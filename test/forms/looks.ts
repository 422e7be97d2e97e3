import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { FormContract } from '../../src/contract/webview/channel.ts';
import {
  edgeless,
  type FormWish,
  type OpenedForm,
  openForm,
  overflow,
  screenshot,
  THEME_NAMES,
  type ThemeName,
  violations,
} from './form-world.ts';

/** In pixels: a layout does not depend on the colours of high contrast. */
const WIDTHS: Readonly<Record<ThemeName, readonly number[]>> = {
  light: [1000, 300],
  dark: [1000, 300],
  highContrast: [1000],
  highContrastLight: [300],
};

/**
 * What holds for every form: in each theme, wide and narrow, axe finds nothing, nothing reaches beyond the right edge, and the page breaks
 * neither its content security policy nor anything else. `ready` brings the form into the state that is looked at; `spoil` goes on to one that
 * no picture shows.
 */
export function looksAndReads<C extends FormContract>(
  name: string,
  browser: () => Browser,
  wish: FormWish<C>,
  ready: (form: OpenedForm<C>) => Promise<void>,
  spoil: (form: OpenedForm<C>) => Promise<void> = async () => {},
): void {
  for (const theme of THEME_NAMES) {
    for (const width of WIDTHS[theme]) {
      test(`${name}: nothing for axe to find in ${theme}, ${width} px wide`, async () => {
        const form = await openForm(browser(), { ...wish, theme, width });
        await ready(form);
        await screenshot(form.page, `${name}-${theme}-${width}`);
        await spoil(form);
        assert.deepEqual(await violations(form.page), []);
        if (/highContrast/.test(theme)) assert.deepEqual(await edgeless(form.page), []);
        assert.ok((await overflow(form.page)) <= 0, 'the page is wider than its window');
        assert.deepEqual(form.complaints, []);
        await form.close();
      });
    }
  }
}
