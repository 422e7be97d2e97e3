import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { openContext } from '../../src/cli/context.ts';
import type { Host } from '../../src/cli/host.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { putComputeRecord } from '../../src/engine/compute/compute.ts';
import { keepConnection } from '../../src/engine/compute/connection.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { openHome } from '../../src/home/home.ts';

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function openShell(t: TestContext, answer?: string) {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-workspace-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const aksml = async (...argv: string[]): Promise<Answer> => {
    const written = { out: '', error: '' };
    const sink = (name: 'out' | 'error') => ({
      write: (text: string) => {
        written[name] += text;
      },
      isTerminal: false,
      columns: 100,
      color: false,
    });
    const host: Host = {
      environment: { AKSML_HOME: join(folder, 'home') },
      cwd: folder,
      platform: 'linux',
      terminal: { out: sink('out'), error: sink('error'), unicode: true },
      signal: new AbortController().signal,
      now: () => 0,
      version: '1.2.3',
      supervisorCommand: [],
      readInput: async () => new Uint8Array(),
      ask: async () => answer,
    };
    return {
      code: await runCommandLine(argv, host, async (forHost, globals) => openContext(forHost, globals)),
      ...written,
    };
  };
  return { folder, aksml };
}

test('workspace create makes one by name, once, and says where its content is', async (t) => {
  const { folder, aksml } = await openShell(t);
  const created = await aksml(
    'workspace',
    'create',
    '-w',
    'team',
    '-g',
    'research',
    '-l',
    'westeurope',
    '-t',
    'ws.json',
  );
  assert.equal(created.code, 0, created.error);
  assert.match(created.error, /-l has no effect: .*needs no resources of Azure/);
  const { folder: content, ...value } = JSON.parse(created.out);
  assert.deepEqual(value, { workspaceName: 'team', resourceGroup: 'research', subscriptionId: null, registry: null });
  assert.ok(content.startsWith(join(folder, 'home')));
  assert.deepEqual(JSON.parse(await readFile(join(folder, 'ws.json'), 'utf8')), JSON.parse(created.out));

  const again = await aksml('workspace', 'create', '-w', 'Team');
  assert.equal(again.code, 2);
  assert.match(again.error, /workspace\.exists|already/);
  assert.equal((await aksml('workspace', 'create', '-w', 'team', '--exist-ok')).out, created.out);
  assert.deepEqual(JSON.parse((await aksml('workspace', 'list')).out), [JSON.parse(created.out)]);
});

test('workspace create refuses a registry that it could not use', async (t) => {
  const { aksml } = await openShell(t);
  assert.equal((await aksml('workspace', 'create', '-w', 'other', '--registry', 'not a host')).code, 2);
  await aksml('workspace', 'create', '-w', 'shared');
  assert.equal((await aksml('workspace', 'create', '-w', 'shared', '--exist-ok', '--registry', 'x.io/y')).code, 2);
  const azure = await aksml('workspace', 'create', '-w', 'azure', '--container-registry', '/subscriptions/x');
  assert.equal(azure.code, 2);
  assert.match(azure.error, /--registry HOST\/PREFIX/);
});

test('a workspace keeps its global registry, and refuses another one', async (t) => {
  const { aksml } = await openShell(t);
  const created = await aksml('workspace', 'create', '-w', 'team', '--global-registry', 'x.io/all');
  assert.equal(JSON.parse(created.out).globalRegistry, 'x.io/all');
  assert.equal((await aksml('workspace', 'create', '-w', 'team', '--exist-ok')).out, created.out);
  const other = await aksml('workspace', 'create', '-w', 'team', '--exist-ok', '--global-registry', 'x.io/other');
  assert.deepEqual([other.code, /with the global registry x\.io\/all/.test(other.error)], [2, true]);
  assert.equal((await aksml('workspace', 'create', '-w', 'next', '--global-registry', 'not a host')).code, 2);
});

