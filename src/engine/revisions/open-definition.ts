import type { EnvironmentDefinition } from '../../contract/environment.ts';

const URL_CREDENTIALS = /(\b[a-z][a-z0-9+.-]*:\/\/)([^/\s@'"]+)@/gi;
/** A reference to an environment variable is no secret. */
const REFERENCES = /^(\$\{\w+\}:?)+$/;
/** Anaconda's channels carry tokens in their path: `/t/TOKEN/channel`. */
const CHANNEL_TOKEN = /(:\/\/[^\s"']*\/t)\/[^/\s"']+/g;

/** The definition as anyone may see it: no password, no credentials in URLs, no values of secret variables. */
export function openDefinition(definition: EnvironmentDefinition): EnvironmentDefinition {
  const { environmentVariables, secretEnvironmentVariables, docker } = definition;
  const { baseImageRegistry } = docker;
  const isOpen = ([name]: readonly [string, string]) => !secretEnvironmentVariables.includes(name);
  const { password: _, ...registry } = baseImageRegistry ?? {};
  return withOpenTexts({
    ...definition,
    environmentVariables: Object.fromEntries(Object.entries(environmentVariables).filter(isOpen)),
    docker: { ...docker, ...(baseImageRegistry === undefined ? {} : { baseImageRegistry: registry }) },
  });
}

function withOpenTexts<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_key, member: unknown) => (typeof member === 'string' ? open(member) : member)),
  );
}

function open(text: string): string {
  return text
    .replace(URL_CREDENTIALS, (whole, scheme: string, user: string) => (REFERENCES.test(user) ? whole : scheme))
    .replace(CHANNEL_TOKEN, '$1');
}

/** Lock lines may name the URL that a requirement came from. */
export function openLines(lines: readonly string[]): string[] {
  return lines.map(open);
}
