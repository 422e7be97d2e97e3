import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import { Informer } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { CONFIG_MAPS, DEPLOYMENTS, EVENTS, type KubeEvent, PODS, type Pod } from '../../kube/resource.ts';
import { type RouterScaleLimits, type RouterScaleState, scaleRouters } from '../../serving/router-scale.ts';
import { CONTROLLER_NAME, FRONT_END_NAME, FRONT_END_SCALE_KEY, partLabels, ROUTER_CONTAINER } from '../names.ts';
import { quantity } from '../quantity.ts';
import type { RouterLoad } from '../router/routing-table.ts';
import { type BeforeWrite, FIELD_MANAGER } from './object-writer.ts';
import { cpuQuantity } from './pod-template.ts';
import { isReady } from './version-status.ts';

export interface RouterScalerParts {
  readonly kube: KubeClient;
  /** aksml's own. */
  readonly namespace: string;
  readonly beforeWrite: BeforeWrite;
  readonly log: (message: string) => void;
  readonly warn: (error: unknown) => void;
  /** Default: once a second. */
  readonly periodMs?: number;
}

interface Heard {
  readonly at: number;
  readonly cpuSeconds: number;
  readonly routingMs: number;
}

interface Router {
  readonly pod: Pod;
  readonly cores: number;
  readonly limit: number;
  readonly routingMs: number;
}

const PERIOD_MS = 1000;
/** CPU is what was used of late. */
const WINDOW_MS = 10_000;
const LEAST_WINDOW_MS = 3_000;
const SILENT_MS = 5_000;
/** A node may have to be found, and the image to be pulled. */
const COMING_MS = 120_000;
/** What a router is sure to get, of what it may use. */
const REQUESTED = 0.2;

/** Gives the routers the CPU, and the cluster the routers, that their load asks for, while this instance leads. */
export class RouterScaler {
  readonly #parts: RouterScalerParts;
  readonly #heard = new Map<string, Heard[]>();
  #state: RouterScaleState = {};
  /** False on clusters that cannot give a running pod other resources. */
  #canResize = true;

  constructor(parts: RouterScalerParts) {
    this.#parts = parts;
  }

  /** `now`: monotonic milliseconds of this process. */
  heard({ router, cpuSeconds, routingMs }: RouterLoad, now: number): void {
    if (cpuSeconds === undefined || routingMs === undefined) return;
    const before = (this.#heard.get(router) ?? []).filter(({ at }) => now - at <= WINDOW_MS);
    const known = before.at(-1);
    // It has begun anew.
    const kept = known !== undefined && known.cpuSeconds > cpuSeconds ? [] : before;
    this.#heard.set(router, [...kept, { at: now, cpuSeconds, routingMs }]);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { kube, namespace, warn, periodMs = PERIOD_MS } = this.#parts;
    this.#state = {};
    this.#heard.clear();
    const labelSelector = Object.entries(partLabels(FRONT_END_NAME))
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
    const pods = new Informer(kube, PODS, { query: { namespace, labelSelector }, onError: warn });
    const watching = pods.run(signal);
    let told: string | undefined;
    while (!signal.aborted) {
      await sleep(periodMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      await this.#look([...pods.list()], signal).then(
        () => {
          told = undefined;
        },
        (error: unknown) => {
          if (signal.aborted || AksmlError.is(error, 'kube.conflict') || String(error) === told) return;
          told = String(error);
          warn(error);
        },
      );
    }
    await watching;
  }

  async #look(pods: readonly Pod[], signal: AbortSignal): Promise<void> {
    const present = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const ready = present.filter(isReady);
    this.#forgetOthers(ready);
    const now = performance.now();
    const routers = ready.map((pod) => this.#routerOf(pod, now));
    // While one comes, or says nothing, what it takes off the others is not known; for one that cannot come nobody waits.
    if (ready.length === 0 || present.some(isComing) || !routers.every((router) => router !== undefined)) return;
    const limits = await this.#limits(signal);
    if (limits === undefined) return;
    const { routers: count, cpu, why, state } = scaleRouters(now, routers, this.#within(limits, routers), this.#state);
    for (const { pod, limit } of routers) if (limit !== cpu) await this.#resize(pod, cpu, signal);
    // As many may be asked for already.
    const isNews = count !== present.length || routers.some(({ limit }) => limit !== cpu);
    if (count !== present.length && why !== undefined) await this.#scale(count, signal);
    this.#state = state;
    if (why !== undefined && isNews) await this.#tell(count, cpu, why, signal);
  }

  #forgetOthers(ready: readonly Pod[]): void {
    const names = new Set(ready.map(({ metadata }) => metadata.name));
    for (const name of this.#heard.keys()) if (!names.has(name)) this.#heard.delete(name);
  }

  #routerOf(pod: Pod, now: number): Router | undefined {
    const heard = this.#heard.get(pod.metadata.name) ?? [];
    const [first, last] = [heard[0], heard.at(-1)];
    const limit = quantity(containerOf(pod)?.resources?.limits?.['cpu']);
    if (first === undefined || last === undefined || limit === 0) return undefined;
    if (now - last.at > SILENT_MS || last.at - first.at < LEAST_WINDOW_MS) return undefined;
    const cores = ((last.cpuSeconds - first.cpuSeconds) * 1000) / (last.at - first.at);
    return { pod, cores, limit, routingMs: last.routingMs };
  }

  async #limits(signal: AbortSignal): Promise<RouterScaleLimits | undefined> {
    const { kube, namespace } = this.#parts;
    const { data } = (await kube.find(CONFIG_MAPS, { namespace, name: FRONT_END_NAME }, signal)) ?? {};
    const text = data?.[FRONT_END_SCALE_KEY];
    return text === undefined ? undefined : (JSON.parse(text) as RouterScaleLimits);
  }

