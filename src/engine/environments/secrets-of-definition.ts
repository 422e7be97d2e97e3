import type { EnvironmentDefinition } from '../../contract/environment.ts';

/** Texts by their place in the definition, such as `["python","condaDependencies","pip",0]`. */
export type Secrets = Readonly<Record<string, string>>;
type Place = readonly (string | number)[];
type Unnamed = Omit<EnvironmentDefinition, 'name' | 'version'>;

const URL_CREDENTIALS = /(\b[a-z][a-z0-9+.-]*:\/\/)([^/\s@'"]+)@/gi;
/** A reference to an environment variable is no secret, and the user of an ssh URL is only a name. */
const REFERENCES = /^(\$\{\w+\}:?)+$/;
/** Anaconda's channels carry tokens in their path: `/t/TOKEN/channel`. */
const CHANNEL_TOKEN = /(:\/\/[^\s"']*\/t)\/([^/\s"']+)/g;

/** A text, such as a requirement or a line of a lock, without the credentials of the URLs in it. */
export function withoutCredentials(text: string): string {
  return text
    .replace(URL_CREDENTIALS, (whole, scheme: string, user: string) =>
      REFERENCES.test(user) || (/ssh:\/\/$/i.test(scheme) && !user.includes(':')) ? whole : scheme,
    )
    .replace(CHANNEL_TOKEN, (whole, before: string, token: string) => (REFERENCES.test(token) ? whole : before));
}

/** Splits a definition into what anyone may see, and passwords, credentials in URLs and values of secret variables. */
export function separateSecrets<T extends Unnamed>(definition: T): { readonly open: T; readonly secrets: Secrets } {
  const hidden = [
    ['docker', 'baseImageRegistry', 'password'],
    ...definition.secretEnvironmentVariables.map((name) => ['environmentVariables', name]),
  ].map((place) => JSON.stringify(place));
  const secrets: [string, string][] = [];
  const open = mapTexts(definition, [], (text, at) => {
    const place = JSON.stringify(at);
    const shown = hidden.includes(place) ? undefined : withoutCredentials(text);
    if (shown !== text && text !== '') secrets.push([place, text]);
    return shown;
  });
  return { open: open as T, secrets: Object.fromEntries(secrets) };
}

export function joinSecrets(definition: EnvironmentDefinition, secrets: Secrets): EnvironmentDefinition {
  const joined = structuredClone(definition) as unknown;
  for (const [place, text] of Object.entries(secrets)) {
    const path = JSON.parse(place) as (string | number)[];
    const last = path.pop();
    const holder = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], joined);
    if (last !== undefined && typeof holder === 'object' && holder !== null) {
      Object.defineProperty(holder, last, { value: text, enumerable: true, configurable: true, writable: true });
    }
  }
  return joined as EnvironmentDefinition;
}

/** Every text of a JSON value replaced; undefined leaves its member out. */
function mapTexts(value: unknown, at: Place, change: (text: string, at: Place) => string | undefined): unknown {
  if (typeof value === 'string') return change(value, at);
  if (Array.isArray(value)) return value.map((item, index) => mapTexts(item, [...at, index], change));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, member]) => [key, mapTexts(member, [...at, key], change)] as const);
  return Object.fromEntries(members.filter(([, member]) => member !== undefined));
}