test('workspace show does not make what it looks for', async (t) => {
  const { folder, aksml } = await openShell(t);
  const missing = await aksml('workspace', 'show', '-w', 'ghost');
  assert.equal(missing.code, 2);
  assert.match(missing.error, /There is no workspace "ghost"/);
  assert.deepEqual(await readdir(join(folder, 'home', 'workspaces')).catch(() => []), []);
});

test('workspace delete spares what holds something, unless it is forced', async (t) => {
  const { folder, aksml } = await openShell(t);
  await writeFile(join(folder, 'm.pkl'), 'weights');
  const registered = await aksml('model', 'register', '-w', 'team', '-n', 'm', '-p', 'm.pkl');
  assert.equal(registered.code, 0, registered.error);
  const refused = await aksml('workspace', 'delete', '-w', 'team', '--yes');
  assert.equal(refused.code, 2);
  assert.match(refused.error, /--force/);
  assert.equal(JSON.parse((await aksml('model', 'list', '-w', 'team')).out).length, 1);
  const deleted = await aksml('workspace', 'delete', '-w', 'team', '--all-resources', '--yes');
  assert.equal(deleted.code, 0, deleted.error);
  assert.deepEqual(JSON.parse((await aksml('workspace', 'list')).out), []);
  assert.equal((await aksml('workspace', 'delete', '--yes')).code, 2, 'without a name');
});

test('workspace delete asks first, and does nothing on a no', async (t) => {
  const { aksml } = await openShell(t, 'n');
  await aksml('workspace', 'create', '-w', 'team');
  assert.equal((await aksml('workspace', 'delete', '-w', 'team')).code, 130);
  assert.equal(JSON.parse((await aksml('workspace', 'list')).out).length, 1);
});

test('workspace list-keys says why there is nothing to list', async (t) => {
  const { aksml } = await openShell(t);
  const { code, out, error } = await aksml('workspace', 'list-keys', '-w', 'team');
  assert.deepEqual([code, out], [2, '']);
  assert.match(error, /has no keys.*\n.*service get-keys/);
});

test('the credentials of a cluster are a kubeconfig of its context alone, as a shell writes it into a file', async (t) => {
  const { folder, aksml } = await openShell(t);
  const kubeconfig = join(folder, 'kubeconfig');
  const [west, east] = ['west', 'east'].map((name) => ({
    context: { name, context: { cluster: name, user: name, namespace: 'team' } },
    cluster: { name, cluster: { server: `https://${name}.example` } },
    user: { name, user: { token: `token-of-${name}` } },
  }));
  assert.ok(west && east);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'east',
    contexts: [east.context, west.context],
    clusters: [east.cluster, west.cluster],
    users: [east.user, west.user],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  await aksml('workspace', 'create', '-w', 'team');
  const home = openHome({ AKSML_HOME: join(folder, 'home') });
  const record = { name: 'prod', kind: 'kubernetes', purpose: 'DevTest', clusterId: 'one', namespace: 'team' } as const;
  const attached = { attachedTime: '', attachedBy: '', aksmlVersion: '1.2.3', server: 'https://west.example' };
  await putComputeRecord({ registry: openLayout(home, join(home.workspaces, 'team')) }, { ...record, ...attached });
  await keepConnection(home, record.clusterId, { kubeconfig: [kubeconfig], context: 'west' });

  const credentials = (...options: readonly string[]) =>
    aksml('computetarget', 'get-credentials', '-w', 'team', ...options);
  const { out, error } = await credentials('-n', 'prod', '--query', 'userKubeConfig', '-o', 'tsv');
  assert.equal(error, '');
  assert.deepEqual(parse(out), {
    ...config,
    'current-context': 'west',
    contexts: [west.context],
    clusters: [west.cluster],
    users: [west.user],
  });
  const { namespace, context } = JSON.parse((await credentials('-n', 'prod', '-o', 'json')).out);
  assert.deepEqual([namespace, context], ['team', 'west']);
  assert.match((await credentials('-n', 'local')).error, /this machine, which needs no credentials/);
  assert.match((await credentials('-n', 'other')).error, /There is no compute target "other"/);
});