  #within(limits: RouterScaleLimits, routers: readonly Router[]): RouterScaleLimits {
    if (this.#canResize) return limits;
    const cpu = Math.max(...routers.map(({ limit }) => limit));
    return { ...limits, minCpu: cpu, maxCpu: cpu };
  }

  async #resize(pod: Pod, cpu: number, signal: AbortSignal): Promise<void> {
    const { kube, beforeWrite, log } = this.#parts;
    const { spec } = pod;
    if (spec === undefined) return;
    const containers = spec.containers.map((container) =>
      container.name === ROUTER_CONTAINER ? { ...container, resources: resized(container.resources, cpu) } : container,
    );
    beforeWrite('update', 'pods/resize');
    try {
      const object = { ...pod, spec: { ...spec, containers } };
      await kube.replace(PODS, object, { fieldManager: FIELD_MANAGER, subresource: 'resize', signal });
    } catch (error) {
      if (!AksmlError.is(error, 'kube.notFound')) throw error;
      this.#canResize = false;
      log('this cluster gives running pods no other resources: more routers come instead of larger ones');
    }
  }

  async #scale(replicas: number, signal: AbortSignal): Promise<void> {
    const { kube, namespace, beforeWrite } = this.#parts;
    beforeWrite('update', DEPLOYMENTS.plural);
    const options = { fieldManager: FIELD_MANAGER, subresource: 'scale', signal } as const;
    await kube.patch(DEPLOYMENTS, { namespace, name: FRONT_END_NAME }, { spec: { replicas } }, options);
  }

  async #tell(count: number, cpu: number, why: string, signal: AbortSignal): Promise<void> {
    const { kube, namespace, log, warn } = this.#parts;
    const message = `${count} ${count === 1 ? 'router' : 'routers'} with up to ${cpu} CPU each, because ${why}`;
    log(message);
    await kube.create(EVENTS, eventOf(namespace, message), { fieldManager: CONTROLLER_NAME, signal }).catch(warn);
  }
}

function isComing(pod: Pod): boolean {
  const begun = Date.parse(String(pod.metadata.creationTimestamp));
  return !isReady(pod) && Date.now() - begun < COMING_MS;
}

function containerOf({ spec }: Pod) {
  return spec?.containers.find(({ name }) => name === ROUTER_CONTAINER);
}

function resized(resources: NonNullable<ReturnType<typeof containerOf>>['resources'], cpu: number) {
  return {
    ...resources,
    requests: { ...resources?.requests, cpu: cpuQuantity(cpu * REQUESTED) },
    limits: { ...resources?.limits, cpu: cpuQuantity(cpu) },
  };
}

function eventOf(namespace: string, message: string): KubeEvent {
  const stamp = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    metadata: { name: `${FRONT_END_NAME}.${randomBytes(8).toString('hex')}`, namespace },
    involvedObject: { apiVersion: 'apps/v1', kind: 'Deployment', name: FRONT_END_NAME, namespace },
    type: 'Normal',
    reason: 'RoutersScaled',
    message,
    source: { component: CONTROLLER_NAME },
    firstTimestamp: stamp,
    lastTimestamp: stamp,
    count: 1,
  };
}
