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
    const event = stateEvent(endpoint, status, this.#clock());
    this.#kube.create(EVENTS, event, { fieldManager: CONTROLLER_NAME }).catch(this.#onError);
  }
}

/** Whether a status is worth an event after the one before it. */
export function isNews(before: EndpointStatus | undefined, status: EndpointStatus): boolean {
  return before?.state !== status.state || before.error?.code !== status.error?.code;
}

export function stateEvent(
  { apiVersion, kind, metadata }: StoredEndpoint,
  status: EndpointStatus,
  time: Date,
): KubeEvent {
  const { name, namespace, uid, resourceVersion } = metadata;
  const { error } = status;
  const stamp = time.toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, ...(namespace === undefined ? {} : { namespace }) },
    involvedObject: { apiVersion, kind, name, ...defined({ namespace, uid, resourceVersion }) },
    type: error === undefined ? 'Normal' : 'Warning',
    reason: error?.code ?? status.state,
    message: (error === undefined ? `The endpoint is ${status.state}.` : `${status.state}: ${error.message}`).slice(
      0,
      1000,
    ),
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
