import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { debianBaseImage } from '../../../scripts/cluster/base-image.ts';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { ENDPOINT_LABEL, FRONT_END_NAME, partLabels } from '../../../src/cluster/names.ts';
import type { StoredEndpoint } from '../../../src/kube/resource.ts';
import { ANSWER, type Outcome, outcomeOf } from '../../local/world.ts';
import { openApiProxy } from '../api-proxy.ts';
import { DEPLOY_TO_CLUSTER, writeClusterProject } from '../project.ts';
import { openTcpProxy, type TcpProxy } from '../tcp-proxy.ts';
import { type ClusterWorld, eventually, testCluster } from '../world.ts';
import { openAttachWorld } from './attach-world.ts';

const CONTROLLER = 'app.kubernetes.io/name=aksml-controller';

const cluster = await testCluster();
const base = await debianBaseImage();
if ('skip' in cluster) test('a deployment that is disturbed', { skip: cluster.skip }, () => {});
else if ('skip' in base) test('a deployment that is disturbed', { skip: base.skip }, () => {});
else faults(cluster, base.layout);

function faults(cluster: Cluster, controllerBase: string): void {
  describe('a deployment that is disturbed', () => {
    const cleanups: (() => Promise<void>)[] = [];
    let world: ClusterWorld;
    let registry: TcpProxy;

    before(async () => {
      const t = { after: (work: () => Promise<void>) => void cleanups.unshift(work) };
      world = await openAttachWorld(t, cluster);
      const [host = '', port = ''] = cluster.registry.split(':');
      registry = await openTcpProxy(t, { host, port: Number(port) });
      await writeClusterProject(world);
      await world.write('.azureml/config.json', JSON.stringify({ workspace_name: 'team' }));
      await well('workspace', 'create', '-w', 'team', '--registry', `${registry.host}/${world.namespace}`);
      await well(
        ...['computetarget', 'attach', 'kubernetes', '-n', 'prod', '--namespace', world.namespace],
        ...['--cluster-purpose', 'DevTest', '--controller-base', controllerBase, '--yes'],
      );
      await well('model', 'register', '-n', 'weights', '-p', 'model');
      await well(...deploy());
    });
    after(async () => {
      for (const cleanup of cleanups) await cleanup();
    });

    const well = async (...args: readonly string[]): Promise<Outcome> => {
      const outcome = await world.aksml(...args);
      assert.equal(outcome.code, 0, `${args.join(' ')}\n${outcome.stderr}`);
      return outcome;
    };
    const deploy = () => [...DEPLOY_TO_CLUSTER, '-n', 'sturdy', '-m', 'weights:1', '--overwrite'];
    const answer = async () =>
      (await well('service', 'run', '-n', 'sturdy', '-d', '{}', '-o', 'json')).json()['answer'];
    const startDeploy = () => {
      const child = world.start(...deploy());
      let said = '';
      child.stderr?.on('data', (text) => {
        said += text;
      });
      const says = (pattern: RegExp) =>
        eventually(`it says ${pattern}`, async () => pattern.test(said), { describe: async () => said });
      return { says, ended: outcomeOf(child) };
    };
    const revisions = async () => {
      const history = (await well('service', 'history', '-n', 'sturdy', '-o', 'json')).json<{ number: number }[]>();
      return history.map(({ number }) => number);
    };

    test('killed after each of its steps it leaves what serves, and run again it finishes', async () => {
      let serving = await answer();
      for (let step = 1; ; step += 1) {
        await world.write('source/score.py', ANSWER(100 + step));
        const child = world.start(...deploy());
        let steps = 0;
        const ended = outcomeOf(child);
        if (child.stderr !== null) {
          createInterface({ input: child.stderr }).on('line', (line) => {
            if (/…$/.test(line)) steps += 1;
            if (steps === step) child.kill('SIGKILL');
          });
        }
        if ((await ended).code === 0) {
          assert.ok(step > 3, `it was killed ${step - 1} times`);
          break;
        }
        const now = await answer();
        assert.ok(now === serving || now === 100 + step, `answers ${now}`);
        await well(...deploy());
        serving = await answer();
        assert.equal(serving, 100 + step);
      }
      const numbers = await revisions();
      assert.equal(new Set(numbers).size, numbers.length, 'every revision has a number of its own');
    });

    test('a first deploy that is killed after the hand-over is finished by the same words, and refused once it has ended', async () => {
      for (const [name, step] of [
        ['handed', /^Handing/m],
        ['waited', /^Waiting/m],
      ] as const) {
        const words = [...DEPLOY_TO_CLUSTER, '-n', name, '-m', 'weights:1'];
        const child = world.start(...words);
        let said = '';
        child.stderr?.on('data', (text) => {
          said += text;
          if (step.test(said)) child.kill('SIGKILL');
        });
        assert.notEqual((await outcomeOf(child)).code, 0, said);
        const again = await well(...words, '-o', 'json');
        assert.equal(again.json()['state'], 'Healthy');
        if (name === 'waited') assert.match(again.stderr, /Handing waited to prod: reused, as handed over before/);
        const { code, stderr } = await world.aksml(...words);
        assert.equal(code, 2, stderr);
        assert.match(stderr, /The service \w+ already exists/);
        await well('service', 'delete', '-n', name, '--yes');
      }
    });

    test('without its registry in the middle of a push it says so, and run again it finishes', async () => {
      const serving = await answer();
      const before = await revisions();
      await world.write('source/score.py', ANSWER(1000));
      await world.write('source/large.bin', Array.from({ length: 400_000 }, () => Math.random().toString(36)).join(''));
      registry.goAwayAfter(1_000_000);
      const failed = await world.aksml(...deploy());
      assert.equal(registry.departures, 1, 'the registry went away while content was sent');
      assert.equal(failed.code, 1);
      assert.ok(failed.stderr.includes(registry.host), failed.stderr);
      registry.comeBack();
      assert.equal(await answer(), serving, 'what was deployed serves');
      assert.deepEqual(await revisions(), before);
      await well(...deploy());
      assert.equal(await answer(), 1000);
    });

    test('a cluster that goes away while it is waited for is told of, and so is that it has done its work meanwhile', async (t) => {
      const proxy = await openApiProxy(t, world);
      const connect = ['computetarget', 'attach', 'kubernetes', '-n', 'prod', '--kubeconfig'];
      await well(...connect, proxy.kubeconfig);
      t.after(async () => {
        await well(...connect, world.kubeconfig);
      });
      await world.write('source/score.py', ANSWER(2000));
      const deploying = startDeploy();
      await deploying.says(/^Waiting for sturdy/m);
      proxy.judge = () => ({ kind: 'drop' });
      proxy.cut();
      await deploying.says(/could not be reached/);
      await eventually('the cluster has done what was asked of it', async () => {
        const found = await world.get<StoredEndpoint>('endpoint.aksml.dev', 'sturdy');
        return found?.status?.state === 'Healthy' && found.status.observedGeneration === found.metadata.generation;
      });
      proxy.judge = () => undefined;
      const { code, stderr } = await deploying.ended;
      assert.equal(code, 0, stderr);
      assert.match(stderr, /The cluster answers again/);
      assert.equal(await answer(), 2000);
    });

    test('a controller that is gone is told of, and one that comes finishes what was asked for', async () => {
      const scale = (replicas: number) =>
        world.kubectl('scale', 'deployment/aksml-controller', '-n', 'aksml-system', `--replicas=${replicas}`);
      await scale(0);
      await world.kubectl('wait', 'pod', '-n', 'aksml-system', '-l', CONTROLLER, '--for=delete', '--timeout=60s');
      await world.write('source/score.py', ANSWER(3000));
      const deploying = startDeploy();
      await deploying.says(/^Waiting for sturdy[\s\S]*The controller in the cluster of prod does not run/m);
      await scale(1);
      const { code, stderr } = await deploying.ended;
      assert.equal(code, 0, stderr);
      assert.equal(await answer(), 3000);
    });

    test('an image that somebody has deleted from the registry is pushed again by the next deployment', async () => {
      const image = await world.kubectl(
        ...['get', 'deployment', '-l', `${ENDPOINT_LABEL}=sturdy`],
        ...['-o', 'jsonpath={.items[0].spec.template.spec.containers[0].image}'],
      );
      const [, repository = '', digest = ''] = /^[^/]+\/(.+)@(sha256:.+)$/.exec(image) ?? [];
      const deleted = await fetch(`http://${cluster.registry}/v2/${repository}/manifests/${digest}`, {
        method: 'DELETE',
      });
      assert.equal(deleted.status, 202);
      await well(...deploy());
      const found = await fetch(`http://${cluster.registry}/v2/${repository}/manifests/${digest}`, {
        method: 'HEAD',
        headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
      });
      assert.equal(found.status, 200);
    });

    test('credentials that have expired are named with what to do', async () => {
      const config = JSON.parse(await world.kubectl('config', 'view', '--raw', '--output', 'json'));
      const original = JSON.stringify(config);
      config.users[0].user = { token: 'expired' };
      await writeFile(world.kubeconfig, JSON.stringify(config));
      const failed = await world.aksml('service', 'show', '-n', 'sturdy');
      await writeFile(world.kubeconfig, original);
      assert.equal(failed.code, 1);
      assert.match(failed.stderr, /credentials|log in|sign in/i);
    });

    test('replicas are reached by routers, by nobody else', async () => {
      const address = await world.kubectl(
        ...['get', 'pod', '-l', `${ENDPOINT_LABEL}=sturdy`, '-o', 'jsonpath={.items[0].status.podIP}'],
      );
      await world.apply(
        prober('stranger', world.namespace, {}),
        prober('friend', 'aksml-system', partLabels(FRONT_END_NAME)),
      );
      const code = `import urllib.request; urllib.request.urlopen("http://${address}:5001/", timeout=2)`;
      const reaches = async (name: string, namespace: string) => {
        const args = ['exec', name, '--namespace', namespace, '--', 'python3', '-c', code];
        return (await world.tryKubectl(...args)).code === 0;
      };
      await eventually('the friend reaches it', () => reaches('friend', 'aksml-system'));
      // Nodes learn of pods and policies a moment later than the API server.
      await eventually('the stranger is kept out', async () => !(await reaches('stranger', world.namespace)));
      assert.equal(await reaches('friend', 'aksml-system'), true);
      await world.kubectl('delete', 'pod', 'friend', '--namespace', 'aksml-system', '--wait=false');
    });

    const prober = (name: string, namespace: string, labels: Readonly<Record<string, string>>) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: {
        terminationGracePeriodSeconds: 0,
        securityContext: { runAsUser: 1000, runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'python',
            image: cluster.baseImage,
            command: ['python3', '-c', 'import time; time.sleep(1000)'],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          },
        ],
      },
    });
  });
}
