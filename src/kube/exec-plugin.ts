import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile, realpath } from 'node:fs/promises';
import { delimiter, isAbsolute, join, relative, sep } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';
import type { ExecPlugin, KubeCluster } from './kubeconfig.ts';

/** A kubeconfig is code: what it wants to run is shown before it is run. */
export interface ExecRequest {
  /** Absolute path of the program. */
  readonly command: string;
  readonly args: readonly string[];
  /** Names of the variables that the kubeconfig sets for it. */
  readonly variables: readonly string[];
  readonly installHint?: string;
  /** Of all that decides what runs, the values of the variables included. */
  readonly fingerprint: string;
}

/** Whether the program may run. */
export type ExecConsent = (request: ExecRequest) => Promise<boolean>;

export interface ExecEnvironment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly consent: ExecConsent;
  /** Folders whose programs are never run: whoever wrote the project would decide what runs. */
  readonly untrustedFolders: readonly string[];
}

export interface ExecCredential {
  readonly token?: string;
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** Milliseconds since the epoch; unknown: good until refused. */
  readonly expiry?: number;
}

/** A login at a terminal is not waited for; a silent one takes seconds. */
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT = 1024 * 1024;
const API_VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/** Runs the program that a kubeconfig names, once its user has agreed. @throws AksmlError `kube.execRefused` | `kube.execFailed` */
export async function runExecPlugin(
  plugin: ExecPlugin,
  cluster: KubeCluster,
  environment: ExecEnvironment,
  signal?: AbortSignal,
): Promise<ExecCredential> {
  if (!API_VERSIONS.includes(plugin.apiVersion)) {
    throw failed(plugin, `it speaks ${plugin.apiVersion}, which no longer exists; its vendor has a newer one`);
  }
  const command = await findProgram(plugin, environment);
  const request = {
    command,
    args: plugin.args,
    variables: plugin.env.map(({ name }) => name),
    fingerprint: createHash('sha256')
      .update(JSON.stringify([command, plugin.args, plugin.env]))
      .digest('hex'),
    ...(plugin.installHint === undefined ? {} : { installHint: plugin.installHint }),
  };
  if (!(await environment.consent(request))) {
    throw new AksmlError(
      'kube.execRefused',
      `The kubeconfig wants to run ${command} to log in, which was not agreed to.`,
      {
        fault: 'input',
        subject: command,
        remedy: 'Agree to it, or use a kubeconfig with a token or a client certificate.',
      },
    );
  }
  const output = await run(plugin, command, variables(plugin, cluster, environment), signal);
  return readCredential(plugin, output);
}

/** Agreement is asked for once for each program with its arguments and settings, and kept in the home. */
export function rememberedConsent(home: Home, ask: ExecConsent): ExecConsent {
  const path = join(home.root, 'exec-consent.json');
  return async (request) => {
    const known = await readConsents(path);
    if (known.some(({ id }) => id === request.fingerprint)) return true;
    if (!(await ask(request))) return false;
    const entry = { id: request.fingerprint, command: [request.command, ...request.args].join(' ') };
    await writeFileAtomic(path, `${JSON.stringify([...known, entry], null, 2)}\n`);
    return true;
  };
}

async function readConsents(path: string): Promise<readonly { readonly id: string }[]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(value) ? value.filter((entry) => typeof entry?.id === 'string') : [];
  } catch {
    // Never agreed to anything, or not to be made out: ask again.
    return [];
  }
}

