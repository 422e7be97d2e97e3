import { randomBytes } from 'node:crypto';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { Controller, type ControllerOptions, type LogEntry } from '../../src/cluster/controller/controller.ts';
import { endpointDefinition } from '../../src/cluster/crd.ts';
import { CLUSTER_RULES, NAMESPACE_RULES, SYSTEM_RULES } from '../../src/cluster/manifests.ts';
import type { VersionSpec } from '../../src/contract/endpoint.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  CUSTOM_RESOURCE_DEFINITIONS,
  ENDPOINTS,
  ROLE_BINDINGS,
  ROLES,
  type Role,
  SERVICE_ACCOUNTS,
  type StoredEndpoint,
} from '../../src/kube/resource.ts';
import { type ClusterWorld, eventually, openClusterWorld } from './world.ts';

/** A namespace in which controllers of the test's own run, with exactly the rights that attach gives. */
export interface ControllerWorld extends ClusterWorld {
  /** The administrator. */
  readonly kube: KubeClient;
  /** `SERVER` with the controller's own token; `through` puts a proxy between. */
  controllerKube(through?: string): Promise<KubeClient>;
  startController(options?: Partial<ControllerOptions>): Promise<RunningController>;
  /** Writes an Endpoint as kubectl does. */
  put(endpoint: Wish): Promise<StoredEndpoint>;
  endpoint(name: string): Promise<StoredEndpoint | undefined>;
  /** Waits until the controller has said so of the newest spec. */
  untilState(name: string, state: string, options?: { readonly timeoutMs?: number }): Promise<StoredEndpoint>;
}

export interface RunningController {
  readonly controller: Controller;
  readonly log: LogEntry[];
  stop(): Promise<void>;
}

export interface Wish {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly namespace?: string;
}

interface Cleanup {
  after(work: () => Promise<void>): void;
}

/** Short terms, so that a test need not wait for the real ones. */
export const SHORT_TERMS = { leaseMs: 3_000, renewMs: 2_000, retryMs: 200 };

export async function openControllerWorld(t: Cleanup, cluster: Cluster): Promise<ControllerWorld> {
  const world = await openClusterWorld(t, cluster, {
    namespaceLabels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
  });
  const { namespace } = world;
  const kube = await openKube({ paths: [world.kubeconfig] }, NOBODY);
  await installDefinition(kube);
  await grant(kube, namespace);
  const clients: KubeClient[] = [kube];
  const running: RunningController[] = [];
  t.after(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await kube.remove(CLUSTER_ROLE_BINDINGS, { name: namespace });
    await kube.remove(CLUSTER_ROLES, { name: namespace });
    await Promise.all(clients.map((client) => client.close()));
  });
  const controllerKube: ControllerWorld['controllerKube'] = async (through) => {
    const client = await controllerClient(kube, namespace, through);
    clients.push(client);
    return client;
  };
  return {
    ...world,
    kube,
    controllerKube,
    async startController(options = {}) {
      const one = runController({
        kube: options.kube ?? (await controllerKube()),
        namespaces: [namespace],
        systemNamespace: namespace,
        ...options,
      });
      running.push(one);
      return one;
    },
    put: (wish) => kube.apply(ENDPOINTS, endpointOf(wish, namespace), { fieldManager: 'kubectl', force: true }),
    endpoint: (name) => kube.find(ENDPOINTS, { name, namespace }),
    untilState: (name, state, options) =>
      eventually(
        `${name} is ${state}`,
        async () => {
          const found = await kube.find(ENDPOINTS, { name, namespace });
          const observed = found?.status?.observedGeneration === found?.metadata.generation;
          return observed && found?.status?.state === state ? found : undefined;
        },
        {
          ...options,
          describe: async () => (await kube.find(ENDPOINTS, { name, namespace }))?.status,
        },
      ),
  };
}

