import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { ApiRefusal } from '../../kube/failure.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import { ENDPOINTS, NAMESPACES, type StoredEndpoint } from '../../kube/resource.ts';
import { inPrecedence } from './namesakes.ts';
import { adoptFields, FIELD_MANAGER } from './ownership.ts';

/**
 * The Endpoint objects of a cluster. An endpoint's name is one per cluster: they are looked for in all namespaces where that is allowed,
 * else in the target's own.
 */
export class EndpointObjects {
  readonly #kube: KubeClient;
  readonly #target: string;
  readonly #namespace: string;
  #everywhere = true;

  constructor(kube: KubeClient, target: string, namespace: string) {
    this.#kube = kube;
    this.#target = target;
    this.#namespace = namespace;
  }

  list(signal?: AbortSignal): Promise<readonly StoredEndpoint[]> {
    return this.#list({}, signal);
  }

  /** With `namespace`, only there. */
  async find(name: string, signal?: AbortSignal, namespace?: string): Promise<StoredEndpoint | undefined> {
    const found = await this.#list({ fieldSelector: `metadata.name=${name}` }, signal);
    if (namespace !== undefined) return found.find(({ metadata }) => metadata.namespace === namespace);
    for (const candidate of inPrecedence(found, this.#namespace)) {
      const isOwn = candidate.metadata.namespace === this.#namespace;
      if (isOwn || !(await this.#isGoing(candidate, signal))) return candidate;
    }
    return undefined;
  }

  /** Whether every other endpoint of its name is going. */
  async isNameBeingFreed({ metadata: { name, uid } }: Endpoint, signal?: AbortSignal): Promise<boolean> {
    const others = (await this.#list({ fieldSelector: `metadata.name=${name}` }, signal)).filter(
      ({ metadata }) => metadata.uid !== uid && metadata.deletionTimestamp === undefined,
    );
    return (await Promise.all(others.map((other) => this.#isGoing(other, signal)))).every(Boolean);
  }

  /** With its namespace, which may take a while to take along what is in it. */
  async #isGoing({ metadata }: StoredEndpoint, signal?: AbortSignal): Promise<boolean> {
    const { namespace: name = '' } = metadata;
    try {
      const namespace = await this.#kube.find(NAMESPACES, { name }, signal);
      return namespace === undefined || namespace.metadata.deletionTimestamp !== undefined;
    } catch (error) {
      if (AksmlError.is(error, 'kube.forbidden')) return false;
      throw error;
    }
  }

  /** @throws AksmlError `service.notFound` */
  async get(name: string, signal?: AbortSignal, namespace?: string): Promise<StoredEndpoint> {
    const found = await this.find(name, signal, namespace);
    if (found) return found;
    throw new AksmlError(
      'service.notFound',
      `There is no service or endpoint "${name}" on the compute target ${this.#target}.`,
      { fault: 'input', subject: name, remedy: 'See "aksml service list" for those there are.' },
    );
  }

  /** The namespaces that {@link list} looks at; undefined for all. */
  async scope(signal?: AbortSignal): Promise<string | undefined> {
    if (!this.#everywhere) return this.#namespace;
    try {
      this.#everywhere = await this.#kube.mayI({ verb: 'watch', resource: ENDPOINTS }, signal);
    } catch (error) {
      // Whoever watches outlasts a cluster that is away.
      if (!AksmlError.is(error, 'kube.unreachable') && !AksmlError.is(error, 'kube.timeout')) throw error;
    }
    return this.#everywhere ? undefined : this.#namespace;
  }

  /** @throws AksmlError `endpoint.exists` */
  async create(endpoint: Endpoint, signal?: AbortSignal): Promise<StoredEndpoint> {
    const { name } = endpoint.metadata;
    try {
      return await this.#kube.create(ENDPOINTS, endpoint, { fieldManager: FIELD_MANAGER, ...given(signal) });
    } catch (error) {
      if (AksmlError.is(error, 'kube.alreadyExists')) throw exists(name, this.#target);
      throw this.#explained(error);
    }
  }

  /**
   * One server-side apply that fails when anybody has changed the endpoint since `current` was read.
   * @throws AksmlError `kube.conflict` then; `endpoint.managedElsewhere` when a tool such as a GitOps controller owns what would change
   */
  async apply(endpoint: Endpoint, current: StoredEndpoint, signal?: AbortSignal): Promise<StoredEndpoint> {
    const adopted = await this.#adopt(current, signal);
    const { name, namespace, resourceVersion, uid } = adopted.metadata;
    const { labels, annotations } = endpoint.metadata;
    const metadata = { name, namespace, resourceVersion, uid, labels, annotations };
    const wish = { apiVersion: endpoint.apiVersion, kind: endpoint.kind, spec: endpoint.spec, metadata };
    try {
      // `undefined` members do not reach the wire.
      return await this.#kube.apply(ENDPOINTS, wish as StoredEndpoint, {
        fieldManager: FIELD_MANAGER,
        ...given(signal),
      });
    } catch (error) {
      const owner = foreignOwner(error);
      if (owner === undefined) throw this.#explained(error);
      throw new AksmlError(
        'endpoint.managedElsewhere',
        `${name} on ${this.#target} is looked after by ${owner}, which would undo this change.`,
        {
          subject: name,
          remedy: 'Change it where that tool has it from, for example in its git repository.',
          cause: error,
        },
      );
    }
  }

  /** Changes no field, and so no generation. */
  async #adopt(current: StoredEndpoint, signal?: AbortSignal): Promise<StoredEndpoint> {
    const managedFields = adoptFields(current.metadata.managedFields ?? []);
    if (managedFields === undefined) return current;
    const { resourceVersion } = current.metadata;
    const patch = { metadata: { resourceVersion, managedFields } };
    return this.#kube.patch(ENDPOINTS, current.metadata, patch, { fieldManager: FIELD_MANAGER, ...given(signal) });
  }

  async #list(query: { readonly fieldSelector?: string }, signal?: AbortSignal): Promise<readonly StoredEndpoint[]> {
    try {
      if (this.#everywhere) return (await this.#kube.list(ENDPOINTS, query, signal)).items;
    } catch (error) {
      if (!AksmlError.is(error, 'kube.forbidden')) throw this.#explained(error);
      this.#everywhere = false;
    }
    try {
      return (await this.#kube.list(ENDPOINTS, { ...query, namespace: this.#namespace }, signal)).items;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** The kind itself is unknown to a cluster that aksml was removed from. */
  #explained(error: unknown): unknown {
    if (!AksmlError.is(error, 'kube.notFound')) return error;
    return new AksmlError(
      'computeTarget.notInstalled',
      `The cluster of the compute target ${this.#target} does not know endpoints: aksml is not installed in it.`,
      {
        subject: `computeTarget/${this.#target}`,
        remedy: `Install it again: aksml computetarget attach kubernetes -n ${this.#target}`,
        cause: error,
      },
    );
  }
}

export function exists(name: string, target: string): AksmlError {
  return new AksmlError('endpoint.exists', `There is an endpoint ${name} on the compute target ${target} already.`, {
    fault: 'input',
    subject: name,
    remedy: 'Choose another name, or update it.',
  });
}

/** As other parts of aksml know an endpoint. */
export function published({ apiVersion, kind, metadata, spec, status }: StoredEndpoint): Endpoint {
  const { managedFields: _managed, ownerReferences: _owners, finalizers: _finalizers, ...rest } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { ...rest, resourceVersion: versionOf(metadata) } as Endpoint['metadata'],
    spec,
    ...(status === undefined ? {} : { status }),
  };
}

/** Changes with what people write, and not with the status, which the controller writes at any time. */
export function versionOf({ uid, generation }: KubeObject['metadata']): string {
  return `${uid ?? ''}/${generation ?? 0}`;
}

/** `conflict with "argocd-controller" using aksml.dev/v1: .spec.versions`, in the words of the API server. */
function foreignOwner(error: unknown): string | undefined {
  if (!AksmlError.is(error, 'kube.conflict') || !(error.cause instanceof ApiRefusal)) return undefined;
  const texts = (error.cause.status.details?.causes ?? []).map(({ message = '' }) => message);
  return texts.map((text) => /conflict with "([^"]+)"/.exec(text)?.[1]).find((owner) => owner !== undefined);
}

function given(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
