import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { debianBaseImage } from '../../../scripts/cluster/base-image.ts';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { ANSWER, type Outcome } from '../../local/world.ts';
import { DEPLOY_TO_CLUSTER, SETTINGS, writeClusterProject } from '../project.ts';
import { type ClusterWorld, eventually, testCluster } from '../world.ts';
import { openAttachWorld } from './attach-world.ts';

const cluster = await testCluster();
const base = await debianBaseImage();
if ('skip' in cluster) test('the life of a service on a cluster', { skip: cluster.skip }, () => {});
else if ('skip' in base) test('the life of a service on a cluster', { skip: base.skip }, () => {});
else journey(cluster, base.layout);

interface Service {
  readonly state: string;
  readonly revision: number;
  readonly replicas: readonly { readonly id: string }[];
}

const TARGET = 'prod';
const DEPLOY = [...DEPLOY_TO_CLUSTER, '-n', 'journey', '-m', 'weights:1'];
const REDEPLOY = [...DEPLOY, '--overwrite'];

function journey(cluster: Cluster, controllerBase: string): void {
  describe('the life of a service on a cluster', () => {
    const cleanups: (() => Promise<void>)[] = [];
    let world: ClusterWorld;
    before(async () => {
      const t = { after: (work: () => Promise<void>) => void cleanups.unshift(work) };
      world = await openAttachWorld(t, cluster);
      await writeClusterProject(world);
    });
    after(async () => {
      for (const cleanup of cleanups) await cleanup();
    });

    const well = async (...args: readonly string[]): Promise<Outcome> => {
      const outcome = await world.aksml(...args);
      assert.equal(outcome.code, 0, `${args.join(' ')}\n${outcome.stderr}`);
      return outcome;
    };
    const service = async () => (await well('service', 'show', '-n', 'journey', '-o', 'json')).json<Service>();
    const answer = async () =>
      (await well('service', 'run', '-n', 'journey', '-d', '{"rows": [1, 2]}', '-o', 'json')).json();

    test('a cluster is attached to a workspace in a registry, and shows that it is well', async () => {
      await well('workspace', 'create', '-w', 'team', '--registry', world.registry);
      await world.write('.azureml/config.json', JSON.stringify({ workspace_name: 'team' }));
      const attach = ['computetarget', 'attach', 'kubernetes', '-n', TARGET, '--namespace', world.namespace];
      await well(...attach, '--cluster-purpose', 'DevTest', '--controller-base', controllerBase, '--yes');
      const target = (await well('computetarget', 'show', '-n', TARGET, '-o', 'json')).json<{
        provisioningState: string;
        status: { reachable: boolean; controller: { state: string } };
      }>();
      assert.equal(target.status.reachable, true);
      assert.equal(target.status.controller.state, 'Healthy');
    });

    test('a v1 project is deployed, becomes Healthy and scores', async () => {
      await well('model', 'register', '-n', 'weights', '-p', 'model');
      const deployed = await well(...DEPLOY, '-o', 'json');
      assert.equal(deployed.json<Service>().state, 'Healthy');
      assert.deepEqual(await answer(), { answer: 1, weights: '42', sent: { rows: [1, 2] } });
    });

    test('kubectl shows it as one knows it of operators', async () => {
      const columns = await world.kubectl('get', 'endpoints.aksml.dev', 'journey');
      assert.match(columns, /NAME\s+STATE\s+VERSIONS\s+REPLICAS\s+URI\s+AGE/);
      assert.match(columns, /journey\s+Healthy\s+journey\s+1\/1/);
    });

    test('the credentials of the compute target are a kubeconfig that kubectl finds the service with', async () => {
      const credentials = ['computetarget', 'get-credentials', '-n', TARGET, '--query', 'userKubeConfig', '-o', 'tsv'];
      await world.write('own.kubeconfig', (await well(...credentials)).stdout);
      const own = ['--kubeconfig', join(world.project, 'own.kubeconfig')];
      const found = await world.kubectl(...own, 'get', 'endpoints.aksml.dev', 'journey', '-o', 'name');
      assert.match(found, /^endpoint\.aksml\.dev\/journey\s*$/);
    });

    test('its log holds what init() printed', async () => {
      const logs = await well('service', 'get-logs', '-n', 'journey', '--num_lines', '1000');
      assert.match(logs.stdout, /the weights are 42/);
    });

    test('changed code is redeployed as the next revision, while the old code answers', async () => {
      const keys = (await well('service', 'get-keys', '-n', 'journey', '-o', 'json')).stdout;
      await world.write('source/score.py', ANSWER(2));
      const deployed = await well(...REDEPLOY, '-o', 'json');
      assert.equal(deployed.json<Service>().revision, 2);
      assert.equal((await answer())['answer'], 2);
      assert.equal((await well('service', 'get-keys', '-n', 'journey', '-o', 'json')).stdout, keys);
    });

    test('a setting alone is updated without a new replica', async () => {
      const replicas = async () => (await service()).replicas.map(({ id }) => id);
      await eventually('the replica of the old code has ended', async () => (await replicas()).length === 1);
      const before = await replicas();
      await well('service', 'update', '-n', 'journey', '--mr', '2000', '--add-tag', 'owner=me');
      assert.deepEqual(await replicas(), before);
    });

    test('the history says what changed, and a teammate with another machine sees the same', async () => {
      const diff = await well('service', 'diff', '-n', 'journey', '1', '2');
      assert.match(diff.json<{ code: { patch: string }[] }>().code[0]?.patch ?? '', /^\+ .*"answer": 2/m);
      await well('service', 'checkout', '-n', 'journey', '1', 'first');
      assert.equal(await readFile(join(world.project, 'first', 'score.py'), 'utf8'), ANSWER(1));

      const history = async () => {
        const revisions = (await well('service', 'history', '-n', 'journey', '-o', 'json')).json<
          { number: number }[]
        >();
        return revisions.map(({ number }) => number);
      };
      const mine = await history();
      assert.deepEqual(mine.slice(-2), [2, 1]);
      const home = world.environment['AKSML_HOME'];
      world.environment['AKSML_HOME'] = join(world.home, '..', 'teammate');
      try {
        await well('workspace', 'create', '-w', 'team', '--registry', world.registry);
        await well('computetarget', 'attach', 'kubernetes', '-n', TARGET, '--yes');
        assert.deepEqual(await history(), mine);
        assert.equal((await answer())['answer'], 2);
      } finally {
        world.environment['AKSML_HOME'] = home;
      }
    });

    test('a rollback brings the first answer back', async () => {
      await well('service', 'rollback', '-n', 'journey', '--to', '1');
      assert.equal((await answer())['answer'], 1);
    });

    test('a script that fails in init() shows its traceback, and what was deployed keeps serving', async () => {
      const broken = 'def init():\n    raise ValueError("no such weights")\n\ndef run(data):\n    return data\n';
      await world.write('source/score.py', broken);
      const failed = await world.aksml(...REDEPLOY, '-o', 'json');
      assert.equal(failed.code, 1);
      assert.match(failed.stderr, /UserScriptInitFailed/);
      assert.match(failed.stderr, /ValueError: no such weights/);
      assert.equal((await answer())['answer'], 1);
    });

    test('one key is regenerated, and tokens replace keys', async () => {
      await well('service', 'regen-key', '-n', 'journey', '-k', 'Secondary', '-s', 'a-key-of-my-own');
      const keys = (await well('service', 'get-keys', '-n', 'journey', '-o', 'json')).json();
      assert.equal(keys['secondaryKey'], 'a-key-of-my-own');
      await world.write('source/score.py', ANSWER(3));
      await well(...REDEPLOY);
      await well('service', 'update', '-n', 'journey', '-ae', 'false', '--token-auth-enabled', 'true');
      const token = (await well('service', 'get-access-token', '-n', 'journey', '-o', 'json')).json();
      const [header = ''] = String(token['accessToken']).split('.');
      assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).alg, 'RS256');
    });

    test('what it prints as YAML is applied elsewhere', async () => {
      const { stdout } = await well('service', 'show', '-n', 'journey', '-o', 'yaml');
      assert.match(stdout, /kind: Endpoint/);
      await world.write('endpoint.yaml', stdout);
      await well('service', 'delete', '-n', 'journey', '--yes');
      await world.kubectl('apply', '-f', join(world.project, 'endpoint.yaml'));
      await eventually('it is Healthy again', async () => (await service()).state === 'Healthy');
      assert.equal((await answer())['answer'], 3);
    });

    test('versions share the traffic of an endpoint', async () => {
      const config = { computeType: 'AksEndpoint', versionName: 'blue', trafficPercentile: 20 };
      await world.write('endpoint.json', JSON.stringify({ ...SETTINGS, ...config }));
      const files = ['-ic', 'inferenceconfig.json', '-dc', 'endpoint.json', '-m', 'weights:1'];
      await well('model', 'deploy', '-ct', TARGET, '-n', 'rollout', ...files);
      const versioned = ['-n', 'rollout', '--version-name', 'green', '--traffic-percentile', '30'];
      await well('endpoint', 'realtime', 'create-version', ...versioned, ...files.slice(0, 2), '-m', 'weights:1');
      const shown = (await well('endpoint', 'realtime', 'show', '-n', 'rollout', '-o', 'json')).json<{
        versions: Record<string, { effectiveTrafficPercentile: number }>;
      }>();
      const shares = Object.entries(shown.versions).map(([name, version]) => [
        name,
        version.effectiveTrafficPercentile,
      ]);
      assert.deepEqual(Object.fromEntries(shares), { blue: 70, green: 30 });
    });

    test('services are deleted, the cluster is detached, and nothing of aksml is left', async () => {
      await well('service', 'delete', '-n', 'journey', '--yes');
      await well('endpoint', 'realtime', 'delete', '-n', 'rollout', '--yes');
      await well('computetarget', 'detach', '-n', TARGET, '--yes');
      const left = await world.kubectl(
        'get',
        'all,secrets,rolebindings',
        '-l',
        'app.kubernetes.io/managed-by=aksml',
        '-o',
        'name',
      );
      assert.equal(left, '');
      await eventually('the namespace is gone', async () => {
        return (await world.kubectl('get', 'namespace', 'aksml-system', '--ignore-not-found')) === '';
      });
    });
  });
}
