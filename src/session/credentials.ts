import type { ClusterConnection, ComputeTargetListing } from '../contract/compute-record.ts';
import { AksmlError } from '../contract/error.ts';
import { flattenKubeconfig } from '../kube/flatten.ts';
import type { Session } from './session.ts';

/** How this machine reaches an attached cluster. */
export interface ClusterCredentials extends ClusterConnection {
  /** Where endpoints go. */
  readonly namespace: string;
  /** A kubeconfig of that context alone, secrets included. */
  readonly userKubeConfig: Readonly<Record<string, unknown>>;
}

/**
 * Put together from the kubeconfig files that the credentials are in: aksml has no copy.
 * @throws AksmlError `computeTarget.notFound` | `computeTarget.noCredentials`
 */
export async function credentialsOf(session: Session, name: string, signal?: AbortSignal): Promise<ClusterCredentials> {
  const targets = await session.listTargets(signal);
  const target = targets.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  if (target === undefined || target.kind === 'local' || target.connection === undefined) throw none(target, name);
  const { kubeconfig, context } = target.connection;
  const userKubeConfig = await flattenKubeconfig({ paths: kubeconfig, context });
  return { kubeconfig, context, namespace: target.record.namespace, userKubeConfig };
}

function none(target: ComputeTargetListing | undefined, name: string): AksmlError {
  return new AksmlError(
    target === undefined ? 'computeTarget.notFound' : 'computeTarget.noCredentials',
    target === undefined
      ? `There is no compute target ${JSON.stringify(name)}.`
      : target.kind === 'local'
        ? 'The compute target local is this machine, which needs no credentials.'
        : `This machine has no credentials for the compute target ${target.name}.`,
    {
      fault: 'input',
      subject: `computeTarget/${name}`,
      remedy:
        target?.kind === 'kubernetes'
          ? `Name your kubeconfig: aksml computetarget attach kubernetes -n ${target.name} --kubeconfig FILE --context NAME`
          : 'See "aksml computetarget list".',
    },
  );
}
