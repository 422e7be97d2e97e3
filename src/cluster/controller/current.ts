import { createHash } from 'node:crypto';
import type { KubeObject } from '../../kube/object.ts';

/** On every object of ours: what it was made from. It tells that something is no longer wanted, which a comparison cannot. */
export const WANTED_ANNOTATION = 'aksml.dev/wanted';

/** The object with the mark of what it is made from. The number of replicas, which is always there to be compared, leaves no mark. */
export function marked<T extends KubeObject>(object: T): T {
  const text = JSON.stringify(object, (member, value: unknown) => (member === 'replicas' ? undefined : value));
  const wanted = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const annotations = { ...object.metadata.annotations, [WANTED_ANNOTATION]: wanted };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** Whether what is there is what is wanted, whoever wrote it last. What the API server or others added does not count. */
export function isCurrent(wanted: KubeObject, live: KubeObject): boolean {
  return contains(live, wanted);
}

/** The object to write: what is wanted, with what others keep in the metadata of what is there, and only if that is still so. */
export function replacement<T extends KubeObject>(wanted: T, live: T): T {
  const { uid, resourceVersion, labels, annotations, finalizers } = live.metadata;
  return {
    ...wanted,
    metadata: {
      ...wanted.metadata,
      uid,
      resourceVersion,
      labels: { ...labels, ...wanted.metadata.labels },
      annotations: { ...foreign(annotations), ...wanted.metadata.annotations },
      ...(finalizers === undefined ? {} : { finalizers }),
    },
  };
}

function foreign(annotations: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !name.startsWith('aksml.dev/')));
}

function contains(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(live) && live.length === wanted.length && wanted.every((item, index) => contains(live[index], item))
    );
  }
  if (typeof wanted === 'object' && wanted !== null) {
    const entries = Object.entries(wanted).filter(([, value]) => value !== undefined);
    if (typeof live !== 'object' || live === null) return entries.length === 0;
    return entries.every(([key, value]) => contains(Reflect.get(live, key), value));
  }
  return live === wanted;
}
