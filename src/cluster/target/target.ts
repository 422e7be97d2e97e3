import type { ComputeTargetRecord, ComputeTargetStatus } from '../../contract/compute-record.ts';
import type {
  AccessToken,
  ComputeTarget,
  EndpointChange,
  EndpointRequest,
  EndpointSecrets,
  Keys,
  LogLine,
  LogQuery,
  StatusScope,
  StoredVariables,
} from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { EndpointCounters } from '../../contract/metrics.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { listWatch } from '../../kube/list-watch.ts';
import { ENDPOINTS, PODS, type StoredEndpoint } from '../../kube/resource.ts';
import { WatchedEndpoints } from '../../serving/watched-endpoints.ts';
import { wrongAuth } from '../../serving/wrong-auth.ts';
import { specRevision } from '../controller/objects.ts';
import { ENDPOINT_LABEL } from '../names.ts';
import { readEndpointLogs } from './logs.ts';
import { Namesakes } from './namesakes.ts';
import { EndpointObjects, exists, published, versionOf } from './objects.ts';
import { FIELD_MANAGER } from './ownership.ts';
import { type PullCredentialSource, withPullSecret } from './pull-secret.ts';
import { requestEndpoint } from './request.ts';
import { readRouterCounters } from './routers.ts';
import { EndpointSecretObjects } from './secrets.ts';
import { clusterStatus, replicasStatus } from './status.ts';

export interface ClusterTargetOptions {
  readonly kube: KubeClient;
  readonly record: ComputeTargetRecord;
  readonly pullCredentials: PullCredentialSource;
  readonly clock: () => Date;
}

/** An attached cluster: endpoints are objects of it, and its controller makes them so. */
export function openClusterTarget(options: ClusterTargetOptions): ComputeTarget {
  return new ClusterTarget(options);
}

class ClusterTarget implements ComputeTarget {
  readonly name: string;
  readonly kind: ComputeTargetRecord['kind'];
  readonly record: ComputeTargetRecord;
  readonly #options: ClusterTargetOptions;
  readonly #kube: KubeClient;
  readonly #objects: EndpointObjects;
  readonly #secrets: EndpointSecretObjects;
  /** By name, as last read. */
  readonly #read = new Map<string, StoredEndpoint>();

  constructor(options: ClusterTargetOptions) {
    const { kube, record } = options;
    this.name = record.name;
    this.kind = record.kind;
    this.record = record;
    this.#options = options;
    this.#kube = kube;
    this.#objects = new EndpointObjects(kube, record.name, record.namespace);
    this.#secrets = new EndpointSecretObjects(kube);
  }

