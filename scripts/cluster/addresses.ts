import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import type { Place } from './place.ts';

/** The node's own network: a bridge whose address is the node's, so that nothing listens where other machines could reach it. */
export const NETWORK = {
  bridge: 'aksml0',
  /** Set, because an address that is not changes with the pods on the bridge, and the others then reach nobody for up to seconds. */
  bridgeAddress: '02:61:6b:73:6d:6c',
  node: '10.244.0.1',
  prefixLength: 24,
  pods: '10.244.0.0/24',
  services: '10.96.0.0/16',
  apiServerService: '10.96.0.1',
} as const;

export const NODE_NAME = 'aksml-node';

const PORTS = [
  'etcd',
  'etcdPeer',
  'registry',
  'controllerManager',
  'scheduler',
  'kubeletHealth',
  'proxyHealth',
  'proxyMetrics',
] as const;
export type Ports = Readonly<Record<(typeof PORTS)[number], number>>;

/** Ports on the loopback address: free when the cluster is made, then kept. */
export async function choosePorts(place: Place): Promise<Ports> {
  const file = place.path('ports.json');
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return JSON.parse(known);
  const servers = PORTS.map(() => createServer().listen(0, '127.0.0.1'));
  const ports: Record<string, number> = {};
  for (const [index, server] of servers.entries()) {
    if (!server.listening) await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) ports[PORTS[index] ?? ''] = address.port;
  }
  for (const server of servers) server.close();
  await writeFileAtomic(file, JSON.stringify(ports));
  return JSON.parse(JSON.stringify(ports));
}
