import { AksmlError } from '../contract/error.ts';
import { credentialsOf } from './credentials.ts';
import type { ExecEnvironment } from './exec-plugin.ts';
import { type KubeContext, type KubeconfigReference, readKubeconfig } from './kubeconfig.ts';
import { type KubeList, type KubeObject, keyOf, type ObjectName } from './object.ts';
import { collectionPath, type Resource, type ResourceKind } from './resource.ts';
import { type KubeRequest, type KubeTransport, SYSTEM_PORTS, Transport, type TransportPorts } from './transport.ts';

export interface ListQuery {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WriteOptions {
  /** Who owns the fields that are written. */
  readonly fieldManager: string;
  readonly dryRun?: boolean;
  /** What becomes of fields that the server does not know: refused (the default), or dropped, for a server that may be older. */
  readonly unknownFields?: 'refuse' | 'drop';
  readonly signal?: AbortSignal;
}

export interface ApplyOptions extends WriteOptions {
  /** Takes fields over from other managers instead of failing with `kube.conflict`. */
  readonly force?: boolean;
  readonly subresource?: 'status' | 'scale';
}

export interface RemoveOptions {
  /** Nothing is removed unless it is still this one (`kube.conflict`). */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  readonly gracePeriodSeconds?: number;
  readonly signal?: AbortSignal;
}

/** What one may do, as the cluster's own authorizer judges it. */
export interface AccessQuestion {
  readonly verb: string;
  readonly resource: Pick<ResourceKind, 'apiVersion' | 'plural'>;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

const PAGE = 500;
/** Objects of a namespace that holds thousands come page by page; each takes its time. */
const LIST_TIMEOUT_MS = 60_000;

/**
 * One API server, as one user. Objects are plain JSON of the type that their {@link Resource} carries.
 * Every method throws AksmlErrors: `kube.unreachable`, `kube.timeout`, `kube.tls`, `kube.unauthorized`, `kube.forbidden`, `kube.notFound`,
 * `kube.alreadyExists`, `kube.conflict`, `kube.invalid`, `kube.throttled`, `kube.failed`.
 */
export class KubeClient {
  readonly context: KubeContext;
  readonly transport: KubeTransport;

  constructor(context: KubeContext, transport: KubeTransport) {
    this.context = context;
    this.transport = transport;
  }

  get server(): string {
    return this.transport.server.host;
  }

  /** The namespace that the context names. */
  get namespace(): string {
    return this.context.namespace ?? 'default';
  }

  async get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, signal?: AbortSignal): Promise<T> {
    return await this.transport.json<T>({
      method: 'GET',
      path: objectPath(resource, name),
      ...about(resource, name, 'reading'),
      ...given(signal),
    });
  }

