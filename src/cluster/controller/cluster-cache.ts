import { AksmlError } from '../../contract/error.ts';
import { Informer, type InformerChange } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import {
  DEPLOYMENTS,
  ENDPOINTS,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Pod,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Secret,
  type StoredEndpoint,
} from '../../kube/resource.ts';
import { ENDPOINT_LABEL, MANAGED_BY } from '../names.ts';
import { hashedKeys } from './auth-entry.ts';

/** Kinds of which the controller keeps what is there at hand, in each namespace that it serves. */
const OWNED_KINDS: readonly Resource<KubeObject>[] = [
  DEPLOYMENTS,
  SERVICES,
  POD_DISRUPTION_BUDGETS,
  SERVICE_ACCOUNTS,
  NETWORK_POLICIES,
  PODS,
  SECRETS,
];

const SELECTOR = `${Object.entries(MANAGED_BY).map(([name, value]) => `${name}=${value}`)},${ENDPOINT_LABEL}`;

export interface CacheListener {
  /** By `namespace/name`: something that belongs to this endpoint has changed. */
  readonly onChange: (endpoint: string) => void;
  readonly onEndpoint: (change: InformerChange<StoredEndpoint>) => void;
  readonly onError: (resource: Resource<KubeObject>, namespace: string | undefined, error: unknown) => void;
}

/** What is there, as the API server told last: endpoints everywhere, what belongs to them in the namespaces that are served. */
export class ClusterCache {
  readonly endpoints: Informer<StoredEndpoint>;
  readonly #owned = new Map<string, Map<string, Informer<KubeObject>>>();

  constructor(kube: KubeClient, namespaces: readonly string[], listener: CacheListener) {
    this.endpoints = new Informer(kube, ENDPOINTS, {
      keep: withoutManagers,
      groupOf: ({ metadata }) => metadata.name,
      onChange: (change) => listener.onEndpoint(change),
      onError: (error) => listener.onError(ENDPOINTS, undefined, error),
    });
    for (const namespace of namespaces) {
      const informers = OWNED_KINDS.map(
        (kind) => [kind.plural, ownedInformer(kube, kind, namespace, listener)] as const,
      );
      this.#owned.set(namespace, new Map(informers));
    }
  }

  serves(namespace: string | undefined): boolean {
    return namespace !== undefined && this.#owned.has(namespace);
  }

  get namespaces(): readonly string[] {
    return [...this.#owned.keys()];
  }

  get synced(): boolean {
    return this.#all().every(({ synced }) => synced);
  }

  /** Changes of some kind do not arrive until somebody gives the right to see them. */
  get lacksRights(): boolean {
    return this.#all().some(({ interruptedBy }) => AksmlError.is(interruptedBy, 'kube.forbidden'));
  }

  /** Those endpoints of a name that are in namespaces that are served. */
  named(name: string): readonly StoredEndpoint[] {
    return this.endpoints.group(name).filter(({ metadata }) => this.serves(metadata.namespace));
  }

  /** Of those, the one that had the name first. */
  holderOfName(name: string): StoredEndpoint | undefined {
    const rank = ({ metadata }: StoredEndpoint) => `${metadata.creationTimestamp ?? ''} ${metadata.namespace ?? ''}`;
    return [...this.named(name)].sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
  }

  /** One object of an endpoint's. */
  find<T extends KubeObject>(resource: Resource<T>, namespace: string, name: string): T | undefined {
    return this.#informer(resource, namespace)?.get(`${namespace}/${name}`);
  }

  /** All objects of a kind that belong to an endpoint. */
  belongingTo<T extends KubeObject>(resource: Resource<T>, namespace: string, endpoint: string): readonly T[] {
    return this.#informer(resource, namespace)?.group(`${namespace}/${endpoint}`) ?? [];
  }

  /** Why what is there in a namespace is not known yet; undefined when it is. */
  whyUnknown(namespace: string): AksmlError | undefined {
    const missing = [...(this.#owned.get(namespace)?.values() ?? [])].filter(({ synced }) => !synced);
    const [first] = missing;
    if (first === undefined) return undefined;
    const cause = missing.map(({ interruptedBy }) => interruptedBy).find((error) => error !== undefined);
    if (AksmlError.is(cause)) return cause;
    return new AksmlError(
      'controller.notSynced',
      `The ${first.resource.plural} of ${namespace} are still being listed.`,
    );
  }

  /** Works until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.run(signal)));
  }

  #all(): readonly Pick<Informer<KubeObject>, 'synced' | 'interruptedBy' | 'run'>[] {
    return [this.endpoints, ...[...this.#owned.values()].flatMap((kinds) => [...kinds.values()])];
  }

  #informer<T extends KubeObject>(resource: Resource<T>, namespace: string): Informer<T> | undefined {
    // The map has the informer of a kind under that kind's name.
    return this.#owned.get(namespace)?.get(resource.plural) as Informer<T> | undefined;
  }
}

function ownedInformer(
  kube: KubeClient,
  kind: Resource<KubeObject>,
  namespace: string,
  listener: CacheListener,
): Informer<KubeObject> {
  const endpointOf = ({ metadata }: KubeObject): string | undefined => {
    const name = metadata.labels?.[ENDPOINT_LABEL];
    return name === undefined ? undefined : `${namespace}/${name}`;
  };
  return new Informer(kube, kind, {
    query: { namespace, labelSelector: SELECTOR },
    keep: kept(kind),
    groupOf: endpointOf,
    onChange: ({ object }) => {
      const endpoint = endpointOf(object);
      if (endpoint !== undefined) listener.onChange(endpoint);
    },
    onError: (error) => listener.onError(kind, namespace, error),
  });
}

function kept(kind: Resource<KubeObject>): (object: KubeObject) => KubeObject {
  switch (kind.plural) {
    case PODS.plural:
      return (object) => slimPod(object);
    case SECRETS.plural:
      return (object) => hashedKeys(object as Secret);
    default:
      return withoutManagers;
  }
}

/** Field ownership is most of an object's size, and nobody here reads it. */
function withoutManagers<T extends KubeObject>(object: T): T {
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Of ten thousand pods only what a status is made of. */
function slimPod(object: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, annotations, creationTimestamp, deletionTimestamp } =
    object.metadata;
  return {
    metadata: {
      name,
      ...defined({ namespace, uid, resourceVersion, labels, annotations, creationTimestamp, deletionTimestamp }),
    },
    spec: {
      ...defined({ nodeName: object.spec?.nodeName }),
      containers: (object.spec?.containers ?? []).map((container) => ({
        name: container.name,
        ...defined({ resources: container.resources }),
      })),
    },
    ...defined({ status: object.status && slimStatus(object.status) }),
  };
}

function slimStatus(status: NonNullable<Pod['status']>): NonNullable<Pod['status']> {
  const { phase, reason, message, conditions, containerStatuses } = status;
  return defined({
    phase,
    reason,
    message,
    conditions: conditions?.filter(({ type }) => type === 'Ready' || type === 'PodScheduled'),
    containerStatuses,
  });
}

function defined<T extends object>(members: T): { readonly [Key in keyof T]: Exclude<T[Key], undefined> } {
  // Members that are undefined are gone afterwards, which the type of the result cannot say better.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    readonly [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}
