import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { EndpointRequest } from '../../contract/compute-target.ts';
import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { connectToPod } from '../../kube/port-forward.ts';
import { PODS, type Pod } from '../../kube/resource.ts';
import { chooseVersion, trafficSplit } from '../../serving/traffic.ts';
import { ENDPOINT_LABEL, SCORING_CONTAINER, VERSION_LABEL } from '../names.ts';

/** The scoring server's own routes. */
const ROUTES = { score: '/score', swagger: '/swagger.json' } as const;
const NO_BODY = new Set([204, 205, 304]);

/**
 * Asks a ready replica of the version that the traffic split chooses, by a connection through the API server: works from wherever the
 * cluster's API can be reached, also without a front end.
 * @throws AksmlError `service.noUri` | `service.unreachable` | `version.notFound`
 */
export async function requestThroughApiServer(
  kube: KubeClient,
  endpoint: Endpoint,
  { route, headers, body = '', version: wanted }: EndpointRequest,
  signal?: AbortSignal,
): Promise<Response> {
  const version = chosen(endpoint, wanted);
  const pod = await readyReplica(kube, endpoint, version, signal);
  const { name, namespace = '' } = pod.metadata;
  const socket = await connectToPod(kube, { name, namespace }, scoringPort(pod, version), signal);
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest({
        method: route === 'score' ? 'POST' : 'GET',
        path: (route === 'score' ? version.container?.scoringRoute : undefined) ?? ROUTES[route],
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
    signal?.throwIfAborted();
    if (AksmlError.is(error)) throw error;
    throw new AksmlError(
      'service.unreachable',
      `${endpoint.metadata.name} did not answer: the replica ${name} closed the connection (${error instanceof Error ? error.message : String(error)}).`,
      {
        subject: endpoint.metadata.name,
        remedy: `See its log: aksml service get-logs -n ${endpoint.metadata.name}`,
        cause: error,
      },
    );
  }
}

function chosen({ metadata, spec }: Endpoint, wanted: string | undefined): VersionSpec {
  const name = wanted ?? chooseVersion(trafficSplit(spec.versions), Math.random());
  const version = spec.versions.find((candidate) => candidate.name === name);
  if (version) return version;
  throw new AksmlError('version.notFound', `${metadata.name} has no version ${JSON.stringify(name)}.`, {
    fault: 'input',
    subject: metadata.name,
    remedy: `It has ${spec.versions.map((candidate) => candidate.name).join(', ')}.`,
  });
}

async function readyReplica(
  kube: KubeClient,
  { metadata, status }: Endpoint,
  version: VersionSpec,
  signal: AbortSignal | undefined,
): Promise<Pod> {
  const labelSelector = `${ENDPOINT_LABEL}=${metadata.name},${VERSION_LABEL}=${version.name}`;
  const query = { labelSelector, ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }) };
  const { items } = await kube.list(PODS, query, signal);
  const ready = items.filter(isReady);
  const pod = ready[Math.floor(Math.random() * ready.length)];
  if (pod) return pod;
  throw new AksmlError(
    'service.noUri',
    `${metadata.name} has no replica that takes requests: it is ${status?.state ?? 'Transitioning'}.`,
    {
      subject: metadata.name,
      remedy: status?.error?.remedy ?? `Wait until "aksml service show -n ${metadata.name}" says Healthy.`,
    },
  );
}

function isReady({ metadata, status }: Pod): boolean {
  const ready = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
  return ready === true && metadata.deletionTimestamp === undefined;
}

function scoringPort({ spec }: Pod, version: VersionSpec): number {
  const container = spec?.containers.find(({ name }) => name === SCORING_CONTAINER) ?? spec?.containers[0];
  return version.container?.port ?? container?.ports?.[0]?.containerPort ?? 0;
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
