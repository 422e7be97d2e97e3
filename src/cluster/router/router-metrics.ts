import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { utilization } from '../../serving/replicas.ts';
import type { ActivatorFigures } from './activator.ts';
import { versionKey } from './cold-queue.ts';
import { LATENCY_BOUNDS_MS, type RouterLoad, type RoutingTable, type VersionLoad } from './routing-table.ts';

/** What a router's figures are made of at a moment. */
export interface RouterMoment {
  readonly load: RouterLoad;
  readonly table: RoutingTable;
  readonly activator: ActivatorFigures;
  /** What HAProxy does is what the table says. */
  readonly inForce: boolean;
}

/** A router's figures in Prometheus' text form; those of requests are named as those of the local gateway. */
export class RouterMetrics {
  readonly #registry = new Registry();
  readonly #moment: () => RouterMoment;
  readonly #ordersMs: Gauge;
  readonly #interruptions: Counter<'resource'>;
  readonly #orders: Counter<'result'>;

  constructor(moment: () => RouterMoment) {
    this.#moment = moment;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#interruptions = new Counter({
      name: 'aksml_watch_interruptions_total',
      help: 'Watches that broke off and were taken up again.',
      labelNames: ['resource'],
      registers,
    });
    this.#orders = new Counter({
      name: 'aksml_router_changes_total',
      help: 'Times that HAProxy was told something new.',
      labelNames: ['result'],
      registers,
    });
    this.#ordersMs = new Gauge({
      name: 'aksml_router_change_seconds',
      help: 'How long the last change took until it was in force.',
      registers,
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  watchInterrupted(resource: string): void {
    this.#interruptions.inc({ resource });
  }

  changed(result: 'success' | 'failed', ms: number): void {
    this.#orders.inc({ result });
    this.#ordersMs.set(ms / 1000);
  }

  async text(): Promise<string> {
    return `${await this.#registry.metrics()}${momentText(this.#moment())}`;
  }
}

/** The series that are read off a moment, in Prometheus' text form. Names of endpoints and versions need no escapes. Pure. */
export function momentText({ load, table, activator, inForce }: RouterMoment): string {
  const ready = new Map(
    table.endpoints.flatMap((endpoint) =>
      endpoint.versions.map((version) => [versionKey(endpoint.name, version.name), version] as const),
    ),
  );
  const readyReplicas = (key: string) => ready.get(key)?.replicas.filter(({ state }) => state === 'ready').length ?? 0;
  const each = (name: string, type: string, help: string, value: (version: VersionLoad) => number | undefined) =>
    family(name, type, help, load.versions, (version) => {
      const present = value(version);
      return present === undefined ? [] : [`${name}{${labelsOf(version)}} ${present}`];
    });
  return [
    family('aksml_requests_total', 'counter', 'Requests that replicas are done with.', load.versions, (version) => [
      `aksml_requests_total{${labelsOf(version)},status="ok"} ${version.completed - version.failed}`,
      `aksml_requests_total{${labelsOf(version)},status="failed"} ${version.failed}`,
    ]),
    each('aksml_requests_arrived_total', 'counter', 'Requests that have come.', ({ arrived }) => arrived),
    each('aksml_requests_in_flight', 'gauge', 'Requests at replicas.', ({ busy }) => busy),
    each('aksml_requests_queued', 'gauge', 'Requests that wait for a replica.', ({ queued }) => queued),
    each('aksml_replicas_ready', 'gauge', 'Replicas that take requests.', (version) =>
      readyReplicas(versionKey(version.endpoint, version.version)),
    ),
    each('aksml_utilization_ratio', 'gauge', '(busy + queued) / (replicas × concurrency).', (version) => {
      const key = versionKey(version.endpoint, version.version);
      const concurrency = ready.get(key)?.maxConcurrentRequestsPerContainer ?? 1;
      return utilization(version.busy, version.queued, readyReplicas(key), concurrency);
    }),
    family(
      'aksml_request_duration_seconds',
      'histogram',
      'Time from the request to the end of its answer.',
      load.versions,
      histogramLines,
    ),
    family('aksml_mirrored_total', 'counter', 'Copies for a mirror.', [...activator.copied], ([key, count]) => [
      `aksml_mirrored_total{${labelsOf(parts(key))}} ${count}`,
    ]),
    family(
      'aksml_mirror_dropped_total',
      'counter',
      'Copies that were not made, because the version is behind.',
      [...activator.dropped],
      ([key, count]) => [`aksml_mirror_dropped_total{${labelsOf(parts(key))}} ${count}`],
    ),
    single('aksml_held_requests', 'Requests whose body is received, or that wait for a first replica.', activator.held),
    single('aksml_held_bytes', 'Bytes of bodies that are held.', activator.bytesHeld),
    single('aksml_router_in_force', '1 while HAProxy does what the cluster asks for.', inForce ? 1 : 0),
    single('aksml_router_endpoints', 'Endpoints that are routed.', table.endpoints.length),
    single('aksml_routers', 'Routers that share the endpoints.', table.routers.length),
  ].join('');
}

function family<T>(
  name: string,
  type: string,
  help: string,
  items: readonly T[],
  linesOf: (item: T) => readonly string[],
): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${items
    .flatMap(linesOf)
    .map((line) => `${line}\n`)
    .join('')}`;
}

function single(name: string, help: string, value: number): string {
  return family(name, 'gauge', help, [value], () => [`${name} ${value}`]);
}

function labelsOf({ endpoint, version }: Pick<VersionLoad, 'endpoint' | 'version'>): string {
  return `endpoint="${endpoint}",version="${version}"`;
}

function parts(key: string): Pick<VersionLoad, 'endpoint' | 'version'> {
  const [endpoint = '', version = ''] = key.split('/');
  return { endpoint, version };
}

/** Prometheus counts what is at most a bound; the sum is not known, so that it is left out. */
function histogramLines(load: VersionLoad): readonly string[] {
  const name = 'aksml_request_duration_seconds';
  const labels = labelsOf(load);
  const total = load.latency.reduce((sum, count) => sum + count, 0);
  let below = 0;
  return [
    ...LATENCY_BOUNDS_MS.map((bound, index) => {
      below += load.latency[index] ?? 0;
      return `${name}_bucket{${labels},le="${bound / 1000}"} ${below}`;
    }),
    `${name}_bucket{${labels},le="+Inf"} ${total}`,
    `${name}_count{${labels}} ${total}`,
  ];
}
