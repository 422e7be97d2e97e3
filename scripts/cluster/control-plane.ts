import { NETWORK, type Ports } from './addresses.ts';
import { certificate, kubeconfig, privateKey } from './certificates.ts';
import type { Daemon } from './daemon.ts';
import type { Place } from './place.ts';

const LOOPBACK = '127.0.0.1';

export function etcd(place: Place, ports: Ports): Daemon {
  const client = `http://${LOOPBACK}:${ports.etcd}`;
  const peer = `http://${LOOPBACK}:${ports.etcdPeer}`;
  return {
    name: 'etcd',
    command: 'etcd',
    args: [
      ...['--name', 'default', '--data-dir', place.path('etcd')],
      ...['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer],
      ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
      ...[
        '--quota-backend-bytes',
        String(4 * 2 ** 30),
        '--auto-compaction-retention',
        '5m',
        '--logger',
        'zap',
        '--unsafe-no-fsync',
      ],
    ],
  };
}

export function apiServer(place: Place, ports: Ports, program: string): Daemon {
  return {
    name: 'kube-apiserver',
    command: program,
    args: flags({
      'etcd-servers': `http://${LOOPBACK}:${ports.etcd}`,
      'bind-address': place.apiServer.address,
      'advertise-address': place.apiServer.address,
      'secure-port': place.apiServer.port,
      'service-cluster-ip-range': NETWORK.services,
      'authorization-mode': 'Node,RBAC',
      'anonymous-auth': false,
      'allow-privileged': true,
      'client-ca-file': certificate(place, 'ca'),
      'tls-cert-file': certificate(place, 'kube-apiserver'),
      'tls-private-key-file': privateKey(place, 'kube-apiserver'),
      'kubelet-certificate-authority': certificate(place, 'ca'),
      'kubelet-client-certificate': certificate(place, 'kubelet-client'),
      'kubelet-client-key': privateKey(place, 'kubelet-client'),
      // The node's name does not resolve.
      'kubelet-preferred-address-types': 'InternalIP',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': privateKey(place, 'service-account'),
      'service-account-signing-key-file': privateKey(place, 'service-account'),
    }),
  };
}

export function controllerManager(place: Place, ports: Ports, program: string): Daemon {
  return {
    name: 'kube-controller-manager',
    command: program,
    args: flags({
      kubeconfig: kubeconfig(place, 'kube-controller-manager'),
      'bind-address': LOOPBACK,
      'secure-port': ports.controllerManager,
      'leader-elect': false,
      'use-service-account-credentials': true,
      'service-account-private-key-file': privateKey(place, 'service-account'),
      'root-ca-file': certificate(place, 'ca'),
      'cluster-signing-cert-file': certificate(place, 'ca'),
      'cluster-signing-key-file': privateKey(place, 'ca'),
      'kube-api-qps': 200,
      'kube-api-burst': 400,
    }),
  };
}

export function scheduler(place: Place, ports: Ports, program: string): Daemon {
  return {
    name: 'kube-scheduler',
    command: program,
    args: flags({
      kubeconfig: kubeconfig(place, 'kube-scheduler'),
      'bind-address': LOOPBACK,
      'secure-port': ports.scheduler,
      'leader-elect': false,
      'kube-api-qps': 200,
      'kube-api-burst': 400,
    }),
  };
}

export function flags(values: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
