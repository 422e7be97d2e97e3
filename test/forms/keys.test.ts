import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { KEYS_FORM } from '../../src/contract/webview/keys.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm } from './form-world.ts';
import { looksAndReads } from './looks.ts';
import { endpoint } from './samples.ts';

const found = findChromium();
const PRIMARY = 'b1946ac92492d2347c6235b4d2611184';
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJkaWFiZXRlcyJ9.c2ln';

suite('the keys form', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const world = (auth: 'key' | 'token' | 'none', calls: string[] = []) => ({
    form: 'keys' as const,
    contract: KEYS_FORM,
    scope: { name: 'diabetes' },
    handlers: {
      open: () => ({ endpoint: endpoint({ auth }) }),
      reveal: ({ which }: { which: string }) => ({ value: which === 'token' ? TOKEN : PRIMARY }),
      copy: ({ which }: { which: string }) => {
        calls.push(`copy ${which}`);
        return null;
      },
      regenerate: ({ which }: { which: string }) => {
        calls.push(`regenerate ${which}`);
        return null;
      },
      fetchToken: () => ({
        claims: { iss: 'aksml', sub: 'diabetes', aud: ['diabetes'], exp: 4_102_444_800, iat: 1_764_158_400 },
        refreshAfter: 4_102_441_200,
        expiryOn: 4_102_444_800,
      }),
    },
  });

  looksAndReads(
    'keys',
    () => browser,
    world('key'),
    async ({ page }) => {
      await page.getByRole('button', { name: 'Show the key: Primary key' }).click();
      await page.getByText(PRIMARY).waitFor();
      await page.getByRole('button', { name: 'Regenerate… Secondary key' }).click();
      await page.getByText('is refused at once').waitFor();
    },
  );

  looksAndReads(
    'token',
    () => browser,
    world('token'),
    async ({ page }) => {
      await page.getByRole('button', { name: 'Fetch a token' }).click();
      await page.getByText('Valid for').waitFor();
    },
  );

  test('a key is replaced only after its consequence was read, and a shown secret stays out of the saved state', async () => {
    const calls: string[] = [];
    const form = await openForm(browser, world('key', calls));
    await form.page.getByRole('button', { name: 'Show the key: Primary key' }).click();
    await form.page.getByText(PRIMARY).waitFor();
    assert.deepEqual(await form.state(), { scope: { name: 'diabetes' } });
    await form.page.getByRole('button', { name: 'Copy the key: Secondary key' }).click();
    await form.page.getByText('Copied.').waitFor({ state: 'attached' });
    await form.page.getByRole('button', { name: 'Regenerate… Primary key' }).click();
    await form.page.getByText('callers that use it get 401').waitFor();
    await form.page.getByRole('button', { name: 'Keep it' }).click();
    assert.deepEqual(calls, ['copy secondary']);
    await form.page.getByRole('button', { name: 'Regenerate… Primary key' }).click();
    await form.page.getByRole('button', { name: 'Regenerate', exact: true }).click();
    await form.page.getByText(PRIMARY).waitFor({ state: 'detached' });
    assert.deepEqual(calls, ['copy secondary', 'regenerate primary']);
    await form.close();
  });

  test('an endpoint without authentication says so, and how to change it', async () => {
    const form = await openForm(browser, world('none'));
    await form.page.getByText('whoever reaches it can call it').waitFor();
    assert.equal(await form.page.getByRole('button').count(), 0);
    await form.close();
  });
});
