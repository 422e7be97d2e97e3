import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ComputeTarget, EndpointSecrets, StoredVariables } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { Revision } from '../../src/contract/revision.ts';
import { secretsToDelete, unrestorableVariables } from '../../src/engine/endpoints/deleted-secrets.ts';
import { restoreEndpoint, restoreVersion } from '../../src/engine/endpoints/restore.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { createRevision } from '../../src/engine/revisions/revisions.ts';
import { openHome } from '../../src/home/home.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

const STORED = { main: { PASSWORD: 'p', TOKEN: 't' }, other: { PASSWORD: 'o' } };
const KEYS = { primaryKey: 'one', secondaryKey: 'two' };

test('an undone deletion has the secret variables and keys of before, as the compute target had them', async (t) => {
  const { engine, before, applied } = await deployed(t, async () => STORED);
  assert.deepEqual(await unrestorableVariables(engine, before, before.spec.versions), []);
  const kept = await secretsToDelete(engine, before);
  await restoreEndpoint(engine, before, kept);
  assert.deepEqual(applied(), { environmentVariables: STORED, keys: KEYS });
  await restoreVersion(engine, { before, versionName: 'other', kept });
  assert.deepEqual(applied(), { environmentVariables: { other: STORED.other } });
});

test('variables that may not be read are named before they are deleted, and again by an undo, which changes nothing', async (t) => {
  const { engine, before, applied } = await deployed(t, async () => {
    throw new AksmlError('kube.forbidden', 'You may not.');
  });
  const [main, other] = before.spec.versions;
  assert.ok(main && other);
  assert.deepEqual(await unrestorableVariables(engine, before, [main]), ['PASSWORD', 'TOKEN']);
  assert.deepEqual(await unrestorableVariables(engine, before, [other]), ['PASSWORD']);
  const kept = await secretsToDelete(engine, before);
  for (const undo of [() => restoreEndpoint(engine, before, kept), () => restoreEndpoint(engine, before, undefined)]) {
    await assert.rejects(
      undo(),
      (error) => AksmlError.is(error, 'secret.notKept') && /PASSWORD, TOKEN/.test(error.message),
    );
  }
  assert.equal(applied(), undefined);
});

test('an undo takes references from where the deploy took them, when nobody has kept their values', async (t) => {
  const { engine, before, applied } = await deployed(t, async () => STORED, []);
  await restoreEndpoint({ ...engine, environment: { SOURCE: 'from-store' } }, before, undefined);
  assert.deepEqual(applied()?.environmentVariables, { main: { TOKEN: 'from-store' } });
});

/** An endpoint with the versions `main` and `other`; only `main` has a variable TOKEN. */
async function deployed(
  t: TestContext,
  getSecretVariables: () => Promise<StoredVariables>,
  secret: readonly string[] = ['PASSWORD'],
) {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-deleted-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: folder });
  const registry = openLayout(home, join(home.workspaces, 'test'));
  const version = async (name: string, variables: Readonly<Record<string, string>>) => {
    const { digest, revision } = await createRevision({ registry }, draft(name, variables, secret));
    const isDefault = name === 'main';
    return { ...clusterVersion({ name, isDefault }), revision: digest, revisionNumber: revision.number };
  };
  const versions = [
    await version('main', { PASSWORD: 'never-stored', TOKEN: `\${secret:SOURCE}` }),
    await version('other', { PASSWORD: 'never-stored' }),
  ];
  const sample = clusterEndpoint({ versions });
  const before: Endpoint = { ...sample, spec: { ...sample.spec, auth: 'key' } };
  let secrets: EndpointSecrets | undefined;
  const target = {
    name: 'west',
    getSecretVariables,
    getKeys: async () => KEYS,
    getEndpoint: async () => ({ ...before, spec: { ...before.spec, versions: versions.slice(0, 1) } }),
    applyEndpoint: async (endpoint: Endpoint, given: EndpointSecrets) => {
      secrets = given;
      return endpoint;
    },
  } as unknown as ComputeTarget;
  const engine = { home, registry, target, environment: {} } as unknown as Engine;
  return { engine, before, applied: () => secrets };
}

function draft(
  version: string,
  environmentVariables: Readonly<Record<string, string>>,
  secretEnvironmentVariables: readonly string[],
): Omit<Revision, 'number'> {
  return {
    endpoint: 'web',
    version,
    createdTime: '2026-01-01T00:00:00.000Z',
    createdBy: 'ada',
    aksmlVersion: '0.1.0',
    models: [],
    environment: {
      definition: {
        environmentVariables,
        secretEnvironmentVariables,
        python: { userManagedDependencies: true },
        docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
      },
      hash: '',
      pythonVersion: '',
      lock: [],
    },
    settings: {} as Revision['settings'],
    git: {},
  };
}
