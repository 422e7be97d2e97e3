import { blobContent, DistributionRegistry } from './distribution.ts';
import type { Arrival, Descriptor, OnBytes, Registry } from './registry.ts';

/** A repository of a registry. */
export interface Place {
  readonly registry: Registry;
  readonly repository: string;
}

/**
 * Makes a blob available in another place: looked for there first, mounted where both are in one registry, else sent.
 * @throws AksmlError `registry.notFound` when it is in neither
 */
export async function copyBlob(
  from: Place,
  to: Place,
  blob: Descriptor,
  options: { readonly onBytes?: OnBytes; readonly isNew?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Arrival> {
  const { isNew, signal, ...rest } = options;
  if (from.registry.location === to.registry.location) {
    return to.registry.mountBlob(from.repository, to.repository, blob, { isNew, signal });
  }
  const arrival = await takeOver(from, to, blob, signal);
  if (arrival) return arrival;
  await to.registry.putBlob(to.repository, blobContent(from.registry, from.repository, blob.digest, signal), {
    mediaType: blob.mediaType,
    expected: blob,
    ...rest,
    ...(signal === undefined ? {} : { signal }),
  });
  return 'sent';
}

/** Without moving a byte through this machine; undefined when that cannot be done. */
export async function takeOver(
  from: Place,
  to: Place,
  blob: Descriptor,
  signal?: AbortSignal,
): Promise<Exclude<Arrival, 'sent'> | undefined> {
  if (await to.registry.hasBlob(to.repository, blob.digest, signal)) return 'present';
  const { registry } = to;
  if (!(registry instanceof DistributionRegistry) || !(from.registry instanceof DistributionRegistry)) return undefined;
  const mounted = await registry.mountFrom(from.registry, from.repository, to.repository, blob, signal);
  return mounted ? 'mounted' : undefined;
}
