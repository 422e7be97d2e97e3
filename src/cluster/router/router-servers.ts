import { join } from 'node:path';
import { SOCKETS, twinOf } from './haproxy-names.ts';
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
/** One that has refused a connection gets none until it takes one again; those that work are hardly ever asked. */
const CHECK = 'check inter 15s fastinter 1s downinter 200ms rise 1 fall 3';
const OBSERVE = 'observe layer4 error-limit 1 on-error mark-down';

export type ServersByBackend = ReadonlyMap<string, readonly Server[]>;

/** The servers of a version's backend and, where it has a twin, of that. Pure. */
export function serversOf(version: RoutedVersion, backend: string, folder: string): ServersByBackend {
  const { maxConcurrentRequestsPerContainer: maxConcurrent, http2, ownServer, replicas } = version;
  const servers = (line: (replica: RoutedReplica) => string): Server[] =>
    replicas.map((replica) => ({
      name: serverName(replica),
      line: line(replica),
      maxConcurrent,
      state: replica.state,
    }));
  const host = ({ address }: RoutedReplica) => (address.includes(':') ? `[${address}]` : address);
  const direct = (replica: RoutedReplica) =>
    `${host(replica)}:${replica.port} maxconn ${maxConcurrent} ${IDLE} pool-max-conn ${maxConcurrent}${http2 ? ' proto h2' : ''}`;
  if (!ownServer) return new Map([[backend, servers((replica) => `${direct(replica)} ${CHECK} ${OBSERVE}`)]]);
  const held = (replica: RoutedReplica) =>
    `unix@${join(folder, SOCKETS.hold)}${http2 ? ' proto h2' : ''} maxconn ${maxConcurrent} ${IDLE} ${CHECK} addr ${replica.address} port ${replica.port}`;
  return new Map([
    [backend, servers(held)],
    [twinOf(backend), servers(direct)],
  ]);
}

/** Unlike that of every other server, of those too that are on their way out. Pods' names are DNS names; whatever else is made harmless. */
export function serverName({ id, address, port }: Pick<RoutedReplica, 'id' | 'address' | 'port'>): string {
  return `${serverPrefix(id)}${address}:${port}`;
}

/** What the names of a replica's servers begin with. */
export function serverPrefix(id: string): string {
  return `r.${id.replace(/[^A-Za-z0-9.-]/g, '_')}:`;
}
