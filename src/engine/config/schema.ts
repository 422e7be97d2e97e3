import { COMPUTE_TYPES, type ConfigurationKey, DEPLOYMENT_KEYS } from '../../contract/configuration/deployment-keys.ts';
import {
  ENVIRONMENT_FIELDS,
  type EnvironmentField,
  type EnvironmentFields,
} from '../../contract/configuration/environment-keys.ts';
import { INFERENCE_KEYS } from '../../contract/configuration/inference-keys.ts';

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/**
 * The JSON Schema (draft 2020-12) of a configuration file, from the tables that the validators use. It is for writing files: it asks for the
 * types that are meant, also where v1 let others through.
 */
export function configurationSchema(file: 'inferenceconfig' | 'deploymentconfig'): JsonSchema {
  return file === 'deploymentconfig' ? deploymentSchema() : inferenceSchema();
}

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
const SCHEMA_KEY = { $schema: { type: 'string', description: 'Address of the schema, for editors.' } };

function deploymentSchema(): JsonSchema {
  const properties: Record<string, unknown> = { ...SCHEMA_KEY };
  const sections = new Map<string, Record<string, unknown>>();
  for (const key of DEPLOYMENT_KEYS) {
    const [section, leaf] = key.path.split('.');
    if (section === undefined) continue;
    if (leaf === undefined) {
      properties[section] = key.path === 'computeType' ? computeTypeSchema(key) : keySchema(key, key.computeTypes);
      continue;
    }
    const members = sections.get(section) ?? {};
    members[leaf] = keySchema(key, key.computeTypes);
    sections.set(section, members);
    properties[section] = { type: 'object', additionalProperties: false, properties: members };
  }
  return {
    $schema: DRAFT,
    title: 'Deployment configuration',
    type: 'object',
    required: ['computeType'],
    additionalProperties: false,
    properties,
  };
}

/** Case does not matter, which an enumeration alone cannot say. */
function computeTypeSchema(key: ConfigurationKey): JsonSchema {
  const pattern = COMPUTE_TYPES.map((type) =>
    [...type].map((letter) => `[${letter}${letter.toUpperCase()}]`).join(''),
  ).join('|');
  return { anyOf: [{ enum: COMPUTE_TYPES }, { type: 'string', pattern: `^(?:${pattern})$` }], description: key.help };
}

const TYPES = {
  boolean: 'boolean',
  integer: 'integer',
  number: 'number',
  text: 'string',
  path: 'string',
  object: 'object',
} as const;

function keySchema(key: ConfigurationKey, computeTypes: readonly string[] = []): JsonSchema {
  const facts = [
    key.unit === undefined ? undefined : `Unit: ${key.unit}.`,
    computeTypes.length === 0 ? undefined : `Compute types: ${computeTypes.join(', ')}.`,
  ];
  return {
    type: [TYPES[key.type], 'null'],
    description: [key.help, ...facts].filter(Boolean).join(' '),
    ...(key.values === undefined ? {} : { enum: [...key.values, null] }),
    ...(key.default === undefined ? {} : { default: key.default }),
    ...(key.rule === 'positive' ? { exclusiveMinimum: 0 } : {}),
    ...(key.rule === 'notNegative' ? { minimum: 0 } : {}),
    ...(key.minimum === undefined ? {} : { minimum: key.minimum }),
    ...(key.maximum === undefined ? {} : { maximum: key.maximum }),
  };
}

function inferenceSchema(): JsonSchema {
  const keys = INFERENCE_KEYS.map((key) => [key.path, keySchema(key)] as const);
  const registry = { address: TEXT, username: TEXT, password: TEXT };
  return {
    $schema: DRAFT,
    title: 'Inference configuration',
    type: 'object',
    required: ['entryScript'],
    additionalProperties: false,
    properties: {
      ...SCHEMA_KEY,
      ...Object.fromEntries(keys),
      environment: { ...section(ENVIRONMENT_FIELDS), description: describe('environment') },
      baseImageRegistry: {
        type: ['object', 'string', 'null'],
        properties: registry,
        description: describe('baseImageRegistry'),
      },
    },
  };
}

const TEXT = { type: ['string', 'null'] };

function describe(path: string): string {
  return INFERENCE_KEYS.find((key) => key.path === path)?.help ?? '';
}

function section(fields: EnvironmentFields): JsonSchema {
  const properties = Object.entries(fields).map(([key, field]) => [key, fieldSchema(field)]);
  return { type: ['object', 'null'], additionalProperties: false, properties: Object.fromEntries(properties) };
}

function fieldSchema(field: EnvironmentField): JsonSchema {
  return { ...shapeOf(field), description: field.help };
}

function shapeOf(field: EnvironmentField): JsonSchema {
  switch (field.kind) {
    case 'text':
      return TEXT;
    case 'boolean':
      return { type: ['boolean', 'null'] };
    case 'integer':
      return { type: ['integer', 'null'] };
    case 'texts':
      return { type: ['array', 'null'], items: { type: 'string' } };
    case 'mapping':
      return { type: ['object', 'null'], additionalProperties: { type: 'string' } };
    case 'choice':
      return { enum: [...field.values, null] };
    case 'section':
      return section(field.fields);
    case 'sections':
      return { type: ['array', 'null'], items: section(field.fields) };
    case 'conda':
      return CONDA;
  }
}

const CONDA: JsonSchema = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    name: TEXT,
    channels: { type: 'array', items: { type: 'string' } },
    dependencies: {
      type: 'array',
      items: {
        anyOf: [
          { type: 'string' },
          {
            type: 'object',
            additionalProperties: false,
            properties: { pip: { type: 'array', items: { type: 'string' } } },
          },
        ],
      },
    },
    prefix: TEXT,
    variables: { type: 'object', additionalProperties: { type: 'string' } },
  },
};
