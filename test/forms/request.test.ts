import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { REQUEST_FORM } from '../../src/contract/webview/request.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm, untilValue } from './form-world.ts';
import { looksAndReads } from './looks.ts';
import { endpoint } from './samples.ts';

const found = findChromium();

const SWAGGER = {
  swagger: '2.0',
  paths: {
    '/api/v1/endpoint/diabetes/score': {
      post: {
        parameters: [{ name: 'data', in: 'body', schema: { $ref: '#/definitions/ServiceInput' } }],
        responses: { 200: { schema: { type: 'array', items: { type: 'number' } } } },
      },
    },
  },
  definitions: { ServiceInput: { type: 'object', example: { data: [[59, 2, 32.1]] } } },
};

suite('the request form', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const world = (sent: unknown[] = [], status = 200) => ({
    form: 'request' as const,
    contract: REQUEST_FORM,
    scope: { name: 'diabetes' },
    handlers: {
      open: () => ({ endpoint: endpoint() }),
      swagger: () => SWAGGER,
      send: (wish: unknown) => {
        sent.push(wish);
        return {
          status,
          headers: { 'content-type': 'application/json', 'x-ms-run-function-failed': 'False' },
          body: '[151.2, 98.6]',
          milliseconds: 8.25,
        };
      },
      saveAsHttp: () => ({ saved: true }),
    },
  });

  /** The body once the sample is in it, which could come while a test is typing. */
  const filledBody = async (page: Page) => {
    const body = page.getByRole('textbox', { name: 'Body of the request' });
    await untilValue(body, (text) => text.includes('32.1'));
    return body;
  };

  looksAndReads(
    'request',
    () => browser,
    world(),
    async ({ page }) => {
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByText('151.2').waitFor();
      await page.getByText('Headers (1)').click();
      await page.getByText('Schema').click();
    },
  );

  test('the sample of the schema is sent with Ctrl+Enter to the version that was picked, and can be sent again', async () => {
    const sent: unknown[] = [];
    const form = await openForm(browser, world(sent));
    const body = await filledBody(form.page);
    await form.page.getByRole('combobox', { name: 'Version' }).click();
    await form.page.getByRole('option', { name: 'canary' }).click();
    await body.focus();
    await form.page.keyboard.press('Control+Enter');
    await form.page.getByText('8.3 ms').first().waitFor();
    assert.deepEqual(sent, [
      {
        body: '{\n  "data": [\n    [\n      59,\n      2,\n      32.1\n    ]\n  ]\n}',
        headers: { 'content-type': 'application/json' },
        versionName: 'canary',
      },
    ]);
    await body.fill('{}');
    await form.page.getByRole('button', { name: 'Use again' }).click();
    await untilValue(body, (text) => text.includes('32.1'));
    await form.close();
  });

  test('the request and its history are there after a reload, without what looks like a secret', async () => {
    const form = await openForm(browser, world());
    await (await filledBody(form.page)).fill('[1]');
    await form.page.getByText('Headers (1)').click();
    await form.page.getByRole('button', { name: 'Add a header' }).click();
    await form.page.getByRole('textbox', { name: 'Name of header 2' }).fill('X-Api-Key');
    await form.page.getByRole('textbox', { name: 'Value of header 2' }).fill('geheim');
    await form.page.getByRole('button', { name: 'Send' }).click();
    await form.page.getByText('151.2').waitFor();
    assert.equal(JSON.stringify(await form.state()).includes('geheim'), false);
    await form.page.reload();
    await untilValue(form.page.getByRole('textbox', { name: 'Body of the request' }), (text) => text === '[1]');
    await form.page.getByRole('button', { name: 'Use again' }).waitFor();
    assert.deepEqual(form.complaints, []);
    await form.close();
  });

  test('an empty request waits for the sample; an endpoint that has none is asked again once its state is another', async () => {
    const sent: unknown[] = [];
    const swagger = [Promise.withResolvers<typeof SWAGGER>(), Promise.withResolvers<typeof SWAGGER>()];
    let asked = 0;
    const { handlers, ...rest } = world(sent);
    const form = await openForm(browser, {
      ...rest,
      handlers: { ...handlers, swagger: () => swagger[asked++]?.promise ?? SWAGGER },
    });
    const send = form.page.getByRole('button', { name: 'Send' });
    const body = form.page.getByRole('textbox', { name: 'Body of the request' });
    await form.page.getByText('Asking the endpoint for a sample').waitFor();
    assert.equal(await send.isDisabled(), true);
    await body.press('Control+Enter');
    swagger[0]?.reject(new Error('the replica is starting'));
    await form.page.getByText('Send the request to see the answer').waitFor();
    assert.equal(await send.isDisabled(), false);
    assert.deepEqual(sent, []);
    form.server.notify('endpoint', { endpoint: endpoint({}, { state: 'Transitioning' }) });
    swagger[1]?.resolve(SWAGGER);
    await untilValue(body, (text) => text.includes('32.1'));
    await form.close();
  });

  test('what is not JSON is told while it is typed', async () => {
    const form = await openForm(browser, world());
    await (await filledBody(form.page)).fill('{"data": ');
    await form.page.getByText('Not JSON:').waitFor();
    await form.close();
  });
});
