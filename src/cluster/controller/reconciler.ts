import type { EndpointStatus, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { ApiRefusal } from '../../kube/failure.ts';
import { type KubeObject, keyOf } from '../../kube/object.ts';
import {
  DEPLOYMENTS,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Pod,
  type Resource,
  SERVICES,
  type StoredEndpoint,
} from '../../kube/resource.ts';
import { together } from '../../parallel/parallel.ts';
import { VERSION_LABEL, workloadName } from '../names.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { deriveStatus, type Obstacle } from './endpoint-status.ts';
import type { FrontEndView } from './front-end-view.ts';
import { isOwnedBy } from './labels.ts';
import type { LoadFollower } from './load-follower.ts';
import type { ObjectWriter } from './object-writer.ts';
import { type Desired, desiredObjects, IN_PLACE_ANNOTATION, keysSecret, type Rollout } from './objects.ts';
import type { PodDiagnosis } from './pod-diagnosis.ts';
import { podTemplate, TEMPLATE_ANNOTATION, templateKey } from './pod-template.ts';
import { IN_PLACE_AFTER_MS, mustReplaceInPlace, unscheduled } from './scheduling.ts';
import type { SpecHistory } from './spec-history.ts';
import {
  type DerivedVersion,
  deriveVersion,
  isOf,
  isReady,
  podToRead,
  startReplicas,
  type VersionFacts,
} from './version-status.ts';

export interface ReconcilerParts {
  readonly cache: ClusterCache;
  readonly writer: ObjectWriter;
  readonly diagnosis: PodDiagnosis;
  readonly history: SpecHistory;
  readonly clock: () => Date;
  readonly frontEnd: Pick<FrontEndView, 'urisOf'>;
  readonly load: Pick<LoadFollower, 'utilization' | 'evidence'>;
  readonly onStatus: (endpoint: StoredEndpoint, status: EndpointStatus) => void;
  /** Milliseconds; default {@link IN_PLACE_AFTER_MS}. */
  readonly inPlaceAfterMs?: number;
}

/** What a version that is gone leaves. */
const PRUNED: readonly Resource<KubeObject>[] = [DEPLOYMENTS, SERVICES, POD_DISRUPTION_BUDGETS];

/** In a status: when something was said, which by itself says nothing new. */
const TIMES = new Set(['updatedTime', 'lastTransitionTime']);

/** Everything is looked at again from time to time, whether or not a change was told. */
const RESYNC_MS = 10 * 60_000;

/** Makes one endpoint so: looks at what is there, writes what differs, and says how it stands. Nothing is remembered that matters. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** When the keys of an endpoint were last seen to, by its uid. */
  readonly #keysSeenTo = new Map<string, number>();
  /** What was said of an endpoint last, by its uid: the version that it was said of, and that which it made. */
  readonly #lastStatus = new Map<string, { readonly text: string; readonly of?: string; readonly made?: string }>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** After how many milliseconds time alone may change something. @throws what makes a later attempt worth while */
  async reconcile(key: string, signal: AbortSignal): Promise<number | undefined> {
    const { cache, clock } = this.#parts;
    const endpoint = cache.endpoints.get(key);
    if (endpoint === undefined || !cache.serves(endpoint.metadata.namespace)) return undefined;
    const winner = cache.holderOfName(endpoint.metadata.name) ?? endpoint;
    if (endpoint.metadata.deletionTimestamp !== undefined || winner !== endpoint) {
      const nameTakenBy = winner === endpoint ? {} : { nameTakenBy: winner };
      await this.#writeStatus(endpoint, deriveStatus({ endpoint, versions: [], ...nameTakenBy, now: clock() }), signal);
      return undefined;
    }
    return await this.#makeSo(endpoint, signal);
  }

  async #makeSo(endpoint: StoredEndpoint, signal: AbortSignal): Promise<number | undefined> {
    const { cache, clock } = this.#parts;
    const { namespace = '' } = endpoint.metadata;
    const unknown = cache.whyUnknown(namespace);
    if (unknown !== undefined) {
      const obstacle = obstacleOf(unknown);
      if (obstacle !== undefined) await this.#reportObstacle(endpoint, obstacle, signal);
      throw unknown;
    }
    const facts = await Promise.all(endpoint.spec.versions.map((version) => this.#factsOf(endpoint, version, signal)));
    // What was looked at must be of one moment.
    if (cache.endpoints.get(keyOf(endpoint.metadata)) !== endpoint) return 0;
    let failure: unknown;
    try {
      await this.#writeObjects(endpoint, facts, signal);
    } catch (error) {
      failure = error;
    }
    if (isNamespaceGoing(failure)) return undefined;
    const obstacle = obstacleOf(failure);
    if (failure !== undefined && obstacle === undefined) throw failure;
    const versions = facts.map(deriveVersion);
    const uris = this.#parts.frontEnd.urisOf(endpoint);
    const status = deriveStatus({
      endpoint,
      versions,
      ...(uris === undefined ? {} : { uris }),
      ...(obstacle === undefined ? {} : { obstacle }),
      evidence: (version) => this.#parts.load.evidence(endpoint, version),
      now: clock(),
    });
    await this.#writeStatus(endpoint, status, signal);
    if (failure !== undefined) throw failure;
    return Math.min(
      RESYNC_MS,
      ...versions.flatMap(({ recheckMs }) => recheckMs ?? []),
      ...this.#inPlaceRechecks(facts),
    );
  }

  /** Before anything could be looked at: what was known stays, but for the obstacle. */
  async #reportObstacle(endpoint: StoredEndpoint, obstacle: Obstacle, signal: AbortSignal): Promise<void> {
    const versions = (endpoint.status?.versions ?? []).map((status): DerivedVersion => ({ status }));
    await this.#writeStatus(endpoint, deriveStatus({ endpoint, versions, obstacle, now: this.#parts.clock() }), signal);
  }

  async #factsOf(endpoint: StoredEndpoint, version: VersionSpec, signal: AbortSignal): Promise<VersionFacts> {
    const { cache, diagnosis, clock } = this.#parts;
    const { name, namespace = '' } = endpoint.metadata;
    const found = cache.find(DEPLOYMENTS, namespace, workloadName(name, version.name));
    const deployment = found !== undefined && isOwnedBy(found, endpoint) ? found : undefined;
    const pods = cache
      .belongingTo(PODS, namespace, name)
      .filter(({ metadata }) => metadata.labels?.[VERSION_LABEL] === version.name);
    const template = templateKey(podTemplate(endpoint, version));
    const isNew = (pod: Pod) => isOf(pod, template) && pod.metadata.deletionTimestamp === undefined;
    const waiting = pods.find((pod) => isNew(pod) && unscheduled(pod) !== undefined);
    const scaleUp = waiting === undefined ? undefined : await diagnosis.readScaleUp(waiting, signal);
    const failed = podToRead({ pods, template });
    const log = failed === undefined ? undefined : await diagnosis.readLog(failed, signal);
    const old = pods.filter((pod) => !isOf(pod, template) && pod.metadata.deletionTimestamp === undefined);
    const now = clock().getTime();
    const before = endpoint.status?.versions.find((one) => one.name === version.name);
    const utilization = this.#parts.load.utilization(keyOf(endpoint.metadata), version.name);
    const begun = deployment?.metadata.annotations?.[IN_PLACE_ANNOTATION] === template && old.length > 0;
    const afterMs = this.#parts.inPlaceAfterMs ?? IN_PLACE_AFTER_MS;
    return {
      version,
      template,
      ...(deployment === undefined ? {} : { deployment }),
      pods,
      logs: new Map(failed !== undefined && log !== undefined ? [[failed.metadata.uid ?? '', log]] : []),
      scaleUp,
      inPlace: begun || mustReplaceInPlace(pods.filter(isNew), old.filter(isReady).length, scaleUp, now, afterMs),
      ...(before === undefined ? {} : { before }),
      ...(utilization === undefined ? {} : { utilization }),
      now,
    };
  }

  #inPlaceRechecks(facts: readonly VersionFacts[]): number[] {
    const afterMs = this.#parts.inPlaceAfterMs ?? IN_PLACE_AFTER_MS;
    return facts.flatMap(({ pods, template, inPlace, now }) => {
      if (inPlace) return [];
      const since = pods.filter((pod) => isOf(pod, template)).flatMap((pod) => unscheduled(pod)?.since ?? []);
      return since.map((time) => Math.max(100, time + afterMs - now)).filter((ms) => ms < afterMs);
    });
  }

  async #writeObjects(endpoint: StoredEndpoint, facts: readonly VersionFacts[], signal: AbortSignal): Promise<void> {
    const { writer } = this.#parts;
    const { changes, leftovers } = this.#plan(endpoint, facts);
    const ensure = ({ wanted, seen }: (typeof changes)[number]) => writer.ensure(wanted, seen, endpoint, signal);
    // Pods need the rest.
    const isLast = ({ wanted }: (typeof changes)[number]) => wanted.resource.plural === DEPLOYMENTS.plural;
    const makeSo = async () => {
      await together(this.#ensureKeys(endpoint, signal), ...changes.filter((one) => !isLast(one)).map(ensure));
      await together(...changes.filter(isLast).map(ensure));
      await together(...leftovers.map((leftover) => writer.remove(leftover, signal)));
    };
    // What somebody waits for is asked for first. The status, which says that a specification was acted upon, waits for both.
    await together(makeSo(), this.#record(endpoint, signal));
  }

  async #record(endpoint: StoredEndpoint, signal: AbortSignal): Promise<void> {
    const { writer, history } = this.#parts;
    for (const revision of history.unrecorded(endpoint)) {
      await writer.createOnce(revision.desired, signal);
      history.recorded(endpoint, revision.generation);
    }
  }

  /** Everything that is wanted beside what was seen of it at this moment: a later look could be at what a newer wish has made. */
  #plan(endpoint: StoredEndpoint, facts: readonly VersionFacts[]) {
    const { cache } = this.#parts;
    const { name, namespace = '' } = endpoint.metadata;
    const rollouts = new Map(facts.map((fact) => [fact.version.name, rolloutOf(fact)]));
    const inRest = (version: VersionSpec): Rollout => ({ replicas: startReplicas(version), inPlace: false });
    const desired = desiredObjects(endpoint, (version) => rollouts.get(version.name) ?? inRest(version));
    const kept = new Set(desired.map(({ resource, object }) => `${resource.plural}/${object.metadata.name}`));
    const leftovers = PRUNED.flatMap((resource) =>
      cache
        .belongingTo(resource, namespace, name)
        .filter((object) => !kept.has(`${resource.plural}/${object.metadata.name}`) && isOwnedBy(object, endpoint))
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map((object): Desired => ({ resource, object })),
    );
    const changes = desired.map((wanted) => ({
      wanted,
      seen: cache.find(wanted.resource, namespace, wanted.object.metadata.name),
    }));
    return { changes, leftovers };
  }

  /** Those that are there are kept, whoever made them. */
  async #ensureKeys(endpoint: StoredEndpoint, signal: AbortSignal): Promise<void> {
    if (endpoint.spec.auth !== 'key') return;
    const { uid = '' } = endpoint.metadata;
    const now = this.#parts.clock().getTime();
    const seenTo = this.#keysSeenTo.get(uid);
    if (seenTo !== undefined && now - seenTo < RESYNC_MS) return;
    const wasReconciled = endpoint.status?.conditions?.some(
      ({ type, status }) => type === 'Reconciled' && status === 'True',
    );
    // After a restart not all endpoints at once: what was well a moment ago is looked at with the next round.
    if (seenTo !== undefined || wasReconciled !== true)
      await this.#parts.writer.createOnce(keysSecret(endpoint), signal);
    this.#keysSeenTo.set(uid, now);
  }

  async #writeStatus(endpoint: StoredEndpoint, status: EndpointStatus, signal: AbortSignal): Promise<void> {
    if (status === endpoint.status) return;
    const { uid = '', resourceVersion } = endpoint.metadata;
    const text = JSON.stringify(status, (member, value: unknown) => (TIMES.has(member) ? undefined : value));
    const last = this.#lastStatus.get(uid);
    // A custom resource of an older aksml has not kept all of it.
    if (last?.text === text && last.made === resourceVersion) return;
    // The watch has not told of what was said: it would be refused, and there is a look when it does.
    if (last !== undefined && last.of === resourceVersion) return;
    signal.throwIfAborted();
    const written = await this.#parts.writer.writeStatus(endpoint, status, signal);
    const made = written.metadata.resourceVersion;
    this.#lastStatus.set(uid, {
      text,
      ...(resourceVersion === undefined ? {} : { of: resourceVersion }),
      ...(made === undefined ? {} : { made }),
    });
    this.#parts.onStatus(endpoint, status);
  }

  /** What was known of an endpoint that is gone. */
  forget(endpoint: StoredEndpoint): void {
    this.#keysSeenTo.delete(endpoint.metadata.uid ?? '');
    this.#lastStatus.delete(endpoint.metadata.uid ?? '');
    this.#parts.history.forget(endpoint);
  }
}