  status(signal?: AbortSignal, of: StatusScope = 'all'): Promise<ComputeTargetStatus> {
    return of === 'all' ? clusterStatus(this.#kube, signal) : replicasStatus(this.#kube, signal);
  }

  async listEndpoints(signal?: AbortSignal): Promise<Endpoint[]> {
    return (await this.#objects.list(signal)).map(published);
  }

  async getEndpoint(name: string, signal?: AbortSignal): Promise<Endpoint> {
    const found = await this.#objects.get(name, signal);
    this.#read.set(name, found);
    return published(found);
  }

  async applyEndpoint(endpoint: Endpoint, secrets: EndpointSecrets = {}, signal?: AbortSignal): Promise<Endpoint> {
    const { name, resourceVersion } = endpoint.metadata;
    const found = this.#alreadyRead(endpoint, secrets) ?? (await this.#objects.find(name, signal));
    if (resourceVersion === undefined && found) throw exists(name, this.name);
    const current = resourceVersion === undefined ? undefined : this.#requireCurrent(endpoint, found);
    const namespace = current?.metadata.namespace ?? endpoint.metadata.namespace ?? this.record.namespace;
    await this.#secrets.store(endpoint, namespace, secrets, signal);
    if (current) await this.#keepUnseen(current, signal);
    const revised = await this.#secrets.withRevisions(endpoint, namespace, signal);
    const wanted = await withPullSecret(this.#kube, revised, namespace, this.#options.pullCredentials, signal);
    const stored = current
      ? await this.#replace(wanted, current, signal)
      : await this.#objects.create(asNew(wanted, namespace), signal);
    await this.#secrets.settle(stored, current, signal);
    return published(stored);
  }

  isNameBeingFreed(endpoint: Endpoint, signal?: AbortSignal): Promise<boolean> {
    return this.#objects.isNameBeingFreed(endpoint, signal);
  }

  /** What the change was made from: if that is old, the API server says so. Secrets are for what is there now alone. */
  #alreadyRead({ metadata }: Endpoint, secrets: EndpointSecrets): StoredEndpoint | undefined {
    const read = this.#read.get(metadata.name);
    this.#read.delete(metadata.name);
    const isMadeFromIt = read !== undefined && metadata.resourceVersion === versionOf(read.metadata);
    return isMadeFromIt && Object.keys(secrets).length === 0 ? read : undefined;
  }

  /** A specification that no controller has seen is kept for the history before it is replaced: nobody else would know of it. */
  async #keepUnseen(current: StoredEndpoint, signal?: AbortSignal): Promise<void> {
    if ((current.status?.observedGeneration ?? 0) >= (current.metadata.generation ?? 0)) return;
    const { resource, object } = specRevision(current);
    try {
      await this.#kube.create(resource, object, {
        fieldManager: FIELD_MANAGER,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      // It is there, or not for this user to write: the change matters more than its history.
      if (!AksmlError.is(error, 'kube.alreadyExists') && !AksmlError.is(error, 'kube.forbidden')) throw error;
    }
  }

  /** Again and again where only the status has changed, which the controller writes at any time. */
  async #replace(wanted: Endpoint, current: StoredEndpoint, signal?: AbortSignal): Promise<StoredEndpoint> {
    for (let read = current; ; ) {
      try {
        return await this.#objects.apply(wanted, read, signal);
      } catch (error) {
        if (!AksmlError.is(error, 'kube.conflict') && !AksmlError.is(error, 'kube.notFound')) throw error;
      }
      read = this.#requireCurrent(wanted, await this.#objects.find(wanted.metadata.name, signal));
    }
  }

