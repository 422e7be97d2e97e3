import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { installedManifests } from '../../../src/cluster/install/install.ts';
import { neededRights, requireRights, rightsToDeploy } from '../../../src/cluster/install/rights.ts';

import { AksmlError } from '../../../src/contract/error.ts';
import type { ProgressEvent } from '../../../src/contract/event.ts';
import type { ExecRequest } from '../../../src/kube/exec-plugin.ts';
import { type AccessQuestion, openKube } from '../../../src/kube/kube.ts';
import { ROLES } from '../../../src/kube/resource.ts';
import { frontEndSettings } from '../../unit/cluster-samples.ts';
import { endpoint } from '../target-world.ts';
import { eventually, testCluster } from '../world.ts';
import { type AttachWorld, attachRequest, controllerImage, openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
const composed = 'skip' in cluster ? '' : await controllerImage(cluster);
if ('skip' in cluster) test('attaching a cluster', { skip: cluster.skip }, () => {});
else suite(cluster);

const isCode = (code: string) => (error: unknown) => {
  if (AksmlError.is(error, code)) return true;
  throw error;
};

const ALL_KINDS = 'clusterrole,clusterrolebinding,crd,namespace';

/** Everything that attaching could touch. */
async function inventory(world: AttachWorld): Promise<string[]> {
  const ours = '--selector=app.kubernetes.io/managed-by=aksml';
  const cluster = await world.kubectl('get', ALL_KINDS, ours, '--output', 'name');
  const own = await world.kubectl('get', 'role,rolebinding', '--namespace', world.namespace, '--output', 'name');
  return [...cluster.split('\n'), ...own.split('\n')].filter((line) => line !== '').sort();
}

/** As a router that still answers what it has begun, for as long as a test wants. */
const LINGERING_POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'lingering', namespace: 'aksml-system', labels: { 'app.kubernetes.io/managed-by': 'aksml' } },
  spec: {
    nodeSelector: { 'test.aksml.dev/node': 'none' },
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'router',
        image: 'none',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
};

const request = (world: AttachWorld) => attachRequest(world, composed);
const agree = async () => undefined;

/** All that attaching needs, in a cluster in which they can be given. */
async function rightsToInstall(world: AttachWorld) {
  // Rights in a namespace can be given once it is there.
  await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'aksml-system' } });
  const manifests = installedManifests({
    version: '0',
    image: 'x',
    namespaces: [world.namespace],
    controllers: 1,
    frontEnd: frontEndSettings({ routers: 1 }),
  });
  return neededRights(manifests, [world.namespace]);
}

