import { readFile } from 'node:fs/promises';
import { type FileOrData, type KubeContext, type KubeconfigReference, readKubeconfig } from './kubeconfig.ts';

/** A kubeconfig of one context alone that needs no other file, as `kubectl config view --minify --flatten --raw` prints it. */
export async function flattenKubeconfig(reference: KubeconfigReference): Promise<Readonly<Record<string, unknown>>> {
  const context = await readKubeconfig(reference);
  const { name, cluster, user, namespace } = context;
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    contexts: [
      { name, context: { cluster: cluster.name, user: user.name, ...(namespace === undefined ? {} : { namespace }) } },
    ],
    clusters: [{ name: cluster.name, cluster: await clusterFields(context) }],
    users: [{ name: user.name, user: await userFields(context) }],
  };
}

async function clusterFields({ cluster }: KubeContext): Promise<Readonly<Record<string, unknown>>> {
  return present({
    server: cluster.server,
    'certificate-authority-data': await dataOf(cluster.certificateAuthority),
    'insecure-skip-tls-verify': cluster.insecureSkipTlsVerify || undefined,
    'tls-server-name': cluster.tlsServerName,
    'proxy-url': cluster.proxyUrl,
  });
}

async function userFields({ user }: KubeContext): Promise<Readonly<Record<string, unknown>>> {
  const { exec, authProvider } = user;
  return present({
    'client-certificate-data': await dataOf(user.clientCertificate),
    'client-key-data': await dataOf(user.clientKey),
    token: user.token,
    tokenFile: user.tokenFile,
    username: user.username,
    password: user.password,
    exec: exec && {
      apiVersion: exec.apiVersion,
      command: exec.command,
      args: exec.args,
      env: exec.env,
      provideClusterInfo: exec.provideClusterInfo,
      interactiveMode: 'IfAvailable',
      ...(exec.installHint === undefined ? {} : { installHint: exec.installHint }),
    },
    'auth-provider': authProvider,
  });
}

async function dataOf(content: FileOrData | undefined): Promise<string | undefined> {
  if (content === undefined) return undefined;
  return 'data' in content ? content.data : (await readFile(content.file)).toString('base64');
}

function present(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
