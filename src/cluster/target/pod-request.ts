import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { nodeHttp } from '../../http/node-http.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { connectToPod } from '../../kube/port-forward.ts';
import type { Pod } from '../../kube/resource.ts';

export interface PodRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The name that the pod is asked under, by TLS. */
  readonly secureHost?: string;
}

const NO_BODY = new Set([204, 205, 304]);

/** One request to a port of a pod, by a connection through the API server. @throws AksmlError `kube.portForward`; what breaks the connection */
export async function askPod(
  kube: KubeClient,
  { metadata }: Pod,
  port: number,
  { method, path, headers, body = '', secureHost }: PodRequest,
  signal?: AbortSignal,
): Promise<Response> {
  const { name, namespace = '' } = metadata;
  const plain = await connectToPod(kube, { name, namespace }, port, signal);
  // The API server has vouched for the pod: its certificate may be one that only the clients of the endpoint trust.
  const socket =
    secureHost === undefined
      ? plain
      : connectTls({ socket: plain, servername: secureHost, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = nodeHttp().request({
        method,
        path,
        // The connection is made already; the name is for the server's log.
        host: 'localhost',
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
        createConnection: () => socket,
        ...(signal === undefined ? {} : { signal }),
      });
      request.on('response', resolve);
      request.on('error', reject);
      request.end(body);
    });
    return toResponse(answer);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

export function isReady({ metadata, status }: Pod): boolean {
  const ready = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
  return ready === true && metadata.deletionTimestamp === undefined;
}

function toResponse(answer: IncomingMessage): Response {
  const status = answer.statusCode ?? 502;
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  // Node's type for web streams is wider than the one that a Response takes.
  const body = NO_BODY.has(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>);
  return new Response(body, { status, headers });
}
