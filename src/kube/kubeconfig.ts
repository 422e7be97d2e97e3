import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';

/** Where a kubeconfig is; never its content. */
export interface KubeconfigReference {
  /** Absolute; several are read as kubectl reads `KUBECONFIG`: of two entries with one name the first counts. */
  readonly paths: readonly string[];
  /** Default: the current context. */
  readonly context?: string;
}

/** What one context of a kubeconfig says. Paths are absolute. */
export interface KubeContext {
  readonly name: string;
  readonly cluster: KubeCluster;
  readonly user: KubeUser;
  readonly namespace?: string;
}

export interface KubeCluster {
  readonly name: string;
  readonly server: string;
  readonly certificateAuthority?: FileOrData;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName?: string;
  readonly proxyUrl?: string;
}

export interface KubeUser {
  readonly name: string;
  readonly clientCertificate?: FileOrData;
  readonly clientKey?: FileOrData;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly exec?: ExecPlugin;
  readonly authProvider?: { readonly name: string; readonly config: Readonly<Record<string, string>> };
}

/** A program that hands out credentials (client.authentication.k8s.io). */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly provideClusterInfo: boolean;
  readonly installHint?: string;
  /** The folder that a relative command would be looked for in. */
  readonly folder?: string;
}

/** PEM in a file, or base64 of it. */
export type FileOrData = { readonly file: string } | { readonly data: string };

/** @throws AksmlError `kube.kubeconfig` */
export async function readKubeconfig({ paths, context }: KubeconfigReference): Promise<KubeContext> {
  const documents = [];
  for (const path of paths) documents.push(await document(await text(path), path, dirname(path)));
  return chosenContext(documents, paths.join(', '), context);
}

/** A kubeconfig that is at hand as text. Relative paths in it are refused. @throws AksmlError `kube.kubeconfig` */
export async function parseKubeconfig(content: string, context?: string): Promise<KubeContext> {
  return chosenContext([await document(content, 'kubeconfig', undefined)], 'kubeconfig', context);
}

/** The names of all contexts, and which one is current. @throws AksmlError `kube.kubeconfig` */
export async function listContexts(
  paths: readonly string[],
): Promise<{ readonly current?: string; readonly names: readonly string[] }> {
  const documents = [];
  for (const path of paths) documents.push(await document(await text(path), path, dirname(path)));
  const current = currentContext(documents);
  const names = [...new Set(documents.flatMap((file) => entries(file, 'contexts').map(({ name }) => name)))];
  return { names, ...(current === undefined ? {} : { current }) };
}

interface KubeconfigFile {
  readonly subject: string;
  readonly folder: string | undefined;
  readonly content: Fields;
}

type Fields = Readonly<Record<string, unknown>>;

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(path, 'it cannot be read', 'Name a kubeconfig file that exists (--kubeconfig).', error);
  }
}

async function document(content: string, subject: string, folder: string | undefined): Promise<KubeconfigFile> {
  let value: unknown;
  try {
    value = asJson(content) ?? (await import('yaml')).parse(content);
  } catch (error) {
    throw invalid(subject, 'it is not valid YAML', undefined, error);
  }
  if (!isFields(value)) throw invalid(subject, 'it is empty');
  return { subject, folder, content: value };
}

/** JSON is YAML, which takes a hundred times as long to read. */
function asJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

function chosenContext(files: readonly KubeconfigFile[], subject: string, wanted?: string): KubeContext {
  const name = wanted ?? currentContext(files);
  if (name === undefined) throw invalid(subject, 'it has no current context', 'Name one (--context).');
  const context = named(files, 'contexts', 'context', name);
  if (!context) {
    const names = files.flatMap((file) => entries(file, 'contexts').map((entry) => entry.name));
    throw invalid(
      subject,
      `it has no context ${JSON.stringify(name)}`,
      names.length === 0 ? undefined : `It has ${names.join(', ')}.`,
    );
  }
  const clusterName = string(context.fields, 'cluster') ?? '';
  const cluster = named(files, 'clusters', 'cluster', clusterName);
  if (!cluster)
    throw invalid(subject, `the cluster ${JSON.stringify(clusterName)} of its context ${name} is not in it`);
  const userName = string(context.fields, 'user') ?? '';
  const user = named(files, 'users', 'user', userName);
  if (!user && userName !== '')
    throw invalid(subject, `the user ${JSON.stringify(userName)} of its context ${name} is not in it`);
  const namespace = string(context.fields, 'namespace');
  return {
    name,
    cluster: readCluster(clusterName, cluster),
    user: user ? readUser(userName, user) : { name: '' },
    ...(namespace === undefined ? {} : { namespace }),
  };
}

