import type { KubeObject } from '../../kube/object.ts';

/** What writes the specs of endpoints for aksml. */
export const FIELD_MANAGER = 'aksml';

type ManagedFields = NonNullable<KubeObject['metadata']['managedFields']>;
type FieldSet = { readonly [field: string]: FieldSet };

/**
 * The managers as they must be for a server-side apply to remove what it no longer names: what aksml created, and what people wrote with
 * kubectl, belongs to aksml's apply. Undefined when it is so already. Tools that apply by themselves, such as GitOps controllers, stay
 * owners, so that taking a field from them is a conflict.
 */
export function adoptFields(managedFields: ManagedFields): ManagedFields | undefined {
  const adopted = managedFields.filter(isAdopted);
  if (adopted.length === 0) return undefined;
  const own = managedFields.find(isOwnApply);
  const fieldsV1 = [...(own ? [own] : []), ...adopted]
    .map((entry) => entry.fieldsV1 as FieldSet | undefined)
    .reduce<FieldSet>((union, fields) => merge(union, fields ?? {}), {});
  const [first] = adopted;
  return [
    ...managedFields.filter((entry) => !isAdopted(entry) && !isOwnApply(entry)),
    { ...first, ...own, manager: FIELD_MANAGER, operation: 'Apply', fieldsType: 'FieldsV1', fieldsV1 },
  ];
}

function isOwnApply({ manager, operation, subresource }: ManagedFields[number]): boolean {
  return manager === FIELD_MANAGER && operation === 'Apply' && !subresource;
}

function isAdopted({ manager = '', operation, subresource }: ManagedFields[number]): boolean {
  if (subresource) return false;
  return manager.startsWith('kubectl') || (manager === FIELD_MANAGER && operation === 'Update');
}

function merge(a: FieldSet, b: FieldSet): FieldSet {
  const union: Record<string, FieldSet> = { ...a };
  for (const [field, fields] of Object.entries(b)) union[field] = merge(union[field] ?? {}, fields);
  return union;
}
