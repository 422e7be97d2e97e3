import type { EndpointStatus } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import { ENDPOINTS, type StoredEndpoint } from '../../kube/resource.ts';
import { isCurrent, marked, replacement } from './current.ts';
import { isOwnedBy } from './labels.ts';
import type { Desired } from './objects.ts';

export const FIELD_MANAGER = 'aksml-controller';

/** Throws where nothing may be written any more. */
export type BeforeWrite = (verb: 'create' | 'update' | 'delete', resource: string) => void;

/**
 * Writes that cannot undo what somebody else has done since: what is not there is created, what is there is replaced or removed only in the
 * version that was seen. Two leaders at once, or one that slept, do no harm by them.
 */
export class ObjectWriter {
  readonly #kube: KubeClient;
  readonly #beforeWrite: BeforeWrite;

  constructor(kube: KubeClient, beforeWrite: BeforeWrite) {
    this.#kube = kube;
    this.#beforeWrite = beforeWrite;
  }

  /** Makes an object of the endpoint's what it shall be. @throws AksmlError `controller.objectInTheWay`, `kube.*` */
  async ensure(
    desired: Desired,
    seen: KubeObject | undefined,
    endpoint: StoredEndpoint,
    signal: AbortSignal,
  ): Promise<void> {
    const { resource } = desired;
    const wanted = marked(desired.object);
    const live = seen ?? (await this.#createOrGet({ resource, object: wanted }, signal));
    if (live === undefined) return;
    if (!isOwnedBy(live, endpoint)) throw inTheWay(desired, live);
    if (isCurrent(wanted, live)) return;
    this.#beforeWrite('update', resource.plural);
    await this.#kube.replace(resource, replacement(wanted, live), { fieldManager: FIELD_MANAGER, signal });
  }

  /** What is there instead, if anything. */
  async #createOrGet({ resource, object }: Desired, signal: AbortSignal): Promise<KubeObject | undefined> {
    if (await this.createOnce({ resource, object }, signal)) return undefined;
    return await this.#kube.find(resource, object.metadata, signal);
  }

  /** Whether it was not there before. What is there is left as it is. */
  async createOnce({ resource, object }: Desired, signal: AbortSignal): Promise<boolean> {
    this.#beforeWrite('create', resource.plural);
    try {
      await this.#kube.create(resource, object, { fieldManager: FIELD_MANAGER, signal });
      return true;
    } catch (error) {
      if (AksmlError.is(error, 'kube.alreadyExists')) return false;
      throw error;
    }
  }

  /** Of an older custom resource, what it does not know is dropped. */
  async writeStatus(endpoint: StoredEndpoint, status: EndpointStatus, signal: AbortSignal): Promise<StoredEndpoint> {
    this.#beforeWrite('update', `${ENDPOINTS.plural}/status`);
    const options = { fieldManager: FIELD_MANAGER, subresource: 'status', unknownFields: 'drop', signal } as const;
    return await this.#kube.replace(ENDPOINTS, { ...endpoint, status }, options);
  }

  async remove({ resource, object }: Desired, signal: AbortSignal): Promise<void> {
    const { uid = '', resourceVersion = '' } = object.metadata;
    this.#beforeWrite('delete', resource.plural);
    await this.#kube.remove(resource, object.metadata, { uid, resourceVersion, signal });
  }
}

function inTheWay({ resource, object }: Desired, live: KubeObject): AksmlError {
  const { name, namespace } = object.metadata;
  const owner = live.metadata.ownerReferences?.find(({ controller }) => controller);
  const whose = owner === undefined ? 'was not made by aksml' : `belongs to ${owner.kind} ${owner.name}`;
  return new AksmlError(
    'controller.objectInTheWay',
    `The endpoint needs a ${resource.kind} named ${name} in ${namespace}, but the one that is there ${whose}.`,
    {
      subject: `${resource.plural}/${namespace}/${name}`,
      remedy: 'Rename or delete that object, or choose another name for the endpoint.',
    },
  );
}
