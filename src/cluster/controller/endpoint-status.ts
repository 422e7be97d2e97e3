import type {
  Condition,
  ConditionType,
  EndpointStatus,
  RolloutStatus,
  VersionStatus,
} from '../../contract/endpoint.ts';
import { keyOf } from '../../kube/object.ts';
import type { StoredEndpoint } from '../../kube/resource.ts';
import { NO_EVIDENCE, nextRollout, presentTraffic, type RolloutEvidence } from '../../serving/rollout.ts';
import { endpointState } from '../../serving/status.ts';
import { effectiveShares } from '../../serving/traffic.ts';
import type { EndpointUris } from './front-end-view.ts';
import type { DerivedVersion } from './version-status.ts';

/** What keeps the cluster's objects from being what the spec asks for. */
export interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

export interface EndpointFacts {
  readonly endpoint: StoredEndpoint;
  readonly versions: readonly DerivedVersion[];
  /** The endpoint that had the name first. */
  readonly nameTakenBy?: StoredEndpoint;
  readonly obstacle?: Obstacle;
  /** What was seen of a version's requests since the step that its status says. */
  readonly evidence?: (version: string) => RolloutEvidence;
  /** Undefined: what was said before stays. */
  readonly uris?: EndpointUris;
  readonly now: Date;
}

/** The status to write; the one that is there, where nothing has changed. */
export function deriveStatus(facts: EndpointFacts): EndpointStatus {
  const { endpoint } = facts;
  const status = new StatusOf(endpoint, facts.now);
  if (endpoint.metadata.deletionTimestamp !== undefined) return status.deleting();
  if (facts.nameTakenBy !== undefined) return status.nameTaken(facts.nameTakenBy);
  return status.of(facts);
}

/** What most needs attention first. */
const PHASES: readonly (RolloutStatus['phase'] | undefined)[] = ['RolledBack', undefined, 'Progressing', 'Promoted'];

/** Says things of an endpoint in words of the resource. */
class StatusOf {
  readonly #endpoint: StoredEndpoint;
  readonly #before: EndpointStatus | undefined;
  readonly #now: Date;

  constructor(endpoint: StoredEndpoint, now: Date) {
    this.#endpoint = endpoint;
    this.#before = endpoint.status;
    this.#now = now;
  }

