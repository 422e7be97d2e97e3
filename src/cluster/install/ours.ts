import type { KubeObject } from '../../kube/object.ts';
import { MANAGED_BY } from '../names.ts';

/** Whether aksml has made it: only that may be removed. */
export function isOurs({ metadata }: KubeObject): boolean {
  return Object.entries(MANAGED_BY).every(([label, value]) => metadata.labels?.[label] === value);
}
