import { isDeepStrictEqual } from 'node:util';
import { Informer, type InformerChange, type InformerOptions } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import {
  CONFIG_MAPS,
  type ConfigMap,
  ENDPOINT_SLICES,
  ENDPOINTS,
  type EndpointSlice,
  PODS,
  type Pod,
  type Resource,
  SECRETS,
  type Secret,
  type StoredEndpoint,
} from '../../kube/resource.ts';
import {
  authSecretKey,
  authSecretName,
  ENDPOINT_LABEL,
  FRONT_END_NAME,
  FRONT_END_SETTINGS_KEY,
  MANAGED_BY,
  partLabels,
  ROUTER_SECRET_LABEL,
  SYSTEM_NAMESPACE,
} from '../names.ts';
import { parsePublishedAuth } from './published-auth.ts';
import { ReadinessAsker } from './readiness-asker.ts';
import { type EndpointFacts, routedEndpoint, startingReplicas } from './routed-endpoint.ts';
import { DEFAULT_ROUTER_SETTINGS, parseRouterSettings, type RouterSettings } from './router-settings.ts';
import type { RoutedEndpoint, RoutedVersion, RouterPeer, RoutingTable } from './routing-table.ts';
import {
  holderOf,
  type RouterSecrets,
  routerSecrets,
  routersOf,
  secretKind,
  slimEndpoint,
  slimPod,
  slimSlice,
} from './table-facts.ts';

/** All that a router is to do at a moment. */
export interface RouterOrders {
  readonly table: RoutingTable;
  readonly secrets: RouterSecrets;
  readonly settings: RouterSettings;
}

export interface TableSourceOptions {
  readonly kube: KubeClient;
  /** Those whose endpoints are served. */
  readonly namespaces: readonly string[];
  /** This router. */
  readonly self: RouterPeer;
  /** Where the routers are; default: aksml's own namespace. */
  readonly systemNamespace?: string;
  /** First when everything is known, then whenever something is different. Objects of an endpoint that is as it was are the same ones. */
  readonly onOrders: (orders: RouterOrders) => void;
  readonly onError: (resource: Resource<KubeObject>, namespace: string, error: unknown) => void;
}

/** After a version is gone its replicas finish what they have: beside the longest scoring call, milliseconds. */
const FAREWELL_MS = 10_000;

/**
 * What a router is to do, as the API server tells it: endpoints of the namespaces that are served, their replicas, who may use them, and the
 * other routers. While the API server does not answer, what was known stays.
 */
export class TableSource {
  readonly #options: TableSourceOptions;
  readonly #endpoints: readonly Informer<StoredEndpoint>[];
  readonly #slices: ReadonlyMap<string, Informer<EndpointSlice>>;
  readonly #secrets: Informer<Secret>;
  readonly #pods: Informer<Pod>;
  readonly #settings: Informer<ConfigMap>;
  readonly #asker = new ReadinessAsker({ onNews: (endpoint) => this.#touch(endpoint) });
  readonly #routed = new Map<string, RoutedEndpoint>();
  /** Versions that are gone and whose replicas finish, by endpoint. */
  readonly #departed = new Map<string, readonly { readonly version: RoutedVersion; readonly until: number }[]>();
  /** Names of endpoints that are to be looked at. */
  readonly #dirty = new Set<string>();
  #orders: RouterOrders | undefined;
  #isScheduled = false;
  #isLeaving = false;

