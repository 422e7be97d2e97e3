/** A JSON Schema as OpenAPI documents of 2.0 and 3.x hold them. */
type Schema = Readonly<Record<string, unknown>>;

/** What the scoring operation takes and gives; references are resolved. Undefined members: the document does not say. */
export interface Operation {
  readonly input?: Schema;
  readonly output?: Schema;
}

/** Looks the operation up in an OpenAPI document, 2.0 or 3.x. */
export function scoringOperation(document: Schema): Operation {
  const path = Object.entries(asSchema(document['paths'])).find(([name]) => /\/score$/.test(name));
  const post = asSchema(asSchema(path?.[1])['post']);
  const parameters = Array.isArray(post['parameters']) ? post['parameters'].map(asSchema) : [];
  const input =
    parameters.find((parameter) => parameter['in'] === 'body')?.['schema'] ??
    jsonContent(asSchema(post['requestBody']));
  const answer = asSchema(asSchema(post['responses'])['200']);
  const output = answer['schema'] ?? jsonContent(answer);
  return {
    ...(input === undefined ? {} : { input: resolve(document, input) }),
    ...(output === undefined ? {} : { output: resolve(document, output) }),
  };
}

/** A request that fits the schema: its own example, else one made from the types. */
export function sampleOf(schema: Schema): unknown {
  if ('example' in schema) return schema['example'];
  if ('default' in schema) return schema['default'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  switch (schema['type']) {
    case 'array':
      return [sampleOf(asSchema(schema['items']))];
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'string':
      return '';
    default:
      return Object.fromEntries(
        Object.entries(asSchema(schema['properties'])).map(([name, member]) => [name, sampleOf(asSchema(member))]),
      );
  }
}

function jsonContent(body: Schema): unknown {
  return asSchema(asSchema(body['content'])['application/json'])['schema'];
}

const DEEPEST = 20;

function resolve(document: Schema, value: unknown, depth = 0): Schema {
  const schema = asSchema(value);
  const reference = schema['$ref'];
  if (depth > DEEPEST) return {};
  if (typeof reference === 'string') return resolve(document, follow(document, reference), depth + 1);
  return Object.fromEntries(
    Object.entries(schema).map(([key, member]) => {
      if (key === 'properties') {
        return [key, mapValues(asSchema(member), (property) => resolve(document, property, depth + 1))];
      }
      return key === 'items' ? [key, resolve(document, member, depth + 1)] : [key, member];
    }),
  );
}

function follow(document: Schema, reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((value, part) => asSchema(value)[part.replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

function mapValues(schema: Schema, change: (value: unknown) => unknown): Schema {
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, change(value)]));
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}
