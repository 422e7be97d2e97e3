/** The part of OpenAPI that a structural schema of Kubernetes is made of, under the names that the API has for it. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Rule[];
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/** A rule in the Common Expression Language. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
}

type KeysOf<T> = T extends unknown ? keyof T : never;

/** A schema for every member of a type of the contract, whichever variant has it: a member without one does not compile. */
export type Properties<T> = { readonly [Key in KeysOf<T> & string]: Schema };

/** An object whose members are those of `T`. */
export function object<T>(
  properties: Properties<T>,
  options: Pick<Schema, 'description' | 'default' | 'x-kubernetes-validations'> & {
    readonly required?: readonly (KeysOf<T> & string)[];
  } = {},
): Schema {
  return { type: 'object', properties, ...options };
}

export function text(options: Omit<Schema, 'type'> = {}): Schema {
  return { type: 'string', maxLength: 1024, ...options };
}

export function integer(options: Omit<Schema, 'type'> = {}): Schema {
  return { type: 'integer', format: 'int64', ...options };
}

export function number(options: Omit<Schema, 'type'> = {}): Schema {
  return { type: 'number', ...options };
}

export function flag(options: Omit<Schema, 'type'> = {}): Schema {
  return { type: 'boolean', ...options };
}

export function list(items: Schema, options: Omit<Schema, 'type' | 'items'> = {}): Schema {
  return { type: 'array', items, 'x-kubernetes-list-type': 'atomic', ...options };
}

/** A list whose items are known by one of their members. */
export function listBy(key: string, items: Schema, options: Omit<Schema, 'type' | 'items'> = {}): Schema {
  return {
    type: 'array',
    items,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
    ...options,
  };
}

export function texts(options: Omit<Schema, 'type'> = {}, value: Schema = text()): Schema {
  return { type: 'object', additionalProperties: value, maxProperties: 256, ...options };
}