  /** Undefined where there is no such object. */
  async find<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.get(resource, name, signal);
    } catch (error) {
      if (AksmlError.is(error, 'kube.notFound')) return undefined;
      throw error;
    }
  }

  /**
   * Everything that matches, page by page; begun anew where the server has forgotten the state that a page belongs to. Of each object `keep`
   * says at once what is wanted of it.
   */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    query: ListQuery = {},
    signal?: AbortSignal,
    keep: (object: T) => T = (object) => object,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    const items: T[] = [];
    const take = (page: KubeList<T>) => {
      for (const item of page.items) items.push(keep(item));
      return page.metadata ?? {};
    };
    let last: KubeList<T>['metadata'];
    do {
      try {
        last = take(await this.#page(resource, query, last?.continue, signal));
      } catch (error) {
        if (!AksmlError.is(error, 'kube.gone') || last === undefined) throw error;
        items.length = 0;
        last = take(await this.#page(resource, query, undefined, signal, 0));
      }
    } while (last.continue);
    return { items, resourceVersion: last.resourceVersion ?? '' };
  }

  #page<T extends KubeObject>(
    resource: Resource<T>,
    query: ListQuery,
    token: string | undefined,
    signal: AbortSignal | undefined,
    limit = PAGE,
  ): Promise<KubeList<T>> {
    return this.transport.json<KubeList<T>>({
      method: 'GET',
      path: collectionPath(resource, query.namespace),
      query: { ...selectors(query), limit: limit || undefined, continue: token },
      subject: resource.plural,
      doing: `listing ${resource.plural}${query.namespace === undefined ? '' : ` in the namespace ${query.namespace}`}`,
      timeoutMs: LIST_TIMEOUT_MS,
      ...given(signal),
    });
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions): Promise<T> {
    return await this.transport.json<T>({
      method: 'POST',
      path: collectionPath(resource, object.metadata.namespace),
      query: writeQuery(options),
      body: typed(resource, object),
      ...about(resource, object.metadata, 'creating'),
      ...given(options.signal),
    });
  }

  /** Replaces the whole object; with `metadata.resourceVersion` only if nobody else has (`kube.conflict`). */
  async replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions & { readonly subresource?: 'status' | 'resize' },
  ): Promise<T> {
    return await this.transport.json<T>({
      method: 'PUT',
      path: objectPath(resource, object.metadata, options.subresource),
      query: writeQuery(options),
      body: typed(resource, object),
      ...about(resource, object.metadata, 'changing'),
      ...given(options.signal),
    });
  }

  /**
   * Server-side apply: creates the object, or makes the named fields so and removes those that this manager named before.
   * With `metadata.resourceVersion` only if nobody else has changed it (`kube.conflict`); with `metadata.uid` only if it is still that object.
   */
  async apply<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions): Promise<T> {
    return await this.transport.json<T>({
      method: 'PATCH',
      path: objectPath(resource, object.metadata, options.subresource),
      query: { ...writeQuery(options), force: options.force },
      contentType: 'application/apply-patch+yaml',
      body: typed(resource, object),
      idempotent: object.metadata.resourceVersion === undefined,
      ...about(resource, object.metadata, 'applying'),
      ...given(options.signal),
    });
  }

  /** A JSON merge patch (RFC 7386); `metadata.resourceVersion` in it is a precondition. */
  async patch<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: unknown,
    options: WriteOptions & { readonly subresource?: 'status' | 'scale' },
  ): Promise<T> {
    return await this.transport.json<T>({
      method: 'PATCH',
      path: objectPath(resource, name, options.subresource),
      query: writeQuery(options),
      contentType: 'application/merge-patch+json',
      body: patch,
      ...about(resource, name, 'changing'),
      ...given(options.signal),
    });
  }

  /** Creates in a subresource, such as a `token` of a ServiceAccount. */
  async createIn<T>(
    resource: ResourceKind,
    name: ObjectName,
    subresource: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<T> {
    return await this.transport.json<T>({
      method: 'POST',
      path: objectPath(resource, name, subresource),
      body,
      ...about(resource, name, `creating a ${subresource} of`),
      ...given(signal),
    });
  }

  /** Whether there was something to remove. Returns when the deletion has begun. */
  async remove(resource: ResourceKind, name: ObjectName, options: RemoveOptions = {}): Promise<boolean> {
    const { uid, resourceVersion, gracePeriodSeconds } = options;
    try {
      await this.transport.json({
        method: 'DELETE',
        path: objectPath(resource, name),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: options.propagation ?? 'Background',
          ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
          ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
        },
        idempotent: true,
        ...about(resource, name, 'deleting'),
        ...given(options.signal),
      });
      return true;
    } catch (error) {
      if (AksmlError.is(error, 'kube.notFound')) return false;
      throw error;
    }
  }

  /** A SelfSubjectAccessReview. */
  async mayI(question: AccessQuestion, signal?: AbortSignal): Promise<boolean> {
    const { apiVersion, plural } = question.resource;
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const { verb, namespace, name, subresource } = question;
    const review = await this.transport.json<{ readonly status?: { readonly allowed?: boolean } }>({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { verb, group, version, resource: plural, namespace, name, subresource } },
      },
      idempotent: true,
      subject: plural,
      doing: 'asking what you may do',
      ...given(signal),
    });
    return review.status?.allowed === true;
  }

  /** Such as `v1.36.3`. */
  async version(signal?: AbortSignal): Promise<string> {
    const { gitVersion } = await this.transport.json<{ readonly gitVersion: string }>({
      method: 'GET',
      path: '/version',
      subject: this.server,
      doing: 'asking for its version',
      ...given(signal),
    });
    return gitVersion;
  }

  /** Ends every connection; nothing can be asked afterwards. */
  async close(): Promise<void> {
    await this.transport.close();
  }
}

/** Connects as a context of a kubeconfig says. Nothing is sent yet. @throws AksmlError `kube.kubeconfig` | `kube.insecure` */
export async function openKube(
  where: KubeconfigReference | KubeContext,
  environment: ExecEnvironment,
  ports: TransportPorts = SYSTEM_PORTS,
): Promise<KubeClient> {
  const context = 'paths' in where ? await readKubeconfig(where) : where;
  const credentials = credentialsOf(context, environment, Date.now);
  return new KubeClient(context, new Transport(context.cluster, credentials, environment.variables, ports));
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The cluster that this process runs in, as the pod's service account. @throws AksmlError `kube.kubeconfig` */
export function inClusterContext(
  variables: Readonly<Record<string, string | undefined>>,
  namespace: string | undefined,
): KubeContext {
  const host = variables['KUBERNETES_SERVICE_HOST'];
  const port = variables['KUBERNETES_SERVICE_PORT'];
  if (!host || !port)
    throw new AksmlError('kube.kubeconfig', 'This process does not run in a pod with a service account.');
  return {
    name: 'in-cluster',
    cluster: {
      name: 'in-cluster',
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      certificateAuthority: { file: `${SERVICE_ACCOUNT}/ca.crt` },
      insecureSkipTlsVerify: false,
    },
    user: { name: 'service-account', tokenFile: `${SERVICE_ACCOUNT}/token` },
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** The path of one object, or of a part of it. */
export function objectPath(resource: ResourceKind, { name, namespace }: ObjectName, subresource?: string): string {
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

export function selectors({ labelSelector, fieldSelector }: ListQuery): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

function typed<T extends KubeObject>({ apiVersion, kind }: Resource<T>, object: T): T {
  return { ...object, apiVersion, kind };
}

function writeQuery({ fieldManager, dryRun, unknownFields }: WriteOptions): KubeRequest['query'] {
  const fieldValidation = unknownFields === 'drop' ? 'Ignore' : 'Strict';
  return { fieldManager, dryRun: dryRun ? 'All' : undefined, fieldValidation };
}

function about(resource: ResourceKind, name: ObjectName, verb: string): Pick<KubeRequest, 'subject' | 'doing'> {
  const subject = `${resource.plural}/${keyOf({ name: name.name, ...(name.namespace === undefined ? {} : { namespace: name.namespace }) })}`;
  return { subject, doing: `${verb} ${subject}` };
}

function given(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