  deleting(): EndpointStatus {
    return this.#finish({
      state: 'Deleting',
      versions: this.#before?.versions ?? [],
      conditions: [this.#condition('Ready', 'False', 'Deleting', 'The endpoint is being deleted.')],
    });
  }

  nameTaken({ metadata: by }: StoredEndpoint): EndpointStatus {
    const { name } = this.#endpoint.metadata;
    const isGoing = by.deletionTimestamp !== undefined;
    const message = isGoing
      ? `The name ${name} is taken in this cluster by ${keyOf(by)} until that is deleted, which is under way.`
      : `The name ${name} is taken in this cluster by ${keyOf(by)}, which was there first.`;
    const remedy = 'An endpoint name is one per cluster: choose another, or delete the other endpoint.';
    return this.#finish({
      ...(isGoing
        ? { state: 'Transitioning' }
        : { state: 'Failed', error: { code: 'InvalidDeploymentSpec', message, remedy } }),
      versions: [],
      conditions: [
        this.#condition('Ready', 'False', 'NameConflict', message),
        this.#condition('Reconciled', 'False', 'NameConflict', message),
        this.#condition('NameConflict', 'True', 'NameTaken', message),
      ],
    });
  }

  of({
    versions: derived,
    obstacle,
    evidence = () => NO_EVIDENCE,
    uris = this.#uris(),
  }: EndpointFacts): EndpointStatus {
    const known = this.#known(derived.map(({ status }) => status));
    const rollouts = this.#rollouts(known, evidence);
    const versions = derived.map(({ status }) => ({ ...status, ...rollouts.get(status.name) }));
    const present = presentTraffic(this.#endpoint.spec, {
      ...known,
      versions: known.versions.map((version) => ({ ...version, ...rollouts.get(version.name) })),
    });
    const shares = effectiveShares(present);
    const defaultVersion = present.find(({ isDefault }) => isDefault)?.name;
    const { state, error } = endpointState(versions);
    const available = versions.reduce((sum, { availableReplicas }) => sum + availableReplicas, 0);
    const desired = versions.reduce((sum, { desiredReplicas }) => sum + desiredReplicas, 0);
    const shown = obstacle !== undefined && state === 'Healthy' ? 'Unhealthy' : state;
    return this.#finish({
      state: shown,
      ...uris,
      ...(error === undefined ? {} : { error }),
      versions: versions.map((version) => ({ ...version, effectiveTraffic: shares.get(version.name) ?? 0 })),
      ...(defaultVersion === undefined ? {} : { defaultVersion }),
      replicas: `${available}/${desired}`,
      versionNames: this.#endpoint.spec.versions.map(({ name }) => name).join(','),
      conditions: [
        shown === 'Healthy'
          ? this.#condition('Ready', 'True', 'Healthy', 'All versions serve with all their replicas.')
          : this.#condition(
              'Ready',
              'False',
              error?.code ?? shown,
              error?.message ?? obstacle?.message ?? 'Replicas are being started or replaced.',
            ),
        obstacle === undefined
          ? this.#condition('Reconciled', 'True', 'Reconciled', 'Everything that the spec asks for is there.')
          : this.#condition('Reconciled', 'False', obstacle.reason, obstacle.message),
        this.#condition('NameConflict', 'False', 'NameIsUnique', 'No other endpoint of the cluster has this name.'),
        ...this.#rolledOut(versions),
      ],
    });
  }

  #uris(): EndpointUris {
    const { scoringUri, swaggerUri } = this.#before ?? {};
    return { ...(scoringUri === undefined ? {} : { scoringUri }), ...(swaggerUri === undefined ? {} : { swaggerUri }) };
  }

  #rollouts(
    status: Pick<EndpointStatus, 'versions' | 'defaultVersion'>,
    evidence: (version: string) => RolloutEvidence,
  ): ReadonlyMap<string, Pick<VersionStatus, 'rollout'>> {
    const { spec } = this.#endpoint;
    const rollouts = spec.versions.flatMap((version) => {
      const { name } = version;
      const before = this.#before?.versions?.find((one) => one.name === name)?.rollout;
      const state = status.versions.find((one) => one.name === name)?.state ?? 'Transitioning';
      const facts = { version, spec, status, state, before, evidence: evidence(name), now: this.#now };
      const rollout = nextRollout(facts);
      return rollout === undefined ? [] : [[name, { rollout }] as const];
    });
    return new Map(rollouts);
  }

  #rolledOut(versions: readonly Pick<VersionStatus, 'name' | 'rollout'>[]): readonly Condition[] {
    const told = this.#endpoint.spec.versions.flatMap(({ name, rollout }) => {
      const status = versions.find((version) => version.name === name)?.rollout;
      return rollout === undefined
        ? []
        : [{ name, phase: status?.phase, message: status?.message ?? 'Has not served yet.' }];
    });
    const [worst] = [...told].sort((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase));
    if (worst === undefined) return [];
    const message = told.map(({ name, message: text }) => `${name}: ${text}`).join(' ');
    const isDone = worst.phase === 'Promoted';
    return [this.#condition('RolledOut', isDone ? 'True' : 'False', worst.phase ?? 'Waiting', message)];
  }

  /** What was said before, but for how the versions are now. */
  #known(
    versions: readonly Omit<VersionStatus, 'effectiveTraffic'>[],
  ): Pick<EndpointStatus, 'versions' | 'defaultVersion'> {
    const before = (name: string) => this.#before?.versions?.find((version) => version.name === name);
    const { defaultVersion } = this.#before ?? {};
    return {
      versions: versions.map(({ servingImage: _now, ...version }) => ({
        ...version,
        effectiveTraffic: 0,
        ...pick(before(version.name)),
      })),
      ...(defaultVersion === undefined ? {} : { defaultVersion }),
    };
  }

  #condition(type: ConditionType, status: Condition['status'], reason: string, message: string): Condition {
    const before = this.#before?.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime =
      before?.status === status ? before.lastTransitionTime : this.#now.toISOString().replace(/\.\d+Z$/, 'Z');
    const { generation } = this.#endpoint.metadata;
    return {
      type,
      status,
      reason,
      message: message.slice(0, 4000),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime,
    };
  }

  #finish(status: Omit<EndpointStatus, 'observedGeneration' | 'updatedTime'>): EndpointStatus {
    const before = this.#before;
    const next = { observedGeneration: this.#endpoint.metadata.generation ?? 0, ...status };
    const unchanged = before !== undefined && sameJson({ ...next, updatedTime: before.updatedTime }, before);
    return unchanged ? before : { ...next, updatedTime: this.#now.toISOString() };
  }
}

function pick(version: VersionStatus | undefined): Partial<Pick<VersionStatus, 'effectiveTraffic' | 'servingImage'>> {
  if (version === undefined) return {};
  const { effectiveTraffic, servingImage } = version;
  return { effectiveTraffic, ...(servingImage === undefined ? {} : { servingImage }) };
}

/** Whatever the order of the members. */
function sameJson(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([left], [right]) => (left < right ? -1 : 1)))
      : member,
  );
}