  constructor(options: TableSourceOptions) {
    this.#options = options;
    const { namespaces, systemNamespace = SYSTEM_NAMESPACE } = options;
    this.#endpoints = namespaces.map((namespace) =>
      this.#informer(ENDPOINTS, namespace, {
        keep: slimEndpoint,
        groupOf: ({ metadata }) => metadata.name,
        onChange: ({ object }) => this.#touch(object.metadata.name),
      }),
    );
    this.#slices = new Map(
      namespaces.map((namespace) => [
        namespace,
        this.#informer(ENDPOINT_SLICES, namespace, {
          query: { labelSelector: `${selectorOf(MANAGED_BY)},${ENDPOINT_LABEL}` },
          keep: slimSlice,
          groupOf: endpointOf,
          onChange: ({ object }) => this.#touch(endpointOf(object)),
        }),
      ]),
    );
    this.#secrets = this.#informer(SECRETS, systemNamespace, {
      query: { labelSelector: ROUTER_SECRET_LABEL },
      onChange: (change) => this.#touchAll(endpointsIn(change)),
    });
    this.#pods = this.#informer(PODS, systemNamespace, {
      query: { labelSelector: selectorOf(partLabels(FRONT_END_NAME)) },
      keep: slimPod,
      onChange: ({ object }) => {
        if (object.metadata.name === options.self.name && object.metadata.deletionTimestamp !== undefined) this.leave();
        this.#schedule();
      },
    });
    this.#settings = this.#informer(CONFIG_MAPS, systemNamespace, {
      query: { fieldSelector: `metadata.name=${FRONT_END_NAME}` },
      onChange: () => this.#touchAll(this.#routed.keys()),
    });
  }

  /** Whether everything was listed once. */
  get synced(): boolean {
    return this.#all().every(({ synced }) => synced);
  }

  /** Whether this router leaves: its endpoints belong to others, if there are others. */
  get leaving(): boolean {
    return this.#isLeaving;
  }

  leave(): void {
    this.#isLeaving = true;
    this.#schedule();
  }

  /** Works until the signal; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const informers = this.#all();
    for (const { whenSynced } of informers) whenSynced.then(() => this.#schedule());
    await Promise.all(informers.map((informer) => informer.run(signal)));
    this.#asker.close();
  }

  #all(): readonly Pick<Informer<KubeObject>, 'run' | 'synced' | 'whenSynced'>[] {
    return [...this.#endpoints, ...this.#slices.values(), this.#secrets, this.#pods, this.#settings];
  }

  #informer<T extends KubeObject>(resource: Resource<T>, namespace: string, options: InformerOptions<T>): Informer<T> {
    return new Informer(this.#options.kube, resource, {
      ...options,
      query: { namespace, ...options.query },
      onError: (error) => this.#options.onError(resource, namespace, error),
    });
  }

  #touch(endpoint: string | undefined): void {
    if (endpoint === undefined) return;
    this.#dirty.add(endpoint);
    this.#schedule();
  }

  #touchAll(endpoints: Iterable<string>): void {
    for (const endpoint of endpoints) this.#dirty.add(endpoint);
    this.#schedule();
  }

  /** What comes together is told together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.synced) this.#tell();
    });
  }

  #tell(): void {
    const settings = this.#settingsNow();
    const changed = [...this.#dirty].filter((name) => this.#renew(name, settings)).length > 0;
    this.#dirty.clear();
    const last = this.#orders;
    const present: RouterOrders = {
      table: {
        endpoints: last && !changed ? last.table.endpoints : [...this.#routed.values()],
        routers: routersOf([...this.#pods.list()], this.#options.self, this.#isLeaving),
      },
      secrets: routerSecrets([...this.#secrets.list()]),
      settings,
    };
    if (last && !changed && isSame(last, present)) return;
    this.#orders = present;
    this.#options.onOrders(present);
  }

  /** Whether the endpoint is different now. */
  #renew(name: string, settings: RouterSettings): boolean {
    const previous = this.#routed.get(name);
    const made = this.#make(name, settings, previous);
    const next = made && { ...made, versions: [...made.versions, ...this.#farewells(name, previous, made)] };
    if (isDeepStrictEqual(previous, next)) return false;
    if (next === undefined) this.#routed.delete(name);
    else this.#routed.set(name, next);
    return true;
  }

  #make(name: string, settings: RouterSettings, previous: RoutedEndpoint | undefined): RoutedEndpoint | undefined {
    const endpoint = holderOf(this.#endpoints.flatMap((informer) => informer.group(name)));
    if (endpoint === undefined) {
      this.#asker.follow(name, []);
      return undefined;
    }
    const { namespace = '' } = endpoint.metadata;
    const system = this.#options.systemNamespace ?? SYSTEM_NAMESPACE;
    const entry = this.#secrets.get(`${system}/${authSecretName(name)}`)?.data?.[authSecretKey(namespace, name)];
    const auth = entry === undefined ? undefined : parsePublishedAuth(entry);
    const asked = this.#asker.asked(name);
    const facts: EndpointFacts = {
      endpoint,
      slices: this.#slices.get(namespace)?.group(name) ?? [],
      settings,
      ...(auth === undefined ? {} : { auth }),
      ...(previous === undefined ? {} : { previous }),
      ...(asked === undefined ? {} : { asked }),
    };
    this.#asker.follow(name, startingReplicas(facts));
    return routedEndpoint(facts);
  }

  /**
   * A version that is taken out of an endpoint has no slices at once, though its replicas still answer what they have: they are kept, and get
   * nothing new, until that must be done.
   */
  #farewells(name: string, previous: RoutedEndpoint | undefined, made: RoutedEndpoint): readonly RoutedVersion[] {
    const now = performance.now();
    const isBack = ({ name: version }: RoutedVersion) => made.versions.some((one) => one.name === version);
    const known = this.#departed.get(name) ?? [];
    const gone = (previous?.versions ?? [])
      .filter((version) => !isBack(version) && version.replicas.length > 0)
      .filter((version) => !known.some((one) => one.version.name === version.name))
      .map((version) => ({ version: departing(version), until: now + version.scoringTimeoutMs + FAREWELL_MS }));
    for (const { until } of gone) setTimeout(() => this.#touch(name), until - now + 1).unref();
    const left = [...known, ...gone].filter(({ version, until }) => !isBack(version) && until > now);
    if (left.length === 0) this.#departed.delete(name);
    else this.#departed.set(name, left);
    return left.map(({ version }) => version);
  }

  #settingsNow(): RouterSettings {
    const [map] = [...this.#settings.list()];
    const text = map?.data?.[FRONT_END_SETTINGS_KEY];
    return text === undefined ? DEFAULT_ROUTER_SETTINGS : parseRouterSettings(text);
  }
}

function departing(version: RoutedVersion): RoutedVersion {
  return {
    ...version,
    isDefault: false,
    trafficPercentile: 0,
    coldStartMs: 0,
    replicas: version.replicas.map((replica) => ({ ...replica, state: 'draining' as const })),
  };
}

function isSame(last: RouterOrders, present: RouterOrders): boolean {
  return (
    isDeepStrictEqual(last.table.routers, present.table.routers) &&
    isDeepStrictEqual(last.secrets, present.secrets) &&
    isDeepStrictEqual(last.settings, present.settings)
  );
}

function endpointOf({ metadata }: KubeObject): string | undefined {
  return metadata.labels?.[ENDPOINT_LABEL];
}

/** Endpoints about which a Secret says something else than before. */
function endpointsIn(change: InformerChange<Secret>): readonly string[] {
  if (secretKind(change.object) !== 'auth') return [];
  const after = change.type === 'deleted' ? {} : (change.object.data ?? {});
  const before =
    change.type === 'changed' ? (change.previous.data ?? {}) : change.type === 'added' ? {} : change.object.data;
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after)]);
  return [...keys].filter((key) => before?.[key] !== after[key]).map((key) => key.slice(key.indexOf('.') + 1));
}

function selectorOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
