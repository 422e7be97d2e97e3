import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { isOnPath } from '../packages.ts';
import type { Cluster } from './cluster.ts';
import { run, succeeds } from './command.ts';
import type { Place } from './place.ts';

const NAME = 'aksml-test';
const REGISTRY = 'aksml-test-registry';
const PYTHON = 'python:3.11-slim-bookworm';
/** Lets the nodes read how registries are reached from a folder; newer versions of kind do so by themselves. */
const CONFIGURATION = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
`;

/** Why there can be no cluster in containers; undefined when there can. */
export async function whyNoKind(): Promise<string | undefined> {
  if (!isOnPath('kind')) return 'kind is not on PATH';
  return (await succeeds('docker', ['info'])) ? undefined : 'Docker does not answer';
}

/** A cluster whose nodes are containers, and a registry beside it. Safe to run again after anything. */
export async function kindUp(place: Place): Promise<Cluster> {
  await mkdir(place.root, { recursive: true, mode: 0o700 });
  if (!(await succeeds('docker', ['container', 'inspect', REGISTRY])))
    await run('docker', ['run', '--detach', '--publish', '127.0.0.1::5000', '--name', REGISTRY, 'registry:2']);
  const registry = (await run('docker', ['port', REGISTRY, '5000/tcp'])).split('\n')[0] ?? '';
  const kubeconfig = place.path('kind.kubeconfig');
  const clusters = (await run('kind', ['get', 'clusters'])).split('\n');
  if (!clusters.includes(NAME)) {
    const create = ['create', 'cluster', '--name', NAME, '--kubeconfig', kubeconfig, '--wait', '180s', '--config', '-'];
    await run('kind', create, { input: CONFIGURATION });
  }
  const networks = await run('docker', ['inspect', '--format', '{{json .NetworkSettings.Networks}}', REGISTRY]);
  if (!('kind' in JSON.parse(networks))) await run('docker', ['network', 'connect', 'kind', REGISTRY]);
  for (const node of (await run('kind', ['get', 'nodes', '--name', NAME])).split('\n')) await tell(node, registry);
  const baseImage = `${registry}/debian:bookworm`;
  await run('docker', ['pull', PYTHON]);
  await run('docker', ['tag', PYTHON, baseImage]);
  await run('docker', ['push', baseImage]);
  const cluster: Cluster = { kind: 'kind', kubeconfig, registry, baseImage };
  await writeFileAtomic(place.path('cluster.json'), JSON.stringify(cluster, undefined, 2));
  return cluster;
}

export async function kindDown(place: Place): Promise<void> {
  await run('kind', ['delete', 'cluster', '--name', NAME]);
  await run('docker', ['rm', '--force', '--volumes', REGISTRY]);
  await rm(place.path('cluster.json'), { force: true });
  await rm(place.path('kind.kubeconfig'), { force: true });
}

export async function isKindUp(place: Place): Promise<boolean> {
  const file = place.path('kind.kubeconfig');
  return existsSync(file) && (await succeeds('kubectl', ['--kubeconfig', file, 'get', '--raw', '/readyz']));
}

/** What this machine calls the registry leads a node to the registry's container. */
async function tell(node: string, registry: string): Promise<void> {
  const folder = `/etc/containerd/certs.d/${registry}`;
  await run('docker', ['exec', node, 'mkdir', '-p', folder]);
  await run('docker', ['exec', '--interactive', node, 'cp', '/dev/stdin', `${folder}/hosts.toml`], {
    input: `[host."http://${REGISTRY}:5000"]\n`,
  });
}
