import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { variablesSecretName } from '../../src/cluster/names.ts';
import type { EndpointChange } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { secretsToDelete } from '../../src/engine/endpoints/deleted-secrets.ts';
import { restoreEndpoint, restoreVersion } from '../../src/engine/endpoints/restore.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { type ControllerRevision, ENDPOINTS, type Secret } from '../../src/kube/resource.ts';
import { endpoint, openTargetWorld, version } from './target-world.ts';
import { eventually, openClusterWorld, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('compute targets on a cluster', { skip: cluster.skip }, () => {});
else suite(cluster);

const isCode = (code: string) => (error: unknown) => {
  if (AksmlError.is(error, code)) return true;
  throw error;
};

/** Names are one per cluster, and tests run side by side. */
const uniqueName = () => `t-${randomBytes(4).toString('hex')}`;

type Stored = KubeObject & Readonly<Record<string, unknown>>;

function suite(cluster: Cluster): void {
  test('an endpoint is created once, changed by whoever has seen it last, and refused to everybody else', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const made = await target.applyEndpoint(endpoint(name, { tags: { team: 'a' }, description: 'first' }));
    assert.equal(made.metadata.namespace, world.namespace);
    await assert.rejects(target.applyEndpoint(endpoint(name)), isCode('endpoint.exists'));

    const [mine, yours] = [await target.getEndpoint(name), await target.getEndpoint(name)];
    const { description: _, ...withoutDescription } = mine.spec;
    const changed = await target.applyEndpoint({ ...mine, spec: { ...withoutDescription, tags: {} } });
    assert.deepEqual([changed.spec.description, changed.spec.tags], [undefined, {}], 'what is left out is removed');
    await assert.rejects(
      target.applyEndpoint({ ...yours, spec: { ...yours.spec, tags: { team: 'b' } } }),
      (error: unknown) => isCode('endpoint.conflict')(error) && /changed by somebody else/.test(String(error)),
    );
    assert.deepEqual((await target.getEndpoint(name)).spec.tags, {});
    await target.deleteEndpoint(name);
    await assert.rejects(target.getEndpoint(name), isCode('service.notFound'));
    await assert.rejects(target.applyEndpoint(changed), isCode('endpoint.conflict'), 'nor comes back by a late change');
  });

  test('a specification that is replaced before any controller has seen it stays in the history', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const first = await target.applyEndpoint(endpoint(name, { tags: { of: 'first' } }));
    const second = await target.applyEndpoint({ ...first, spec: { ...first.spec, tags: { of: 'second' } } });
    await target.applyEndpoint({ ...second, spec: { ...second.spec, tags: { of: 'third' } } });
    const kept = await world.list<ControllerRevision>('controllerrevision', `aksml.dev/endpoint=${name}`);
    const tags = kept.map(({ revision, data }) => [revision, (data as Pick<Endpoint, 'spec'>).spec.tags['of']]);
    assert.deepEqual(
      tags.sort(([a], [b]) => Number(a) - Number(b)),
      [
        [1, 'first'],
        [2, 'second'],
      ],
    );
    await target.deleteEndpoint(name);
  });

  test('two people who change an endpoint at the same moment do not overwrite each other', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const read = await target.applyEndpoint(endpoint(name));
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((team) => target.applyEndpoint({ ...read, spec: { ...read.spec, tags: { team } } })),
    );
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    assert.equal(won.length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.ok(AksmlError.is(outcome.reason, 'endpoint.conflict'), outcome.reason);
    }
    assert.deepEqual((await target.getEndpoint(name)).spec.tags, won[0]?.spec.tags);
    const created = await Promise.allSettled(['x', 'y'].map(() => target.applyEndpoint(endpoint(`${name}-new`))));
    assert.deepEqual(created.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await target.deleteEndpoint(name);
    await target.deleteEndpoint(`${name}-new`);
  });

  test('a status that is written meanwhile is no conflict', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target, kube } = await openTargetWorld(t, world);
    const name = uniqueName();
    const read = await target.applyEndpoint(endpoint(name));
    let writing = true;
    const controller = (async () => {
      for (let count = 0; writing; count += 1) {
        const status = {
          observedGeneration: 1,
          state: 'Transitioning',
          versions: [],
          updatedTime: new Date().toISOString(),
        };
        const patch = { status: { ...status, error: { code: 'PodUnschedulable', message: `${count}` } } };
        const where = { namespace: world.namespace, name };
        await kube.patch(ENDPOINTS, where, patch, { fieldManager: 'controller', subresource: 'status' });
      }
    })();
    let latest = read;
    for (const team of ['a', 'b', 'c']) {
      latest = await target.applyEndpoint({ ...latest, spec: { ...latest.spec, tags: { team } } });
    }
    writing = false;
    await controller;
    assert.deepEqual((await target.getEndpoint(name)).spec.tags, { team: 'c' });
    await target.deleteEndpoint(name);
  });

  test('what kubectl wrote is changed, what a GitOps tool applies is refused with its name', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target, kube } = await openTargetWorld(t, world);
    const name = uniqueName();
    await world.apply(endpoint(name, { description: 'by hand', tags: { a: '1' } }) as unknown as Stored);
    const read = await target.getEndpoint(name);
    const { description: _, ...spec } = read.spec;
    const changed = await target.applyEndpoint({ ...read, spec: { ...spec, tags: { b: '2' } } });
    assert.deepEqual([changed.spec.description, changed.spec.tags], [undefined, { b: '2' }]);

    const wish = endpoint(name, { tags: { b: 'git' } });
    const owned = { ...wish, metadata: { name, namespace: world.namespace } };
    await kube.apply(ENDPOINTS, owned, { fieldManager: 'argocd-controller', force: true });
    const now = await target.getEndpoint(name);
    await assert.rejects(
      target.applyEndpoint({ ...now, spec: { ...now.spec, tags: { b: 'mine' } } }),
      (error: unknown) => isCode('endpoint.managedElsewhere')(error) && /argocd-controller/.test(String(error)),
    );
    await target.deleteEndpoint(name);
  });

  test('changes are told from the present state on, and none after the signal', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const made = await target.applyEndpoint(endpoint(name));
    const leave = new AbortController();
    const told: EndpointChange[] = [];
    let deleting: Promise<void> | undefined;
    for await (const change of target.watchEndpoints({ name }, leave.signal)) {
      told.push(change);
      if (change.type === 'synced') await target.applyEndpoint({ ...made, spec: { ...made.spec, tags: { a: '1' } } });
      if (change.type === 'changed') deleting ??= target.deleteEndpoint(name);
      if (change.type === 'deleted') leave.abort();
    }
    await deleting;
    assert.deepEqual(
      told.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]),
      ['present', 'synced', 'changed', 'deleted'],
    );
  });

  test('a name is being freed from when the namespace of whoever has it is deleted, and may be had anew at once', async (t) => {
    const [going, world] = [await openClusterWorld(t, cluster), await openClusterWorld(t, cluster)];
    const { kube, target: former } = await openTargetWorld(t, going);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const { namespace = '' } = (await former.applyEndpoint(endpoint(name, { tags: { of: 'old' } }))).metadata;
    await assert.rejects(target.applyEndpoint(endpoint(name)), isCode('endpoint.exists'));
    const held = (finalizers: readonly string[] | null) =>
      kube.patch(ENDPOINTS, { name, namespace }, { metadata: { finalizers } }, { fieldManager: 'test' });
    await held(['aksml.dev/test']);
    assert.equal(await target.isNameBeingFreed?.(endpoint(name)), false);
    await world.kubectl('delete', 'namespace', namespace, '--wait=false');
    assert.equal(await target.isNameBeingFreed?.(endpoint(name)), true);

    const made = await target.applyEndpoint(endpoint(name, { tags: { of: 'new' } }));
    assert.equal(made.metadata.namespace, world.namespace);
    const leave = new AbortController();
    const told: (string | undefined)[] = [];
    for await (const change of target.watchEndpoints({ name }, leave.signal)) {
      told.push('endpoint' in change ? change.endpoint.spec.tags['of'] : change.type);
      if (change.type === 'synced') {
        await held(null);
        await eventually('the old one is gone', async () => !(await kube.find(ENDPOINTS, { name, namespace })));
        await target.applyEndpoint({ ...made, spec: { ...made.spec, tags: { of: 'last' } } });
      }
      if (told.at(-1) === 'last') leave.abort();
    }
    assert.deepEqual(told, ['new', 'synced', 'last']);
    await target.deleteEndpoint(name);
  });

  test('secrets are in Secrets that go with the endpoint, and given keys replace only themselves', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world, {
      pullCredentials: async (host) =>
        host === 'registry.example' ? { username: 'ada', password: 'pull-password' } : undefined,
    });
    const name = uniqueName();
    const secrets = { keys: { primaryKey: 'one' }, environmentVariables: { [name]: { TOKEN: 'secret' } } };
    const made = await target.applyEndpoint(endpoint(name), secrets);
    assert.equal(made.spec.versions[0]?.imagePullSecret, `${name}.pull`);
    const { primaryKey, secondaryKey } = await target.getKeys(name);
    assert.equal(primaryKey, 'one');
    assert.ok(secondaryKey.length >= 32);
    const regenerated = await target.regenerateKey(name, 'secondary', 'two');
    assert.deepEqual(regenerated, { primaryKey: 'one', secondaryKey: 'two' });
    await target.applyEndpoint(
      { ...made, spec: { ...made.spec, tags: { a: '1' } } },
      { keys: { primaryKey: 'three' } },
    );
    assert.deepEqual(await target.getKeys(name), { primaryKey: 'three', secondaryKey: 'two' });

    const variables = await world.get<Stored & { data: Record<string, string> }>('secret', `${name}.${name}.env`);
    assert.equal(Buffer.from(variables?.data['TOKEN'] ?? '', 'base64').toString(), 'secret');
    const pull = await world.get<Stored & { data: Record<string, string> }>('secret', `${name}.pull`);
    const auths = JSON.parse(Buffer.from(pull?.data['.dockerconfigjson'] ?? '', 'base64').toString()).auths;
    assert.deepEqual(auths, { 'registry.example': { username: 'ada', password: 'pull-password' } });
    assert.doesNotMatch(JSON.stringify(await world.get('endpoint.aksml.dev', name)), /secret"|three|pull-password/);

    await target.deleteEndpoint(name);
    assert.deepEqual(await world.list('secret', `aksml.dev/endpoint=${name}`), []);
  });

  test('secret variables of a version that is removed go with it', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const versions = [version('blue'), version('green', { isDefault: false })];
    const environmentVariables = { blue: { A: '1' }, green: { A: '2' } };
    const made = await target.applyEndpoint(endpoint(name, { form: 'endpoint', versions }), { environmentVariables });
    await target.applyEndpoint({ ...made, spec: { ...made.spec, versions: [version('blue')] } });
    const left = await world.list('secret', `aksml.dev/endpoint=${name},aksml.dev/version`);
    assert.deepEqual(
      left.map(({ metadata }) => metadata.name),
      [`${name}.blue.env`],
    );
    await target.deleteEndpoint(name);
  });

  test('a deletion of a version and of the endpoint is undone with the secret variables and keys that the cluster had', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const engine = { target } as unknown as Engine;
    const name = uniqueName();
    const versions = [version('blue'), version('green', { isDefault: false })];
    const environmentVariables = { blue: { TOKEN: 'of blue' }, green: { TOKEN: 'of green', MORE: 'ü' } };
    const before = await target.applyEndpoint(endpoint(name, { form: 'endpoint', versions }), {
      keys: { primaryKey: 'one', secondaryKey: 'two' },
      environmentVariables,
    });
    const kept = await secretsToDelete(engine, before);
    await target.applyEndpoint({ ...before, spec: { ...before.spec, versions: [version('blue')] } });
    const { blue } = environmentVariables;
    assert.deepEqual(await target.getSecretVariables(before), { blue, green: {} });
    await restoreVersion(engine, { before, versionName: 'green', kept });
    assert.deepEqual(await target.getSecretVariables(before), environmentVariables);

    await target.deleteEndpoint(name);
    const restored = await restoreEndpoint(engine, before, kept);
    assert.deepEqual(await target.getSecretVariables(restored), environmentVariables);
    assert.equal((await target.getKeys(name)).primaryKey, 'one');
    await target.deleteEndpoint(name);
    assert.deepEqual(await world.list('secret', `aksml.dev/endpoint=${name}`), [], 'and go with it again');
  });

  test('replicas are told from those with other variables, by the variables and by Secrets that they refer to', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const own = (value: string) =>
      world.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'own' }, stringData: { password: value } });
    await own('first');
    const secretVariables = [{ name: 'PASSWORD', secret: 'own', key: 'password' }];
    let current = await target.applyEndpoint(endpoint(name, { versions: [version(name, { secretVariables })] }));
    const revisionAfter = async (token: string): Promise<string | undefined> => {
      current = await target.applyEndpoint(current, { environmentVariables: { [name]: { TOKEN: token } } });
      return current.spec.versions[0]?.variablesRevision;
    };
    const [first, again, changed] = [await revisionAfter('a'), await revisionAfter('a'), await revisionAfter('b')];
    assert.equal(again, first);
    assert.notEqual(changed, first);
    await own('second');
    assert.notEqual(await revisionAfter('b'), changed);
    await target.applyEndpoint(current, {
      environmentVariables: { [name]: { TOKEN: null, OTHER: 'new', NEVER: null } },
    });
    const { data } = (await world.get<Secret>('secret', variablesSecretName(name, name))) ?? {};
    const texts = Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
    assert.deepEqual(Object.fromEntries(texts), { TOKEN: 'b', OTHER: 'new' }, 'what is not given anew stays');
    await target.deleteEndpoint(name);
  });

  test('tokens are the cluster’s own, for this endpoint alone', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `${name}.tokens` } });
    await target.applyEndpoint(endpoint(name, { auth: 'token' }));
    const { accessToken, refreshAfter, expiryOn } = await target.getAccessToken(name);
    const claims = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString());
    assert.deepEqual(claims.aud, [`https://aksml.dev/${world.namespace}/${name}`]);
    assert.equal(claims.exp, expiryOn);
    assert.ok(refreshAfter < expiryOn);
    await assert.rejects(target.getKeys(name), isCode('auth.notKey'));
    await target.deleteEndpoint(name);
  });

  test('an endpoint is found in whatever namespace it is', async (t) => {
    const [world, other] = [await openClusterWorld(t, cluster), await openClusterWorld(t, cluster)];
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    const wish = endpoint(name);
    await target.applyEndpoint({ ...wish, metadata: { name, namespace: other.namespace } });
    const found = await target.getEndpoint(name);
    assert.equal(found.metadata.namespace, other.namespace);
    await target.applyEndpoint({ ...found, spec: { ...found.spec, tags: { a: '1' } } });
    assert.ok((await target.listEndpoints()).some(({ metadata }) => metadata.name === name));
    await assert.rejects(target.deleteEndpoint(name, undefined, world.namespace), isCode('service.notFound'));
    assert.ok(await other.get('endpoint.aksml.dev', name), 'what is asked of one namespace leaves the others alone');
    await target.deleteEndpoint(name);
    assert.equal(await other.get('endpoint.aksml.dev', name), undefined);
  });

  test('an endpoint that is going with its namespace is in the way of no other', async (t) => {
    const [world, other] = [await openClusterWorld(t, cluster), await openClusterWorld(t, cluster)];
    const { target } = await openTargetWorld(t, world);
    const name = uniqueName();
    await target.applyEndpoint({ ...endpoint(name), metadata: { name, namespace: other.namespace } });
    const hold = (finalizers: readonly string[]) =>
      other.kubectl(
        'patch',
        'endpoint.aksml.dev',
        name,
        '--type=merge',
        '-p',
        JSON.stringify({ metadata: { finalizers } }),
      );
    await hold(['example.com/held']);
    try {
      await other.kubectl('delete', 'namespace', other.namespace, '--wait=false');
      await assert.rejects(target.getEndpoint(name), isCode('service.notFound'));
      const made = await target.applyEndpoint(endpoint(name));
      assert.equal(made.metadata.namespace, world.namespace);
    } finally {
      await hold([]);
    }
  });

  test('the status says what the cluster has', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const { target } = await openTargetWorld(t, world);
    const { reachable, kubernetesVersion, nodes, capacity, free } = await target.status();
    assert.equal(reachable, true);
    assert.match(kubernetesVersion ?? '', /^v1\./);
    assert.ok((nodes?.ready ?? 0) >= 1);
    assert.ok((capacity?.cpu ?? 0) > 0 && (capacity?.memoryInGB ?? 0) > 0);
    assert.ok((free?.cpu ?? 0) <= (capacity?.cpu ?? 0));
  });
}
