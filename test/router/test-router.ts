import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { Router, type RouterSettings } from '../../src/cluster/router/router.ts';

/** A router of a test's own: a real HAProxy on a loopback address. */
export interface TestRouter {
  readonly router: Router;
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
  const router = new Router(settings);
  await router.start();
  return {
    router,
    settings,
    remove: async () => {
      await router.kill();
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
