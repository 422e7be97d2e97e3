import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { Activator } from '../../src/cluster/router/activator.ts';
import { SOCKETS } from '../../src/cluster/router/haproxy-names.ts';
import { Router, type RouterSettings } from '../../src/cluster/router/router.ts';
import type { RoutedEndpoint, RoutedVersion } from '../../src/cluster/router/routing-table.ts';
import type { FakeReplica } from '../conformance/fake-replica.ts';

/** A router of a test's own: a real HAProxy on a loopback address. */
export interface TestRouter {
  readonly router: Router;
  readonly activator: Activator;
  readonly settings: RouterSettings;
  /** Ends it at once and removes its folder. */
  remove(): Promise<void>;
}

/** @throws Error where HAProxy cannot be had: {@link haproxyOrSkip} says so before */
export async function startRouter(options: Partial<RouterSettings> = {}): Promise<TestRouter> {
  const program = await haproxyProgram();
  if (typeof program !== 'string') throw new Error(program.skip);
  const folder = await mkdtemp(join(tmpdir(), 'aksml-router-'));
  const address = options.address ?? '127.0.0.1';
  const [port, hopPort, logPort] = await freePorts(3, address);
  const said: string[] = [];
  const settings: RouterSettings = {
    name: 'router-a',
    folder,
    haproxy: program,
    address,
    port: port ?? 0,
    hopPort: hopPort ?? 0,
    logPort: logPort ?? 0,
    threads: 1,
    maxConnections: 4000,
    log: (line) => said.push(line),
    ...options,
  };
  const activator = await Activator.open({
    socket: join(folder, SOCKETS.activator),
    self: join(folder, SOCKETS.self),
    spool: join(folder, 'spool'),
  });
  const router = new Router({ ...settings, inForce: (table) => activator.update(table) });
  await router.start();
  return {
    router,
    activator,
    settings,
    remove: async () => {
      await router.kill();
      await activator.close();
      await rm(folder, { recursive: true, force: true });
      if (process.env['AKSML_ROUTER_LOG']) process.stderr.write(`${said.join('\n')}\n`);
    },
  };
}

/** Ports that nobody had a moment ago. */
export async function freePorts(count: number, address: string): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createTcpServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, address, () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export function routedEndpoint(
  name: string,
  versions: readonly RoutedVersion[],
  more: Partial<RoutedEndpoint> = {},
): RoutedEndpoint {
  return {
    name,
    auth: { mode: 'none' },
    corsAllowedOrigins: [],
    maxBodyBytes: 100 * 1024 * 1024,
    sticky: false,
    versions,
    ...more,
  };
}

/** The default version, with concurrency 1, of scoring servers that keep their time-out themselves. */
export function routedVersion(
  name: string,
  replicas: readonly FakeReplica[],
  more: Partial<RoutedVersion> = {},
): RoutedVersion {
  return {
    name,
    isDefault: true,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 10_000,
    scoringTimeoutMs: 60_000,
    scoringRoute: '/score',
    swaggerRoute: '/swagger.json',
    ownServer: false,
    http2: false,
    coldStartMs: 0,
    replicas: replicas.map(({ id, facts }) => ({ id, address: '127.0.0.1', port: facts.port, state: facts.state })),
    ...more,
  };
}
