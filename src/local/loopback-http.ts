import type { IncomingMessage } from 'node:http';
import { nodeHttp } from '../http/node-http.ts';

/** How to reach a service of ours on this machine. */
export interface LoopbackAddress {
  readonly port: number;
  /** Bearer token. */
  readonly token: string;
}

export interface LoopbackRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a byte; none for streams. */
  readonly timeoutMs?: number;
}

export interface LoopbackAnswer {
  readonly status: number;
  /** Parsed JSON; undefined when empty. */
  readonly body: unknown;
}

const LONGEST_LINE = 16 * 1024 * 1024;

/** One JSON request over 127.0.0.1. `fetch` is not used, because loading it costs a command more than the call. */
export async function callLoopback(address: LoopbackAddress, request: LoopbackRequest): Promise<LoopbackAnswer> {
  const response = await send(address, request);
  const text = await readText(response);
  return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) };
}

/** The answer's lines of JSON as they arrive. A status other than 200 is passed to `onRefusal` as {@link callLoopback} would answer it. */
export async function* streamLoopback(
  address: LoopbackAddress,
  request: LoopbackRequest,
  onRefusal: (answer: LoopbackAnswer) => Error,
): AsyncGenerator<unknown> {
  const response = await send(address, request);
  if (response.statusCode !== 200) {
    const text = await readText(response);
    throw onRefusal({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) });
  }
  try {
    yield* jsonLines(response);
  } finally {
    response.destroy();
  }
}

async function* jsonLines(response: IncomingMessage): AsyncGenerator<unknown> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new Error('A line of the stream is too long.');
    for (const line of lines) if (line !== '') yield JSON.parse(line);
  }
}

function send(address: LoopbackAddress, request: LoopbackRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const outgoing = nodeHttp().request(
    {
      host: '127.0.0.1',
      port: address.port,
      method: request.method,
      path: request.path,
      agent: false,
      signal: request.signal,
      headers: {
        authorization: `Bearer ${address.token}`,
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    },
    resolve,
  );
  if (request.timeoutMs !== undefined) {
    outgoing.setTimeout(request.timeoutMs, () => outgoing.destroy(new Error(`No answer in ${request.timeoutMs} ms.`)));
  }
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}
