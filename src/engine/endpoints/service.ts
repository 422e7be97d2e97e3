import type { AccessToken, Keys, LogLine, LogQuery } from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Engine } from '../engine.ts';

export interface EndpointFilter {
  readonly form?: 'service' | 'endpoint';
  readonly computeType?: string;
  readonly modelId?: string;
  readonly modelName?: string;
  readonly imageDigest?: string;
  /** A key, or a key and its value. */
  readonly tags?: readonly (readonly [string, string?])[];
  readonly properties?: readonly (readonly [string, string?])[];
}

/** Those that the filter lets through, by name. */
export function matching(endpoints: readonly Endpoint[], filter: EndpointFilter): Endpoint[] {
  return endpoints
    .filter((endpoint) => matches(endpoint, filter))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function matches({ spec }: Endpoint, filter: EndpointFilter): boolean {
  const models = spec.versions.flatMap((version) => version.models);
  return (
    (filter.form === undefined || spec.form === filter.form) &&
    (filter.computeType === undefined || computeTypes(spec).includes(filter.computeType.toLowerCase())) &&
    (filter.modelId === undefined || models.includes(filter.modelId)) &&
    (filter.modelName === undefined || models.some((id) => id.startsWith(`${filter.modelName}:`))) &&
    (filter.imageDigest === undefined || spec.versions.some(({ image }) => image === filter.imageDigest)) &&
    hasAll(spec.tags, filter.tags) &&
    hasAll(spec.properties, filter.properties)
  );
}

function computeTypes(spec: Endpoint['spec']): string[] {
  if (spec.computeType === 'local') return ['local'];
  return spec.form === 'endpoint' ? ['aksendpoint', 'aks'] : ['aks'];
}

function hasAll(values: Readonly<Record<string, string>>, wanted: EndpointFilter['tags']): boolean {
  return (wanted ?? []).every(([key, value]) => (value === undefined ? key in values : values[key] === value));
}

export function getService(engine: Engine, name: string, signal?: AbortSignal): Promise<Endpoint> {
  return engine.target.getEndpoint(name, signal);
}

export function deleteService(engine: Engine, name: string, signal?: AbortSignal): Promise<void> {
  return engine.target.deleteEndpoint(name, signal);
}

export function getKeys(engine: Engine, name: string): Promise<Keys> {
  return engine.target.getKeys(name);
}

export function regenerateKey(engine: Engine, name: string, which: string, value?: string): Promise<Keys> {
  const key = which.toLowerCase();
  if (key !== 'primary' && key !== 'secondary') {
    throw new AksmlError('key.unknown', `There is no key ${JSON.stringify(which)}.`, {
      fault: 'input',
      subject: '--key',
      remedy: 'Name the key to regenerate: Primary or Secondary.',
    });
  }
  return engine.target.regenerateKey(name, key, value);
}

/** @throws AksmlError `auth.notToken` | `auth.tokensStay` */
export async function revokeTokens({ target }: Engine, name: string, signal?: AbortSignal): Promise<void> {
  if (target.revokeTokens !== undefined) return await target.revokeTokens(name, signal);
  throw new AksmlError('auth.tokensStay', `Tokens on the compute target ${target.name} cannot be revoked.`, {
    fault: 'input',
    subject: name,
    remedy: 'They end with the endpoint: delete it and deploy it again.',
  });
}

export function getAccessToken(engine: Engine, name: string): Promise<AccessToken> {
  return engine.target.getAccessToken(name);
}

export function readLogs(engine: Engine, name: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine> {
  return engine.target.readLogs(name, query, signal);
}

export interface RunRequest {
  readonly name: string;
  readonly input: string | Uint8Array;
  /** Sends the request to this version instead of letting the traffic rule choose. */
  readonly version?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed when it is JSON, else the text. */
  readonly output: unknown;
  /** Milliseconds from sending to the last byte. */
  readonly milliseconds: number;
}

/**
 * Scores one request, see {@link askService}.
 * @throws AksmlError `service.noUri` | `service.unreachable` | `run.failed` with status and body
 */
export async function runService(engine: Engine, request: RunRequest, signal?: AbortSignal): Promise<RunResult> {
  const { status, headers, body, milliseconds } = await askService(engine, request, signal);
  if (status < 200 || status > 299) {
    throw new AksmlError('run.failed', `${request.name} answered ${status}: ${body.slice(0, 2000)}`, {
      subject: request.name,
      remedy: `See the cause in "aksml service get-logs -n ${request.name}".`,
    });
  }
  return { status, headers, output: parseJson(body), milliseconds };
}

export interface ServiceAnswer extends Omit<RunResult, 'output'> {
  readonly body: string;
}

/**
 * Sends one request with the primary key or a fresh token; whatever it is answered with is the result. Sent once: unlike v1, which repeated
 * a failed call up to three times.
 * @throws AksmlError `service.noUri` | `service.unreachable`
 */
export async function askService(engine: Engine, request: RunRequest, signal?: AbortSignal): Promise<ServiceAnswer> {
  const endpoint = await engine.target.getEndpoint(request.name, signal);
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...request.headers,
    ...(await authorization(engine, endpoint)),
  };
  const input = typeof request.input === 'string' ? request.input : Buffer.from(request.input);
  const { version } = request;
  const started = performance.now();
  const response = await engine.target.request(
    endpoint,
    { route: 'score', headers, body: input, ...(version === undefined ? {} : { version }) },
    signal,
  );
  const body = await response.text();
  const milliseconds = performance.now() - started;
  return { status: response.status, headers: Object.fromEntries(response.headers), body, milliseconds };
}

/**
 * The OpenAPI document that the service has of itself.
 * @throws AksmlError `service.noUri` | `service.unreachable` | `run.failed`
 */
export async function readSwagger(engine: Engine, name: string, signal?: AbortSignal): Promise<unknown> {
  const endpoint = await engine.target.getEndpoint(name, signal);
  const headers = await authorization(engine, endpoint);
  const response = await engine.target.request(endpoint, { route: 'swagger', headers }, signal);
  const text = await response.text();
  if (response.ok) return parseJson(text);
  throw new AksmlError('run.failed', `${name} answered ${response.status} for its swagger: ${text.slice(0, 2000)}`, {
    subject: name,
  });
}

async function authorization(engine: Engine, endpoint: Endpoint): Promise<Record<string, string>> {
  const { name } = endpoint.metadata;
  switch (endpoint.spec.auth) {
    case 'none':
      return {};
    case 'key':
      return { authorization: `Bearer ${(await engine.target.getKeys(name)).primaryKey}` };
    case 'token':
      return { authorization: `Bearer ${(await engine.target.getAccessToken(name)).accessToken}` };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