/** Only from PATH or by an absolute path, and never from a project's folder. */
async function findProgram(plugin: ExecPlugin, { variables, untrustedFolders }: ExecEnvironment): Promise<string> {
  const { command } = plugin;
  const isPath = command.includes('/') || command.includes(sep);
  if (isPath && !isAbsolute(command)) {
    throw new AksmlError(
      'kube.execRefused',
      `The kubeconfig wants to run ${command} from a folder that depends on where you are.`,
      {
        fault: 'input',
        subject: command,
        remedy: 'Write its absolute path into the kubeconfig, or its name only, if it is on PATH.',
      },
    );
  }
  const folders = (variables['PATH'] ?? variables['Path'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder));
  const names = process.platform === 'win32' ? [command, `${command}.exe`] : [command];
  const candidates = isPath ? [command] : folders.flatMap((folder) => names.map((name) => join(folder, name)));
  for (const candidate of candidates) {
    if (!(await isExecutable(candidate))) continue;
    const real = await realpath(candidate);
    if (!untrustedFolders.some((folder) => isInside(folder, candidate) || isInside(folder, real))) return candidate;
    throw new AksmlError(
      'kube.execRefused',
      `The kubeconfig wants to run ${candidate}, which lies in the project's folder.`,
      {
        fault: 'input',
        subject: candidate,
        remedy: 'Install the program outside of the project.',
      },
    );
  }
  throw failed(
    plugin,
    `it is not installed${plugin.installHint === undefined ? '' : ` (${plugin.installHint.trim()})`}`,
  );
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way);
}

function variables(plugin: ExecPlugin, cluster: KubeCluster, environment: ExecEnvironment): NodeJS.ProcessEnv {
  const { certificateAuthority: authority } = cluster;
  const info = {
    server: cluster.server,
    ...(cluster.tlsServerName === undefined ? {} : { 'tls-server-name': cluster.tlsServerName }),
    ...(cluster.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {}),
    ...(authority !== undefined && 'data' in authority ? { 'certificate-authority-data': authority.data } : {}),
  };
  return {
    ...environment.variables,
    ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify({
      kind: 'ExecCredential',
      apiVersion: plugin.apiVersion,
      spec: { interactive: false, ...(plugin.provideClusterInfo ? { cluster: info } : {}) },
    }),
  };
}

function run(plugin: ExecPlugin, command: string, env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, plugin.args, {
      env,
      shell: false,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    const stop = () => child.kill('SIGKILL');
    limit.addEventListener('abort', stop, { once: true });
    signal?.addEventListener('abort', stop, { once: true });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.length > MAX_OUTPUT) stop();
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors = (errors + chunk).slice(-2000);
    });
    child.on('error', (error) => reject(failed(plugin, error.message)));
    child.on('close', (code) => {
      limit.removeEventListener('abort', stop);
      signal?.removeEventListener('abort', stop);
      if (code === 0) resolve(output);
      else if (signal?.aborted) reject(signal.reason);
      else if (limit.aborted) reject(failed(plugin, `it did not finish within ${TIMEOUT_MS / 1000} s`));
      else reject(failed(plugin, `it ended with exit code ${code}`, errors));
    });
  });
}

function readCredential(plugin: ExecPlugin, output: string): ExecCredential {
  let status: unknown;
  try {
    status = JSON.parse(output)?.status;
  } catch {
    // Its output may hold a secret: it is not shown.
    throw failed(plugin, 'what it printed is not an ExecCredential');
  }
  const field = (name: string): string | undefined => {
    const value: unknown = typeof status === 'object' && status !== null ? Reflect.get(status, name) : undefined;
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const token = field('token');
  const cert = field('clientCertificateData');
  const key = field('clientKeyData');
  const expiry = Date.parse(field('expirationTimestamp') ?? '');
  if (token === undefined && (cert === undefined || key === undefined)) {
    throw failed(plugin, 'it handed out neither a token nor a client certificate');
  }
  return {
    ...(token === undefined ? {} : { token }),
    ...(cert === undefined || key === undefined ? {} : { clientCertificate: { cert, key } }),
    ...(Number.isNaN(expiry) ? {} : { expiry }),
  };
}

function failed(plugin: ExecPlugin, reason: string, errors = ''): AksmlError {
  const logTail = errors
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-10);
  return new AksmlError(
    'kube.execFailed',
    `${plugin.command}, which the kubeconfig names for logging in, failed: ${reason}.`,
    {
      subject: plugin.command,
      remedy:
        'Log in with that tool yourself (for AKS: az login, kubelogin convert-kubeconfig -l azurecli), then run the command again.',
      logTail,
    },
  );
}
