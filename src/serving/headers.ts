import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

export const VERSION_HEADER = 'azureml-model-deployment';

/** Names and values in turn, as Node and undici take them. */
export type FlatHeaders = string[];

/** The ids that follow a request through the replica's log and back to the client. */
export interface RequestIds {
  readonly requestId: string;
  readonly msRequestId: string;
  readonly clientRequestId: string | undefined;
}

/** Belong to one connection, not to the message (RFC 9110 §7.6.1); and those that the gateway writes itself. */
const NOT_TO_REPLICA = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'authorization',
  'x-request-id',
  'x-ms-request-id',
  'x-ms-client-request-id',
]);

const NOT_TO_CLIENT = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
  'x-ms-request-id',
  'x-ms-client-request-id',
  VERSION_HEADER,
]);

const REQUEST_ID = /^[A-Za-z0-9._-]{1,100}$/;

/**
 * `x-ms-client-request-id` has letters, digits, `-` and `_` only and is cut at 40 characters, as Azure does it: a tracing header never fails a request.
 * The scoring server takes ids of up to 100 characters, so others are replaced.
 */
export function requestIds(headers: IncomingHttpHeaders): RequestIds {
  const given = single(headers['x-request-id']);
  const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
  const clientRequestId = cleanClientId(single(headers['x-ms-client-request-id']));
  const msRequestId = cleanClientId(single(headers['x-ms-request-id'])) ?? clientRequestId ?? requestId;
  return { requestId, msRequestId, clientRequestId };
}

function cleanClientId(value: string | undefined): string | undefined {
  return value?.replace(/[^A-Za-z0-9_-]/g, '').slice(0, 40) || undefined;
}

/** The first, when a client repeats a header that Node does not join. */
export function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** What the replica gets of the client's headers. The key or token stays here: a scoring script has no use for it. */
export function headersForReplica(request: IncomingMessage, ids: RequestIds): FlatHeaders {
  const { rawHeaders } = request;
  const named = connectionOptions(request.headers.connection);
  const flat: FlatHeaders = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (NOT_TO_REPLICA.has(name) || named?.has(name)) continue;
    flat.push(name, rawHeaders[at + 1] ?? '');
  }
  flat.push('x-request-id', ids.requestId);
  // The scoring server warns of `x-ms-request-id` in every request that has it, so only the client's own is passed on.
  if (request.headers['x-ms-request-id'] !== undefined) flat.push('x-ms-request-id', ids.msRequestId);
  if (ids.clientRequestId !== undefined) flat.push('x-ms-client-request-id', ids.clientRequestId);
  return flat;
}

/** What the client gets of the replica's headers. */
export function headersForClient(
  headers: IncomingHttpHeaders,
  ids: RequestIds,
  version: string,
  cors: FlatHeaders,
): FlatHeaders {
  const named = connectionOptions(headers.connection);
  const flat: FlatHeaders = [];
  for (const name in headers) {
    if (NOT_TO_CLIENT.has(name) || named?.has(name)) continue;
    if (cors.length > 0 && name.startsWith('access-control-')) continue;
    const value = headers[name];
    if (typeof value === 'string') flat.push(name, value);
    else if (value) for (const item of value) flat.push(name, item);
  }
  flat.push(VERSION_HEADER, version, ...cors);
  return addIds(flat, ids);
}

export function addIds(flat: FlatHeaders, ids: RequestIds): FlatHeaders {
  flat.push('x-request-id', ids.requestId, 'x-ms-request-id', ids.msRequestId);
  if (ids.clientRequestId !== undefined) flat.push('x-ms-client-request-id', ids.clientRequestId);
  return flat;
}

function connectionOptions(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.split(',').map((option) => option.trim().toLowerCase()));
}

const EXPOSED = `${VERSION_HEADER}, x-request-id, x-ms-request-id, x-ms-client-request-id, x-ms-run-function-failed, x-ms-run-fn-exec-ms`;

/** As the scoring server does it: the asking origin is named, even where all are allowed; a foreign one gets nothing and is served. */
export function corsHeaders(allowedOrigins: readonly string[], headers: IncomingHttpHeaders): FlatHeaders {
  if (allowedOrigins.length === 0) return [];
  const origin = headers.origin;
  const allowed = origin !== undefined && (allowedOrigins.includes('*') || allowedOrigins.includes(origin));
  if (!allowed) return ['vary', 'Origin'];
  return ['access-control-allow-origin', origin, 'access-control-expose-headers', EXPOSED, 'vary', 'Origin'];
}

/** The answer to a browser's question before the request; undefined when it is no such question. */
export function preflightHeaders(allowedOrigins: readonly string[], request: IncomingMessage): FlatHeaders | undefined {
  const { method, headers } = request;
  if (method !== 'OPTIONS' || allowedOrigins.length === 0) return undefined;
  if (headers.origin === undefined || headers['access-control-request-method'] === undefined) return undefined;
  const cors = corsHeaders(allowedOrigins, headers);
  if (!cors.includes('access-control-allow-origin')) return cors;
  const asked = single(headers['access-control-request-headers']);
  cors.push('access-control-allow-methods', 'GET, POST', 'access-control-max-age', '600');
  if (asked !== undefined) cors.push('access-control-allow-headers', asked);
  return cors;
}

/** As they stand in a message. Values come from Node's strict parser, which lets no line end pass. */
export function headerLines(headers: FlatHeaders): string {
  let text = '';
  for (let at = 0; at + 1 < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return text;
}
