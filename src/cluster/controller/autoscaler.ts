import type { VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { keyOf } from '../../kube/object.ts';
import { DEPLOYMENTS, type Deployment, type StoredEndpoint } from '../../kube/resource.ts';
import { type AutoscaleState, decide, NO_HISTORY, observe } from '../../serving/autoscale.ts';
import type { LoadSample } from '../../serving/demand.ts';
import { workloadName } from '../names.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { isOwnedBy } from './labels.ts';
import type { VersionMoment } from './load-view.ts';
import { type BeforeWrite, FIELD_MANAGER } from './object-writer.ts';
import { Utilization } from './utilization.ts';

export interface AutoscalerParts {
  readonly kube: KubeClient;
  readonly cache: ClusterCache;
  readonly beforeWrite: BeforeWrite;
  readonly log: (message: string, endpoint: StoredEndpoint, version: string) => void;
  readonly warn: (error: unknown) => void;
  /** Its utilization is another than was said last. */
  readonly onUtilization: (endpoint: string) => void;
}

interface Watched {
  /** Of the endpoint: another one of the same name has a history of its own. */
  readonly uid: string;
  state: AutoscaleState;
  last: LoadSample | undefined;
  observedAt: number;
  /** When it last was not at rest. */
  busyAt: number;
  /** What was written, until the cache shows it. */
  written: Deployment | undefined;
  isWriting: boolean;
  readonly utilization: Utilization;
}

/** What has been at rest for so long is looked at only so often: thousands of versions are, at most times. */
const REST_MS = 2000;
const IDLE_MS = 1000;
const ATTEMPTS = 5;

/** Gives every autoscaled version, while this instance leads, the replicas that its load asks for. */
export class Autoscaler {
  readonly #parts: AutoscalerParts;
  readonly #watched = new Map<string, Watched>();

  constructor(parts: AutoscalerParts) {
    this.#parts = parts;
  }

  /** A new leader has seen nothing. */
  reset(): void {
    this.#watched.clear();
  }

  forget(endpoint: string): void {
    for (const key of this.#watched.keys()) if (key.startsWith(`${endpoint}/`)) this.#watched.delete(key);
  }

  /** (busy + queued) / (replicas × concurrency) of late; undefined while nothing is known. `endpoint` is `namespace/name`. */
  utilization(endpoint: string, version: string): number | undefined {
    return this.#watched.get(`${endpoint}/${version}`)?.utilization.told;
  }

  /** Decides at once. The signal ends what is being written. */
  moment(
    { endpoint: name, version: versionName, sample }: VersionMoment,
    endpoint: StoredEndpoint,
    signal: AbortSignal,
  ): void {
    const { cache, onUtilization } = this.#parts;
    const version = endpoint.spec.versions.find((one) => one.name === versionName);
    if (version === undefined) return;
    const deployment = cache.find(DEPLOYMENTS, endpoint.metadata.namespace ?? '', workloadName(name, versionName));
    if (deployment === undefined || !isOwnedBy(deployment, endpoint)) return;
    const watched = this.#of(endpoint, versionName);
    const time = Math.max(sample.time, watched.last?.time ?? 0);
    if (!isAtRest(sample, watched.last)) watched.busyAt = time;
    if (time - watched.busyAt > REST_MS && time - watched.observedAt < IDLE_MS) return;
    watched.last = { ...sample, time };
    watched.observedAt = time;
    watched.state = observe(watched.state, watched.last);
    const available = deployment.status?.readyReplicas ?? 0;
    if (watched.utilization.add(watched.last, available * version.maxConcurrentRequestsPerContainer))
      onUtilization(keyOf(endpoint.metadata));
    if (version.scale.kind === 'auto' && !watched.isWriting) {
      this.#scale(endpoint, version, deployment, watched, signal);
    }
  }

  #of({ metadata }: StoredEndpoint, version: string): Watched {
    const key = `${keyOf(metadata)}/${version}`;
    const known = this.#watched.get(key);
    if (known?.uid === metadata.uid && known !== undefined) return known;
    const watched: Watched = {
      uid: metadata.uid ?? '',
      state: NO_HISTORY,
      last: undefined,
      observedAt: Number.NEGATIVE_INFINITY,
      busyAt: Number.NEGATIVE_INFINITY,
      written: undefined,
      isWriting: false,
      utilization: new Utilization(),
    };
    this.#watched.set(key, watched);
    return watched;
  }

  #scale(
    endpoint: StoredEndpoint,
    version: VersionSpec,
    deployment: Deployment,
    watched: Watched,
    signal: AbortSignal,
  ): void {
    const { written, last } = watched;
    if (last === undefined) return;
    const isSeen = written === undefined || generationOf(deployment) >= generationOf(written);
    if (isSeen) watched.written = undefined;
    const present = (isSeen ? deployment : written).spec?.replicas ?? 1;
    const wanted = this.#wanted(endpoint, version, deployment, watched, present, last);
    if (wanted === present) return;
    const { log, warn } = this.#parts;
    watched.isWriting = true;
    this.#write(endpoint, isSeen ? deployment : written, wanted, signal)
      .then(
        (after) => {
          watched.written = after;
          if (after !== undefined) log(`${present} → ${wanted} replicas`, endpoint, version.name);
        },
        (error: unknown) => {
          if (!signal.aborted) warn(error);
        },
      )
      .finally(() => {
        watched.isWriting = false;
      });
  }

  #wanted(
    { status }: StoredEndpoint,
    version: VersionSpec,
    deployment: Deployment,
    watched: Watched,
    present: number,
    sample: LoadSample,
  ): number {
    const { scale } = version;
    if (scale.kind === 'fixed') return present;
    const serving = status?.versions.find(({ name }) => name === version.name)?.servingImage;
    // What has never run must have shown that it does.
    const minReplicas = serving === version.image ? scale.minReplicas : Math.max(1, scale.minReplicas);
    const bounded = Math.min(scale.maxReplicas, Math.max(minReplicas, present));
    if (present === 0) return sample.queued + sample.busy > 0 ? Math.max(1, minReplicas) : bounded;
    // Requests that wait for the first replica say nothing of how many can serve them.
    if ((deployment.status?.readyReplicas ?? 0) === 0 && sample.busy === 0 && sample.queued > 0) return bounded;
    const { maxConcurrentRequestsPerContainer } = version;
    const settings = { ...scale, minReplicas, maxConcurrentRequestsPerContainer };
    const decision = decide(settings, watched.state, present, sample.time);
    watched.state = decision.state;
    return decision.replicas;
  }

  /** Undefined where the version is gone. */
  async #write(
    endpoint: StoredEndpoint,
    deployment: Deployment,
    replicas: number,
    signal: AbortSignal,
  ): Promise<Deployment | undefined> {
    const { kube, beforeWrite } = this.#parts;
    for (let attempt = 1, live: Deployment | undefined = deployment; ; attempt += 1) {
      if (live?.spec === undefined || !isOwnedBy(live, endpoint)) return undefined;
      beforeWrite('update', DEPLOYMENTS.plural);
      try {
        const wanted = { ...live, spec: { ...live.spec, replicas } };
        return await kube.replace(DEPLOYMENTS, wanted, { fieldManager: FIELD_MANAGER, signal });
      } catch (error) {
        // Its status changes whenever a pod does.
        if (!AksmlError.is(error, 'kube.conflict') || attempt === ATTEMPTS) throw error;
        live = await kube.find(DEPLOYMENTS, deployment.metadata, signal);
      }
    }
  }
}

/** Grows with every change of the specification, whoever makes it. */
function generationOf({ metadata }: Deployment): number {
  return metadata.generation ?? 0;
}

function isAtRest(sample: LoadSample, last: LoadSample | undefined): boolean {
  return (
    sample.busy === 0 && sample.queued === 0 && last?.busy === 0 && last.queued === 0 && sample.arrived === last.arrived
  );
}
