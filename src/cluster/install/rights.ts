import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { AccessQuestion, KubeClient } from '../../kube/kube.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINTS,
  NAMESPACES,
  PODS,
  SECRETS,
  SERVICE_ACCOUNTS,
} from '../../kube/resource.ts';
import type { Manifest } from '../manifests.ts';
import { SYSTEM_NAMESPACE } from '../names.ts';

const AT_ONCE = 10;
/** What server-side apply and a later detach come down to. */
const OF_INSTALLED = ['get', 'create', 'patch', 'delete'] as const;

/** What one must be allowed to do to install aksml, to remove it again, and to deploy to these namespaces. */
export function neededRights(manifests: readonly Manifest[], namespaces: readonly string[]): AccessQuestion[] {
  const installing = manifests.flatMap(({ resource, object: { metadata } }) => {
    const namespace = metadata.namespace === undefined ? {} : { namespace: metadata.namespace };
    return OF_INSTALLED.map((verb): AccessQuestion => ({ verb, resource, ...namespace }));
  });
  const marking = OF_INSTALLED.map((verb) => ({ verb, resource: CONFIG_MAPS, namespace: SYSTEM_NAMESPACE }));
  const waiting = [DEPLOYMENTS, PODS].flatMap((resource) =>
    ['list', 'watch'].map((verb) => ({ verb, resource, namespace: SYSTEM_NAMESPACE })),
  );
  const clearing = [{ verb: 'list', resource: SECRETS, namespace: SYSTEM_NAMESPACE }];
  const deploying = namespaces.flatMap(rightsToDeploy);
  return unique([
    { verb: 'get', resource: NAMESPACES },
    ...installing,
    ...marking,
    ...waiting,
    ...clearing,
    ...deploying,
  ]);
}

/** What working with endpoints of a namespace takes. */
export function rightsToDeploy(namespace: string): AccessQuestion[] {
  const may = (resource: AccessQuestion['resource'], verbs: readonly string[], subresource?: string) =>
    verbs.map((verb) => ({ verb, resource, namespace, ...(subresource === undefined ? {} : { subresource }) }));
  return [
    ...may(ENDPOINTS, ['get', 'list', 'watch', 'create', 'patch', 'delete']),
    ...may(SECRETS, ['get', 'create', 'patch', 'delete']),
    ...may(PODS, ['get', 'list', 'watch']),
    ...may(PODS, ['get'], 'log'),
    ...may(PODS, ['create'], 'portforward'),
    ...may(SERVICE_ACCOUNTS, ['create'], 'token'),
  ];
}

/** @throws AksmlError `computeTarget.rightsMissing` with a problem for each right that is missing */
export async function requireRights(
  kube: KubeClient,
  questions: readonly AccessQuestion[],
  signal?: AbortSignal,
): Promise<void> {
  const missing: AccessQuestion[] = [];
  for (let start = 0; start < questions.length; start += AT_ONCE) {
    const some = questions.slice(start, start + AT_ONCE);
    const answers = await Promise.all(some.map((question) => kube.mayI(question, signal)));
    missing.push(...some.filter((_, index) => !answers[index]));
  }
  if (missing.length === 0) return;
  throw rightsMissing(kube, describe(missing));
}

/**
 * The cluster's own judgement of what would be installed, without installing it: also that nobody hands out more rights than he has.
 * @throws AksmlError `computeTarget.rightsMissing` | what else the cluster refuses
 */
export async function rehearse(kube: KubeClient, manifests: readonly Manifest[], signal?: AbortSignal): Promise<void> {
  const refused: string[] = [];
  for (const { resource, object } of manifests) {
    try {
      await kube.apply(resource, object, {
        fieldManager: INSTALLER,
        force: true,
        dryRun: true,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      // What it is put into is not there yet.
      if (AksmlError.is(error, 'kube.notFound')) continue;
      if (!AksmlError.is(error, 'kube.forbidden')) throw error;
      refused.push(error.message);
    }
  }
  if (refused.length > 0) throw rightsMissing(kube, refused);
}

/** Who owns the fields of what is installed. */
export const INSTALLER = 'aksml-installer';

function rightsMissing(kube: KubeClient, messages: readonly string[]): AksmlError {
  const user = kube.context.user.name;
  const problems = messages.map((message): Problem => ({ severity: 'error', code: 'kube.forbidden', message }));
  return new AksmlError(
    'computeTarget.rightsMissing',
    `The user ${user || 'of the kubeconfig'} lacks rights on the cluster ${kube.server}; nothing was changed.`,
    {
      fault: 'input',
      subject: kube.context.name,
      problems,
      remedy:
        'Ask an administrator of the cluster for them, or let an administrator (such as cluster-admin) run this command once.',
    },
  );
}

/** One line for each kind and place. */
function describe(missing: readonly AccessQuestion[]): string[] {
  const verbs = new Map<string, string[]>();
  for (const { verb, resource, subresource, namespace } of missing) {
    const what = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
    const where = namespace === undefined ? '' : ` in the namespace ${namespace}`;
    verbs.set(`${what}${where}`, [...(verbs.get(`${what}${where}`) ?? []), verb]);
  }
  return [...verbs].map(([what, list]) => `May not ${list.join(', ')} ${what}.`);
}

function unique(questions: readonly AccessQuestion[]): AccessQuestion[] {
  const key = ({ verb, resource, subresource, namespace }: AccessQuestion) =>
    [verb, resource.apiVersion, resource.plural, subresource, namespace].join(' ');
  return [...new Map(questions.map((question) => [key(question), question])).values()];
}
