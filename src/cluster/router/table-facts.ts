import type { EndpointSlice, Pod, Secret, StoredEndpoint } from '../../kube/resource.ts';
import {
  HOP_SECRET_KEY,
  HOSTS_ANNOTATION,
  ROUTER_PORTS,
  ROUTER_SECRET_LABEL,
  type RouterSecretKind,
} from '../names.ts';
import type { RouterPeer } from './routing-table.ts';

/** A certificate that clients may be shown, in PEM form. */
export interface RouterCertificate {
  /** Of the Secret. */
  readonly name: string;
  /** Host names that it is for; none: for whoever asks. */
  readonly hosts: readonly string[];
  readonly certificate: string;
  readonly key: string;
}

/** What routers are told in Secrets beside who may use which endpoint. */
export interface RouterSecrets {
  /** By which routers know one another, the present one first. */
  readonly hop: readonly string[];
  /** Answers to an ACME server's questions, by their tokens. */
  readonly challenges: ReadonlyMap<string, string>;
  readonly certificates: readonly RouterCertificate[];
}

/** Of several endpoints of a name, the one that is served; as the controller decides it. */
export function holderOf(endpoints: readonly StoredEndpoint[]): StoredEndpoint | undefined {
  const rank = ({ metadata }: StoredEndpoint) => `${metadata.creationTimestamp ?? ''} ${metadata.namespace ?? ''}`;
  const hasConflict = ({ status }: StoredEndpoint) =>
    status?.conditions?.some((condition) => condition.type === 'NameConflict' && condition.status === 'True') === true;
  return endpoints.filter((endpoint) => !hasConflict(endpoint)).sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}

/** Those that share the endpoints: pods that are ready and stay. `self` alone, where there is none. */
export function routersOf(pods: readonly Pod[], self: RouterPeer, isLeaving: boolean): readonly RouterPeer[] {
  const peers = pods.flatMap(({ metadata, status }): RouterPeer[] => {
    const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
    const address = status?.podIP;
    if (!isReady || address === undefined || metadata.deletionTimestamp !== undefined) return [];
    if (metadata.name === self.name) return isLeaving ? [] : [self];
    return [{ name: metadata.name, address, hopPort: ROUTER_PORTS.hop }];
  });
  return peers.length === 0 ? [self] : peers.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function secretKind({ metadata }: Secret): RouterSecretKind | undefined {
  const kind = metadata.labels?.[ROUTER_SECRET_LABEL];
  return kind === 'auth' || kind === 'hop' || kind === 'certificate' || kind === 'challenge' ? kind : undefined;
}

export function routerSecrets(secrets: readonly Secret[]): RouterSecrets {
  const ofKind = (kind: RouterSecretKind) => secrets.filter((secret) => secretKind(secret) === kind);
  return {
    hop: ofKind('hop').flatMap(({ data }) => {
      const { [HOP_SECRET_KEY]: present, ...others } = decoded(data);
      return [present ?? '', ...Object.values(others)].filter((secret) => secret !== '');
    }),
    challenges: new Map(ofKind('challenge').flatMap(({ data }) => Object.entries(decoded(data)))),
    certificates: ofKind('certificate').flatMap(({ metadata, data }) => {
      const { 'tls.crt': certificate, 'tls.key': key } = decoded(data);
      if (certificate === undefined || key === undefined) return [];
      const hosts = (metadata.annotations?.[HOSTS_ANNOTATION] ?? '').split(',').map((host) => host.trim());
      return [{ name: metadata.name, hosts: hosts.filter((host) => host !== ''), certificate, key }];
    }),
  };
}

function decoded(data: Secret['data']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

/** Of an Endpoint what a router goes by: thousands are kept. */
export function slimEndpoint(endpoint: StoredEndpoint): StoredEndpoint {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = endpoint.metadata;
  const { spec, status } = endpoint;
  const metadata = definedOnly({ name, namespace, uid, resourceVersion, generation, creationTimestamp });
  return {
    apiVersion: endpoint.apiVersion,
    kind: endpoint.kind,
    metadata: { ...metadata, name },
    spec: {
      ...spec,
      description: '',
      tags: {},
      properties: {},
      versions: spec.versions.map((version) => ({
        ...version,
        description: '',
        tags: {},
        properties: {},
        models: [],
        environment: { hash: '' },
        secretVariables: [],
      })),
    },
    ...(status === undefined ? {} : { status: slimStatus(status) }),
  };
}

function slimStatus(status: NonNullable<StoredEndpoint['status']>): NonNullable<StoredEndpoint['status']> {
  const { error: _error, conditions, versions, ...rest } = status;
  return {
    ...rest,
    conditions: (conditions ?? []).filter(({ type }) => type === 'NameConflict'),
    versions: (versions ?? []).map(({ error: _cause, ...version }) => ({ ...version, replicas: [] })),
  };
}

export function slimSlice(slice: EndpointSlice): EndpointSlice {
  const { name, namespace, uid, resourceVersion, labels } = slice.metadata;
  return {
    metadata: { ...definedOnly({ namespace, uid, resourceVersion, labels }), name },
    addressType: slice.addressType,
    ports: (slice.ports ?? []).map((port) => definedOnly({ name: port.name, port: port.port })),
    endpoints: (slice.endpoints ?? []).map(({ addresses, conditions, targetRef }) => ({
      addresses: addresses.slice(0, 1),
      ...definedOnly({ conditions, targetRef: targetRef?.name === undefined ? undefined : { name: targetRef.name } }),
    })),
  };
}

export function slimPod({ metadata, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp } = metadata;
  return {
    metadata: { ...definedOnly({ namespace, uid, resourceVersion, labels, deletionTimestamp }), name },
    status: {
      ...definedOnly({ podIP: status?.podIP }),
      conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready'),
    },
  };
}

function definedOnly<T extends object>(members: T): { readonly [Key in keyof T]?: Exclude<T[Key], undefined> } {
  // Members that are undefined are gone afterwards, which the type of the result cannot say better.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    readonly [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
