import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { ENDPOINT_FORM } from '../../src/contract/webview/endpoint.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm } from './form-world.ts';
import { looksAndReads } from './looks.ts';
import { endpoint, metrics, version, versionStatus } from './samples.ts';

const found = findChromium();

suite('the endpoint page', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const samples = Array.from({ length: 120 }, (_, second) =>
    metrics({ stable: 24 + 6 * Math.sin(second / 8), canary: 6 + 2 * Math.cos(second / 6) }, second),
  );
  const world = (actions: string[] = [], shown = endpoint()) => ({
    form: 'endpoint' as const,
    contract: ENDPOINT_FORM,
    scope: { name: 'diabetes' },
    handlers: {
      open: () => ({ endpoint: shown, target: 'local', samples }),
      act: ({ action }: { action: string }) => {
        actions.push(action);
        return null;
      },
    },
  });

  const failing = endpoint(
    { versions: [version('stable', { isDefault: true }), version('canary', { trafficPercentile: 20 })] },
    {
      state: 'Unhealthy',
      versions: [
        versionStatus('stable'),
        versionStatus('canary', {
          state: 'Failed',
          availableReplicas: 0,
          replicas: [],
          error: {
            code: 'UserScriptInitFailed',
            message: "init() of score.py failed: KeyError: 'model'.",
            remedy: 'Correct score.py and deploy again.',
            logTail: ['Traceback (most recent call last):', '  File "score.py", line 12, in init', "KeyError: 'model'"],
          },
        }),
      ],
    },
  );

  looksAndReads(
    'endpoint',
    () => browser,
    world(),
    async ({ page, server }) => {
      await page.getByRole('heading', { name: 'Waiting in the queue' }).waitFor();
      server.notify('metrics', metrics({ stable: 25, canary: 8 }, 121));
      await page.getByRole('img', { name: /^Requests by status: 200 32/ }).waitFor();
    },
  );

  looksAndReads(
    'endpoint-table',
    () => browser,
    world([], failing),
    async ({ page }) => {
      await page.getByText('KeyError').first().waitFor();
      await page.getByRole('tab', { name: 'Table' }).click();
      await page.getByRole('columnheader', { name: 'p99' }).waitFor();
    },
  );

  test('the cause stands at the top, its log can be opened, and the choice of the table stays over a reload', async () => {
    const actions: string[] = [];
    const form = await openForm(browser, world(actions, failing));
    await form.page.getByText('Correct score.py and deploy again.').waitFor();
    await form.page.getByRole('button', { name: 'Logs of canary' }).click();
    await form.page.getByRole('tab', { name: 'Charts' }).focus();
    await form.page.keyboard.press('ArrowRight');
    await form.page.getByRole('columnheader', { name: 'p99' }).waitFor();
    assert.deepEqual(actions, ['logs']);
    await form.page.reload();
    await form.page.getByRole('columnheader', { name: 'p99' }).waitFor();
    await form.close();
  });

  test('the charts follow the samples as they come, for all versions and for one', async () => {
    const form = await openForm(browser, world());
    const replicas = form.page.getByRole('img', { name: /^Ready replicas/ });
    await form.page.getByRole('img', { name: 'Ready replicas: canary 2, stable 2' }).waitFor();
    const [sample] = [metrics({ stable: 25 }, 121)];
    form.server.notify('metrics', {
      ...sample,
      versions: sample.versions.map((one) => ({ ...one, readyReplicas: 5 })),
    });
    await form.page.getByRole('img', { name: 'Ready replicas: canary –, stable 5' }).waitFor();
    await form.page.getByRole('combobox', { name: 'Version whose load is shown' }).click();
    await form.page.getByRole('option', { name: 'stable' }).click();
    await form.page.getByRole('img', { name: 'Ready replicas: stable 5' }).waitFor();
    assert.equal(await replicas.locator('canvas').count(), 1);
    assert.deepEqual(form.complaints, []);
    await form.close();
  });

  test('an endpoint that is deleted while its page is open says so', async () => {
    const form = await openForm(browser, world());
    await form.page.getByRole('heading', { name: 'Versions' }).waitFor();
    form.server.notify('gone', {});
    await form.page.getByText('diabetes has been deleted.').waitFor();
    await form.close();
  });
});
