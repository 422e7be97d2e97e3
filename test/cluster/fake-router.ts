import { createServer, type ServerResponse } from 'node:http';
import { FRONT_END_NAME, HOP_SECRET, HOP_SECRET_KEY, partLabels } from '../../src/cluster/names.ts';
import type { VersionLoad } from '../../src/cluster/router/routing-table.ts';
import { PODS, SECRETS } from '../../src/kube/resource.ts';
import type { ControllerWorld } from './controller-world.ts';

/** A router whose load is what a test says: a pod of the real cluster's that nothing runs, with an address where the test answers. */
export interface FakeRouter {
  readonly name: string;
  /** From now on, until something else is said. */
  say(...loads: readonly (Partial<VersionLoad> & Pick<VersionLoad, 'endpoint' | 'version'>)[]): void;
  /** The process is gone; its pod stays, as it does for a while. */
  die(): Promise<void>;
  /** Goes with its pod. */
  leave(): Promise<void>;
}

interface Cleanup {
  after(work: () => Promise<void>): void;
}

const PERIOD_MS = 100;

export async function startFakeRouter(
  t: Cleanup,
  { kube, namespace, cluster }: ControllerWorld,
  name: string,
): Promise<FakeRouter> {
  let versions: readonly VersionLoad[] = [];
  const listeners = new Set<ServerResponse>();
  const line = () => `${JSON.stringify({ router: name, time: performance.now(), versions })}\n`;
  const server = createServer(async (request, response) => {
    const { data } = await kube.get(SECRETS, { namespace, name: HOP_SECRET });
    const secret = Buffer.from(data?.[HOP_SECRET_KEY] ?? '', 'base64').toString();
    if (request.url !== '/load?stream=1' || request.headers.authorization !== `Bearer ${secret}`) {
      response.writeHead(401).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    listeners.add(response);
    response.once('close', () => listeners.delete(response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const timer = setInterval(() => {
    for (const listener of listeners) listener.write(line());
  }, PERIOD_MS);
  const die = () =>
    new Promise<void>((resolve) => {
      clearInterval(timer);
      for (const listener of listeners) listener.destroy();
      server.close(() => resolve());
    });
  t.after(die);
  await announceRouter({ kube, namespace, cluster }, name, port);
  return {
    name,
    say(...loads) {
      versions = loads.map((load) => ({
        busy: 0,
        queued: 0,
        arrived: 0,
        completed: 0,
        failed: 0,
        latency: [],
        ...load,
      }));
    },
    die,
    async leave() {
      await die();
      await kube.remove(PODS, { name, namespace }, { gracePeriodSeconds: 0 });
    },
  };
}

/** A pod that says that a ready router is at this port of the machine that the test runs on. */
export async function announceRouter(
  { kube, namespace, cluster }: Pick<ControllerWorld, 'kube' | 'namespace' | 'cluster'>,
  name: string,
  port: number,
): Promise<void> {
  await kube.create(
    PODS,
    {
      metadata: { name, namespace, labels: partLabels(FRONT_END_NAME) },
      spec: {
        // No node takes it, and so no kubelet says how it is.
        schedulingGates: [{ name: 'aksml.dev/test' }],
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'router',
            image: cluster.baseImage,
            ports: [{ name: 'agent', containerPort: port, protocol: 'TCP' }],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          },
        ],
      },
    },
    { fieldManager: 'test' },
  );
  const status = {
    phase: 'Running',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
  await kube.patch(PODS, { name, namespace }, { status }, { fieldManager: 'test', subresource: 'status' });
}
