import { type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Informer } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { readLines } from '../../kube/lines.ts';
import { PODS, type Pod, SECRETS } from '../../kube/resource.ts';
import { FRONT_END_NAME, HOP_SECRET, HOP_SECRET_KEY, partLabels, ROUTER_PORTS } from '../names.ts';
import type { RouterLoad } from '../router/routing-table.ts';
import { isReady } from './version-status.ts';

export interface RouterStreamsOptions {
  readonly kube: KubeClient;
  /** aksml's own. */
  readonly namespace: string;
  readonly onRouters: (names: readonly string[]) => void;
  readonly onLoad: (load: RouterLoad) => void;
  readonly warn: (error: unknown) => void;
}

const RETRY_MS = 250;
/** Routers tell ten times a second. */
const SILENCE_MS = 2000;
const SELECTOR = Object.entries(partLabels(FRONT_END_NAME))
  .map(([name, value]) => `${name}=${value}`)
  .join(',');

/** Listens to what every ready router says of its load, whatever becomes of the routers, until the signal. */
export async function followRouters(options: RouterStreamsOptions, signal: AbortSignal): Promise<void> {
  const { kube, namespace, onRouters, warn } = options;
  const followed = new Map<string, AbortController>();
  const secret = new HopSecret(kube, namespace);
  const working = new Set<Promise<void>>();
  const settle = () => {
    const ready = new Map(
      [...pods.list()].filter((pod) => isReady(pod) && addressOf(pod)).map((pod) => [idOf(pod), pod]),
    );
    for (const [id, leave] of followed) {
      if (ready.has(id)) continue;
      leave.abort();
      followed.delete(id);
    }
    onRouters([...ready.values()].map(({ metadata }) => metadata.name));
    for (const [id, pod] of ready) {
      if (followed.has(id)) continue;
      const leave = new AbortController();
      followed.set(id, leave);
      const work = follow(pod, secret, options, AbortSignal.any([signal, leave.signal]));
      working.add(work);
      void work.finally(() => working.delete(work));
    }
  };
  const pods: Informer<Pod> = new Informer(kube, PODS, {
    query: { namespace, labelSelector: SELECTOR },
    onChange: settle,
    onError: warn,
  });
  await pods.run(signal);
  await Promise.all(working);
}

/** Again and again, as long as the router is ready. */
async function follow(
  pod: Pod,
  secret: HopSecret,
  { onLoad, warn }: RouterStreamsOptions,
  signal: AbortSignal,
): Promise<void> {
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      const response = await ask(pod, await secret.value(signal), signal);
      if (response.statusCode === 401 || response.statusCode === 403) secret.forget();
      if (response.statusCode !== 200) {
        response.destroy();
        throw new Error(`it answered ${response.statusCode}`);
      }
      for await (const line of readLines(response)) {
        told = undefined;
        if (line !== '') onLoad({ ...(JSON.parse(line) as RouterLoad), router: pod.metadata.name });
      }
    } catch (error) {
      if (signal.aborted) return;
      const message = `the load of ${pod.metadata.name} is not known: ${error instanceof Error ? error.message : String(error)}`;
      if (message !== told) warn(new Error(message, { cause: error }));
      told = message;
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

function ask(pod: Pod, secret: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request({
      host: addressOf(pod),
      port: agentPort(pod),
      path: '/load?stream=1',
      headers: { authorization: `Bearer ${secret}` },
      agent: false,
      timeout: SILENCE_MS,
      signal,
    });
    asking.on('timeout', () => asking.destroy(new Error('it is silent')));
    asking.on('response', resolve);
    asking.on('error', reject);
    asking.end();
  });
}

/** With which the controller and the routers know each other. */
class HopSecret {
  readonly #kube: KubeClient;
  readonly #namespace: string;
  #known: Promise<string> | undefined;

  constructor(kube: KubeClient, namespace: string) {
    this.#kube = kube;
    this.#namespace = namespace;
  }

  value(signal: AbortSignal): Promise<string> {
    this.#known ??= this.#read(signal).catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return this.#known;
  }

  forget(): void {
    this.#known = undefined;
  }

  async #read(signal: AbortSignal): Promise<string> {
    const { data } = await this.#kube.get(SECRETS, { namespace: this.#namespace, name: HOP_SECRET }, signal);
    return Buffer.from(data?.[HOP_SECRET_KEY] ?? '', 'base64').toString('utf8');
  }
}

function idOf({ metadata }: Pod): string {
  return metadata.uid ?? metadata.name;
}

function addressOf({ status }: Pod): string | undefined {
  return status?.podIP;
}

function agentPort({ spec }: Pod): number {
  const ports = spec?.containers.flatMap(({ ports = [] }) => ports) ?? [];
  return ports.find(({ name }) => name === 'agent')?.containerPort ?? ROUTER_PORTS.agent;
}
