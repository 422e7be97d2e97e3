import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { eventually, openClusterWorld, testCluster } from './world.ts';

const cluster = await testCluster();
if ('skip' in cluster) test('the test cluster', { skip: cluster.skip }, () => {});
else clusterSuite(cluster);

const WEB = ['python3', '-m', 'http.server', '8080'];

function clusterSuite(cluster: Cluster): void {
  test('a pod of an image from the registry runs, is reached through a Service, by exec, and reads the API', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const image = cluster.baseImage;
    assert.ok(image !== undefined, 'the cluster has a base image');
    await world.apply(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', labels: { app: 'web' } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'web', image, command: WEB, readinessProbe: { httpGet: { port: 8080 } } }],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
      },
    );
    await world.kubectl('wait', 'pod/web', '--for=condition=Ready', '--timeout=120s');
    const address = await world.kubectl('get', 'service', 'web', '--output', 'jsonpath={.spec.clusterIP}');
    const status = await eventually('the Service answers', async () => {
      const code = `import urllib.request; print(urllib.request.urlopen("http://${address}", timeout=2).status)`;
      const { code: exit, stdout } = await world.tryKubectl('exec', 'web', '--', 'python3', '-c', code);
      return exit === 0 && stdout.trim();
    });
    assert.equal(status, '200');
    assert.match(await world.kubectl('exec', 'web', '--', 'python3', '-c', READ_VERSION), /^v1\./);
    assert.match(await world.kubectl('logs', 'web'), /GET \/ /);
  });

  test('a NetworkPolicy keeps other pods away, and lets in those that it names', async (t) => {
    const world = await openClusterWorld(t, cluster);
    const image = cluster.baseImage;
    const pod = (name: string, command: readonly string[]) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name, image, command }] },
    });
    const sleeping = ['python3', '-c', 'import time; time.sleep(1000)'];
    await world.apply(pod('web', WEB), pod('friend', sleeping), pod('stranger', sleeping));
    await world.kubectl('wait', 'pod', '--all', '--for=condition=Ready', '--timeout=120s');
    const address = await world.kubectl('get', 'pod', 'web', '--output', 'jsonpath={.status.podIP}');
    const code = `import urllib.request; urllib.request.urlopen("http://${address}:8080", timeout=2)`;
    const reaches = async (name: string) =>
      (await world.tryKubectl('exec', name, '--', 'python3', '-c', code)).code === 0;
    await eventually('the server listens', () => reaches('stranger'));
    await world.apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'friends' },
      spec: {
        podSelector: { matchLabels: { app: 'web' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }] }],
      },
    });
    await eventually('the stranger is kept away', async () => !(await reaches('stranger')));
    assert.equal(await reaches('friend'), true);
  });

  test("tokens are signed with RS256, as AKS' are", async (t) => {
    const world = await openClusterWorld(t, cluster);
    const token = await world.kubectl('create', 'token', 'default');
    const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
    assert.equal(header.alg, 'RS256');
  });

  test('a pod that the restricted standard forbids is refused where a namespace asks for that', async (t) => {
    const world = await openClusterWorld(t, cluster, {
      namespaceLabels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
    });
    const refused = await world.tryKubectl('run', 'root', `--image=${cluster.baseImage}`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /violates PodSecurity "restricted/);
  });
}

const READ_VERSION = `
import json, os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
context = ssl.create_default_context(cafile=folder + "/ca.crt")
request = urllib.request.Request("https://" + os.environ["KUBERNETES_SERVICE_HOST"] + "/version")
request.add_header("Authorization", "Bearer " + open(folder + "/token").read())
print(json.load(urllib.request.urlopen(request, context=context))["gitVersion"])
`;
