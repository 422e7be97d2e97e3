import { mkdir, readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { NETWORK, NODE_NAME, type Ports } from './addresses.ts';
import { certificate, kubeconfig, privateKey } from './certificates.ts';
import { flags } from './control-plane.ts';
import type { Daemon } from './daemon.ts';
import type { Place } from './place.ts';

export function containerSocket(place: Place): string {
  return place.path('containerd.sock');
}

export function podLogsFolder(place: Place): string {
  return place.path('pod-logs');
}

export async function containerd(place: Place, pauseImage: string): Promise<Daemon> {
  await mkdir(place.path('containerd'), { recursive: true });
  const file = place.path('containerd', 'config.toml');
  await writeFileAtomic(file, containerdConfiguration(place, pauseImage));
  return { name: 'containerd', command: 'containerd', args: ['--config', file] };
}

function containerdConfiguration(place: Place, pauseImage: string): string {
  const text = JSON.stringify;
  return `version = 2
root = ${text(place.path('containerd', 'root'))}
state = ${text(place.path('containerd', 'state'))}
[grpc]
address = ${text(containerSocket(place))}
[plugins."io.containerd.internal.v1.opt"]
path = ${text(place.path('containerd', 'opt'))}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = ${text(pauseImage)}
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = ${text(place.path('cni'))}
`;
}

export async function kubelet(place: Place, ports: Ports, program: string): Promise<Daemon> {
  const file = place.path('kubelet.json');
  await writeFileAtomic(file, JSON.stringify(kubeletConfiguration(place, ports), undefined, 2));
  return {
    name: 'kubelet',
    command: program,
    args: flags({
      config: file,
      kubeconfig: kubeconfig(place, 'kubelet'),
      'root-dir': place.path('kubelet'),
      'cert-dir': place.path('kubelet', 'pki'),
      'node-ip': NETWORK.node,
      'hostname-override': NODE_NAME,
    }),
  };
}

function kubeletConfiguration(place: Place, ports: Ports) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NETWORK.node,
    healthzBindAddress: '127.0.0.1',
    healthzPort: ports.kubeletHealth,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: certificate(place, 'ca') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificate(place, 'kubelet'),
    tlsPrivateKeyFile: privateKey(place, 'kubelet'),
    containerRuntimeEndpoint: `unix://${containerSocket(place)}`,
    podLogsDir: podLogsFolder(place),
    volumePluginDir: place.path('kubelet', 'volume-plugins'),
    // What a machine that is itself a container or a small virtual machine allows.
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    featureGates: { KubeletInUserNamespace: true },
    makeIPTablesUtilChains: false,
    maxPods: 200,
    // The shortest there is; a log is rotated at Kubernetes' own default, 10Mi.
    containerLogMonitorInterval: '3s',
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
    // The machine's disk is shared with all else that runs here.
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  };
}

export async function kubeProxy(place: Place, ports: Ports, program: string): Promise<Daemon> {
  const file = place.path('kube-proxy.json');
  const configuration = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    bindAddress: NETWORK.node,
    healthzBindAddress: `127.0.0.1:${ports.proxyHealth}`,
    metricsBindAddress: `127.0.0.1:${ports.proxyMetrics}`,
    nodePortAddresses: [`${NETWORK.node}/32`],
    clusterCIDR: NETWORK.pods,
    hostnameOverride: NODE_NAME,
    clientConnection: { kubeconfig: kubeconfig(place, 'kube-proxy') },
    // Leaves the machine's own limits alone.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
  await writeFileAtomic(file, JSON.stringify(configuration, undefined, 2));
  return { name: 'kube-proxy', command: program, args: flags({ config: file }) };
}

/** Mount points below the folder, the deepest first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  const places = mounts.map((line) => (line.split(' ')[1] ?? '').replaceAll('\\040', ' '));
  return places.filter((path) => path.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length);
}
