import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import { endpointDefinition } from '../../../src/cluster/crd.ts';
import { DistributionRegistry } from '../../../src/engine/registry/distribution.ts';
import { openHome } from '../../../src/home/home.ts';
import { acquireLock } from '../../../src/home/lock.ts';
import { type AccessQuestion, openKube } from '../../../src/kube/kube.ts';
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from '../../../src/kube/resource.ts';
import { pushController } from '../../../src/session/controller-image.ts';
import { openSession, type Session, type SessionOptions } from '../../../src/session/session.ts';
import { outcomeOf } from '../../local/world.ts';
import { endpoint } from '../target-world.ts';
import { type ClusterWorld, eventually, openClusterWorld } from '../world.ts';

/** A world whose tests attach the cluster, of which there is one: they come one after the other. */
export interface AttachWorld extends ClusterWorld {
  /** A workspace and its compute targets in this process. */
  session(options?: Partial<SessionOptions>): Promise<Session>;
  /** A kubeconfig of somebody who may do just this, and then what {@link allow} says. */
  kubeconfigOf(rights: readonly AccessQuestion[]): Promise<string>;
  allow(rights: readonly AccessQuestion[]): Promise<void>;
}

export interface Cleanup {
  after(work: () => Promise<void>): void;
}

export async function openAttachWorld(t: Cleanup, cluster: Cluster): Promise<AttachWorld> {
  const lock = await acquireLock(openHome({ AKSML_HOME: join(tmpdir(), 'aksml-test-attach') }), 'cluster');
  const world = await openClusterWorld(t, cluster);
  // Of a test that was killed.
  await removeInstalled(cluster, world.namespace);
  await keepDefinition(t, cluster);
  t.after(async () => {
    await removeInstalled(cluster, world.namespace);
    lock.release();
  });
  return {
    ...world,
    session: (options = {}) =>
      openSession({
        home: openHome({ AKSML_HOME: world.home }),
        environment: world.environment,
        version: '0.0.0-test',
        supervisorCommand: [process.execPath, '-e', ''],
        workspace: { projectFolder: world.project },
        ...options,
      }),
    allow: (rights) => grant(world, rights),
    kubeconfigOf: async (rights) => {
      await world.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: SOMEBODY } });
      await grant(world, rights);
      const last = rights.at(-1);
      if (last) await untilAllowed(world, last);
      const token = await world.kubectl('create', 'token', SOMEBODY);
      const config = JSON.parse(await world.kubectl('config', 'view', '--raw', '--output', 'json'));
      config.users[0].user = { token };
      const path = join(world.home, '..', `${SOMEBODY}.json`);
      await writeFile(path, JSON.stringify(config), { mode: 0o600 });
      return path;
    },
  };
}

/** Other tests work with endpoints meanwhile: as long as there is one, no detach removes what endpoints are. */
async function keepDefinition(t: Cleanup, cluster: Cluster): Promise<void> {
  const keeper = await openClusterWorld(t, cluster);
  await keeper.apply({ ...endpointDefinition('0.0.0-test') });
  await keeper.kubectl('wait', 'crd/endpoints.aksml.dev', '--for=condition=Established', '--timeout=60s');
  await keeper.apply({ ...endpoint(`k-${randomBytes(4).toString('hex')}`) });
}

