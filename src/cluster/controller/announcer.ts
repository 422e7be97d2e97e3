import { randomBytes } from 'node:crypto';
import type { EndpointStatus } from '../../contract/endpoint.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { EVENTS, type KubeEvent, type StoredEndpoint } from '../../kube/resource.ts';
import { CONTROLLER_NAME } from '../names.ts';

/** Tells changes of state as Kubernetes' events, for `kubectl describe`. Nothing depends on whether they arrive. */
export class Announcer {
  readonly #kube: KubeClient;
  readonly #clock: () => Date;
  readonly #onError: (error: unknown) => void;

  constructor(kube: KubeClient, clock: () => Date, onError: (error: unknown) => void) {
    this.#kube = kube;
    this.#clock = clock;
    this.#onError = onError;
  }

  announce(endpoint: StoredEndpoint, status: EndpointStatus): void {
    for (const event of newsOf(endpoint, status, this.#clock())) {
      this.#kube.create(EVENTS, event, { fieldManager: CONTROLLER_NAME }).catch(this.#onError);
    }
  }
}

/** Whether a status is worth an event after the one before it. */
export function isNews(before: EndpointStatus | undefined, status: EndpointStatus): boolean {
  return before?.state !== status.state || before.error?.code !== status.error?.code;
}

/** What a status says that the one before did not. */
export function newsOf(endpoint: StoredEndpoint, status: EndpointStatus, time: Date): readonly KubeEvent[] {
  const { error } = status;
  const rollouts = status.versions.flatMap(({ name, rollout }) => {
    const before = endpoint.status?.versions?.find((version) => version.name === name)?.rollout;
    if (rollout === undefined || (before?.key === rollout.key && before.since === rollout.since)) return [];
    const type = rollout.phase === 'RolledBack' ? 'Warning' : 'Normal';
    return [eventOf(endpoint, type, `Rollout${rollout.phase}`, `${name}: ${rollout.message}`, time)];
  });
  if (!isNews(endpoint.status, status)) return rollouts;
  const message = error === undefined ? `The endpoint is ${status.state}.` : `${status.state}: ${error.message}`;
  const type = error === undefined ? 'Normal' : 'Warning';
  return [eventOf(endpoint, type, error?.code ?? status.state, message, time), ...rollouts];
}

function eventOf(
  { apiVersion, kind, metadata }: StoredEndpoint,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
  time: Date,
): KubeEvent {
  const { name, namespace, uid, resourceVersion } = metadata;
  const stamp = time.toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, ...(namespace === undefined ? {} : { namespace }) },
    involvedObject: { apiVersion, kind, name, ...defined({ namespace, uid, resourceVersion }) },
    type,
    reason,
    message: message.slice(0, 1000),
    source: { component: CONTROLLER_NAME },
    firstTimestamp: stamp,
    lastTimestamp: stamp,
    count: 1,
  };
}

function defined(members: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}
