import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ComputeTargetRecord } from '../../src/contract/compute-record.ts';
import type { ComputeTarget } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import {
  findComputeRecord,
  listComputeRecords,
  putComputeRecord,
  removeComputeRecord,
} from '../../src/engine/compute/compute.ts';
import { forgetConnection, keepConnection, readConnection } from '../../src/engine/compute/connection.ts';
import { listEverywhere, locateEndpoint, type TargetSource } from '../../src/engine/endpoints/locate.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';

async function makeHome(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'aksml-compute-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: root });
  return { home, registry: openLayout(home, join(root, 'workspace')) };
}

const record = (name: string): ComputeTargetRecord => ({
  name,
  kind: 'kubernetes',
  purpose: 'DevTest',
  clusterId: '6f0a7f0e-1111-2222-3333-444455556666',
  server: 'https://cluster.example:6443',
  namespace: 'default',
  attachedTime: '2026-11-26T12:00:00.000Z',
  attachedBy: 'ada',
  aksmlVersion: '0.1.0',
});

const isCode = (code: string) => (error: unknown) => {
  if (AksmlError.is(error, code)) return true;
  throw error;
};

test('compute targets are recorded in the workspace by names that differ in more than letter case', async (t) => {
  const { registry } = await makeHome(t);
  const store = { registry };
  assert.deepEqual(await listComputeRecords(store), []);
  await putComputeRecord(store, record('prod-West'));
  await putComputeRecord(store, record('dev'));
  assert.deepEqual(
    (await listComputeRecords(store)).map(({ name }) => name),
    ['dev', 'prod-West'],
  );
  assert.equal((await findComputeRecord(store, 'PROD-west'))?.name, 'prod-West');
  await removeComputeRecord(store, 'Prod-west');
  await removeComputeRecord(store, 'Prod-west');
  assert.equal(await findComputeRecord(store, 'prod-West'), undefined);
  for (const name of ['ab', '1abc', 'a_b', 'x'.repeat(25), 'local', 'AmlCompute']) {
    await assert.rejects(putComputeRecord(store, record(name)), isCode('computeTarget.badName'), name);
  }
});

test('a registry that lets nobody delete keeps no detached target', async (t) => {
  const { registry } = await makeHome(t);
  const strict = new Proxy<Registry>(registry, {
    get: (_, member) => {
      if (member === 'deleteManifest') return () => Promise.reject(new AksmlError('registry.unsupported', 'Never.'));
      const value: unknown = Reflect.get(registry, member, registry);
      return typeof value === 'function' ? value.bind(registry) : value;
    },
  });
  await putComputeRecord({ registry: strict }, record('dev'));
  await removeComputeRecord({ registry: strict }, 'dev');
  assert.deepEqual(await listComputeRecords({ registry: strict }), []);
  await putComputeRecord({ registry: strict }, record('dev'));
  assert.equal((await listComputeRecords({ registry: strict })).length, 1, 'and can be attached again');
});

test('a kubeconfig is named in a file that only its user can read, whatever the cluster calls itself', async (t) => {
  const { home } = await makeHome(t);
  const connection = { kubeconfig: ['/home/ada/.kube/config'], context: 'west' };
  for (const id of [record('dev').clusterId, '../../escape']) {
    await keepConnection(home, id, connection);
    assert.deepEqual(await readConnection(home, id), connection);
  }
  assert.equal((await stat(join(home.compute, `${record('dev').clusterId}.json`))).mode & 0o777, 0o600);
  await forgetConnection(home, record('dev').clusterId);
  assert.equal(await readConnection(home, record('dev').clusterId), undefined);
});

type Behaviour = 'has' | 'lacks' | 'fails' | 'hangs';

function source(name: string, behaviour: Behaviour): TargetSource {
  const answer = async (signal?: AbortSignal) => {
    switch (behaviour) {
      case 'has':
        return { metadata: { name: 'diabetes' } } as Endpoint;
      case 'lacks':
        throw new AksmlError('service.notFound', 'It is not here.');
      case 'fails':
        throw new AksmlError('kube.unreachable', 'Nobody answers.', { remedy: 'Start it.' });
      case 'hangs':
        return new Promise<Endpoint>((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
    }
  };
  const target = {
    name,
    getEndpoint: (_: string, signal?: AbortSignal) => answer(signal),
    listEndpoints: async (signal?: AbortSignal) => (behaviour === 'lacks' ? [] : [await answer(signal)]),
  } as unknown as ComputeTarget;
  return { name, open: async () => target };
}

const BRIEFLY = { forAnswer: 50, onceFound: 10 };

const LOCATED: readonly (readonly [string, Readonly<Record<string, Behaviour>>, string, readonly string[]])[] = [
  ['only this machine has it', { local: 'has', west: 'lacks' }, 'local', []],
  ['only a cluster has it', { local: 'lacks', west: 'has', east: 'lacks' }, 'west', []],
  ['another target fails', { local: 'has', west: 'fails' }, 'local', ['west']],
  ['another target hangs', { local: 'lacks', west: 'hangs', east: 'has' }, 'east', ['west']],
  ['two have it', { local: 'has', west: 'has' }, 'service.ambiguous', []],
  ['nobody has it', { local: 'lacks', west: 'lacks' }, 'service.notFound', []],
  ['nobody has it and one fails', { local: 'lacks', west: 'fails' }, 'computeTarget.unreachable', []],
  ['nobody has it and one hangs', { local: 'lacks', west: 'hangs' }, 'computeTarget.unreachable', []],
  ['the only target fails', { local: 'fails' }, 'kube.unreachable', []],
];

for (const [what, behaviours, expected, warned] of LOCATED) {
  test(`a service is looked for on all compute targets at once: ${what}`, async () => {
    const sources = Object.entries(behaviours).map(([name, behaviour]) => source(name, behaviour));
    const located = locateEndpoint(sources, 'diabetes', undefined, BRIEFLY);
    if (expected.includes('.')) return assert.rejects(located, isCode(expected));
    const { target, problems } = await located;
    assert.equal(target.name, expected);
    assert.deepEqual(
      problems.map(({ message }) => /target (\w+) could/.exec(message)?.[1]),
      warned,
    );
  });
}

test('services are listed from every compute target that answers, and the others are named', async () => {
  const sources = [source('local', 'has'), source('west', 'fails'), source('east', 'hangs'), source('north', 'lacks')];
  const { found, problems } = await listEverywhere(sources, undefined, BRIEFLY);
  assert.deepEqual(
    found.map(({ target, endpoints }) => [target.name, endpoints.length]),
    [
      ['local', 1],
      ['north', 0],
    ],
  );
  assert.deepEqual(
    problems.map(({ message }) => /target (\w+) could/.exec(message)?.[1]),
    ['west', 'east'],
  );
});
