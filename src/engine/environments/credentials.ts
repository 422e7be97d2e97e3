import { AksmlError } from '../../contract/error.ts';

type Variables = Readonly<Record<string, string | undefined>>;

const USER_INFO = /(\b[a-z][a-z0-9+.-]*:\/\/)([^/\s@'"]+)@/gi;

/** User name and password that stood in a URL. */
export interface Credentials {
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

/** Replaces pip's `${NAME}` references by the values of environment variables. @throws AksmlError `environment.variableMissing` */
export function expandVariables(text: string, environment: Variables): string {
  return text.replace(/\$\{([A-Z0-9_]+)\}/g, (_, name: string) => {
    const value = environment[name];
    if (value !== undefined) return value;
    throw new AksmlError(
      'environment.variableMissing',
      `The environment's pip section refers to \${${name}}, which is not set.`,
      {
        fault: 'input',
        subject: name,
        remedy: `Set ${name} in the environment of this command and run it again.`,
      },
    );
  });
}

/** The text with every URL's user name and password taken out. */
export function withoutCredentials(text: string): string {
  return text.replace(USER_INFO, '$1');
}

export function credentialsIn(text: string): Credentials[] {
  return [...text.matchAll(USER_INFO)].flatMap((match) => {
    const rest = text.slice(match.index + match[0].length);
    const [username = '', ...password] = (match[2] ?? '').split(':');
    const host = /^[^/:\s]+/.exec(rest)?.[0];
    return host ? [{ host, username: decode(username), password: decode(password.join(':')) }] : [];
  });
}

/** Replaces every known secret, and every user name and password in a URL, by `****`. */
export type Redact = (text: string) => string;

/** A redactor for the values given, the credentials in the URLs given, and the variables whose names say that they are secret. */
export function redactor(texts: readonly string[], environment: Variables): Redact {
  const secrets = new Set<string>();
  const known = Object.entries(environment).filter(([name]) => /PASSWORD|TOKEN|SECRET/i.test(name));
  for (const [, value] of known) if (value) secrets.add(value);
  for (const { username, password } of [...texts, ...Object.values(environment)].flatMap((text) =>
    credentialsIn(text ?? ''),
  )) {
    const secret = password || username;
    secrets.add(secret).add(encodeURIComponent(secret));
  }
  const ordered = [...secrets].filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return (text) =>
    ordered.reduce((result, secret) => result.replaceAll(secret, '****'), text.replace(USER_INFO, '$1****@'));
}

/** A netrc file's text; hosts that have several users keep the first, as its readers do. */
export function netrcText(credentials: readonly Credentials[], usersOwn: string): string {
  const lines = credentials.map(
    ({ host, username, password }) => `machine ${host} login ${quote(username)} password ${quote(password)}`,
  );
  return [...lines, usersOwn, ''].join('\n');
}

/** Gives git the credentials through its environment, so that they show in no process list. */
export function gitVariables(credentials: readonly Credentials[]): Record<string, string> {
  const entries = credentials.map(({ host, username, password }) => {
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    return [`http.https://${host}/.extraHeader`, `Authorization: Basic ${basic}`] as const;
  });
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(entries.length)],
    ...entries.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}

function quote(value: string): string {
  return /[\s#"]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
