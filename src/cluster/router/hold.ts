import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type FlatHeaders, single } from '../../serving/headers.ts';
import type { Refusal } from '../../serving/refusal.ts';

/** Why HAProxy sends a request by way of the activator, and what it says of it. */
export interface Hold {
  readonly endpoint: string;
  readonly version: string;
  /** Largest body in bytes. */
  readonly limit: number;
  /** It waits for the version's first replica. */
  readonly cold: boolean;
  /** The version that gets a copy. */
  readonly mirror: string | undefined;
  /** All of them, in HAProxy's own words. */
  readonly reasons: readonly string[];
}

export const HOLD_HEADERS = {
  /** `body`, `cold`, `mirror=VERSION`, separated by commas or in headers of their own. */
  reasons: 'x-aksml-hold',
  endpoint: 'x-aksml-endpoint',
  version: 'x-aksml-version',
  limit: 'x-aksml-limit',
  /** What was done: those reasons again. */
  pass: 'x-aksml-pass',
  /** On copies. */
  mirror: 'x-aksml-mirror',
} as const;

export const NOT_OURS: Refusal = { status: 400, message: 'Only HAProxy sends requests here.' };

/** The secret by which routers know one another. */
export const HOP_HEADER = 'x-aksml-hop';

/** Undefined for what HAProxy does not send. */
export function parseHold(headers: IncomingHttpHeaders): Hold | undefined {
  const [given, endpoint, version, limit] = [
    single(headers[HOLD_HEADERS.reasons]),
    single(headers[HOLD_HEADERS.endpoint]),
    single(headers[HOLD_HEADERS.version]),
    single(headers[HOLD_HEADERS.limit]),
  ];
  if (given === undefined || endpoint === undefined || version === undefined || !/^\d{1,15}$/.test(limit ?? ''))
    return undefined;
  const reasons = given.split(',').map((reason) => reason.trim());
  const mirror = reasons.find((reason) => reason.startsWith('mirror='))?.slice('mirror='.length);
  return { endpoint, version, limit: Number(limit), cold: reasons.includes('cold'), mirror, reasons };
}

/** Of one connection alone, or written anew. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  HOLD_HEADERS.reasons,
  HOLD_HEADERS.limit,
  HOLD_HEADERS.version,
  HOLD_HEADERS.pass,
  HOLD_HEADERS.mirror,
  HOP_HEADER,
]);

/** What HAProxy gets back of a request's headers, said to be for a version. */
export function passedHeaders({ rawHeaders }: IncomingMessage, { reasons }: Hold, version: string): FlatHeaders {
  const flat: FlatHeaders = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (!NOT_PASSED_ON.has(name)) flat.push(name, rawHeaders[at + 1] ?? '');
  }
  flat.push(HOLD_HEADERS.pass, reasons.join(','), HOLD_HEADERS.version, version);
  return flat;
}
