import { configurationSchema, type JsonSchema } from './schema.ts';

/**
 * The same schema for editors whose files the engine judges itself: it completes and explains each key, and finds fault with nothing, so
 * that no problem is told twice, or told of what v1 lets through.
 */
export function editorSchema(file: 'inferenceconfig' | 'deploymentconfig'): JsonSchema {
  return advice(configurationSchema(file));
}

function advice({
  $schema,
  title,
  description,
  default: standard,
  type,
  enum: values,
  ...below
}: JsonSchema): JsonSchema {
  const examples = values ?? ([type].flat().includes('boolean') ? [true, false] : undefined);
  return {
    ...defined({ $schema, title, description, default: standard, examples }),
    ...(isSchema(below['properties']) ? { properties: eachOf(below['properties']) } : {}),
    ...(isSchema(below['items']) ? { items: advice(below['items']) } : {}),
    ...(Array.isArray(below['anyOf']) ? { anyOf: below['anyOf'].filter(isSchema).map(advice) } : {}),
  };
}

function eachOf(properties: JsonSchema): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, schema]) => (isSchema(schema) ? [[key, advice(schema)]] : [])),
  );
}

function defined(members: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
