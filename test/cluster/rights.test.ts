import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { rightsToDeploy } from '../../src/cluster/install/rights.ts';
import { ENDPOINT_LABEL, SCORING_CONTAINER, VERSION_LABEL } from '../../src/cluster/names.ts';
import type { ComputeTarget } from '../../src/contract/compute-target.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { AccessQuestion } from '../../src/kube/kube.ts';
import { endpoint, openTargetWorld } from './target-world.ts';
import { type ClusterWorld, eventually, openClusterWorld, testCluster } from './world.ts';

/** What a person of one namespace does by a right, on endpoints of this name that is there and of one that is not. */
type Deed = (target: ComputeTarget, name: string, fresh: string) => Promise<unknown>;

const following = async (target: ComputeTarget, name: string) => {
  for await (const _ of target.readLogs(name, { follow: true }, AbortSignal.timeout(60_000)));
};

const DEEDS: Readonly<Record<string, Deed>> = {
  'list endpoints': (target) => target.listEndpoints(),
  'watch endpoints': async (target, name) => {
    for await (const _ of target.watchEndpoints({ name }, AbortSignal.timeout(60_000)));
  },
  'create endpoints': (target, _, fresh) => target.applyEndpoint(endpoint(fresh)),
  'patch endpoints': async (target, name) => {
    const found = await target.getEndpoint(name);
    return target.applyEndpoint({ ...found, spec: { ...found.spec, tags: { at: fresh() } } });
  },
  'delete endpoints': (target, name) => target.deleteEndpoint(name),
  'get secrets': (target, name) => target.getKeys(name),
  'create secrets': (target, _, fresh) => target.applyEndpoint(endpoint(fresh), { keys: { primaryKey: 'k' } }),
  'patch secrets': (target, name) => target.regenerateKey(name, 'primary'),
  'list pods': following,
  'watch pods': following,
  'get pods': following,
  'get pods/log': following,
  'create pods/portforward': async (target, name) =>
    target.request(await target.getEndpoint(name), { route: 'swagger', headers: {} }),
  'create serviceaccounts/token': (target, name) => target.getAccessToken(`${name}-token`),
  'delete secrets': (target, name) => target.deleteEndpoint(`${name}-token`),
};

const cluster = await testCluster();
if ('skip' in cluster) test('rights of people on a cluster', { skip: cluster.skip }, () => {});
else if (cluster.baseImage === undefined) test('rights of people', { skip: 'the cluster has no base image' }, () => {});
else suite(cluster, cluster.baseImage);

function suite(cluster: Cluster, image: string): void {
  test('each right that is missing for work with endpoints is named when it is needed', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const admin = await openTargetWorld(t, world);
    const name = `t-${fresh()}`;
    await world.apply(replica(name, image), account(`${name}-token.tokens`), account(PERSON));
    await admin.target.applyEndpoint(endpoint(name), { keys: { primaryKey: 'one' } });
    await admin.target.applyEndpoint(endpoint(`${name}-token`, { auth: 'token' }));
    await world.kubectl('wait', `pod/${name}`, '--for=condition=Ready', '--timeout=120s');
    const person = await openTargetWorld(t, world, { kubeconfig: await kubeconfigOf(world) });
    const rights = rightsToDeploy(world.namespace);
    for (const [right, deed] of Object.entries(DEEDS)) {
      const missing = rights.find((one) => nameOf(one) === right);
      assert.ok(missing, `${right} is among the rights that attaching asks for`);
      await allow(
        world,
        rights.filter((one) => one !== missing),
      );
      await eventually(`all but the right to ${right} is in force`, async () => {
        const may = await Promise.all(rights.map((one) => person.kube.mayI(one)));
        return may.every((allowed, index) => allowed === (rights[index] !== missing));
      });
      await assert.rejects(deed(person.target, name, `t-${fresh()}`), (error) => {
        const [verb, resource] = right.split(' ');
        const said = AksmlError.is(error, 'kube.forbidden') ? error.message : String(error);
        assert.ok(said.includes(`cannot ${verb} resource "${resource}"`), `${right}: ${said}`);
        return true;
      });
    }
  });
}

const PERSON = 'person';
const fresh = () => randomBytes(4).toString('hex');

function nameOf({ verb, resource, subresource }: AccessQuestion): string {
  return `${verb} ${resource.plural}${subresource === undefined ? '' : `/${subresource}`}`;
}

function account(name: string) {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
}

function replica(name: string, image: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { [ENDPOINT_LABEL]: name, [VERSION_LABEL]: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: SCORING_CONTAINER,
          image,
          command: ['python3', '-m', 'http.server', '5001'],
          ports: [{ containerPort: 5001 }],
        },
      ],
    },
  };
}

async function allow(world: ClusterWorld, rights: readonly AccessQuestion[]): Promise<void> {
  const rules = rights.map(({ verb, resource, subresource }) => ({
    apiGroups: [resource.apiVersion.includes('/') ? (resource.apiVersion.split('/')[0] ?? '') : ''],
    resources: [subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`],
    verbs: [verb],
  }));
  const api = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: PERSON } };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: PERSON };
  const subjects = [{ kind: 'ServiceAccount', name: PERSON, namespace: world.namespace }];
  await world.apply({ ...api, kind: 'Role', rules }, { ...api, kind: 'RoleBinding', roleRef, subjects });
}

async function kubeconfigOf(world: ClusterWorld): Promise<string> {
  const token = await world.kubectl('create', 'token', PERSON);
  const config = JSON.parse(await world.kubectl('config', 'view', '--raw', '--output', 'json'));
  config.users[0].user = { token };
  const path = join(world.home, '..', `${PERSON}.json`);
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
