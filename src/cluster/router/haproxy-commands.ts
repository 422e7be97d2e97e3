import { MAPS, mapPath } from './haproxy-names.ts';
import type { MapEntries } from './route-maps.ts';
import { type Server, serverName } from './router-servers.ts';
import type { RouterPeer } from './routing-table.ts';

/** Peers' backends and twins have no queue of their own. */
export function canQueue(backend: string): boolean {
  return backend.startsWith('b') || backend.startsWith('h');
}

/** The second half of a held backend. */
export function isTwin(backend: string): boolean {
  return backend.startsWith('t');
}

/** For so long a new server gets less than its share: at first one request at a time. */
const SLOW_START = 'slowstart 1s';

/** `slowly`: others are there that have shown already that they work. */
export function addCommands(path: string, server: Server, slowly: boolean): string[] {
  const state = server.state === 'ready' ? [`enable server ${path}`] : [];
  const health = server.line.includes(' check ') ? [`enable health ${path}`] : [];
  return [`add server ${path} ${server.line}${slowly ? ` ${SLOW_START}` : ''}`, ...state, ...health];
}

/** In the configuration, with so many of its places taken by what the old worker has. */
export function serverLine({ name, line, maxConcurrent, state }: Server, taken: number): string {
  const left = maxConcurrent - taken;
  if (state === 'draining' || left <= 0) return `server ${name} ${line} disabled`;
  return `server ${name} ${line.replace(/ maxconn \d+/, ` maxconn ${left}`)}`;
}

export function slotCommands(path: string, { maxConcurrent, state }: Server, taken: number): string[] {
  if (state === 'draining') return [];
  const left = maxConcurrent - taken;
  if (left <= 0) return [`set server ${path} state maint`];
  return [`set maxconn server ${path} ${left}`, `set server ${path} state ready`];
}

/** Connections to another router that wait for a request. */
const MOST_IDLE = 256;

/** `http2`: what is gRPC goes as HTTP/2 all the way, because an answer of nothing but trailers becomes another one in HTTP/1. */
export function peerServer({ name, address, hopPort }: RouterPeer, http2: boolean): Server {
  const host = address.includes(':') ? `[${address}]` : address;
  const checked = 'check inter 1s fastinter 100ms downinter 300ms rise 1 fall 1';
  const observed = 'observe layer4 error-limit 1 on-error mark-down';
  const idle = `pool-max-conn ${MOST_IDLE} pool-purge-delay 1s`;
  return {
    name: serverName({ id: name, address, port: hopPort }),
    line: `${host}:${hopPort}${http2 ? ' proto h2' : ''} ${checked} ${observed} ${idle}`,
    maxConcurrent: 0,
    state: 'ready',
  };
}

/** `show servers conn`: connections in use, by `backend/server`. */
export function usedConnections(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [path = '', , , , , , used = '0'] = line.split(' ');
        return [path, Number(used)];
      }),
  );
}

/** `show sess`: backends that requests are in. */
export function backendsInUse(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/ be=(\S+) /g)].map(([, backend = '']) => backend));
}

/** Of the line about a backend that `show stat` ends with. */
export function queueIn(text: string): number {
  return Number(text.split('\n').at(-1)?.split(',')[2] ?? 0);
}

export function mapText(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([key, value]) => `${key} ${value}\n`).join('');
}

/** What makes maps say `wanted` of something of which they said `present`. */
export function mapCommands(folder: string, present: MapEntries, wanted: MapEntries): string[] {
  return MAPS.flatMap((name) => {
    const path = mapPath(folder, name);
    const before = present.get(name) ?? new Map<string, string>();
    const after = wanted.get(name) ?? new Map<string, string>();
    return [
      ...[...after].flatMap(([key, value]) => {
        const old = before.get(key);
        if (old === value) return [];
        return [`${old === undefined ? 'add' : 'set'} map ${path} ${key} ${value}`];
      }),
      ...[...before.keys()].filter((key) => !after.has(key)).map((key) => `del map ${path} ${key}`),
    ];
  });
}