interface Entry {
  readonly file: KubeconfigFile;
  readonly fields: Fields;
}

function readCluster(name: string, { fields, file }: Entry): KubeCluster {
  const server = string(fields, 'server');
  if (server === undefined || !URL.canParse(server))
    throw invalid(file.subject, `its cluster ${name} has no valid server address`);
  return {
    name,
    server,
    insecureSkipTlsVerify: fields['insecure-skip-tls-verify'] === true,
    ...optional('certificateAuthority', fileOrData(file, fields, 'certificate-authority')),
    ...optional('tlsServerName', string(fields, 'tls-server-name')),
    ...optional('proxyUrl', string(fields, 'proxy-url')),
  };
}

function readUser(name: string, { fields, file }: Entry): KubeUser {
  if (string(fields, 'as') !== undefined)
    throw invalid(file.subject, `its user ${name} acts as somebody else, which aksml does not do`);
  const tokenFile = string(fields, 'tokenFile');
  return {
    name,
    ...optional('clientCertificate', fileOrData(file, fields, 'client-certificate')),
    ...optional('clientKey', fileOrData(file, fields, 'client-key')),
    ...optional('token', string(fields, 'token')),
    ...optional('tokenFile', tokenFile === undefined ? undefined : absolute(file, tokenFile)),
    ...optional('username', string(fields, 'username')),
    ...optional('password', string(fields, 'password')),
    ...optional('exec', readExec(file, fields['exec'])),
    ...optional('authProvider', readAuthProvider(fields['auth-provider'])),
  };
}

function readExec(file: KubeconfigFile, value: unknown): ExecPlugin | undefined {
  if (!isFields(value)) return undefined;
  const command = string(value, 'command');
  if (command === undefined) throw invalid(file.subject, 'its exec plugin names no command');
  const variables = Array.isArray(value['env']) ? value['env'].filter(isFields) : [];
  return {
    apiVersion: string(value, 'apiVersion') ?? 'client.authentication.k8s.io/v1',
    command,
    args: strings(value['args']),
    env: variables.map((variable) => ({
      name: string(variable, 'name') ?? '',
      value: string(variable, 'value') ?? '',
    })),
    provideClusterInfo: value['provideClusterInfo'] === true,
    ...optional('installHint', string(value, 'installHint')),
    ...optional('folder', file.folder),
  };
}

function readAuthProvider(value: unknown): KubeUser['authProvider'] {
  if (!isFields(value)) return undefined;
  const config = isFields(value['config']) ? value['config'] : {};
  return {
    name: string(value, 'name') ?? '',
    config: Object.fromEntries(Object.entries(config).map(([key, entry]) => [key, String(entry)])),
  };
}

/** As kubectl has it: the data wins over the file. */
function fileOrData(file: KubeconfigFile, fields: Fields, key: string): FileOrData | undefined {
  const data = string(fields, `${key}-data`);
  if (data !== undefined) return { data };
  const path = string(fields, key);
  return path === undefined ? undefined : { file: absolute(file, path) };
}

function absolute(file: KubeconfigFile, path: string): string {
  if (isAbsolute(path)) return path;
  if (file.folder === undefined)
    throw invalid(file.subject, `it names the file ${path} relative to a folder that is not known`);
  return resolve(file.folder, path);
}

function currentContext(files: readonly KubeconfigFile[]): string | undefined {
  return files.map(({ content }) => string(content, 'current-context')).find((name) => name !== undefined);
}

function named(files: readonly KubeconfigFile[], list: string, member: string, name: string): Entry | undefined {
  for (const file of files) {
    const entry = entries(file, list).find((candidate) => candidate.name === name);
    const fields = entry?.fields[member];
    if (entry) return { file, fields: isFields(fields) ? fields : {} };
  }
  return undefined;
}

function entries({ content }: KubeconfigFile, list: string): { readonly name: string; readonly fields: Fields }[] {
  const values = content[list];
  if (!Array.isArray(values)) return [];
  return values.filter(isFields).map((fields) => ({ name: string(fields, 'name') ?? '', fields }));
}

/** Absent when empty: an empty value in a kubeconfig means nothing. */
function string(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  // The compiler cannot see that a computed key is the type parameter's.
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]?: Value });
}

function invalid(subject: string, reason: string, remedy?: string, cause?: unknown): AksmlError {
  return new AksmlError('kube.kubeconfig', `The kubeconfig ${subject} cannot be used: ${reason}.`, {
    fault: 'input',
    subject,
    ...(remedy === undefined ? {} : { remedy }),
    cause,
  });
}
