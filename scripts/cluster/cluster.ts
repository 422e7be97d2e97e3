import { debianBaseImage } from './base-image.ts';
import { ownDown, ownUp, runningCluster, type UpOptions, whyNoOwnCluster } from './own.ts';
import { openPlace } from './place.ts';
import { buildKubeRouter, buildKubernetes } from './programs.ts';

/** A real Kubernetes that tests may use. */
export interface Cluster {
  /** `own` runs on this machine, made by us; `given` is named by `AKSML_TEST_KUBECONFIG`. */
  readonly kind: 'own' | 'given';
  /** File with an administrator's credentials. */
  readonly kubeconfig: string;
  /** `HOST:PORT` of a registry that this machine pushes to and the cluster pulls from. */
  readonly registry: string;
  /** Debian with Python 3.11, in that registry. */
  readonly baseImage?: string;
}

/** The cluster that is there now: one that the environment names, else the one that is up. */
export async function findCluster(): Promise<Cluster | undefined> {
  return givenCluster() ?? (await runningCluster(openPlace()));
}

/** Brings a cluster up unless there is one. Or why there can be none. */
export async function clusterUp(options: UpOptions): Promise<Cluster | { readonly skip: string }> {
  const given = givenCluster();
  if (given) return given;
  const why = whyNoOwnCluster(options.install);
  if (why !== undefined) return { skip: why };
  return ownUp(openPlace(), options);
}

/** Makes what `clusterUp` takes long for, without starting anything. */
export async function prepareCluster(options: UpOptions): Promise<{ readonly skip: string } | undefined> {
  if (givenCluster()) return undefined;
  const why = whyNoOwnCluster(options.install);
  if (why !== undefined) return { skip: why };
  await buildKubernetes(openPlace());
  await buildKubeRouter(openPlace());
  const base = await debianBaseImage();
  return 'skip' in base ? base : undefined;
}

export async function clusterDown(): Promise<void> {
  await ownDown(openPlace());
}

function givenCluster(): Cluster | undefined {
  const kubeconfig = process.env['AKSML_TEST_KUBECONFIG'];
  if (!kubeconfig) return undefined;
  const registry = process.env['AKSML_TEST_REGISTRY'];
  if (!registry)
    throw new Error(
      'AKSML_TEST_KUBECONFIG needs AKSML_TEST_REGISTRY, HOST:PORT of a registry that the cluster pulls from',
    );
  const baseImage = process.env['AKSML_TEST_BASE_IMAGE'];
  return { kind: 'given', kubeconfig, registry, ...(baseImage ? { baseImage } : {}) };
}
