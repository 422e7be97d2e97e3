import type { V1ListMeta, V1ObjectMeta } from '@kubernetes/client-node';

/**
 * The library's classes as the plain JSON that crosses the wire: times are ISO 8601 strings, and names are the API's own, which the library
 * changes where they are words of the language.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [Key in keyof T as Key extends `_${infer Name}` ? Name : Key]: Wire<T[Key]> }
      : T;

export type ObjectMeta = Omit<Wire<V1ObjectMeta>, 'name'> & { readonly name: string };

/** Whatever the API server keeps. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** An object of the API, `T` being the library's class for it. */
export type Kube<T> = Omit<Wire<T>, 'metadata'> & KubeObject;

export interface KubeList<T> {
  readonly metadata?: Wire<V1ListMeta>;
  readonly items: readonly T[];
}

export interface ObjectName {
  readonly name: string;
  /** Only of namespaced objects. */
  readonly namespace?: string;
}

/** `namespace/name`, or the name of an object that has no namespace. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
