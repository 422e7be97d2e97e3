import { join } from 'node:path';

import type { QueueClass } from './haproxy-settings.ts';

/** Requests with a larger body are received whole by the activator first. Bytes. */
export const BUFFERED_BODY = 56 * 1024;
/** A client that sends its headers, or a small body, more slowly is given up. Seconds. */
export const SLOWEST_REQUEST_S = 30;
/** A replica ends what takes too long itself and says so; HAProxy's own time-out is for those that cannot. Milliseconds. */
export const BACKSTOP_MS = 2500;
/** Of versions that have the default scoring time-out; a rule is needed for any other. Milliseconds. */
export const USUAL_PATIENCE_MS = 60_000 + BACKSTOP_MS;
/** Traffic is split into so many parts: percentiles have four decimals. */
export const PARTS = 1_000_000;

export const MAPS = [
  'usual',
  'endpoints',
  'keys',
  'versions',
  'routes',
  'cors',
  'addresses',
  'https-ports',
  'hop',
  'challenges',
] as const;
export type MapName = (typeof MAPS)[number];

export function mapPath(folder: string, name: MapName): string {
  return join(folder, 'maps', `${name}.map`);
}

/** The converter that looks a text up in a map. */
export function lookupIn(folder: string): (name: MapName) => string {
  return (name) => `map_str(${mapPath(folder, name)})`;
}

export const SOCKETS = {
  admin: 'admin.sock',
  master: 'master.sock',
  self: 'self.sock',
  elsewhere: 'elsewhere.sock',
  hold: 'hold.sock',
  activator: 'activator.sock',
  tokens: 'tokens.sock',
} as const;

/** Names of the pool's backends, in a fixed order: `b<class>-<n>` and, held, `h<class>-<n>` with its twin `t<class>-<n>`. */
export function poolNames({ queueMs, backends, heldBackends }: QueueClass) {
  const numbered = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${queueMs}-${index}`);
  return { plain: numbered('b', backends), held: numbered('h', heldBackends) };
}

/** The second half of a held backend, which keeps the slot. */
export function twinOf(held: string): string {
  return held.replace(/^h/, 't');
}

export function peerNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p${index}`);
}

/** The backend that leads to the same router, for gRPC. */
export function grpcPeer(peer: string): string {
  return peer.replace(/^p/, 'g');
}

/** Without the indentation of the source; what is below a section's line is indented by two. */
export function lines(strings: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  const text = strings.reduce((all, part, index) => `${all}${values[index - 1] ?? ''}${part}`);
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line, index, all) => line !== '' || (index > 0 && index < all.length - 1))
    .map((line) => (/^(global|defaults|frontend|backend)\b/.test(line) || line === '' ? line : `  ${line}`))
    .join('\n');
}

export const TEXT = 'content-type "text/plain; charset=utf-8"';
export const NOSNIFF = 'hdr x-content-type-options nosniff';
