import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { TargetView } from '../../src/contract/engine-api.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { Model } from '../../src/contract/model.ts';
import { CLUSTER_FORM, type ClusterWish } from '../../src/contract/webview/cluster.ts';
import { MODEL_FORM, type ModelWish } from '../../src/contract/webview/model.ts';
import { findChromium, launchChromium } from '../vscode/chromium.ts';
import { openForm, until, untilValue } from './form-world.ts';
import { looksAndReads } from './looks.ts';

const found = findChromium();

suite('the forms that register a model and attach a cluster', { skip: 'skip' in found ? found.skip : false }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  const modelWorld = (registered: ModelWish[] = []) => ({
    form: 'model' as const,
    contract: MODEL_FORM,
    handlers: {
      open: () => ({ path: '/project/outputs/diabetes.pkl', known: [{ name: 'diabetes', version: 3 }] }),
      browse: () => ({ path: '/project/outputs/churn.onnx' }),
      recognize: ({ path }: { path: string }) =>
        path.endsWith('.pkl')
          ? {
              name: 'diabetes',
              model: {
                path,
                isFolder: false,
                format: 'scikit-learn',
                framework: 'ScikitLearn',
                frameworkVersion: '1.7.2',
              } as const,
            }
          : { name: 'churn' },
      register: (wish: ModelWish) => {
        registered.push(wish);
        return { id: `${wish.name}:4`, name: wish.name, version: 4 } as Model;
      },
      cancel: () => null,
      deploy: () => null,
    },
  });

  const clusterWorld = (attach: (wish: ClusterWish) => TargetView) => ({
    form: 'cluster' as const,
    contract: CLUSTER_FORM,
    handlers: {
      open: () => ({ workspace: 'default', taken: ['local', 'gpu-cluster'] }),
      browse: () => ({ path: '/home/me/.kube/other' }),
      contexts: ({ kubeconfig }: { kubeconfig?: string }) =>
        kubeconfig === undefined ? { current: 'dev', names: ['dev', 'staging'] } : { names: ['prod'] },
      attach,
      cancel: () => null,
    },
  });

  looksAndReads(
    'model',
    () => browser,
    modelWorld(),
    async ({ page }) => {
      await page.getByText('becomes diabetes:4').waitFor();
    },
  );

  looksAndReads(
    'cluster',
    () => browser,
    clusterWorld(() => ({ listing: { name: 'local', kind: 'local' } })),
    async ({ page }) => {
      await page.getByRole('textbox', { name: 'Registry' }).fill('registry.example/team');
      await page.getByRole('textbox', { name: 'Name', exact: true }).fill('production');
      await page.getByRole('button', { name: 'Attach', exact: true, disabled: false }).waitFor();
    },
    async ({ page }) => {
      await page.getByRole('textbox', { name: 'Name', exact: true }).fill('GPU-cluster');
      await page.getByText('There is a compute target').waitFor();
    },
  );

  test('a model is recognized by its content, described, and registered as the next version', async () => {
    const registered: ModelWish[] = [];
    const form = await openForm(browser, modelWorld(registered));
    await form.page.getByText('Recognized by its content: scikit-learn 1.7.2').waitFor();
    await form.page.getByRole('textbox', { name: 'Tags' }).fill('source = notebook');
    await form.page.getByRole('textbox', { name: 'Memory' }).fill('2');
    await form.page.getByRole('button', { name: 'Register' }).click();
    await form.page.getByText('Registered as diabetes:4.').waitFor();
    assert.deepEqual(registered, [
      {
        path: '/project/outputs/diabetes.pkl',
        name: 'diabetes',
        framework: 'ScikitLearn',
        frameworkVersion: '1.7.2',
        tags: { source: 'notebook' },
        resourceRequirements: { memoryInGB: 2 },
      },
    ]);
    assert.deepEqual(form.complaints, []);
    await form.close();
  });

  test('what the form says is in the language of VS Code, where it has been translated', async () => {
    const l10n = { Register: 'Registrieren', 'becomes {0}:{1}': 'wird {0}:{1}' };
    const form = await openForm(browser, { ...modelWorld(), l10n });
    await form.page.getByRole('button', { name: 'Registrieren' }).waitFor();
    await form.page.getByText('wird diabetes:4').waitFor();
    await form.page.getByRole('textbox', { name: 'Tags' }).waitFor();
    await form.close();
  });

  test('a name that the user has given stays when another file is chosen', async () => {
    const form = await openForm(browser, modelWorld());
    const name = form.page.getByRole('textbox', { name: 'Name', exact: true });
    await untilValue(name, (value) => value === 'diabetes');
    await name.fill('mine');
    await form.page.getByRole('button', { name: 'File…', exact: true }).click();
    await untilValue(form.page.getByRole('textbox', { name: 'File or folder' }), (value) =>
      value.endsWith('churn.onnx'),
    );
    assert.equal(await name.inputValue(), 'mine');
    await form.close();
  });

  test('a cluster is attached with what was filled in; a refusal says what to do', async () => {
    const wishes: ClusterWish[] = [];
    const world = clusterWorld((wish) => {
      wishes.push(wish);
      if (wishes.length === 1)
        throw new AksmlError('cluster.unreachable', 'The cluster does not answer.', { remedy: 'Check the network.' });
      return { listing: { name: 'local', kind: 'local' } };
    });
    const form = await openForm(browser, world);
    await form.page.getByRole('textbox', { name: 'Name', exact: true }).fill('team-cluster');
    await form.page.getByRole('combobox', { name: 'Purpose' }).click();
    await form.page.getByRole('option', { name: 'DevTest' }).click();
    await form.page.getByRole('button', { name: 'Browse…' }).click();
    await untilValue(
      form.page.getByRole('textbox', { name: 'Kubeconfig' }),
      (value) => value === '/home/me/.kube/other',
    );
    await form.page.getByRole('combobox', { name: 'Context' }).click();
    await form.page.getByRole('option', { name: 'prod' }).click();
    await form.page.getByRole('textbox', { name: 'Registry' }).fill('registry.example/team');
    await form.page.getByRole('combobox', { name: 'Front end' }).click();
    await form.page.getByRole('option', { name: 'A load balancer inside the virtual network' }).click();
    await form.page.getByRole('textbox', { name: 'Subnet' }).fill('apps');
    const routers = form.page.getByRole('textbox', { name: 'Routers' });
    for (const wrong of ['two', '33']) {
      await routers.fill('2');
      await form.page.getByText('Give a number from 1 to 32.').waitFor({ state: 'detached' });
      await routers.fill(wrong);
      await form.page.getByText('Give a number from 1 to 32.').waitFor();
    }
    await routers.fill('2');
    await form.page.getByRole('button', { name: 'Attach', exact: true }).click();
    await form.page.getByText('Check the network.').waitFor();
    await form.page.getByRole('button', { name: 'Attach', exact: true }).click();
    await form.page.getByText('is attached.').waitFor();
    await until(() => wishes.length === 2);
    assert.deepEqual(wishes[1], {
      name: 'team-cluster',
      purpose: 'DevTest',
      kubeconfig: '/home/me/.kube/other',
      context: 'prod',
      registry: 'registry.example/team',
      loadBalancerType: 'InternalLoadBalancer',
      loadBalancerSubnet: 'apps',
      routers: 2,
    });
    await form.close();
  });
});