function suite(cluster: Cluster): void {
  test('a cluster is attached, deployed to, and detached as it was', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const before = await inventory(world);
    const options = ['--namespace', world.namespace, '--cluster-purpose', 'DevTest', '--registry', world.registry];
    options.push('--service-type', 'NodePort');
    const base = ['--controller-base', cluster.baseImage ?? ''];
    const attached = await world.aksml('computetarget', 'attach', 'kubernetes', '-n', 'west', ...options, ...base);
    assert.equal(attached.code, 0, attached.stderr);
    for (const object of [
      'CustomResourceDefinition endpoints.aksml.dev',
      'Deployment aksml-controller in aksml-system',
      'Deployment aksml-fe in aksml-system',
    ]) {
      assert.ok(attached.stderr.includes(object), `what is installed is shown: ${object}`);
    }
    assert.equal(attached.json<{ status: { controller: { state: string } } }>().status.controller.state, 'Healthy');

    const listed = (await world.aksml('computetarget', 'list')).json<{ name: string; clusterId?: string }[]>();
    assert.deepEqual(
      listed.map(({ name }) => name),
      ['local', 'west'],
    );
    const connection = join(world.home, 'compute', `${listed[1]?.clusterId}.json`);
    assert.equal((await stat(connection)).mode & 0o777, 0o600);
    assert.doesNotMatch(await readFile(connection, 'utf8'), /key-data|token/, 'credentials are not copied');

    const again = await world.aksml('computetarget', 'attach', 'kubernetes', '-n', 'east', ...options);
    assert.match(again.stderr, /attached already, as west/);
    const elsewhere = await world.aksml(
      'computetarget',
      'attach',
      'kubernetes',
      '-n',
      'west',
      '-w',
      'other',
      ...options,
    );
    assert.match(elsewhere.stderr, /attached already as west to the workspace default/);
    const mistyped = await world.aksml('model', 'deploy', '-n', 'abc', '-ct', 'wset', '-m', 'x');
    assert.match(mistyped.stderr, /no compute target "wset"[\s\S]*local, west/);

    await world.apply({ ...endpoint(world.namespace) });
    const kept = await world.aksml('computetarget', 'detach', '-n', 'west', '--yes');
    assert.equal(kept.code, 0, kept.stderr);
    assert.match(kept.stderr, /west is detached\. These keep running, .*: [a-z]/);
    assert.deepEqual(await inventory(world), before);
    assert.ok(await world.get('endpoint.aksml.dev', world.namespace), 'the endpoint is kept');
    assert.deepEqual((await world.aksml('computetarget', 'list')).json<unknown[]>().length, 1);
  });

  test('attaching goes on wherever it ended, and so does detaching', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const before = await inventory(world);
    const session = await world.session();
    const run = (
      work: (options: { onProgress: (event: ProgressEvent) => void; signal: AbortSignal }) => Promise<unknown>,
    ) => endAtEveryStep(work);
    const attached = await run((options) => session.attach(request(world), { ...options, confirm: agree }));
    assert.ok(attached > 10, `it was ended ${attached} times`);
    assert.equal((await session.targetStatus('west')).controller?.state, 'Healthy');
    await world.apply({ ...endpoint(world.namespace) });
    const wish = { name: 'west', deleteEndpoints: true, force: false };
    const detached = await run((options) => session.detach(wish, { ...options, confirm: agree }));
    assert.ok(detached > 5, `it was ended ${detached} times`);
    assert.deepEqual(await inventory(world), before);
    assert.equal(await world.get('endpoint.aksml.dev', world.namespace), undefined);
    assert.deepEqual(
      (await session.listTargets()).map(({ name }) => name),
      ['local'],
    );
  });

  test('the command is killed while it installs and while it waits, and finishes when it is run again', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const args = ['computetarget', 'attach', 'kubernetes', '-n', 'west', '--namespace', world.namespace];
    const options = ['--cluster-purpose', 'DevTest', '--registry', world.registry, '--controller-image', composed];
    for (const said of ['Checking the cluster', 'Installing aksml', 'Waiting for the controller']) {
      const child = world.start(...args, ...options);
      let output = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes(said)) child.kill('SIGKILL');
      });
      const [, signal] = await once(child, 'close');
      assert.equal(signal, 'SIGKILL', `${said}: ${output}`);
    }
    const finished = await world.aksml(...args, ...options);
    assert.equal(finished.code, 0, finished.stderr);
    const detached = await world.aksml('computetarget', 'detach', '-n', 'west');
    assert.equal(detached.code, 0, detached.stderr);
  });

  test('what else is in its namespace stays, and the namespace with it', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const session = await world.session();
    await session.attach(request(world), { confirm: agree });
    const foreign = { name: 'notes', namespace: 'aksml-system' };
    await world.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: foreign, data: { a: '1' } });
    const wish = { name: 'west', deleteEndpoints: false, force: false };
    assert.deepEqual((await session.detach(wish, { confirm: agree })).left, ['ConfigMap notes']);
    assert.ok(await world.kubectl('get', 'configmap', 'notes', '--namespace', 'aksml-system'));
  });

  test('nobody else attaches it as long as it is being detached', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const session = await world.session();
    await session.attach(request(world), { confirm: agree });
    await world.apply(LINGERING_POD);
    const detaching = session.detach({ name: 'west', deleteEndpoints: false, force: false }, { confirm: agree });
    await eventually('what ran is removed', async () => {
      const left = await world.kubectl('get', 'deployment,role', '--namespace', 'aksml-system', '--output', 'name');
      return left === '';
    });
    const other = await world.session({ workspace: { projectFolder: world.project, name: 'other' } });
    await assert.rejects(other.attach(request(world), { confirm: agree }), isCode('computeTarget.attachedElsewhere'));
    await world.kubectl('delete', 'pod', LINGERING_POD.metadata.name, '--namespace', 'aksml-system');
    assert.deepEqual((await detaching).left, []);
    assert.equal(await world.get('namespace', 'aksml-system'), undefined);
  });

  test('every right that is missing is named before anything is changed', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const rights = await rightsToInstall(world);
    const kubeconfig = await world.kubeconfigOf(rights);
    const before = await inventory(world);
    const kube = await openKube(
      { paths: [kubeconfig] },
      { variables: {}, consent: async () => false, untrustedFolders: [] },
    );
    for (const missing of rights) {
      await world.allow(rights.filter((right) => right !== missing));
      await eventually(`${missing.verb} ${missing.resource.plural} is missed`, async () => {
        const error = await requireRights(kube, rights).catch((thrown: unknown) => thrown);
        return AksmlError.is(error, 'computeTarget.rightsMissing') && names(error, missing);
      });
    }
    await kube.close();
    const session = await world.session();
    await assert.rejects(
      session.attach({ ...request(world), kubeconfig }, { confirm: agree }),
      isCode('computeTarget.rightsMissing'),
    );
    assert.deepEqual(await inventory(world), before);
  });

  test('nobody hands out rights that he has not', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const kubeconfig = await world.kubeconfigOf(await rightsToInstall(world));
    const session = await world.session();
    await assert.rejects(
      session.attach({ ...request(world), kubeconfig }, { confirm: agree }),
      (error: unknown) =>
        isCode('computeTarget.rightsMissing')(error) &&
        AksmlError.is(error) &&
        error.problems.some(({ message }) => message.includes(ROLES.plural) || message.includes('clusterroles')),
    );
  });

  test('whoever may only deploy to one namespace connects to what an administrator has attached, and works', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const admin = await world.session();
    await admin.attach(request(world), { confirm: agree });
    const kubeconfig = await world.kubeconfigOf(rightsToDeploy(world.namespace));
    const plans: string[] = [];
    const ada = await world.session();
    const connect = { name: 'west', cwd: world.project, kubeconfig };
    await ada.attach(connect, { confirm: async ({ action }) => void plans.push(action) });
    assert.deepEqual(plans, ['connect']);

    const { target } = await ada.engine('west');
    const name = world.namespace;
    const made = await target.applyEndpoint(endpoint(name), { keys: { primaryKey: 'one' } });
    await target.applyEndpoint({ ...made, spec: { ...made.spec, tags: { a: '1' } } });
    assert.deepEqual(
      (await target.listEndpoints()).map(({ metadata }) => metadata.name),
      [name],
      'her namespace alone',
    );
    assert.equal((await target.getKeys(name)).primaryKey, 'one');
    assert.equal((await target.regenerateKey(name, 'primary', 'two')).primaryKey, 'two');
    for await (const { line } of target.readLogs(name, {})) assert.fail(line);
    await target.deleteEndpoint(name);
    assert.equal((await target.status()).reachable, true);
  });

  test('a refusal and a question answered with no change nothing', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const before = await inventory(world);
    const session = await world.session();
    const refuse = () => Promise.reject(AksmlError.cancelled('The command'));
    await assert.rejects(session.attach(request(world), { confirm: refuse }), isCode('cancelled'));
    const cases: readonly (readonly [string, Parameters<typeof session.attach>[0]])[] = [
      ['computeTarget.badName', { ...request(world), name: 'a_b' }],
      ['namespace.invalid', { ...request(world), namespaces: ['A'] }],
      ['namespace.notFound', { ...request(world), namespaces: ['there-is-none'] }],
      ['registry.badAddress', { ...request(world), registry: 'https://x' }],
      ['image.badReference', { ...request(world), controllerImage: 'A:b:c' }],
      ['kube.kubeconfig', { ...request(world), context: 'nobody' }],
      ['kube.kubeconfig', { ...request(world), kubeconfig: '/does/not/exist' }],
    ];
    for (const [code, wrong] of cases) await assert.rejects(session.attach(wrong, { confirm: agree }), isCode(code));
    const { registry: _, ...without } = request(world);
    await assert.rejects(session.attach(without, { confirm: agree }), isCode('computeTarget.noRegistry'));
    assert.deepEqual(await inventory(world), before);
  });

  test('an image that cannot be pulled is named, and the same command with another one mends it', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const session = await world.session();
    const missing = `${cluster.registry}/nobody/has:this`;
    await assert.rejects(
      session.attach({ ...request(world), controllerImage: missing }, { confirm: agree }),
      (error: unknown) => isCode('computeTarget.notReady')(error) && /cannot be pulled/.test(String(error)),
    );
    assert.equal((await session.targetStatus('west')).controller?.state, 'Unhealthy');
    await session.attach(request(world), { confirm: agree });
    assert.equal((await session.targetStatus('west')).controller?.state, 'Healthy');
  });

  test('programs of a kubeconfig run only after consent, once for each, and never from the project', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const admin = await world.session();
    await admin.attach(request(world), { confirm: agree });
    const token = await world.kubectl('create', 'token', 'default');
    const programs = join(world.home, '..', 'programs');
    const program = await script(programs, 'login', token);
    const kubeconfig = await withExec(world, program);
    const asked: ExecRequest[] = [];
    const answering = (answer: boolean) => world.session({ consent: async (wish) => asked.push(wish) > 0 && answer });
    const attach = async (session: Awaited<ReturnType<typeof answering>>) =>
      session.attach({ name: 'west', cwd: world.project, kubeconfig }, { confirm: agree });

    const { stderr } = await world.aksml(
      'computetarget',
      'attach',
      'kubernetes',
      '-n',
      'west',
      '--kubeconfig',
      kubeconfig,
    );
    assert.match(stderr, /wants to run/);
    assert.match(stderr, /was not agreed to/, 'nobody is there to agree');
    await assert.rejects(attach(await answering(false)), isCode('kube.execRefused'));
    // Agreed to, it logs in as somebody who may do nothing.
    for (let time = 0; time < 2; time += 1) {
      await assert.rejects(attach(await answering(true)), isCode('computeTarget.rightsMissing'));
    }
    assert.deepEqual(
      asked.map(({ command }) => command),
      [program, program],
      'agreement is remembered',
    );

    const inProject = await script(world.project, 'login', token);
    for (const command of [inProject, './login']) {
      const hostile = { name: 'west', cwd: world.project, kubeconfig: await withExec(world, command) };
      const session = await answering(true);
      await assert.rejects(session.attach(hostile, { confirm: agree }), isCode('kube.execRefused'), command);
    }
    assert.equal(asked.length, 2, 'there was nothing to agree to');
  });

  test('expired credentials, and a context that leads to another cluster, are named', async (t) => {
    const world = await openAttachWorld(t, cluster);
    const admin = await world.session();
    await admin.attach(request(world), { confirm: agree });
    const config = JSON.parse(await readFile(world.kubeconfig, 'utf8'));
    await writeFile(
      world.kubeconfig,
      JSON.stringify({ ...config, users: [{ name: config.users[0].name, user: { token: 'old' } }] }),
    );
    const listed = await world.aksml('service', 'list');
    assert.equal(listed.code, 0, 'this machine answers all the same');
    assert.match(listed.stderr, /west could not be asked[\s\S]*credentials were refused/);
    const shown = (await world.aksml('computetarget', 'show', '-n', 'west')).json<{
      status: { reachable: boolean; error: { code: string } };
    }>();
    assert.deepEqual([shown.status.reachable, shown.status.error.code], [false, 'kube.unauthorized']);
    const detached = await world.aksml('computetarget', 'detach', '-n', 'west', '--yes');
    assert.match(detached.stderr, /--force/);
    const forgotten = await world.aksml('computetarget', 'detach', '-n', 'west', '--yes', '--force');
    assert.equal(forgotten.code, 0, forgotten.stderr);
    await writeFile(world.kubeconfig, JSON.stringify(config));
    await eventually('what was installed is still there', async () => {
      const deployment = await world.kubectl('get', 'deployment', '--namespace', 'aksml-system', '--output', 'name');
      return deployment.includes('aksml-controller');
    });
  });
}

