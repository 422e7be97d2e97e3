import type { MethodName } from '../contract/engine-api.ts';
import type { Call, HandlersOf, Noun } from './handler.ts';

/** Each noun is loaded with its first request: the process starts at once, and what a window does not use costs nothing. */
const NOUNS: { readonly [N in Noun]: () => Promise<HandlersOf<N>> } = {
  workspace: async () => (await import('./workspace.ts')).WORKSPACE,
  target: async () => (await import('./target.ts')).TARGET,
  model: async () => (await import('./model.ts')).MODEL,
  environment: async () => (await import('./environment.ts')).ENVIRONMENT,
  agent: async () => (await import('./agent.ts')).AGENT,
  snapshot: async () => (await import('./snapshot.ts')).SNAPSHOT,
  content: async () => (await import('./content.ts')).CONTENT,
  configuration: async () => (await import('./configuration.ts')).CONFIGURATION,
  deployment: async () => (await import('./deployment.ts')).DEPLOYMENT,
  version: async () => (await import('./version.ts')).VERSION,
  traffic: async () => (await import('./version.ts')).TRAFFIC,
  endpoint: async () => (await import('./endpoint.ts')).ENDPOINT,
  revision: async () => (await import('./revision.ts')).REVISION,
  key: async () => (await import('./access.ts')).KEY,
  token: async () => (await import('./access.ts')).TOKEN,
  local: async () => (await import('./local.ts')).LOCAL,
  garbage: async () => (await import('./local.ts')).GARBAGE,
};

type AnyHandler = (params: unknown, call: Call<MethodName>) => Promise<unknown>;

/** The params have been checked against the method's schema. */
export async function handlerOf(method: MethodName): Promise<AnyHandler> {
  const [noun] = method.split('.') as [Noun];
  const handlers: Readonly<Record<string, unknown>> = await NOUNS[noun]();
  return handlers[method] as AnyHandler;
}