/** By the cluster's own kubeconfig: the world may be gone. */
async function removeInstalled({ kubeconfig }: Cluster, namespace: string): Promise<void> {
  const kubectl = (...args: readonly string[]) =>
    outcomeOf(
      spawn('kubectl', args, { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
  // A namespace waits for half of the time that its pods may take to end.
  const own = ['--namespace', 'aksml-system', '--all', '--timeout=60s'];
  await kubectl('delete', 'deployment', ...own);
  await kubectl('delete', 'pod', ...own, '--grace-period=1');
  await kubectl('delete', 'namespace', 'aksml-system', '--ignore-not-found', '--timeout=120s');
  for (const label of ['app.kubernetes.io/managed-by=aksml', `${OWNER}=${namespace}`]) {
    await kubectl('delete', 'clusterrole,clusterrolebinding', `--selector=${label}`, '--ignore-not-found');
  }
}

let image: Promise<string> | undefined;

/** What runs in a cluster, composed once for all tests. */
export function controllerImage(cluster: Cluster): Promise<string> {
  image ??= (async () => {
    const home = openHome({ AKSML_HOME: join(tmpdir(), 'aksml-test-attach') });
    const registry = new DistributionRegistry(`${cluster.registry}/attach`, {
      fetch,
      credentials: async () => undefined,
    });
    const tools = { home, environment: process.env, version: '0.0.0-test', fetch, clock: () => new Date() };
    const base = cluster.baseImage === undefined ? {} : { base: cluster.baseImage };
    return (await pushController(tools, registry, { architectures: ['amd64'], ...base })).reference;
  })();
  return image;
}

/** To attach the cluster as `west`. */
export function attachRequest(world: AttachWorld, image: string) {
  return {
    name: 'west',
    cwd: world.project,
    namespaces: [world.namespace],
    purpose: 'DevTest' as const,
    serviceType: 'NodePort' as const,
    registry: world.registry,
    controllerImage: image,
  };
}

/** The cluster attached as `west`, with so many routers that work. */
export async function attachFrontEnd(world: AttachWorld, cluster: Cluster, routers: number) {
  const session = await world.session();
  const request = { ...attachRequest(world, await controllerImage(cluster)), routers };
  await session.attach(request, { confirm: async () => undefined });
  const { frontEnd } = await session.targetStatus('west');
  assert.equal(frontEnd?.state, 'Healthy');
  assert.equal(frontEnd.readyReplicas, routers);
  assert.equal(frontEnd.version, '0.0.0-test');
  const [address = assert.fail('it tells where it is reached')] = frontEnd.addresses ?? [];
  return { session, address };
}

/** A program for {@link pythonVersion} that answers, after so long, what it was sent. */
export function echoServer(seconds = 0): string {
  return `
import http.server, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        time.sleep(${seconds})
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.send_response(200); self.send_header('content-length', '2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address
Server(('', int(sys.argv[1])), Handler).serve_forever()
`;
}

const SOMEBODY = 'somebody';
const OWNER = 'test.aksml.dev/namespace';
const NOBODY_ASKS = { variables: {}, consent: async () => false, untrustedFolders: [] };

async function grant(world: ClusterWorld, rights: readonly AccessQuestion[]): Promise<void> {
  const subjects = [{ kind: 'ServiceAccount', name: SOMEBODY, namespace: world.namespace }];
  const kube = await openKube({ paths: [world.kubeconfig] }, NOBODY_ASKS);
  try {
    for (const namespace of new Set(rights.map((right) => right.namespace))) {
      const everywhere = namespace === undefined;
      const name = `${world.namespace}-${SOMEBODY}`;
      const metadata = { name, ...(everywhere ? {} : { namespace }), labels: { [OWNER]: world.namespace } };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: everywhere ? 'ClusterRole' : 'Role', name };
      const rules = rights.filter((right) => right.namespace === namespace).map(ruleFor);
      const options = { fieldManager: 'test', force: true };
      await kube.apply(everywhere ? CLUSTER_ROLES : ROLES, { metadata, rules }, options);
      await kube.apply(everywhere ? CLUSTER_ROLE_BINDINGS : ROLE_BINDINGS, { metadata, roleRef, subjects }, options);
    }
  } finally {
    await kube.close();
  }
}

async function untilAllowed(world: ClusterWorld, right: AccessQuestion): Promise<void> {
  const { verb, resource, subresource, namespace } = right;
  const group = resource.apiVersion.includes('/') ? `.${resource.apiVersion.split('/')[0]}` : '';
  const part = subresource === undefined ? [] : [`--subresource=${subresource}`];
  const who = `system:serviceaccount:${world.namespace}:${SOMEBODY}`;
  const where = namespace === undefined ? ['--all-namespaces'] : ['--namespace', namespace];
  await eventually('the rights are in force', async () => {
    return (
      (
        await world.tryKubectl('auth', 'can-i', verb, `${resource.plural}${group}`, '--as', who, ...part, ...where)
      ).stdout.trim() === 'yes'
    );
  });
}

function ruleFor({ verb, resource, subresource }: AccessQuestion) {
  const [group = ''] = resource.apiVersion.includes('/') ? resource.apiVersion.split('/') : [];
  const name = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
  return { apiGroups: [group], resources: [name], verbs: [verb] };
}
