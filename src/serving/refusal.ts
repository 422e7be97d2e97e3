import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type FlatHeaders, headerLines } from './headers.ts';

/** An answer of a data plane's own. The texts of 502 and 503 are v1's: clients look for them. */
export interface Refusal {
  readonly status: 400 | 401 | 404 | 413 | 421 | 500 | 502 | 503 | 504 | 507;
  readonly message: string;
}

export const UNAUTHORIZED: Refusal = {
  status: 401,
  message: 'The key or token is missing or not valid. Send it as: Authorization: Bearer KEY-OR-TOKEN',
};
export const FOREIGN_HOST: Refusal = {
  status: 421,
  message: 'Without authentication this machine answers only by its own names, such as 127.0.0.1 or localhost.',
};
export const REPLICA_CLOSED: Refusal = { status: 502, message: 'Replica closed connection before replying' };
export const NO_DISK_ROOM: Refusal = {
  status: 507,
  message: 'There is no room on the disk for a request body of this size.',
};

export function unknownService(printable: string): Refusal {
  return { status: 404, message: `There is no service ${printable} here.` };
}

export function unknownVersion(service: string): Refusal {
  return {
    status: 404,
    message: `Service ${service} has no version of the name in the header azureml-model-deployment.`,
  };
}

export function unknownPath(service: string): Refusal {
  return { status: 404, message: `Service ${service} has nothing at this path.` };
}

export function tooLarge(limit: number): Refusal {
  return { status: 413, message: `The request body is larger than the limit of ${limit} bytes.` };
}

export function overloaded(service: string): Refusal {
  return { status: 503, message: `Too many requests for service ${service} (overloaded)` };
}

export function noReadyReplicas(service: string): Refusal {
  return { status: 503, message: `No ready replicas for service ${service}` };
}

export function timedOut(service: string, milliseconds: number): Refusal {
  return {
    status: 504,
    message: `Service ${service} did not answer within its scoring time-out of ${milliseconds} ms`,
  };
}

export function refusalHeaders({ status, message }: Refusal): FlatHeaders {
  const flat = [
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(Buffer.byteLength(message)),
    'x-content-type-options',
    'nosniff',
  ];
  if (status === 401) flat.push('www-authenticate', 'Bearer');
  if (status === 503) flat.push('retry-after', '1');
  return flat;
}

/** Answers with a refusal; `more` are further headers. */
export function refuse(response: ServerResponse, refusal: Refusal, more: FlatHeaders): void {
  response.writeHead(refusal.status, [...refusalHeaders(refusal), ...more]);
  response.end(refusal.message);
}

/** The same to who asked for another protocol on the connection. */
export function refuseUpgrade(client: Duplex, refusal: Refusal): void {
  const headers = [...refusalHeaders(refusal), 'connection', 'close'];
  client.end(`HTTP/1.1 ${refusal.status} \r\n${headerLines(headers)}\r\n${refusal.message}`);
}
