import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { median } from '../../bench/median.ts';
import { ANSWER, type World } from '../../local/world.ts';
import { selfSigned } from '../../router/self-signed.ts';
import { findChromium } from '../../vscode/chromium.ts';
import { openVsCode, step, type VsCodeWorld } from '../../vscode/world.ts';
import { SETTINGS, writeClusterProject } from '../project.ts';
import { endpoint } from '../target-world.ts';
import { eventually, testCluster } from '../world.ts';
import { type AttachWorld, controllerImage, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
const chromium = findChromium();
const NAME = 'a cluster is attached, deployed to, changed and detached in VS Code';
if ('skip' in cluster) test(NAME, { skip: cluster.skip }, () => {});
else if ('skip' in chromium) test(NAME, { skip: chromium.skip }, () => {});
else suite(cluster);

/** Of the median that is printed. */
const ROUNDS = 5;
const PASSWORD = 'a-password-of-nobody';
function suite(where: Cluster): void {
  test(NAME, async (t) => {
    const attached = await openAttachWorld(t, where);
    const world = await openVsCode({
      variables: { KUBECONFIG: attached.kubeconfig },
      project: (project) => writeProject(project, where),
    });
    t.after(world.close);
    await journey(t, world, attached, await controllerImage(where));
  });
}

async function writeProject(project: World, where: Cluster): Promise<void> {
  await writeClusterProject({ write: project.write, cluster: where });
  const path = join(project.project, 'inferenceconfig.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  config.environment.environmentVariables = { PASSWORD };
  config.environment.secretEnvironmentVariables = ['PASSWORD'];
  await project.write('inferenceconfig.json', JSON.stringify(config));
  await project.write('source/score.py', ANSWER(1).replace('"answer": 1', '"answer": len(os.environ["PASSWORD"])'));
  const letIn = { authEnabled: false, tokenAuthEnabled: true };
  await project.write('deploymentconfig.json', JSON.stringify({ ...SETTINGS, ...letIn }));
}

async function journey(t: TestContext, world: VsCodeWorld, attached: AttachWorld, image: string): Promise<void> {
  const { workbench } = world;
  const { page, spoken } = workbench;
  const name = `${attached.namespace}-v`;
  const target = () => workbench.row('prod').first();
  const deployed = () => spoken(new RegExp(`^${name}, endpoint`));
  const isHealthy = () => spoken(new RegExp(`^${name}, endpoint, Healthy`)).waitFor();
  const box = (title: string) =>
    page
      .locator('.quick-input-widget:visible', { has: page.locator('.quick-input-title', { hasText: title }) })
      .locator('input');
  const fill = async (title: string, text: string) => {
    await box(title).fill(text);
    await page.keyboard.press('Enter');
  };
  /** Where the dialog proposes something else; it does so once it has looked at the folder, and would replace what was typed before. */
  const choosePath = async (title: string, proposed: RegExp, path: string) => {
    await eventually('a path is proposed', async () => proposed.test(await box(title).inputValue()));
    // The key has no effect while the dialog looks at a folder, and what it then proposes may replace what was typed.
    await eventually('the dialog takes the path', async () => {
      if (!(await box(title).isVisible())) return true;
      await fill(title, path);
      return box(title)
        .waitFor({ state: 'hidden', timeout: 3_000 })
        .then(
          () => true,
          () => false,
        );
    });
  };
  const well = async (...args: readonly string[]) => {
    const outcome = await world.aksml(...args);
    assert.equal(outcome.code, 0, outcome.stderr);
    return outcome;
  };

  await step(t, world, 'a cluster is attached by the form, which asks before it installs', async () => {
    await well('model', 'register', '-n', 'weights', '-p', 'model');
    await workbench.command('AKS ML: Attach Cluster…');
    const form = await workbench.webview('h1:has-text("Attach a cluster")');
    const fields = { Registry: attached.registry, Namespace: attached.namespace, Image: image };
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill('prod');
    for (const [label, text] of Object.entries(fields)) await form.getByRole('textbox', { name: label }).fill(text);
    for (const [label, choice] of [
      ['Purpose', 'DevTest'],
      ['Front end', 'A port of every node'],
    ] as const) {
      await form.getByRole('combobox', { name: label }).click();
      await form.getByRole('option', { name: choice }).click();
    }
    await form.getByRole('button', { name: 'Attach', exact: true }).click();
    await workbench.answer('Install AKS ML in the cluster', 'Install');
    await form.getByText('prod is attached.').waitFor();
  });

  await step(t, world, 'a model is deployed to it by the form, and is Healthy in the tree', async () => {
    await workbench.openView('AKS ML');
    await workbench.expand('Models', 'weights');
    await workbench.choose(workbench.row('weights'), 'Deploy…');
    const form = await workbench.webview('h1:has-text("Deploy")');
    await form.getByRole('textbox', { name: 'Name', exact: true }).fill(name);
    await form.getByRole('combobox', { name: 'Compute target' }).click();
    await form.getByRole('option', { name: /^prod/ }).click();
    await form.getByText(`create the service ${name} on prod`).waitFor();
    await form.getByRole('button', { name: 'Deploy', exact: true }).click();
    await isHealthy();
  });

  await step(t, world, 'it is deleted, and with "Undo" is there again with its secret variable', async () => {
    await workbench.choose(deployed(), 'Delete Endpoint…');
    await workbench.answer(`Delete the endpoint ${name}?`, 'Delete');
    await deployed().waitFor({ state: 'detached' });
    await workbench.press(`Deleted: ${name}`, 'Undo');
    await isHealthy();
    const { answer } = (await well('service', 'run', '-n', name, '-d', '{}')).json();
    assert.equal(answer, PASSWORD.length);
    assert.doesNotMatch(await world.server.logs(), new RegExp(PASSWORD));
  });

  await step(t, world, 'all its tokens are revoked', async () => {
    const token = async () => String((await well('service', 'get-access-token', '-n', name)).json()['accessToken']);
    const uri = String((await well('service', 'show', '-n', name, '-o', 'json')).json()['scoringUri']);
    const status = async (secret: string) =>
      (await fetch(uri, { method: 'POST', body: '{}', headers: { authorization: `Bearer ${secret}` } })).status;
    const before = await token();
    await eventually('the token is taken', async () => (await status(before)) === 200);
    await workbench.choose(deployed(), 'Revoke All Tokens…');
    await workbench.answer(`Revoke all tokens of ${name}?`, 'Revoke');
    await workbench.notification(`All tokens of ${name} are revoked.`).waitFor();
    await eventually('the token is refused', async () => (await status(before)) === 401);
    const after = await token();
    await eventually('a new one is taken', async () => (await status(after)) === 200);
  });

  await step(t, world, 'its kubeconfig is saved for other tools, for nobody else to read', async () => {
    const file = join(world.project, 'prod.yaml');
    await workbench.expand('Clusters', 'prod');
    await workbench.choose(target(), 'Save Kubeconfig…');
    await choosePath('Kubeconfig of prod', /prod\.yaml$/, file);
    await workbench.notification('The kubeconfig is in').waitFor();
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const found = await attached.kubectl('--kubeconfig', file, 'get', 'endpoints.aksml.dev', name, '-o', 'name');
    assert.match(found, new RegExp(name));
  });

  await step(t, world, 'it gets another router, and HTTPS with a certificate', async () => {
    await workbench.choose(target(), 'Change Front End…');
    await workbench.pick(/^Number of routers/);
    await fill('Front end of prod', '2');
    const routers = ['get', 'deployment', 'aksml-fe', '-n', 'aksml-system', '-o', 'jsonpath={.spec.replicas}'];
    await eventually('two routers are wanted', async () => (await attached.kubectl(...routers)) === '2');
    const { certificate, key } = await selfSigned(['score.example.com']);
    const [certFile, keyFile] = [join(world.project, 'cert.pem'), join(world.project, 'key.pem')];
    await writeFile(certFile, certificate);
    await writeFile(keyFile, key);
    await workbench.choose(target(), 'Change HTTPS…');
    await workbench.pick(/^Own certificate/);
    await fill('HTTPS of prod', 'score.example.com');
    await choosePath('Certificate (PEM)', /\/$/, certFile);
    await choosePath('Private key (PEM)', /\/$/, keyFile);
    await eventually('it is reached by HTTPS', async () => {
      const shown = await well('computetarget', 'show', '-n', 'prod', '-o', 'json');
      return /https:\/\/score\.example\.com/.test(shown.stdout);
    });
    assert.doesNotMatch(await world.server.logs(), /PRIVATE KEY/);
  });

  await step(t, world, 'what kubectl makes, changes and deletes, the tree follows', async () => {
    const other = `${attached.namespace}-k`;
    const row = spoken(new RegExp(`^${other}, endpoint`));
    const following = { made: [] as number[], changed: [] as number[], deleted: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      await attached.apply({ ...endpoint(other) });
      following.made.push(await durationOf(() => row.waitFor()));
      await attached.apply({ ...endpoint(other, { auth: 'token' }) });
      following.changed.push(await durationOf(() => row.filter({ hasText: 'token' }).waitFor()));
      await attached.kubectl('delete', 'endpoints.aksml.dev', other, '--wait=false');
      following.deleted.push(await durationOf(() => row.waitFor({ state: 'detached' })));
    }
    for (const [what, times] of Object.entries(following)) {
      t.diagnostic(`from the end of kubectl until the tree shows what it has ${what}: ${median(times).toFixed(0)} ms`);
    }
  });

  await step(t, world, 'the cluster is detached', async () => {
    await attached.kubectl('delete', 'endpoints.aksml.dev', name);
    await deployed().waitFor({ state: 'detached' });
    await workbench.choose(target(), 'Detach Cluster…');
    await workbench.answer('Detach the cluster prod?', 'Detach');
    await target().waitFor({ state: 'detached' });
    assert.equal((await attached.tryKubectl('get', 'namespace', 'aksml-system')).code, 1);
  });
}

async function durationOf(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
