import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join, relative, resolve } from 'node:path';
import { readAttachment } from '../cluster/install/marker.ts';
import type { PullCredentialSource } from '../cluster/target/pull-secret.ts';
import { openClusterTarget } from '../cluster/target/target.ts';
import type { ClusterConnection, ComputeTargetRecord } from '../contract/compute-record.ts';
import type { ComputeTarget } from '../contract/compute-target.ts';
import { AksmlError } from '../contract/error.ts';
import type { CredentialSource } from '../engine/registry/credentials.ts';
import type { Home } from '../home/home.ts';
import { onceConfirmed } from '../kube/confirmed.ts';
import { type ExecConsent, rememberedConsent } from '../kube/exec-plugin.ts';
import { type KubeClient, openKube } from '../kube/kube.ts';
import { listContexts } from '../kube/kubeconfig.ts';
import { NAMESPACES } from '../kube/resource.ts';

export interface ClusterAccess {
  readonly home: Home;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether a program that a kubeconfig names may run; asked once for each, then remembered. */
  readonly consent: ExecConsent;
  /** Whoever wrote what is in this folder must not decide what runs. */
  readonly projectFolder: string;
}

/** Connects as a context of a kubeconfig says. Nothing is sent yet. @throws AksmlError `kube.kubeconfig` | `kube.insecure` */
export function connectCluster(access: ClusterAccess, { kubeconfig, context }: ClusterConnection): Promise<KubeClient> {
  return openKube(
    { paths: kubeconfig, context },
    {
      variables: access.environment,
      consent: rememberedConsent(access.home, access.consent),
      untrustedFolders: untrustedFolders(access.projectFolder),
    },
  );
}

/** A person may work in the home folder itself, where the programs are that the person has installed. */
function untrustedFolders(projectFolder: string): string[] {
  const fromProject = relative(projectFolder, homedir());
  const holdsHome = fromProject === '' || (!fromProject.startsWith('..') && !isAbsolute(fromProject));
  return holdsHome ? [] : [projectFolder];
}

/** What can be chosen from. @throws AksmlError `kube.kubeconfig` */
export async function contextsOf(
  environment: Readonly<Record<string, string | undefined>>,
  cwd: string,
  kubeconfig?: string,
): Promise<{ readonly current?: string; readonly names: readonly string[] }> {
  return listContexts(kubeconfigPaths(environment, cwd, kubeconfig));
}

/**
 * Where credentials come from, as kubectl decides it: what is named, else `KUBECONFIG`, else `~/.kube/config`; the context that is named, else
 * the current one.
 * @throws AksmlError `kube.kubeconfig`
 */
export async function chooseConnection(
  environment: Readonly<Record<string, string | undefined>>,
  cwd: string,
  named: { readonly kubeconfig?: string; readonly context?: string },
): Promise<ClusterConnection> {
  const paths = kubeconfigPaths(environment, cwd, named.kubeconfig);
  const { current, names } = await listContexts(paths);
  const context = named.context ?? current;
  if (context !== undefined && names.includes(context)) return { kubeconfig: paths, context };
  throw new AksmlError(
    'kube.kubeconfig',
    context === undefined
      ? `The kubeconfig ${paths.join(', ')} has no current context.`
      : `The kubeconfig ${paths.join(', ')} has no context ${JSON.stringify(context)}.`,
    {
      fault: 'input',
      subject: '--context',
      remedy:
        names.length === 0
          ? 'Name another kubeconfig with --kubeconfig.'
          : `Name one of ${names.join(', ')} with --context.`,
    },
  );
}

function kubeconfigPaths(
  environment: Readonly<Record<string, string | undefined>>,
  cwd: string,
  named: string | undefined,
): readonly string[] {
  if (named !== undefined) return [resolve(cwd, named)];
  const fromEnvironment = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (fromEnvironment.length === 0) return [join(environment['HOME'] || homedir(), '.kube', 'config')];
  const paths = fromEnvironment.map((path) => resolve(cwd, path)).filter((path) => existsSync(path));
  if (paths.length === 0) throw noKubeconfig(fromEnvironment.join(delimiter));
  return paths;
}

function noKubeconfig(variable: string): AksmlError {
  return new AksmlError('kube.kubeconfig', `None of the files of KUBECONFIG (${variable}) exists.`, {
    fault: 'input',
    subject: 'KUBECONFIG',
    remedy: 'Name a kubeconfig with --kubeconfig.',
  });
}

/** What makes a cluster that cluster, whatever its address is: the uid of a namespace that every cluster has from its first minute. */
export async function clusterIdOf(kube: KubeClient, signal?: AbortSignal): Promise<string> {
  try {
    const { metadata } = await kube.get(NAMESPACES, { name: 'kube-system' }, signal);
    return metadata.uid ?? '';
  } catch (error) {
    if (!AksmlError.is(error, 'kube.forbidden')) throw error;
    // Whoever may only work in a namespace sees what the administrator has noted down when he attached the cluster.
    const noted = await readAttachment(kube, signal).catch(() => undefined);
    if (noted === undefined) throw error;
    return noted.clusterId;
  }
}

/**
 * The compute target on a cluster, which must still be the one that was attached: that is asked beside what is asked of it first, which
 * throws AksmlError `computeTarget.otherCluster` where it is not.
 * @throws AksmlError what connecting throws
 */
export async function openCluster(
  access: ClusterAccess,
  record: ComputeTargetRecord,
  connection: ClusterConnection,
  credentials: CredentialSource,
): Promise<ComputeTarget> {
  const kube = await connectCluster(access, connection);
  return targetOn(
    onceConfirmed(kube, () => refuseOtherCluster(kube, record, connection)),
    record,
    credentials,
  );
}

/** The same where the cluster has been asked already. @throws AksmlError `computeTarget.otherCluster` */
export async function openClusterWith(
  kube: KubeClient,
  record: ComputeTargetRecord,
  connection: ClusterConnection,
  credentials: CredentialSource,
): Promise<ComputeTarget> {
  await refuseOtherCluster(kube, record, connection);
  return targetOn(kube, record, credentials);
}

function targetOn(kube: KubeClient, record: ComputeTargetRecord, credentials: CredentialSource): ComputeTarget {
  return openClusterTarget({ kube, record, clock: () => new Date(), pullCredentials: pullCredentialsOf(credentials) });
}

/** What this machine logs in to registries with, in the form in which a kubelet does. */
export function pullCredentialsOf(credentials: CredentialSource): PullCredentialSource {
  return async (host, signal) => {
    const found = await credentials(host, signal);
    if (found === undefined) return undefined;
    if (found.kind === 'password') return { username: found.username, password: found.password };
    // A registry that hands out identity tokens takes them for the password of this user.
    return { username: '00000000-0000-0000-0000-000000000000', password: found.token };
  };
}

async function refuseOtherCluster(
  kube: KubeClient,
  record: ComputeTargetRecord,
  { kubeconfig, context }: ClusterConnection,
): Promise<void> {
  if ((await clusterIdOf(kube)) === record.clusterId) return;
  throw new AksmlError(
    'computeTarget.otherCluster',
    `The context ${context} of ${kubeconfig.join(', ')} leads to another cluster than the one that was attached as ${record.name}.`,
    {
      fault: 'input',
      subject: `computeTarget/${record.name}`,
      remedy: `Name the right kubeconfig (aksml computetarget attach kubernetes -n ${record.name} --kubeconfig FILE --context NAME), or detach ${record.name} if its cluster is gone.`,
    },
  );
}
