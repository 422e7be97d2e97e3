import { readFile } from 'node:fs/promises';
import { AksmlError } from '../contract/error.ts';
import { type ExecCredential, type ExecEnvironment, runExecPlugin } from './exec-plugin.ts';
import type { FileOrData, KubeContext, KubeUser } from './kubeconfig.ts';

export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What to show the API server now. */
export interface Presented {
  readonly headers: Readonly<Record<string, string>>;
  readonly clientCertificate?: ClientCertificate;
}

export interface Credentials {
  present(signal?: AbortSignal): Promise<Presented>;
  /** The server refused what was presented. Whether others may be at hand. */
  refused(): boolean;
}

/** A token in a file is renewed under it (the kubelet does so): read again after this, as client-go does. */
const TOKEN_FILE_MS = 60_000;
/** A credential is renewed this long before it ends, so that none ends on its way. */
const BEFORE_EXPIRY_MS = 30_000;

/** @throws AksmlError `kube.kubeconfig`, and when presented `kube.execRefused` | `kube.execFailed` */
export function credentialsOf(context: KubeContext, environment: ExecEnvironment, now: () => number): Credentials {
  const { user } = context;
  const source = sourceOf(context, environment, now);
  let own: Promise<ClientCertificate | undefined> | undefined;
  return {
    present: async (signal) => {
      const { token, clientCertificate: handedOut } = await source.get(signal);
      own ??= readCertificate(user);
      const clientCertificate = handedOut ?? (await own);
      return {
        headers: token === undefined ? basicHeader(user) : { authorization: `Bearer ${token}` },
        ...(clientCertificate === undefined ? {} : { clientCertificate }),
      };
    },
    refused: () => source.renew(),
  };
}

interface Source {
  get(signal?: AbortSignal): Promise<ExecCredential>;
  renew(): boolean;
}

function sourceOf({ user, cluster }: KubeContext, environment: ExecEnvironment, now: () => number): Source {
  const { exec, token, tokenFile, authProvider } = user;
  // client-go's order: a token file wins over a token, both over a plugin.
  if (tokenFile !== undefined) {
    return renewed(now, async () => ({
      token: await readToken(tokenFile),
      expiry: now() + TOKEN_FILE_MS + BEFORE_EXPIRY_MS,
    }));
  }
  if (token !== undefined) return { get: async () => ({ token }), renew: () => false };
  if (exec !== undefined) return renewed(now, (signal) => runExecPlugin(exec, cluster, environment, signal));
  if (authProvider?.name === 'oidc') return renewed(now, () => oidcCredential(user));
  if (authProvider !== undefined) {
    throw new AksmlError(
      'kube.kubeconfig',
      `The kubeconfig logs in by the auth provider ${authProvider.name}, which Kubernetes has removed.`,
      {
        fault: 'input',
        subject: `user/${user.name}`,
        remedy: 'Convert it to an exec plugin (for AKS: kubelogin convert-kubeconfig).',
      },
    );
  }
  return { get: async () => ({}), renew: () => false };
}

/** One credential for all requests of the moment, renewed when it ends or was refused. */
function renewed(now: () => number, obtain: (signal?: AbortSignal) => Promise<ExecCredential>): Source {
  let current: Promise<ExecCredential> | undefined;
  let expiry: number | undefined;
  return {
    get: (signal) => {
      if (current !== undefined && (expiry === undefined || now() < expiry - BEFORE_EXPIRY_MS)) return current;
      expiry = undefined;
      const attempt = obtain(signal);
      current = attempt;
      attempt.then(
        (credential) => {
          if (current === attempt) expiry = credential.expiry;
        },
        () => {
          if (current === attempt) current = undefined;
        },
      );
      return attempt;
    },
    renew: () => {
      current = undefined;
      return true;
    },
  };
}

/** The library refreshes OpenID Connect tokens well; it is large, and few kubeconfigs need it. */
async function oidcCredential(user: KubeUser): Promise<ExecCredential> {
  const { OpenIDConnectAuth } = await import('@kubernetes/client-node/dist/oidc_auth.js');
  const options = { headers: {} };
  await new OpenIDConnectAuth().applyAuthentication({ name: user.name, authProvider: user.authProvider }, options);
  const header: unknown = Reflect.get(options.headers, 'Authorization');
  return typeof header === 'string' ? { token: header.replace(/^Bearer /, '') } : {};
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new AksmlError('kube.kubeconfig', `The token file ${path} cannot be read.`, { subject: path, cause: error });
  }
}

async function readCertificate({ clientCertificate, clientKey }: KubeUser): Promise<ClientCertificate | undefined> {
  if (clientCertificate === undefined || clientKey === undefined) return undefined;
  return { cert: await readPem(clientCertificate), key: await readPem(clientKey) };
}

/** @throws AksmlError `kube.kubeconfig` */
export async function readPem(source: FileOrData): Promise<string> {
  if ('data' in source) return Buffer.from(source.data, 'base64').toString('utf8');
  try {
    return await readFile(source.file, 'utf8');
  } catch (error) {
    throw new AksmlError('kube.kubeconfig', `${source.file}, which the kubeconfig names, cannot be read.`, {
      fault: 'input',
      subject: source.file,
      cause: error,
    });
  }
}

function basicHeader({ username, password }: KubeUser): Record<string, string> {
  if (username === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` };
}
