import type { RolloutStatus } from '../../contract/endpoint.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { keyOf } from '../../kube/object.ts';
import type { StoredEndpoint } from '../../kube/resource.ts';
import type { RolloutEvidence } from '../../serving/rollout.ts';
import type { RouterLoad } from '../router/routing-table.ts';
import { Autoscaler } from './autoscaler.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { LoadView } from './load-view.ts';
import type { BeforeWrite } from './object-writer.ts';
import { RolloutWatch } from './rollout-watch.ts';
import { followRouters } from './router-streams.ts';

export interface LoadFollowerParts {
  readonly kube: KubeClient;
  readonly cache: ClusterCache;
  /** aksml's own. */
  readonly namespace: string;
  readonly beforeWrite: BeforeWrite;
  readonly log: (message: string, endpoint: StoredEndpoint, version: string) => void;
  readonly warn: (error: unknown) => void;
  /** A router has told of itself. */
  readonly onLoad: (load: RouterLoad) => void;
  /** What is to be said of it may have changed. */
  readonly onNews: (endpoint: string) => void;
}

/** What the leader does with the load that routers tell of: scales, and judges what is being rolled out. */
export class LoadFollower {
  readonly #parts: LoadFollowerParts;
  readonly #autoscaler: Autoscaler;
  readonly #rollouts = new RolloutWatch();

  constructor(parts: LoadFollowerParts) {
    this.#parts = parts;
    this.#autoscaler = new Autoscaler({ ...parts, onUtilization: parts.onNews });
  }

  /** Of a version of `namespace/name`; undefined while nothing is known. */
  utilization(endpoint: string, version: string): number | undefined {
    return this.#autoscaler.utilization(endpoint, version);
  }

  /** Since the step that the endpoint's status says. */
  evidence(endpoint: StoredEndpoint, version: string): RolloutEvidence {
    return this.#rollouts.evidence(endpoint.metadata.name, version, rolloutOf(endpoint, version));
  }

  forget({ metadata }: StoredEndpoint): void {
    this.#autoscaler.forget(keyOf(metadata));
    this.#rollouts.forget(metadata.name);
  }

  /** Works until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { kube, cache, namespace, warn, onNews } = this.#parts;
    const view = new LoadView();
    this.#autoscaler.reset();
    this.#rollouts.reset();
    await followRouters(
      {
        kube,
        namespace,
        onRouters: (names) => view.setRouters(names, performance.now()),
        onLoad: (load) => {
          this.#parts.onLoad(load);
          for (const moment of view.heard(load, performance.now())) {
            const endpoint = cache.holderOfName(moment.endpoint);
            if (endpoint === undefined) continue;
            this.#autoscaler.moment(moment, endpoint, signal);
            const isDue = this.#rollouts.moment(moment, rolloutOf(endpoint, moment.version));
            if (isDue) onNews(keyOf(endpoint.metadata));
          }
        },
        warn,
      },
      signal,
    );
  }
}

function rolloutOf({ status }: StoredEndpoint, version: string): RolloutStatus | undefined {
  return status?.versions.find(({ name }) => name === version)?.rollout;
}
