import { readFile } from 'node:fs/promises';
import { debianBaseImage } from './base-image.ts';
import { isKindUp, kindDown, kindUp, whyNoKind } from './kind.ts';
import { isOwnUp, ownDown, ownUp, type UpOptions, whyNoOwnCluster } from './own.ts';
import { openPlace, type Place } from './place.ts';
import { buildKubeRouter, buildKubernetes } from './programs.ts';

/** A real Kubernetes that tests may use. */
export interface Cluster {
  /** `own` runs on this machine, made by us; `kind` in its containers; `given` is named by `AKSML_TEST_KUBECONFIG`. */
  readonly kind: 'own' | 'kind' | 'given';
  /** File with an administrator's credentials. */
  readonly kubeconfig: string;
  /** `HOST:PORT` of a registry that this machine pushes to and the cluster pulls from. */
  readonly registry: string;
  /** Debian with Python 3.11, in that registry. */
  readonly baseImage?: string;
}

/** The cluster that is there now: one that the environment names, else the one that is up. */
export async function findCluster(): Promise<Cluster | undefined> {
  const given = givenCluster();
  if (given) return given;
  const place = openPlace();
  const cluster = await readCluster(place);
  if (cluster === undefined) return undefined;
  return (await (cluster.kind === 'kind' ? isKindUp(place) : isOwnUp(place))) ? cluster : undefined;
}

/** Brings a cluster up unless there is one. Or why there can be none. */
export async function clusterUp(options: UpOptions): Promise<Cluster | { readonly skip: string }> {
  const given = givenCluster();
  if (given) return given;
  const whyNotOwn = whyNoOwnCluster(options.install);
  if (whyNotOwn === undefined) return ownUp(openPlace(), options);
  const whyNotKind = await whyNoKind();
  if (whyNotKind === undefined) return kindUp(openPlace());
  return { skip: `${whyNotOwn}; ${whyNotKind}` };
}

/** Makes what `clusterUp` takes long for, without starting anything. */
export async function prepareCluster(options: UpOptions): Promise<{ readonly skip: string } | undefined> {
  if (givenCluster()) return undefined;
  const whyNotOwn = whyNoOwnCluster(options.install);
  if (whyNotOwn !== undefined) {
    const whyNotKind = await whyNoKind();
    return whyNotKind === undefined ? undefined : { skip: `${whyNotOwn}; ${whyNotKind}` };
  }
  await buildKubernetes(openPlace());
  await buildKubeRouter(openPlace());
  const base = await debianBaseImage();
  return 'skip' in base ? base : undefined;
}

export async function clusterDown(): Promise<void> {
  const place = openPlace();
  await ((await readCluster(place))?.kind === 'kind' ? kindDown(place) : ownDown(place));
}

async function readCluster(place: Place): Promise<Cluster | undefined> {
  const text = await readFile(place.path('cluster.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
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