/** A fixed number is the user's; between the bounds of an autoscaled version, whoever scales the Deployment decides. */
function rolloutOf({ version, template, deployment, inPlace }: VersionFacts): Rollout {
  const { scale } = version;
  const rest = { inPlace, ...(deployment === undefined ? {} : { present: deployment }) };
  if (scale.kind === 'fixed') return { replicas: scale.replicas, ...rest };
  const isNew = deployment?.spec?.template.metadata?.annotations?.[TEMPLATE_ANNOTATION] !== template;
  const least = isNew ? startReplicas(version) : scale.minReplicas;
  const present = deployment?.spec?.replicas ?? least;
  return { replicas: Math.min(scale.maxReplicas, Math.max(least, present)), ...rest };
}

/** What the user or an administrator must mend; undefined for what mends itself. */
function obstacleOf(error: unknown): Obstacle | undefined {
  if (!AksmlError.is(error)) return undefined;
  const message = error.remedy === undefined ? error.message : `${error.message} ${error.remedy}`;
  switch (error.code) {
    case 'kube.forbidden':
      return { reason: 'Forbidden', message };
    case 'kube.invalid':
      return { reason: 'Invalid', message };
    case 'controller.objectInTheWay':
      return { reason: 'ObjectInTheWay', message };
    default:
      return undefined;
  }
}

function isNamespaceGoing(error: unknown): boolean {
  if (!AksmlError.is(error, 'kube.forbidden') || !(error.cause instanceof ApiRefusal)) return false;
  return /because it is being terminated/.test(error.cause.message);
}
