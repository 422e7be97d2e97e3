import { join } from 'node:path';
import { SOCKETS, twinOf } from './haproxy-config.ts';
import type { RoutedReplica, RoutedVersion } from './routing-table.ts';

/** A server of a backend, as it shall be or is. */
export interface Server {
  readonly name: string;
  /** What follows its name in `add server` and in the configuration. */
  readonly line: string;
  readonly maxConcurrent: number;
  readonly state: RoutedReplica['state'];
}

/** Connections that nobody has used for so long are closed, before servers that are impatient do it over a request. */
const IDLE = 'pool-purge-delay 1s';

/** The servers of a version's backend and, where it has a twin, of that. Pure. */
export function serversOf(
  version: RoutedVersion,
  backend: string,
  folder: string,
): ReadonlyMap<string, readonly Server[]> {
  const { maxConcurrentRequestsPerContainer: maxConcurrent, http2, ownServer, replicas } = version;
  const servers = (line: (replica: RoutedReplica) => string): Server[] =>
    replicas.map((replica) => ({
      name: serverName(replica.id),
      line: line(replica),
      maxConcurrent,
      state: replica.state,
    }));
  const direct = ({ address, port }: RoutedReplica) =>
    `${address.includes(':') ? `[${address}]` : address}:${port} maxconn ${maxConcurrent} ${IDLE}${http2 ? ' proto h2' : ''}`;
  if (!ownServer) return new Map([[backend, servers(direct)]]);
  const held = `unix@${join(folder, SOCKETS.hold)} maxconn ${maxConcurrent} ${IDLE}`;
  return new Map([
    [backend, servers(() => held)],
    [twinOf(backend), servers(direct)],
  ]);
}

/** Pods' names are DNS names; whatever else is made harmless. */
export function serverName(id: string): string {
  return `r.${id.replace(/[^A-Za-z0-9.-]/g, '_')}`;
}
