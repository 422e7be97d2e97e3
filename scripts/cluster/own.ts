import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, readlink, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { openHome } from '../../src/home/home.ts';
import { withLock } from '../../src/home/lock.ts';
import { installPackages, isOnPath } from '../packages.ts';
import { choosePorts, NODE_NAME, type Ports } from './addresses.ts';
import { isNodeReady, readApi, until } from './api-server.ts';
import { debianBaseImage, pushBaseImage } from './base-image.ts';
import { certificate, kubeconfig, makeCertificates } from './certificates.ts';
import type { Cluster } from './cluster.ts';
import { succeeds } from './command.ts';
import { apiServer, controllerManager, etcd, scheduler } from './control-plane.ts';
import {
  type Daemon,
  descendants,
  findDaemon,
  killProcesses,
  logOf,
  type MarkedProcess,
  markedProcesses,
  startDaemon,
} from './daemon.ts';
import { setUpNetwork, tearDownNetwork, writeCniConfiguration } from './network.ts';
import { containerd, containerSocket, kubelet, kubeProxy, mountsBelow, podLogsFolder } from './node.ts';
import type { Place } from './place.ts';
import { kubeRouter, removePolicyRules } from './policies.ts';
import { buildKubeRouter, buildKubernetes, programsFolder } from './programs.ts';
import { findDockerRegistry, pushPauseImage, registryDaemon } from './registry.ts';

/** Debian package of each program that is needed. */
const NEEDED: Readonly<Record<string, string>> = {
  etcd: 'etcd-server',
  containerd: 'containerd',
  runc: 'runc',
  iptables: 'iptables',
  ipset: 'ipset',
  ip: 'iproute2',
  conntrack: 'conntrack',
  ethtool: 'ethtool',
  socat: 'socat',
  openssl: 'openssl',
  mmdebstrap: 'mmdebstrap',
  'docker-registry': 'docker-registry',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/bin/busybox': 'busybox-static',
};
const BUSYBOX = '/bin/busybox';

export interface UpOptions {
  /** Debian packages that lack may be installed. */
  readonly install: boolean;
  readonly onProgress: (step: string) => void;
}

/** Why this machine cannot run a cluster of its own; undefined when it can. Installs packages where that is allowed. */
export function whyNoOwnCluster(install: boolean): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'a cluster of its own is run by root on Linux only';
  if (!isOnPath('go')) return 'Kubernetes is built with Go, which is not on PATH';
  const missing = Object.entries(NEEDED).filter(([need]) => !isThere(need));
  if (missing.length === 0) return undefined;
  const packages = missing.map(([, name]) => name);
  if (installPackages(packages, { asked: install }) && missing.every(([need]) => isThere(need))) return undefined;
  return `needs the Debian packages ${packages.join(', ')}: install them, or run \`npm run cluster up -- --install\``;
}

function isThere(need: string): boolean {
  return need.startsWith('/') ? existsSync(need) : isOnPath(need);
}

/** Brings the cluster up, or what of it does not run. Safe to run again after anything. */
export function ownUp(place: Place, { onProgress }: UpOptions): Promise<Cluster> {
  return exclusively(place, async () => {
    if (!existsSync(programsFolder(place))) onProgress('building Kubernetes (minutes, once)');
    const programs = await buildKubernetes(place);
    const router = await buildKubeRouter(place);
    const program = (name: string) => join(programs, name);
    await mkdir(place.root, { recursive: true, mode: 0o700 });
    const ports = await choosePorts(place);
    await makeCertificates(place);
    await setUpNetwork(place);
    await writeCniConfiguration(place.path('cni'));

    const started = await Promise.all([
      startDaemon(place, etcd(place, ports)),
      startDaemon(place, apiServer(place, ports, program('kube-apiserver'))),
      startRuntime(place, ports),
    ]);
    if (started.some(Boolean)) onProgress('starting the control plane');
    await until('the API server is ready', async () => (await readApi(place, '/readyz')) !== undefined);
    await Promise.all([
      startDaemon(place, controllerManager(place, ports, program('kube-controller-manager'))),
      startDaemon(place, scheduler(place, ports, program('kube-scheduler'))),
      startDaemon(place, await kubelet(place, ports, program('kubelet'))),
      startDaemon(place, await kubeProxy(place, ports, program('kube-proxy'))),
    ]);
    const baseImage = await pushBase(ports, onProgress);
    await until('the node is ready', () => isNodeReady(place, NODE_NAME));
    // It ends when it does not find its node.
    await startDaemon(place, kubeRouter(place, router));
    await until(
      'pods may be made',
      async () => (await readApi(place, '/api/v1/namespaces/default/serviceaccounts/default')) !== undefined,
    );
    const cluster: Cluster = {
      kind: 'own',
      kubeconfig: kubeconfig(place, 'admin'),
      registry: registryAddress(ports),
      ...(baseImage === undefined ? {} : { baseImage }),
    };
    await writeFileAtomic(place.path('cluster.json'), JSON.stringify(cluster, undefined, 2));
    return cluster;
  });
}

