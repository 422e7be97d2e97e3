import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';

export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Docker's `identitytoken`: an OAuth 2 refresh token. */
  | { readonly kind: 'identityToken'; readonly token: string };

/** Credentials for a registry host, or none: then it is used anonymously. */
export type CredentialSource = (host: string, signal?: AbortSignal) => Promise<Credentials | undefined>;

/** Runs a credential helper: its standard input, then its exit code and standard output. */
export type RunHelper = (
  command: string,
  argument: string,
  input: string,
  signal?: AbortSignal,
) => Promise<{ readonly code: number; readonly stdout: string }>;

export interface DockerCredentialOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  readonly runHelper?: RunHelper;
}

interface AuthFile {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/**
 * What `docker login` and `podman login` stored, read anew for each host, so that a new login is seen at once.
 * Rules: the Docker command line's configuration file and containers-auth.json(5).
 */
export function dockerCredentials(options: DockerCredentialOptions): CredentialSource {
  return async (host, signal) => {
    for (const path of authFiles(options)) {
      const file = await readAuthFile(path);
      const found = file && (await fromFile(file, host, options, signal));
      if (found) return found;
    }
    return undefined;
  };
}

function authFiles({ environment, homeFolder }: DockerCredentialOptions): string[] {
  const runtime = environment['XDG_RUNTIME_DIR'] || undefined;
  const configuration = environment['XDG_CONFIG_HOME'] || join(homeFolder, '.config');
  return [
    environment['REGISTRY_AUTH_FILE'],
    join(environment['DOCKER_CONFIG'] || join(homeFolder, '.docker'), 'config.json'),
    runtime === undefined ? undefined : join(runtime, 'containers', 'auth.json'),
    join(configuration, 'containers', 'auth.json'),
  ].filter((path): path is string => path !== undefined && path !== '');
}

async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Told below; the parser's own message would quote the content.
  }
  throw new AksmlError('registry.badCredentialFile', `The registry credentials in ${path} are not valid JSON.`, {
    subject: path,
    remedy: 'Repair the file, or remove it and log in again.',
  });
}

async function fromFile(
  file: AuthFile,
  host: string,
  options: DockerCredentialOptions,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  const helper = file.credHelpers?.[host] ?? file.credsStore;
  if (helper) {
    const found = await askHelper(
      helper,
      serverName(host),
      options.runHelper ?? runHelper(options.environment),
      signal,
    );
    if (found) return found;
  }
  const entry = Object.entries(file.auths ?? {}).find(([key]) => hostOf(key) === hostOf(serverName(host)))?.[1];
  if (entry?.identitytoken) return { kind: 'identityToken', token: entry.identitytoken };
  if (!entry?.auth) return undefined;
  const decoded = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) return undefined;
  return { kind: 'password', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Docker keeps its own hub under the address of its first API. */
function serverName(host: string): string {
  return host === 'docker.io' || host === 'registry-1.docker.io' ? 'https://index.docker.io/v1/' : host;
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? '';
}

async function askHelper(
  name: string,
  server: string,
  run: RunHelper,
  signal?: AbortSignal,
): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9_.-]+$/.test(name)) return undefined;
  const { code, stdout } = await run(`docker-credential-${name}`, 'get', server, signal);
  // Helpers answer "credentials not found" with an exit code of 1 as well as real failures: both mean anonymous.
  if (code !== 0) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    throw helperFailed(name, 'gave an answer that is not JSON');
  }
  if (typeof answer !== 'object' || answer === null || !('Username' in answer) || !('Secret' in answer))
    return undefined;
  const { Username: username, Secret: secret } = answer;
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'identityToken', token: secret }
    : { kind: 'password', username, password: secret };
}

function runHelper(environment: DockerCredentialOptions['environment']): RunHelper {
  return (command, argument, input, signal) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, [argument], {
        env: { ...environment },
        stdio: ['pipe', 'pipe', 'ignore'],
        signal,
        timeout: HELPER_TIMEOUT_MS,
        windowsHide: true,
      });
      const parts: Buffer[] = [];
      child.stdout.on('data', (part: Buffer) => parts.push(part));
      child.once('error', (error) =>
        reject(
          signal?.aborted ? error : helperFailed(command, 'is named in the Docker configuration but could not be run'),
        ),
      );
      child.once('close', (code) => resolve({ code: code ?? 1, stdout: Buffer.concat(parts).toString('utf8') }));
      child.stdin.on('error', () => {});
      child.stdin.end(input);
    });
}

const HELPER_TIMEOUT_MS = 30_000;

function helperFailed(name: string, what: string): AksmlError {
  return new AksmlError('registry.credentialHelper', `The credential helper "${name}" ${what}.`, {
    subject: name,
    remedy: 'Install it, or remove it from credsStore or credHelpers in the Docker configuration, and log in again.',
  });
}
