import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { ROLLOUT_FORM } from '../../src/contract/webview/rollout.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm } from './form-world.ts';
import { looksAndReads } from './looks.ts';
import { endpoint, metrics, version } from './samples.ts';

const found = findChromium();

suite('the rollout form', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const world = (applied: unknown[] = []) => ({
    form: 'rollout' as const,
    contract: ROLLOUT_FORM,
    handlers: {
      open: () => ({ endpoint: endpoint() }),
      apply: (params: { percentiles: Record<string, number>; defaultVersion: string }) => {
        applied.push(params);
        const versions = endpoint().spec.versions.map((spec) => ({
          ...spec,
          isDefault: spec.name === params.defaultVersion,
          trafficPercentile: params.percentiles[spec.name] ?? 0,
        }));
        return { endpoint: endpoint({ versions }) };
      },
      rollBack: () => null,
    },
  });

  looksAndReads(
    'rollout',
    () => browser,
    world(),
    async ({ page, server }) => {
      await page.getByRole('heading', { name: 'Versions' }).waitFor();
      server.notify('metrics', metrics({ stable: 8, canary: 2 }));
      await page.getByText('measured 20 %').waitFor();
    },
  );

  test('a slider moves the share, the default takes the rest, and apply sends both', async () => {
    const applied: unknown[] = [];
    const form = await openForm(browser, world(applied));
    const slider = form.page.getByRole('slider', { name: 'Traffic of canary' });
    await slider.focus();
    for (let press = 0; press < 5; press += 1) await form.page.keyboard.press('ArrowRight');
    await form.page.getByText('was 20 %').waitFor();
    assert.equal(await form.page.getByRole('slider', { name: 'Traffic of stable' }).inputValue(), '75');
    await form.page.getByRole('button', { name: 'Apply' }).click();
    await form.page.getByText('The traffic is set.').first().waitFor();
    assert.deepEqual(applied, [
      { percentiles: { stable: 75, canary: 25 }, defaultVersion: 'stable', controlVersion: 'stable' },
    ]);
    await form.close();
  });

  test('what was moved is still there after a reload, and the endpoint stays as it is until applied', async (t) => {
    const applied: unknown[] = [];
    const form = await openForm(browser, { ...world(applied), scope: { name: 'diabetes' } });
    await form.page.getByRole('button', { name: 'Promote canary: all traffic, and default' }).click();
    const kept = {
      scope: { name: 'diabetes' },
      draft: {
        split: [
          { name: 'stable', isDefault: false, isControl: true, share: 0 },
          { name: 'canary', isDefault: true, isControl: false, share: 100 },
        ],
        step: 10,
      },
    };
    await t.waitFor(async () => assert.deepEqual(await form.state(), kept), { timeout: 10_000 });
    await form.page.reload();
    await form.page.getByText('was 20 %').waitFor();
    assert.deepEqual(applied, []);
    await form.close();
  });

  test('a failure says what to do, and the form goes on', async () => {
    const { AksmlError } = await import('../../src/contract/error.ts');
    const base = world();
    const form = await openForm(browser, {
      ...base,
      handlers: {
        ...base.handlers,
        apply: () => {
          throw new AksmlError('endpoint.conflict', 'diabetes was changed meanwhile.', { remedy: 'Apply again.' });
        },
      },
    });
    await form.page.getByRole('button', { name: 'stable: 10 % less' }).click();
    await form.page.getByRole('button', { name: 'Apply' }).click();
    const alert = form.page.getByRole('alert');
    await alert.getByText('Apply again.').waitFor();
    await form.page.getByRole('button', { name: 'Dismiss' }).click();
    await alert.waitFor({ state: 'detached' });
    assert.deepEqual(form.complaints, []);
    await form.close();
  });

  test('a service of one version says what it takes to split traffic', async () => {
    const only = endpoint({ form: 'service', versions: [version('diabetes', { isDefault: true })] });
    const base = world();
    const form = await openForm(browser, { ...base, handlers: { ...base.handlers, open: () => ({ endpoint: only }) } });
    await form.page.getByText('A service has one version').waitFor();
    assert.equal(await form.page.getByRole('slider').count(), 0);
    await form.close();
  });
});
