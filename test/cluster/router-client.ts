import { ROUTED_RULES, ROUTER_RULES } from '../../src/cluster/manifests.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import { ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS } from '../../src/kube/resource.ts';
import { NOBODY } from './controller-world.ts';

/** A client with exactly a router's rights, in a namespace that is served and aksml's own at once. */
export async function routerClient(
  t: { after(work: () => Promise<void>): void },
  kube: KubeClient,
  namespace: string,
  through?: string,
): Promise<KubeClient> {
  const options = { fieldManager: 'test', force: true };
  const own = { name: 'router', namespace };
  await kube.apply(SERVICE_ACCOUNTS, { metadata: own }, options);
  await kube.apply(ROLES, { metadata: own, rules: [...ROUTED_RULES, ...ROUTER_RULES] }, options);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'router' };
  const subjects = [{ kind: 'ServiceAccount', name: 'router', namespace }];
  await kube.apply(ROLE_BINDINGS, { metadata: own, subjects, roleRef }, options);
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const { status } = await kube.createIn<{ readonly status: { readonly token: string } }>(
    SERVICE_ACCOUNTS,
    own,
    'token',
    body,
  );
  const { cluster } = kube.context;
  const client = await openKube(
    {
      name: 'router',
      cluster:
        through === undefined
          ? cluster
          : { ...cluster, server: through, tlsServerName: kube.transport.server.hostname },
      user: { name: 'router', token: status.token },
    },
    NOBODY,
  );
  t.after(() => client.close());
  return client;
}