function names({ problems }: AksmlError, { verb, resource }: AccessQuestion): boolean {
  return problems.some(({ message }) => message.includes(verb) && message.includes(` ${resource.plural}`));
}

/** Runs it again and again, ended one step later each time, until it comes to its end. How often it was ended. */
async function endAtEveryStep(
  work: (options: { onProgress: (event: ProgressEvent) => void; signal: AbortSignal }) => Promise<unknown>,
): Promise<number> {
  for (let step = 1; ; step += 1) {
    const end = new AbortController();
    let seen = 0;
    const onProgress = () => {
      seen += 1;
      if (seen === step) end.abort(AksmlError.cancelled('It'));
    };
    try {
      await work({ onProgress, signal: end.signal });
      if (!end.signal.aborted) return step - 1;
    } catch (error) {
      if (!end.signal.aborted || !AksmlError.isCancelled(error)) throw error;
    }
  }
}

async function script(folder: string, name: string, token: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token },
  };
  await writeFile(path, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(credential)}\nEND\n`);
  await chmod(path, 0o700);
  return path;
}

async function withExec(world: AttachWorld, command: string): Promise<string> {
  const config = JSON.parse(await readFile(world.kubeconfig, 'utf8'));
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command, interactiveMode: 'Never' };
  config.users[0].user = { exec };
  const path = join(world.home, '..', 'exec.json');
  await writeFile(path, JSON.stringify(config));
  return path;
}