/** Ends every process of the cluster and removes all that it left. */
export function ownDown(place: Place): Promise<void> {
  return exclusively(place, async () => {
    await rm(place.path('cluster.json'), { force: true });
    const marked = await markedProcesses(place);
    const shims = marked.filter(isShim).map((entry) => entry.pid);
    const others = marked.filter((entry) => !isShim(entry)).map((entry) => entry.pid);
    await killProcesses(others);
    await killProcesses(await descendants(shims));
    await killProcesses(shims);
    for (const path of await mountsBelow(place.root)) await unmount(path);
    await removeServiceRules(place);
    await tearDownNetwork(place);
    await removeLogLinks(place);
    if (existsSync(place.path('kubelet.json'))) await removePodGroups();
    for (const name of await readdir(place.root).catch(() => [])) {
      if (name !== 'locks') await rm(place.path(name), { recursive: true, force: true });
    }
  });
}

export interface ClusterPart {
  readonly name: string;
  readonly pid: number | undefined;
  readonly log: string;
}

const PARTS: readonly Pick<Daemon, 'name' | 'command'>[] = [
  'etcd',
  ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
  ...['containerd', 'kubelet', 'kube-proxy', 'kube-router'],
].map((name) => ({ name, command: name }));

export async function ownParts(place: Place): Promise<ClusterPart[]> {
  const found = findDockerRegistry();
  const registry = { name: 'registry', command: 'skip' in found ? 'registry' : found.command };
  return Promise.all(
    [...PARTS, registry].map(async (part) => ({
      name: part.name,
      pid: await findDaemon(place, part),
      log: logOf(place, part.name),
    })),
  );
}

/** Whether the API server answers. */
export async function isOwnUp(place: Place): Promise<boolean> {
  return existsSync(certificate(place, 'admin')) && (await readApi(place, '/readyz')) !== undefined;
}

/** containerd pulls the pause image from the registry, which is why that comes first. */
async function startRuntime(place: Place, ports: Ports): Promise<boolean> {
  const address = registryAddress(ports);
  const found = findDockerRegistry();
  if ('skip' in found) throw new Error(found.skip);
  const started = await startDaemon(place, await registryDaemon(place, address, found.command));
  await until('the registry answers', () =>
    fetch(`http://${address}/v2/`).then(
      (answer) => answer.ok,
      () => false,
    ),
  );
  const pause = await pushPauseImage(address, { source: BUSYBOX, size: statSync(BUSYBOX).size });
  const runtime = await startDaemon(place, await containerd(place, pause));
  await until('containerd answers', () => succeeds('ctr', ['-a', containerSocket(place), 'version']));
  return started || runtime;
}

async function pushBase(ports: Ports, onProgress: UpOptions['onProgress']): Promise<string | undefined> {
  const base = await debianBaseImage();
  if ('skip' in base) {
    onProgress(`no base image: ${base.skip}`);
    return undefined;
  }
  return pushBaseImage(base, new DistributionRegistry(registryAddress(ports), { fetch }));
}

function registryAddress(ports: Ports): string {
  return `127.0.0.1:${ports.registry}`;
}

function exclusively<T>(place: Place, work: () => Promise<T>): Promise<T> {
  return withLock(openHome({ AKSML_HOME: place.root }), 'cluster', work, { timeoutMs: 60 * 60_000 });
}

function isShim({ program }: MarkedProcess): boolean {
  return program.startsWith('containerd-shim');
}

/** A mount that something still holds goes as soon as that lets go. */
async function unmount(path: string): Promise<void> {
  if (!(await succeeds('umount', [path]))) await succeeds('umount', ['--lazy', path]);
}

/** What kube-proxy wrote into iptables. */
async function removeServiceRules(place: Place): Promise<void> {
  const file = place.path('kube-proxy.json');
  if (!existsSync(file)) return;
  await succeeds(join(programsFolder(place), 'kube-proxy'), [`--config=${file}`, '--cleanup']);
  await removePolicyRules();
}

/** The kubelet puts these where it cannot be told otherwise. */
async function removeLogLinks(place: Place): Promise<void> {
  const folder = '/var/log/containers';
  for (const name of await readdir(folder).catch(() => [])) {
    const target = await readlink(join(folder, name)).catch(() => '');
    if (target.startsWith(`${podLogsFolder(place)}/`)) await rm(join(folder, name), { force: true });
  }
}

/** The pods' control groups, which are empty now. */
async function removePodGroups(): Promise<void> {
  for (const controller of await readdir('/sys/fs/cgroup').catch(() => [])) {
    for (const top of ['kubepods', 'k8s.io']) await removeGroup(join('/sys/fs/cgroup', controller, top));
  }
  await removeGroup('/sys/fs/cgroup/kubepods');
}

async function removeGroup(folder: string): Promise<void> {
  const below = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of below) if (entry.isDirectory()) await removeGroup(join(folder, entry.name));
  await rmdir(folder).catch(() => undefined);
}
