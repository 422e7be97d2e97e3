import type { EndpointRequest } from '../../contract/compute-target.ts';
import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { PODS, type Pod } from '../../kube/resource.ts';
import { chooseVersion, trafficSplit } from '../../serving/traffic.ts';
import { ENDPOINT_LABEL, ROUTER_PORTS, SCORING_CONTAINER, VERSION_LABEL } from '../names.ts';
import { askPod, isReady } from './pod-request.ts';
import { readyRouters } from './routers.ts';

/** The scoring server's own routes. */
const ROUTES = { score: '/score', swagger: '/swagger.json' } as const;
const VERSION_HEADER = 'azureml-model-deployment';

/**
 * Asks as clients do, by a connection through the API server to a router, which works from wherever the cluster's API can be reached; who may
 * not do that asks the scoring URI itself. Only where there is no front end, a ready replica is asked.
 * @throws AksmlError `service.noUri` | `service.unreachable` | `version.notFound`
 */
export async function requestEndpoint(
  kube: KubeClient,
  endpoint: Endpoint,
  request: EndpointRequest,
  signal?: AbortSignal,
): Promise<Response> {
  const { scoringUri, swaggerUri } = endpoint.status ?? {};
  const uri = request.route === 'score' ? scoringUri : swaggerUri;
  if (scoringUri === undefined) return requestReplica(kube, endpoint, request, signal);
  if (uri === undefined) throw noUri(endpoint, 'has no description of itself');
  // The front end would take an unknown version for no version.
  if (request.version !== undefined) chosen(endpoint, request.version);
  return requestFrontEnd(kube, endpoint, new URL(uri), request, signal);
}

async function requestFrontEnd(
  kube: KubeClient,
  endpoint: Endpoint,
  uri: URL,
  { route, headers, body, version }: EndpointRequest,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const method = route === 'score' ? 'POST' : 'GET';
  const named = { ...headers, ...(version === undefined ? {} : { [VERSION_HEADER]: version }) };
  const content = route === 'score' && body !== undefined ? { body } : {};
  const isSecure = uri.protocol === 'https:';
  return await reaching(endpoint, 'the front end', signal, async () => {
    const routers = await readyRouters(kube, signal);
    const router = routers[Math.floor(Math.random() * routers.length)];
    const direct = () =>
      fetch(uri, { method, headers: named, ...content, ...(signal === undefined ? {} : { signal }) });
    if (router === undefined) return await direct();
    const asked = {
      method,
      path: uri.pathname,
      headers: { ...named, host: uri.host },
      ...content,
      ...(isSecure ? { secureHost: uri.hostname } : {}),
    };
    try {
      return await askPod(kube, router, isSecure ? ROUTER_PORTS.https : ROUTER_PORTS.http, asked, signal);
    } catch (error) {
      if (AksmlError.is(error, 'kube.forbidden')) return await direct();
      throw error;
    }
  });
}

async function requestReplica(
  kube: KubeClient,
  endpoint: Endpoint,
  { route, headers, body = '', version: wanted }: EndpointRequest,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const version = chosen(endpoint, wanted);
  const pod = await readyReplica(kube, endpoint, version, signal);
  return await reaching(endpoint, `the replica ${pod.metadata.name}`, signal, () =>
    askPod(
      kube,
      pod,
      scoringPort(pod, version),
      {
        method: route === 'score' ? 'POST' : 'GET',
        path: (route === 'score' ? version.container?.scoringRoute : undefined) ?? ROUTES[route],
        headers,
        body,
      },
      signal,
    ),
  );
}

async function reaching(
  { metadata }: Endpoint,
  who: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<Response>,
): Promise<Response> {
  try {
    return await ask();
  } catch (error) {
    signal?.throwIfAborted();
    if (AksmlError.is(error)) throw error;
    throw new AksmlError(
      'service.unreachable',
      `${metadata.name} did not answer: ${who} closed the connection (${error instanceof Error ? error.message : String(error)}).`,
      { subject: metadata.name, remedy: `See its log: aksml service get-logs -n ${metadata.name}`, cause: error },
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
  endpoint: Endpoint,
  version: VersionSpec,
  signal: AbortSignal | undefined,
): Promise<Pod> {
  const { metadata, status } = endpoint;
  const labelSelector = `${ENDPOINT_LABEL}=${metadata.name},${VERSION_LABEL}=${version.name}`;
  const query = { labelSelector, ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }) };
  const { items } = await kube.list(PODS, query, signal);
  const ready = items.filter(isReady);
  const pod = ready[Math.floor(Math.random() * ready.length)];
  if (pod) return pod;
  throw noUri(endpoint, `has no replica that takes requests: it is ${status?.state ?? 'Transitioning'}`);
}

function noUri({ metadata, status }: Endpoint, what: string): AksmlError {
  return new AksmlError('service.noUri', `${metadata.name} ${what}.`, {
    subject: metadata.name,
    remedy: status?.error?.remedy ?? `Wait until "aksml service show -n ${metadata.name}" says Healthy.`,
  });
}

function scoringPort({ spec }: Pod, version: VersionSpec): number {
  const container = spec?.containers.find(({ name }) => name === SCORING_CONTAINER) ?? spec?.containers[0];
  return version.container?.port ?? container?.ports?.[0]?.containerPort ?? 0;
}