export function runController(
  options: Pick<ControllerOptions, 'kube' | 'namespaces' | 'systemNamespace'> & Partial<ControllerOptions>,
): RunningController {
  const stop = new AbortController();
  const log: LogEntry[] = [];
  const controller = new Controller({
    identity: `controller-${randomBytes(4).toString('hex')}`,
    log: (entry) => log.push(entry),
    ...SHORT_TERMS,
    ...options,
  });
  const ended = controller.run(stop.signal);
  return {
    controller,
    log,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

export const NOBODY = { variables: {}, consent: async () => false, untrustedFolders: [] };

/** What the rights in a served namespace, which is aksml's own as well here, do not hold already. */
const SYSTEM_ONLY = SYSTEM_RULES.flatMap(({ resources = [], verbs, ...rule }) =>
  resources.flatMap((resource) => {
    const present = NAMESPACE_RULES.filter((other) => other.resources?.includes(resource)).flatMap(
      (other) => other.verbs,
    );
    const missing = verbs.filter((verb) => !present.includes(verb));
    return missing.length === 0 ? [] : [{ ...rule, resources: [resource], verbs: missing }];
  }),
);

/** The rights that the test's controllers have from now on in a namespace. */
export async function grant(
  kube: KubeClient,
  namespace: string,
  rules: Role['rules'] = NAMESPACE_RULES,
  clusterRules: Role['rules'] = CLUSTER_RULES,
): Promise<void> {
  const options = { fieldManager: 'test', force: true };
  const subjects = [{ kind: 'ServiceAccount', name: 'controller', namespace }];
  const refer = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
  const own = { name: 'controller', namespace };
  const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] };
  await kube.apply(SERVICE_ACCOUNTS, { metadata: own }, options);
  await kube.apply(CLUSTER_ROLES, { metadata: { name: namespace }, rules: clusterRules ?? [] }, options);
  const roleRef = refer('ClusterRole', namespace);
  await kube.apply(CLUSTER_ROLE_BINDINGS, { metadata: { name: namespace }, subjects, roleRef }, options);
  await kube.apply(ROLES, { metadata: own, rules: [...(rules ?? []), leases, ...SYSTEM_ONLY] }, options);
  await kube.apply(ROLE_BINDINGS, { metadata: own, subjects, roleRef: refer('Role', 'controller') }, options);
}

/** A client with a controller's rights; `through` is the address of what stands between. */
export async function controllerClient(kube: KubeClient, namespace: string, through?: string): Promise<KubeClient> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const name = { namespace, name: 'controller' };
  const answer = await kube.createIn<{ readonly status: { readonly token: string } }>(
    SERVICE_ACCOUNTS,
    name,
    'token',
    body,
  );
  const { cluster } = kube.context;
  return openKube(
    {
      name: 'controller',
      cluster: { ...cluster, server: through ?? cluster.server },
      user: { name: 'controller', token: answer.status.token },
    },
    NOBODY,
  );
}

export async function installDefinition(kube: KubeClient): Promise<void> {
  const definition = endpointDefinition('0.0.0-test');
  await kube.apply(CUSTOM_RESOURCE_DEFINITIONS, definition, { fieldManager: 'aksml', force: true });
  await eventually('the custom resource is served', async () => {
    const { status } = await kube.get(CUSTOM_RESOURCE_DEFINITIONS, definition.metadata);
    return status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True');
  });
}

export function endpointOf({ name, spec, namespace: other }: Wish, namespace: string): StoredEndpoint {
  const endpoint: unknown = {
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name, namespace: other ?? namespace },
    spec,
  };
  // What is left out has defaults in the custom resource.
  return endpoint as StoredEndpoint;
}

/** A version whose server is a few lines of Python; `script` replaces them. */
export function pythonVersion(
  cluster: Cluster,
  version: Partial<Omit<VersionSpec, 'container'>> & { readonly script?: string } = {},
): object {
  const { script = SERVER, ...rest } = version;
  return {
    name: 'main',
    isDefault: true,
    image: `sha256:${'0'.repeat(64)}`,
    container: { image: cluster.baseImage, command: ['python3', '-u', '-c', script, '{port}'], port: 8080 },
    resources: { cpu: 0.01, memoryInGB: 0.05, gpu: 0 },
    scale: { kind: 'fixed', replicas: 1 },
    scoringTimeoutMs: 1000,
    ...rest,
  };
}

const SERVER = `
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
http.server.ThreadingHTTPServer(('', int(sys.argv[1])), Handler).serve_forever()
`;