  /** What is there, if it is what the change was made from. */
  #requireCurrent({ metadata }: Endpoint, present: StoredEndpoint | undefined): StoredEndpoint {
    if (present && metadata.resourceVersion === versionOf(present.metadata)) return present;
    const what = present
      ? `${metadata.name} on ${this.name} was changed by somebody else meanwhile; nothing of this change was applied.`
      : `${metadata.name} was deleted from ${this.name} by somebody else meanwhile.`;
    throw new AksmlError('endpoint.conflict', what, {
      subject: metadata.name,
      remedy: `Look at it with "aksml service show -n ${metadata.name}" and run the command again.`,
    });
  }

  async deleteEndpoint(name: string, signal?: AbortSignal, only?: string): Promise<void> {
    const current = await this.#objects.get(name, signal, only);
    const { namespace = '', uid = '' } = current.metadata;
    const aborting = signal === undefined ? {} : { signal };
    await this.#kube.remove(ENDPOINTS, { namespace, name }, { uid, propagation: 'Foreground', ...aborting });
    await this.#untilGone(current, signal);
    await this.#secrets.removeAll(current, namespace, signal);
  }

  /** Its replicas end with their grace period. */
  async #untilGone({ metadata }: StoredEndpoint, signal?: AbortSignal): Promise<void> {
    const { namespace = '', name, uid } = metadata;
    const leave = new AbortController();
    const watching = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
    try {
      const query = { namespace, fieldSelector: `metadata.name=${name}` };
      for await (const event of listWatch(this.#kube, ENDPOINTS, query, watching)) {
        if (event.type === 'interrupted') throwUnlessPassing(event.error);
        if (event.type === 'deleted') break;
        if (event.type === 'listed' && !event.objects.some((object) => object.metadata.uid === uid)) break;
      }
      const pods = new Set<string>();
      for await (const event of listWatch(
        this.#kube,
        PODS,
        { namespace, labelSelector: `${ENDPOINT_LABEL}=${name}` },
        watching,
      )) {
        if (event.type === 'interrupted') throwUnlessPassing(event.error);
        if (event.type === 'listed') for (const pod of event.objects) pods.add(pod.metadata.name);
        if (event.type === 'deleted') pods.delete(event.object.metadata.name);
        if (pods.size === 0 && event.type !== 'interrupted') break;
      }
    } finally {
      leave.abort();
    }
    signal?.throwIfAborted();
  }

  async *watchEndpoints(
    filter: { readonly name?: string; readonly namespace?: string },
    signal: AbortSignal,
    onInterruption: (cause: AksmlError | undefined) => void = () => undefined,
  ): AsyncGenerator<EndpointChange, void, undefined> {
    const watched = new WatchedEndpoints();
    const namesakes = new Namesakes<StoredEndpoint>(this.record.namespace);
    const namespace = filter.namespace ?? (await this.#objects.scope(signal));
    const query = {
      ...(namespace === undefined ? {} : { namespace }),
      ...(filter.name === undefined ? {} : { fieldSelector: `metadata.name=${filter.name}` }),
    };
    for await (const event of listWatch(this.#kube, ENDPOINTS, query, signal)) {
      switch (event.type) {
        case 'listed':
          yield* watched.listed(namesakes.listed(event.objects).map(published));
          break;
        case 'changed':
          yield* watched.take({ type: 'changed', endpoint: published(namesakes.changed(event.object)) });
          break;
        case 'deleted': {
          const left = namesakes.deleted(event.object);
          if (left) yield* watched.take({ type: 'changed', endpoint: published(left) });
          else yield* watched.take({ type: 'deleted', name: event.object.metadata.name });
          break;
        }
        case 'interrupted':
          throwUnlessPassing(event.error);
          if (AksmlError.is(event.error)) onInterruption(event.error);
          break;
        case 'resumed':
          onInterruption(undefined);
      }
    }
  }

  async *readLogs(name: string, query: LogQuery, signal?: AbortSignal): AsyncGenerator<LogLine, void, undefined> {
    const { namespace = '' } = (await this.#objects.get(name, signal)).metadata;
    const leave = new AbortController();
    const reading = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
    try {
      yield* readEndpointLogs(this.#kube, { namespace, name }, query, reading);
    } catch (error) {
      // As the signal's owner asked for.
      if (!signal?.aborted) throw error;
    } finally {
      leave.abort();
    }
  }

  getSecretVariables(endpoint: Endpoint, signal?: AbortSignal): Promise<StoredVariables> {
    return this.#secrets.variables(endpoint, endpoint.metadata.namespace ?? this.record.namespace, signal);
  }

  async getKeys(name: string): Promise<Keys> {
    return this.#secrets.keys(await this.#requireAuth(name, 'key'), name);
  }

  async regenerateKey(name: string, which: 'primary' | 'secondary', value?: string): Promise<Keys> {
    return this.#secrets.regenerate(await this.#requireAuth(name, 'key'), name, which, value);
  }

  async getAccessToken(name: string): Promise<AccessToken> {
    return this.#secrets.accessToken(await this.#requireAuth(name, 'token'), name, this.#options.clock());
  }

  async revokeTokens(name: string, signal?: AbortSignal): Promise<void> {
    await this.#secrets.revokeTokens(await this.#requireAuth(name, 'token'), name, signal);
  }

  request(endpoint: Endpoint, request: EndpointRequest, signal?: AbortSignal): Promise<Response> {
    return requestEndpoint(this.#kube, endpoint, request, signal);
  }

  readCounters(name: string, signal?: AbortSignal): Promise<EndpointCounters> {
    return readRouterCounters(this.#kube, name, signal);
  }

  /** The namespace of an endpoint that authenticates so. */
  async #requireAuth(name: string, mode: 'key' | 'token'): Promise<string> {
    const { metadata, spec } = await this.#objects.get(name);
    if (spec.auth !== mode) throw wrongAuth(name, mode, spec.auth);
    return metadata.namespace ?? '';
  }
}

function asNew(endpoint: Endpoint, namespace: string): Endpoint {
  const { name, labels, annotations } = endpoint.metadata;
  const metadata = {
    name,
    namespace,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return { apiVersion: endpoint.apiVersion, kind: endpoint.kind, metadata, spec: endpoint.spec };
}

/** An API server that is away comes back; a right that is missing does not. */
function throwUnlessPassing(error: unknown): void {
  for (const code of ['kube.forbidden', 'kube.unauthorized', 'kube.notFound', 'kube.tls', 'kube.execRefused']) {
    if (AksmlError.is(error, code)) throw error;
  }
}
